"""How the part of the rate that is not a straight line moves: turning (cycles) or dying away (warm-up, ageing)."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Motion(Protocol):
    """Moves the extra states of a set of filters. Arrays have shape (extra states, filters)."""

    @property
    def size(self) -> int:
        """Extra states per filter."""
        ...

    def offset_of(self, h_s: float) -> Vector:
        """What each extra state adds to theta within `h_s` seconds, per unit of it: the integral of its rate, s."""
        ...

    def move(self, states: Vector, h_s: float) -> None:
        """Take the extra states `h_s` seconds on, in place; further axes may lie between the first and the last."""
        ...

    def kept(self, which: NDArray[np.bool_]) -> "Motion":
        """The motion of some of the filters only."""
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
        self.period_s = period_s
        self._w = 2.0 * np.pi * np.arange(1, harmonics + 1)[:, None] / period_s
        self.size: int = 2 * harmonics

    def offset_of(self, h_s: float) -> Vector:
        """See `Motion`."""
        angle = self._w * h_s
        out = np.empty((self.size, len(self.period_s)))
        np.divide(np.sin(angle), self._w, out=out[0::2])
        np.divide(2.0 * np.sin(0.5 * angle) ** 2, self._w, out=out[1::2])
        return out

    def move(self, states: Vector, h_s: float) -> None:
        """See `Motion`."""
        angle = self._w * h_s
        for k, (c, s) in enumerate(zip(np.cos(angle), np.sin(angle), strict=True)):
            a, b = states[2 * k], states[2 * k + 1]
            turned = c * a + s * b
            b *= c
            b -= s * a
            a[...] = turned

    def kept(self, which: NDArray[np.bool_]) -> "Cycles":
        """See `Motion`."""
        return Cycles(self.period_s[which], self.size // 2)


class Decay:
    """One state that dies away: a' = a exp(-h/tau), and theta gains a tau (1 - exp(-h/tau)).

    Args:
        tau_s: shape (filters,), s, > 0.
    """

    def __init__(self, tau_s: Vector) -> None:
        self.tau_s = tau_s
        self.size = 1

    def offset_of(self, h_s: float) -> Vector:
        """See `Motion`."""
        gain: Vector = -self.tau_s * np.expm1(-h_s / self.tau_s)
        return gain[None]

    def move(self, states: Vector, h_s: float) -> None:
        """See `Motion`."""
        states[0] *= np.exp(-h_s / self.tau_s)

    def kept(self, which: NDArray[np.bool_]) -> "Decay":
        """See `Motion`."""
        return Decay(self.tau_s[which])
