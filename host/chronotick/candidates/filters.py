"""Kalman filters of a line plus something that moves, many at once.

State of each: offset x, rate f of the line, and the extra states of a `Motion`, whose sum of rates is added:

    x' = x + f h + offset_of(h) . extra,   f' = f,   extra' = moved extra.

Process noise: white FM and the wander of f as in the floor's bank; each extra state walks with its own variance per
second, beside what the motion itself makes uncertain (a cycle's phase), and those that the motion names are never less
known than at first. The measurement noise is one number for all filters, given with each fix; the likelihood is the
floor's (`clock/bank.py`: Student's t with 4 degrees of freedom), so that what the two foretold can be compared. Beyond
2.5 sigma the whole innovation is taken for larger (Huber), not the noise of the fix alone as in the bank: that was
tried here and was better six hours ahead and worse at a minute.

The covariance is kept whole and made symmetric every few updates: with a noise of 1e-7 s and thousands of fixes the
rounding of the plain form grows until it is no covariance any more. A filter that is no longer finite is dropped.
"""

import copy
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chronotick.candidates.motion import Motion, Vector
from chronotick.clock.bank import DEGREES, HUBER_SIGMA, LOG_T

# No variance falls below this, s^2 or 1.
_LEAST: Final = 1e-30
_LEAST_STEP_S: Final = 1e-3
# Rounding makes the covariance a little asymmetric at each step; it takes hundreds of them to matter.
_SYMMETRISE_EVERY: Final = 8


