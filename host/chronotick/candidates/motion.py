"""How the part of the rate that is not a straight line moves: turning (cycles) or dying away (warm-up, ageing)."""

import math
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
# Amplitudes are never less known than so many times what was thought of them at first.
_MOST_UNKNOWN: Final = 100.0
# What a turn of the phase does to both parts of a pair, shape (2, 1).
_QUARTER_TURN: Final = np.array([[1.0], [-1.0]])


class Step(Protocol):
    """Some seconds of a motion, as a linear map around the states that it was made for.

    Attributes:
        gain: shape (extra states, filters): what each extra state adds to theta meanwhile, per unit of it, s.
    """

    gain: Vector

    def move(self, states: Vector) -> None:
        """Take the extra states on, in place; further axes may lie between the first and the last."""
        ...


class Motion(Protocol):
    """Moves the extra states of a set of filters. Arrays have shape (extra states, filters).

    Attributes:
        bounded: states that are never less known than so many times what they were at first, however long they walk.
    """

    @property
    def bounded(self) -> tuple[tuple[int, float], ...]: ...

    @property
    def size(self) -> int:
        """Extra states per filter."""
        ...

    def offset_of(self, h_s: float | Vector) -> Vector:
        """What each extra state adds to theta within `h_s` seconds, per unit of it: the integral of its rate, s.

        `h_s` is the same for all filters or of shape (filters,).
        """
        ...

    def step(self, h_s: float | Vector, states: Vector) -> Step:
        """The motion over `h_s` seconds, the same for all filters or shape (filters,), around the states `states`."""
        ...

    def blur(self, h_s: float, states: Vector, p: Vector) -> None:
        """Add what `h_s` seconds make uncertain beside the states' own walks to their covariance, in place.

        Args:
            p: shape (extra states, extra states, filters).
        """
        ...

    def settle(self, states: Vector) -> None:
        """Take what the states say of the motion itself into it, in place."""
        ...

    def walked_s2(self, h_s: Vector, states: Vector, walk2: Vector) -> Vector:
        """Variance that all walks within `h_s` seconds, the motion's own too, add to theta after them, s^2.

        Args:
            h_s: shape (filters,).
            walk2: variance per second of the walk of each extra state, shape (extra states, filters).
        """
        ...

    def kept(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Motion":
        """The motion of some of the filters only, by mask or by index."""
        ...


class Cycles:
    """Pairs (a, b) that rotate: the rate gets sum of the a's, and with w = 2 pi k/T

        a' = a cos(w h) + b sin(w h),   b' = b cos(w h) - a sin(w h),

    so that within h theta gains a sin(w h)/w + b (1 - cos(w h))/w.

    Args:
        period_s: shape (filters,), s, > 0.
        harmonics: k runs from 1 to this.
    """

    def __init__(self, period_s: Vector, harmonics: int) -> None:
        self.period_s: Vector = period_s
        self._harmonics: Vector = np.arange(1.0, harmonics + 1.0)[:, None]
        self.size: int = 2 * harmonics
        self.bounded: tuple[tuple[int, float], ...] = ()

    def offset_of(self, h_s: float | Vector) -> Vector:
        """See `Motion`."""
        return _gain(self._w(), h_s)

    def step(self, h_s: float | Vector, states: Vector) -> Step:
        """See `Motion`."""
        return self.turn(h_s)

    def blur(self, h_s: float, states: Vector, p: Vector) -> None:
        """See `Motion`. Nothing."""

    def settle(self, states: Vector) -> None:
        """See `Motion`."""

    def kept(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Cycles":
        """See `Motion`."""
        return Cycles(self.period_s[which], len(self._harmonics))

    def walked_s2(self, h_s: Vector, states: Vector, walk2: Vector) -> Vector:
        """See `Motion`. Both parts of a pair walk alike: within h each unit of what they walk by turns into gains whose
        squares add up to the integral of 2 (1 - cos(w t)) / w^2, that is 2 (h - sin(w h) / w) / w^2."""
        return self._walked_s2(h_s, walk2[0::2])

    def _walked_s2(self, h_s: Vector, walk2: Vector) -> Vector:
        """`walk2`: of each pair, shape (harmonics, filters)."""
        w = self._w()
        added: Vector = (walk2 * 2.0 * (h_s - np.sin(w * h_s) / w) / w**2).sum(axis=0)
        return added

    def turn(self, h_s: float | Vector) -> "_Turn":
        """The pairs' rotation within `h_s` seconds."""
        return _Turn(self._w(), h_s)

    def _w(self) -> Vector:
        return 2.0 * np.pi * self._harmonics / self.period_s


class TunedCycles(Cycles):
    """Cycles that learn their period from the fixes, each in the neighbourhood of the one it was given.

    One more state n is the relative error of all frequencies, and the motion is linearised in it (an extended Kalman
    filter): with w (1 + n) for w

        da'/dn = w h b',   db'/dn = -w h a',
        dtheta/dn = a (h cos(w h) - sin(w h)/w) + b (h sin(w h) - (1 - cos(w h))/w).

    After each fix `settle` moves the period by what n has become, and n is 0 again. Without it a period that is 1 % off
    is a cycle whose phase walks, and no better foretold.

    A phase that walks takes all harmonics with it, the k-th by k times the angle, and changes no amplitude. A walk of
    each part for itself would forget shape and size as fast as the phase: so within h the pairs' covariance gains

        s^2 h K J M J' K,   M = E[x x'] = P + x x',

    with s the walk, J a quarter turn of each pair and K its k, exact to first order in h. That the mean shrinks by
    s^2 h k^2 / 2 meanwhile is left out.

    Args:
        period_s: shape (filters,), s, > 0.
        harmonics: k runs from 1 to this.
        span: a period stays within this factor of the one it was given.
        phase_walk: shape (filters,), random walk of the phase, rad/sqrt(s).
    """

    def __init__(self, period_s: Vector, harmonics: int, span: float, phase_walk: Vector) -> None:
        super().__init__(period_s, harmonics)
        self._phase_walk: Vector = phase_walk
        # Where there is no cycle nothing is learned of its period, and linear it is for small errors only.
        # Of a cycle shorter than the polls nobody measures the amplitude, and a walking phase makes it ever less known.
        self.bounded: tuple[tuple[int, float], ...] = (
            *((part, _MOST_UNKNOWN) for part in range(2 * harmonics)),
            (2 * harmonics, 1.0),
        )
        self.size: int = 2 * harmonics + 1
        self.period_s: Vector = period_s
        self._least_s: Vector = period_s / span
        self._most_s: Vector = period_s * span

    def offset_of(self, h_s: float | Vector) -> Vector:
        """See `Motion`. The error of the frequencies is 0, whatever it would add."""
        gain = super().offset_of(h_s)
        return np.concatenate((gain, np.zeros((1, gain.shape[1]))))

    def step(self, h_s: float | Vector, states: Vector) -> Step:
        """See `Motion`."""
        return _TunedTurn(self.turn(h_s), states[:-1])

    def blur(self, h_s: float, states: Vector, p: Vector) -> None:
        """See `Motion`."""
        # How far each part turns into the other of its pair, shape (harmonics, 2, filters), rad.
        angle = self._harmonics[:, None] * _QUARTER_TURN * (math.sqrt(h_s) * self._phase_walk)
        pairs = angle * states[:-1].reshape(angle.shape)[:, ::-1]
        covariance = p[:-1, :-1].reshape(2 * angle.shape[:2] + angle.shape[2:])
        added = angle[:, :, None, None] * angle
        added *= covariance[:, ::-1, :, ::-1]
        added += pairs[:, :, None, None] * pairs
        covariance += added

    def walked_s2(self, h_s: Vector, states: Vector, walk2: Vector) -> Vector:
        """See `Motion`. A walk of the phase is taken in the mean over all phases, where it is one of both parts by the
        half of k^2 (a^2 + b^2) each; what an error of the frequencies adds is taken to grow in a straight line."""
        phase2 = 0.5 * (self._harmonics * self._phase_walk) ** 2 * (states[:-1:2] ** 2 + states[1:-1:2] ** 2)
        period_s = self.step(h_s, states).gain[-1]
        added: Vector = self._walked_s2(h_s, walk2[:-1:2] + phase2) + walk2[-1] * period_s**2 * h_s / 3.0
        return added

    def settle(self, states: Vector) -> None:
        """See `Motion`."""
        self.period_s = np.clip(self.period_s / (1.0 + states[-1]), self._least_s, self._most_s)
        states[-1] = 0.0

    def kept(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "TunedCycles":
        """See `Motion`."""
        kept = TunedCycles(self.period_s[which], len(self._harmonics), 1.0, self._phase_walk[which])
        kept._least_s, kept._most_s = self._least_s[which], self._most_s[which]
        return kept


class _Turn:
    """Pairs turned by angles that belong to one time."""

    def __init__(self, w: Vector, h_s: float | Vector) -> None:
        self.w: Vector = w
        self.h_s: float | Vector = h_s
        angle = w * h_s
        self.cos: Vector = np.cos(angle)
        self.sin: Vector = np.sin(angle)
        self.gain: Vector = _gain(w, h_s)

    def move(self, states: Vector) -> None:
        """See `Step`."""
        for k, (c, s) in enumerate(zip(self.cos, self.sin, strict=True)):
            a, b = states[2 * k], states[2 * k + 1]
            turned = c * a + s * b
            b *= c
            b -= s * a
            a[...] = turned


def _gain(w: Vector, h_s: float | Vector) -> Vector:
    """What both parts of each pair add to theta within `h_s` seconds, shape (2 harmonics, filters), s."""
    angle = w * h_s
    gain: Vector = np.empty((2 * len(w), w.shape[1]))
    np.divide(np.sin(angle), w, out=gain[0::2])
    np.divide(2.0 * np.sin(0.5 * angle) ** 2, w, out=gain[1::2])
    return gain


class _TunedTurn:
    """The same, and what an error of all frequencies does to the pairs."""

    def __init__(self, turn: _Turn, pairs: Vector) -> None:
        self._turn = turn
        moved = pairs.copy()
        turn.move(moved)
        angle = turn.w * turn.h_s
        self._bend: Vector = np.empty_like(moved)
        self._bend[0::2] = angle * moved[1::2]
        self._bend[1::2] = -angle * moved[0::2]
        along = pairs[0::2] * (turn.h_s * turn.cos - turn.gain[0::2])
        across = pairs[1::2] * (turn.h_s * turn.sin - turn.gain[1::2])
        self.gain: Vector = np.concatenate((turn.gain, (along + across).sum(axis=0)[None]))

    def move(self, states: Vector) -> None:
        """See `Step`."""
        self._turn.move(states)
        for i, bend in enumerate(self._bend):
            states[i] += bend * states[-1]


class Decay:
    """One state that dies away: a' = a exp(-h/tau), and theta gains a tau (1 - exp(-h/tau)).

    Args:
        tau_s: shape (filters,), s, > 0.
    """

    def __init__(self, tau_s: Vector) -> None:
        self.tau_s = tau_s
        self.size = 1
        self.bounded: tuple[tuple[int, float], ...] = ()

    def offset_of(self, h_s: float | Vector) -> Vector:
        """See `Motion`."""
        gain: Vector = -self.tau_s * np.expm1(-h_s / self.tau_s)
        return gain[None]

    def step(self, h_s: float | Vector, states: Vector) -> Step:
        """See `Motion`."""
        return _Faded(self.offset_of(h_s), np.exp(-h_s / self.tau_s))

    def blur(self, h_s: float, states: Vector, p: Vector) -> None:
        """See `Motion`. Nothing."""

    def settle(self, states: Vector) -> None:
        """See `Motion`."""

    def walked_s2(self, h_s: Vector, states: Vector, walk2: Vector) -> Vector:
        """See `Motion`. A walk w of what dies away adds w^2 tau^2 times the integral of (1 - exp(-t/tau))^2."""
        gone = -np.expm1(-h_s / self.tau_s)
        added: Vector = walk2[0] * self.tau_s**2 * (h_s - self.tau_s * gone * (1.0 + 0.5 * gone))
        return added

    def kept(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Decay":
        """See `Motion`."""
        return Decay(self.tau_s[which])


class _Faded:
    """What is left after some time."""

    def __init__(self, gain: Vector, left: Vector) -> None:
        self.gain: Vector = gain
        self._left = left

    def move(self, states: Vector) -> None:
        """See `Step`."""
        states[0] *= self._left
