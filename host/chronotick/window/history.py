"""The fixes that windows and targets are made of: bounded, in order, of one epoch."""

import math
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.clock.measurement import Measurement
from chronotick.units import s_to_ns


class Fixes(msgspec.Struct, frozen=True, eq=False):
    """A run of fixes, oldest first.

    Attributes:
        raw_ns: int64, shape (n,), raw clock, not descending.
        theta_ns: int64, shape (n,), measured UTC minus raw.
        variance_s2: float64, shape (n,), s^2: variance of each fix's noise, as the floor learned it.
    """

    raw_ns: NDArray[np.int64]
    theta_ns: NDArray[np.int64]
    variance_s2: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.raw_ns)


class History:
    """A bounded store of fixes. It holds measurements and nothing else, so no forecast can ever be read back from it.

    Args:
        span_s: fixes older than this before the newest are forgotten, s.
        max_fixes: most fixes kept; the oldest go first.
    """

    def __init__(self, *, span_s: float, max_fixes: int = 16_384) -> None:
        if not span_s > 0 or max_fixes < 1:
            raise ValueError(f"a history needs a positive span and size, not {span_s} s and {max_fixes}")
        self._span_ns = s_to_ns(span_s)
        self._max = max_fixes
        # Twice the room: when the end is reached the live half moves to the front, once every `max_fixes` appends.
        self._raw = np.empty(2 * max_fixes, np.int64)
        self._theta = np.empty(2 * max_fixes, np.int64)
        self._variance = np.empty(2 * max_fixes, np.float64)
        self._start = 0
        self._end = 0
        self._epoch: int | None = None

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def epoch(self) -> int | None:
        """Epoch of the fixes held; None before the first."""
        return self._epoch

    @property
    def first_raw_ns(self) -> int:
        """Raw clock of the oldest fix. Raises IndexError when empty."""
        self._demand_one()
        return int(self._raw[self._start])

    @property
    def last_raw_ns(self) -> int:
        """Raw clock of the newest fix. Raises IndexError when empty."""
        self._demand_one()
        return int(self._raw[self._end - 1])

    def take(self, measurements: Iterable[Measurement], epoch: int) -> None:
        """Take in what entered the floor's bank at one update."""
        for one in measurements:
            self.append(one.raw_ns, one.theta_ns, one.variance, epoch)

    def append(self, raw_ns: int, theta_ns: int, variance_s2: float, epoch: int) -> None:
        """Take in one fix. A fix of another epoch empties the store first; one out of order is sorted in.

        Raises:
            ValueError: when the variance is not a positive finite number.
        """
        if not (math.isfinite(variance_s2) and variance_s2 > 0):
            raise ValueError(f"the variance of a fix must be positive and finite, not {variance_s2}")
        if epoch != self._epoch:
            self.clear()
            self._epoch = epoch
        if self._end == len(self._raw):
            self._move_to_front()
        at = self._end
        if len(self) and raw_ns < self._raw[at - 1]:
            at = self._start + int(np.searchsorted(self._raw[self._start : self._end], raw_ns, side="right"))
            for column in (self._raw, self._theta, self._variance):
                column[at + 1 : self._end + 1] = column[at : self._end].copy()
        self._raw[at], self._theta[at], self._variance[at] = raw_ns, theta_ns, variance_s2
        self._end += 1
        oldest = int(self._raw[self._end - 1]) - self._span_ns
        self._start = max(self._start, self._end - self._max)
        while self._raw[self._start] < oldest:
            self._start += 1

    def between(self, after_raw_ns: int, until_raw_ns: int) -> Fixes:
        """Copies of the fixes with `after_raw_ns < raw_ns <= until_raw_ns`."""
        live = self._raw[self._start : self._end]
        first = self._start + int(np.searchsorted(live, after_raw_ns, side="right"))
        end = max(first, self._start + int(np.searchsorted(live, until_raw_ns, side="right")))
        return Fixes(self._raw[first:end].copy(), self._theta[first:end].copy(), self._variance[first:end].copy())

    def nth_after(self, raw_ns: int, n: int) -> int | None:
        """Raw clock of the n-th fix (n >= 1) strictly after `raw_ns`, or None while there are fewer."""
        at = self._start + int(np.searchsorted(self._raw[self._start : self._end], raw_ns, side="right")) + n - 1
        return int(self._raw[at]) if at < self._end else None

    def clear(self) -> None:
        """Forget everything."""
        self._start = self._end = 0
        self._epoch = None

    def __getstate__(self) -> dict[str, Any]:
        """What is to be kept: the fixes, without the empty room around them."""
        live = slice(self._start, self._end)
        kept = {
            "raw": self._raw[live].copy(),
            "theta": self._theta[live].copy(),
            "variance": self._variance[live].copy(),
        }
        return {"span_ns": self._span_ns, "max": self._max, "epoch": self._epoch, **kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        n = len(state["raw"])
        self._span_ns, self._max, self._epoch = state["span_ns"], state["max"], state["epoch"]
        self._raw = np.empty(2 * self._max, np.int64)
        self._theta = np.empty(2 * self._max, np.int64)
        self._variance = np.empty(2 * self._max, np.float64)
        self._raw[:n], self._theta[:n], self._variance[:n] = state["raw"], state["theta"], state["variance"]
        self._start, self._end = 0, n

    def _demand_one(self) -> None:
        if not len(self):
            raise IndexError("the history is empty")

    def _move_to_front(self) -> None:
        live = slice(self._start, self._end)
        n = len(self)
        for column in (self._raw, self._theta, self._variance):
            column[:n] = column[live].copy()
        self._start, self._end = 0, n
