"""The scale of the noise of fixes, from the fixes alone and only from the past."""

import bisect
import math
from collections import deque
from typing import Final

from chronotick.units import ns_to_s

# Residuals remembered, and how many of them make a scale.
WINDOW: Final = 64
ENOUGH: Final = 3
# No fix is believed to be better than this, s: what rounding to whole nanoseconds leaves of the mean of eight.
LOWEST_S: Final = 1e-10
# Nor better than this, s, before half the window says it: a clock that is read in coarse steps repeats itself to the
# last digit at first.
LOWEST_AT_FIRST_S: Final = 20e-9
# Median absolute deviation to standard deviation for a normal distribution, 1 / Phi^-1(3/4).
MAD_TO_SIGMA: Final = 1.4826


class NoiseScale:
    """Robust causal estimate of the standard deviation of a fix.

    Of three neighbouring fixes the middle one is compared with the straight line through the other two: for a clock
    that drifts smoothly the residual is noise. With the middle one a share `a` of the way from the first to the
    last, its variance is 1 + a^2 + (1 - a)^2 times that of one fix. The scale is 1.4826 times the median absolute
    residual of the last 64, never below 0.1 ns, and below 20 ns only once there are 32 of them.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._last: tuple[tuple[int, int, float], ...] = ()

    def add(self, raw_ns: int, theta_ns: int, rest_s: float = 0.0) -> None:
        """Take one fix (`rest_s`: see `Measurement`). The order hardly matters: the formula holds for any three."""
        if len(self._last) == 2:
            (raw0, theta0, rest0_s), (raw1, theta1, rest1_s) = self._last
            if raw_ns != raw0:
                a = (raw1 - raw0) / (raw_ns - raw0)
                middle_s = ns_to_s(theta1 - theta0) + rest1_s - rest0_s
                residual = middle_s - a * (ns_to_s(theta_ns - theta0) + rest_s - rest0_s)
                self._remember(abs(residual) / math.sqrt(1.0 + a * a + (1.0 - a) * (1.0 - a)))
        self._last = (*self._last[-1:], (raw_ns, theta_ns, rest_s))

    def interrupt(self) -> None:
        """A step lies between the fixes before and after: no residual may span it."""
        self._last = ()

    @property
    def known(self) -> bool:
        """Whether there are residuals enough for a scale."""
        return len(self._sorted) >= ENOUGH

    def sigma_s(self, otherwise_s: float) -> float:
        """The scale, s; `otherwise_s` while there are fewer than three residuals."""
        n = len(self._sorted)
        lowest_s = LOWEST_S if 2 * n >= WINDOW else LOWEST_AT_FIRST_S
        if not self.known:
            return max(otherwise_s, lowest_s)
        median = 0.5 * (self._sorted[(n - 1) // 2] + self._sorted[n // 2])
        return max(MAD_TO_SIGMA * median, lowest_s)

    def _remember(self, residual_s: float) -> None:
        if len(self._recent) == WINDOW:
            oldest = self._recent.popleft()
            del self._sorted[bisect.bisect_left(self._sorted, oldest)]
        self._recent.append(residual_s)
        bisect.insort(self._sorted, residual_s)
