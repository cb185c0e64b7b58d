"""A simulated clock behind a simulated network, with known truth."""

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from chronotick.ntp.fix import Fix

NS = 1_000_000_000


class Run(msgspec.Struct, frozen=True, eq=False):
    """Fixes in order, and the true theta in ns at the raw clock of each."""

    fixes: list[Fix]
    truth_ns: NDArray[np.int64]


def make_fix(raw_ns: int, theta_ns: int, delay_s: float = 1e-3, server: str = "a", root_distance_s: float = 0.0) -> Fix:
    distance = root_distance_s or delay_s / 2 + 1e-6
    half = math.ceil(distance * NS)
    return Fix(
        raw_ns=raw_ns,
        theta_ns=theta_ns,
        delay_s=delay_s,
        root_distance_s=distance,
        server=server,
        survivors=(server,),
        earliest_theta_ns=theta_ns - half,
        latest_theta_ns=theta_ns + half,
    )


def simulate_clock(
    *,
    seed: int,
    fixes: int,
    poll_s: float = 16.0,
    servers: int = 1,
    base_delay_s: float = 200e-6,
    queue_s: float = 20e-6,
    stamp_s: float = 0.0,
    rate: float = 12e-6,
    wander: float = 0.0,
    sine: tuple[float, float] = (0.0, 1.0),
    theta0_ns: int = 1_700_000_000 * NS,
    raw0_ns: int = 10_000 * NS,
) -> Run:
    """Poll `servers` in turn, each every `poll_s`, through queues of mean `queue_s` each way.

    The rate is constant plus a random walk (`wander`, s/s/sqrt(s)) plus a sine (amplitude s/s, period s).
    """
    rng = np.random.default_rng(seed)
    step_s = poll_s / servers
    t = step_s * np.arange(fixes) + rng.uniform(0, 0.2 * step_s, fixes)
    dt = np.diff(t, prepend=t[0])
    walk = np.cumsum(wander * np.sqrt(dt) * rng.standard_normal(fixes))
    amplitude, period = sine
    w = 2 * np.pi / period
    x = rate * t + np.cumsum(np.concatenate(([0.0], walk[:-1])) * dt) + amplitude / w * (1 - np.cos(w * t))
    out, back = rng.exponential(queue_s, fixes), rng.exponential(queue_s, fixes)
    noise = 0.5 * (out - back) + stamp_s * rng.standard_normal(fixes)
    truth = theta0_ns + np.rint(x * NS).astype(np.int64)
    raw = raw0_ns + np.rint(t * NS).astype(np.int64)
    made = [
        make_fix(int(r), int(y) + round(float(n) * NS), base_delay_s + float(d), f"s{i % servers}")
        for i, (r, y, n, d) in enumerate(zip(raw, truth, noise, out + back, strict=True))
    ]
    return Run(fixes=made, truth_ns=truth)


@pytest.fixture
def fix() -> Callable[..., Fix]:
    return make_fix


@pytest.fixture
def simulate() -> Callable[..., Run]:
    return simulate_clock