class Filters:
    """N filters side by side.

    Args:
        motion: moves the extra states.
        wander: shape (N,), random walk of the line's rate, s/s/sqrt(s).
        walk: shape (N,) or (extra states, N), random walk of each extra state, s/s/sqrt(s).
        extra_sigma: shape (extra states, N), what is thought of the extra states before the first fix, s/s.
        white_fm: white frequency noise, s/sqrt(s).
    """

    def __init__(self, motion: Motion, wander: Vector, walk: Vector, extra_sigma: Vector, white_fm: float) -> None:
        self.motion: Motion = motion
        self.wander: Vector = wander
        self._updates = 0
        self._q2 = wander * wander
        self._walk2: Vector = np.broadcast_to(walk * walk, (motion.size, len(wander)))
        self._white_fm2 = white_fm**2
        states, count = 2 + motion.size, len(wander)
        self._x: Vector = np.zeros((states, count))
        self._p: Vector = np.zeros((states, states, count))
        for i in range(motion.size):
            self._p[2 + i, 2 + i] = extra_sigma[i] ** 2
        self._most: Vector = extra_sigma**2

    def __len__(self) -> int:
        return len(self._q2)

    @property
    def offset_s(self) -> Vector:
        """Shape (N,), s."""
        row: Vector = self._x[0]
        return row

    @property
    def extra(self) -> Vector:
        """Shape (extra states, N), s/s."""
        rows: Vector = self._x[2:]
        return rows

    def start(self, offset_s: float, variance_s2: float, rate: float, rate_variance: float) -> None:
        """The line to begin with; what is known of the extra states stays."""
        self._x[0], self._x[1] = offset_s, rate
        self._p[:2] = 0.0
        self._p[:, :2] = 0.0
        self._p[0, 0], self._p[1, 1] = variance_s2, rate_variance

    def jump(self, offset_s: float, variance_s2: float) -> None:
        """Theta has stepped to `offset_s`, known to `variance_s2`; all else goes on."""
        self._x[0] = offset_s
        self._p[0] = 0.0
        self._p[:, 0] = 0.0
        self._p[0, 0] = variance_s2

    def recentre(self, shift_s: float) -> None:
        """Move the reference of all offsets by `shift_s`: x becomes x - shift."""
        self._x[0] -= shift_s

    def predict(self, dt_s: float) -> None:
        """Time update by `dt_s` >= 0."""
        step = self.motion.step(dt_s, self._x[2:])
        for rows in (self._x, self._p, self._p.swapaxes(0, 1)):
            rows[0] += dt_s * rows[1]
            for i, one in enumerate(step.gain):
                rows[0] += one * rows[2 + i]
            step.move(rows[2:])
        self._p[0, 0] += dt_s * (self._white_fm2 + (dt_s * dt_s / 3.0) * self._q2)
        cross = (0.5 * dt_s * dt_s) * self._q2
        self._p[0, 1] += cross
        self._p[1, 0] += cross
        self._p[1, 1] += dt_s * self._q2
        for i in range(2, len(self._x)):
            self._p[i, i] += dt_s * self._walk2[i - 2]
        self.motion.blur(dt_s, self._x[2:], self._p[2:, 2:])
        for i, times in self.motion.bounded:
            most = times * times * self._most[i]
            if (self._p[2 + i, 2 + i] > most).any():
                keep = np.sqrt(np.minimum(most / self._p[2 + i, 2 + i], 1.0))
                self._p[2 + i] *= keep
                self._p[:, 2 + i] *= keep

    def update(self, z_s: float, r: float, *, guarded: bool = True) -> Vector:
        """Measurement `z_s` with variance `r`; returns how well each filter foretold it, log density, shape (N,).

        `guarded` False takes the measurement at face value, as the first ones are.
        """
        with np.errstate(all="ignore"):
            e = z_s - self._x[0]
            s = self._p[0, 0] + r
            u = e * e / s
            likelihood: Vector = LOG_T - 0.5 * np.log(s) - (0.5 * (DEGREES + 1.0)) * np.log1p(u / DEGREES)
            if guarded:
                s *= np.maximum(np.sqrt(u) / HUBER_SIGMA, 1.0)
            row = self._p[0].copy()
            k = row / s
            self._x += k * e
            self.motion.settle(self._x[2:])
            self._p -= row[:, None] * k[None]
            self._updates += 1
            if self._updates % _SYMMETRISE_EVERY == 0:
                self._p += self._p.swapaxes(0, 1).copy()
                self._p *= 0.5
            for i in range(len(self._x)):
                np.maximum(self._p[i, i], _LEAST, out=self._p[i, i])
        return likelihood

    def ahead_s(self, h_s: float) -> Vector:
        """Offset of each filter `h_s` seconds on, shape (N,)."""
        ahead: Vector = self._x[0] + h_s * self._x[1] + (self.motion.offset_of(h_s) * self._x[2:]).sum(axis=0)
        return ahead

    def spread(self, h_s: Vector) -> tuple[Vector, Vector]:
        """Offsets of all filters `h_s` seconds on, s, and their variances, s^2; `h_s` of shape (H,), both (H, N)."""
        count = len(self)
        each, h = np.tile(np.arange(count), len(h_s)), np.repeat(h_s, count)
        states, p, motion = self._x[:, each], self._p[:, :, each], self.motion.kept(each)
        said = states[0] + h * states[1] + (motion.offset_of(h) * states[2:]).sum(axis=0)
        gain = np.concatenate((np.ones((1, len(h))), h[None], motion.step(h, states[2:]).gain))
        variance = np.einsum("in,ijn,jn->n", gain, p, gain)
        variance += h * (self._white_fm2 + (h * h / 3.0) * self._q2[each])
        walk2 = self._walk2[:, each]
        for i, times in motion.bounded:
            room = np.maximum(times * times * self._most[i, each] - p[2 + i, 2 + i], 0.0)
            walk2[i] = np.minimum(walk2[i], room / np.maximum(h, _LEAST_STEP_S))
        variance += motion.walked_s2(h, states[2:], walk2)
        shape = (len(h_s), count)
        return said.reshape(shape), np.maximum(variance, _LEAST).reshape(shape)

    def lines(self, which: NDArray[np.bool_]) -> tuple[Vector, Motion]:
        """States, shape (2 + extra, m), and the motion of the filters of a mask, shape (N,)."""
        return self._x[:, which].copy(), self.motion.kept(which)

    def some(self, which: NDArray[np.bool_]) -> "Filters":
        """A copy of the filters of a mask, shape (N,)."""
        made = copy.copy(self)
        made.keep(which)
        return made

    def lost(self) -> NDArray[np.bool_] | None:
        """Which filters are no longer finite; None when all are."""
        if math.isfinite(float(self._x.sum() + self._p.sum())):
            return None
        with np.errstate(all="ignore"):
            finite: NDArray[np.bool_] = np.isfinite(self._x.sum(axis=0) + self._p.sum(axis=(0, 1)))
        return ~finite

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Drop all filters but those of the mask, shape (N,)."""
        self.motion = self.motion.kept(which)
        self.wander, self._q2, self._walk2 = self.wander[which], self._q2[which], self._walk2[:, which]
        self._most = self._most[:, which]
        self._x, self._p = self._x[:, which].copy(), self._p[:, :, which].copy()
