"""A sliding window of offsets as one growing series: what of it is new, and the fixes that the pipeline is to take."""

import numpy as np
from numpy.typing import NDArray

from chronotick.ntp.fix import Fix
from chronotick.units import NS_PER_S, s_to_ns

# Half width of the hard bound that a bare series gets, s: nothing is claimed about where its offsets come from.
_CLAIM_S = 1.0
# Raw clock of the first point: any instant will do.
_START_NS = 1_000 * NS_PER_S


class Series:
    """Follows windows that overlap: most callers hand over the last n offsets, again and again."""

    def __init__(self, sampling_s: float) -> None:
        self._step_ns = s_to_ns(sampling_s)
        self._tail: NDArray[np.float64] = np.empty(0)
        self._count = 0

    @property
    def now_ns(self) -> int:
        """Raw clock of the newest point."""
        return _START_NS + (self._count - 1) * self._step_ns

    def new_points(self, window_s: NDArray[np.float64]) -> int | None:
        """How many points at the end of `window_s` have not been seen; None when it does not go on where the last
        window ended, so that it is another series."""
        if not len(self._tail):
            return None
        # The newest point of before must be in it: look from the end, where it mostly is.
        for place in np.flatnonzero(window_s == self._tail[-1])[::-1].tolist():
            shared = min(place + 1, len(self._tail))
            if np.array_equal(window_s[place + 1 - shared : place + 1], self._tail[-shared:]):
                return len(window_s) - 1 - int(place)
        return None

    def begin(self) -> None:
        """Another series: forget this one."""
        self._tail, self._count = np.empty(0), 0

    def take(self, window_s: NDArray[np.float64], new: int) -> list[Fix]:
        """The last `new` points of the window as fixes."""
        fixes = []
        for offset_s in window_s[len(window_s) - new :].tolist():
            theta_ns = s_to_ns(offset_s)
            fixes.append(
                Fix(
                    raw_ns=_START_NS + self._count * self._step_ns,
                    theta_ns=theta_ns,
                    delay_s=0.0,
                    root_distance_s=_CLAIM_S,
                    server="series",
                    survivors=("series",),
                    earliest_theta_ns=theta_ns - s_to_ns(_CLAIM_S),
                    latest_theta_ns=theta_ns + s_to_ns(_CLAIM_S),
                )
            )
            self._count += 1
        self._tail = window_s.copy()
        return fixes
