"""Simulated clocks with known truth for the benches: oscillators of many kinds behind a network that changes.

Not a bench itself. Truth is a rate on a grid of 4 s, straight between its points, and theta its integral; so both are
known at any instant. The network's queues are exponential on either leg, with a share of long ones, and every few
hours its load and the poll interval are drawn anew.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chronotick.backtest.trace import Trace, Truth, fixes_of

Vector = NDArray[np.float64]
GRID_S = 4.0
POLLS_S = (16.0, 64.0, 64.0, 128.0)
KINDS = ("walk", "sine", "daily", "cycle", "thermal", "warm_up", "ageing", "quiet")


class Clock(NamedTuple):
    """True theta, UTC minus raw clock, s, over the raw clock in s, both float64 of shape (n,)."""

    kind: str
    t_s: Vector
    theta_s: Vector

    def at(self, t_s: float | Vector) -> Vector:
        """Theta at instants, s."""
        return np.asarray(np.interp(t_s, self.t_s, self.theta_s))


def clock(kind: str, seed: int, length_s: float) -> Clock:
    """An oscillator of a kind: all of them wander; beside that

    sine: a cycle of 20 min to 2 h of 0.1 to 1 ppm; daily: 3 ppm from peak to peak; cycle: one of wandering length with
    a second harmonic; thermal: load steps of up to 1 ppm through a lag of 10 min; warm_up: 5 ppm that die in an hour;
    ageing: 10 ppb a day; quiet: wandering 100 times less.
    """
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    t = np.arange(int(length_s / GRID_S) + 2) * GRID_S
    n = len(t)
    walk = 10 ** rng.uniform(-9.7, -8.7) * (0.01 if kind == "quiet" else 1.0)
    rate = rng.uniform(-20e-6, 20e-6) + walk * math.sqrt(GRID_S) * np.cumsum(rng.standard_normal(n))
    if kind == "sine":
        turns = t / rng.uniform(1200, 7200) + rng.uniform()
        rate += rng.uniform(0.1, 1.0) * 1e-6 * np.sin(math.tau * turns)
    elif kind == "daily":
        rate += 1.5e-6 * np.sin(math.tau * (t / 86400 + rng.uniform()))
    elif kind == "cycle":
        period_s = rng.uniform(2000, 8000)
        tempo = np.exp(0.25 * math.sqrt(GRID_S / period_s) * np.cumsum(rng.standard_normal(n)))
        angle = np.cumsum(math.tau / period_s * GRID_S * tempo)
        rate += rng.uniform(0.1, 0.7) * 1e-6 * (np.sin(angle) + 0.4 * np.sin(2 * angle + 1))
    elif kind == "thermal":
        load = np.zeros(n)
        at = 0
        while at < n:
            length = int(rng.exponential(3 * 3600) / GRID_S) + 1
            load[at : at + length] = rng.uniform()
            at += length
        rate += 1e-6 * np.array(list(accumulate(load.tolist(), lambda now, to: now + GRID_S / 600 * (to - now))))
    elif kind == "warm_up":
        rate += 5e-6 * np.exp(-t / 3600)
    elif kind == "ageing":
        rate += 10e-9 / 86400 * t
    theta = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * GRID_S)))
    return Clock(kind, t, theta)


def trace(one: Clock, seed: int, length_s: float, polls_s: Sequence[float] = POLLS_S) -> Trace:
    """The fixes of one server over `length_s`; its load, its long queues and the poll change every few hours."""
    rng = np.random.default_rng((seed, 4711))
    now, change = 5.0, 0.0
    queue_s, poll_s, share = 1e-4, polls_s[0], 0.0
    at, offset, delay = [], [], []
    while now < length_s:
        if now >= change:
            change = now + 1800 + rng.exponential(6 * 3600)
            queue_s, poll_s, share = 10 ** rng.uniform(-5, -3.2), rng.choice(polls_s), rng.choice((0.0, 0.0, 0.02))
        out_s, back_s = rng.exponential(queue_s, 2)
        if rng.random() < share:
            out_s += rng.exponential(20 * queue_s)
        at.append(now)
        offset.append((out_s - back_s) / 2)
        delay.append(5e-4 + 20 * queue_s + out_s + back_s)
        now += poll_s * rng.uniform(0.98, 1.02)
    t = np.array(at)
    fixes = fixes_of(t, one.at(t) + np.array(offset), np.array(delay), np.full(len(t), 1e-4), ["server"] * len(t))
    return Trace(one.kind, fixes, Truth(one.t_s, one.theta_s, 2 * GRID_S), 3600.0, 0.0, True)
