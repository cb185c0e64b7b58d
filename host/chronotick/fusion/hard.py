"""The hard interval: where true theta must lie while the majority is right and the oscillator keeps its rate bound.

Each fix says: at its instant theta lies in [earliest, latest]. Theta can not move faster than the rate bound b, so at
any other instant it lies in that interval grown on both sides by b times the distance. The intersection of all these
holds theta too, as long as each one does. It is deliberately not recentred by the estimated rate: the bound would then
rest on an estimate. An empty intersection proves that something was wrong (a majority, or the bound): all but the
newest is dropped, and the event is reported.

Whole nanoseconds, rounded outward.
"""

import math
from enum import StrEnum

from chronotick.ntp.fix import Fix


class HardUpdate(StrEnum):
    """What a fix did to the hard interval: began it, narrowed it, or contradicted what was held."""

    FIRST = "first"
    KEPT = "kept"
    CONTRADICTED = "contradicted"


class HardBound:
    """The running intersection.

    Args:
        rate_bound: largest rate of theta that is held possible, s/s.

    Attributes:
        contradictions: number of empty intersections so far.
    """

    def __init__(self, rate_bound: float) -> None:
        if not rate_bound > 0:
            raise ValueError(f"the rate bound must be positive, not {rate_bound}")
        self.rate_bound = rate_bound
        self.contradictions: int = 0
        self._held: tuple[int, int, int] | None = None

    @property
    def raw_ns(self) -> int | None:
        """Raw clock of the newest fix behind the interval; None before the first."""
        return None if self._held is None else self._held[0]

    def update(self, fix: Fix) -> HardUpdate:
        """Intersect with a fix, which may be a little older than the newest."""
        raw_ns = fix.raw_ns if self._held is None else max(fix.raw_ns, self._held[0])
        grown = self._growth_ns(raw_ns - fix.raw_ns)
        earliest, latest = fix.earliest_theta_ns - grown, fix.latest_theta_ns + grown
        if self._held is None:
            self._held = (raw_ns, earliest, latest)
            return HardUpdate.FIRST
        held_earliest, held_latest = self._at(self._held, raw_ns)
        both = max(earliest, held_earliest), min(latest, held_latest)
        if both[0] > both[1]:
            self.contradictions += 1
            self._held = (raw_ns, earliest, latest)
            return HardUpdate.CONTRADICTED
        self._held = (raw_ns, *both)
        return HardUpdate.KEPT

    def at(self, raw_ns: int) -> tuple[int, int] | None:
        """(earliest, latest) theta at `raw_ns`, whole ns; None before the first fix."""
        return None if self._held is None else self._at(self._held, raw_ns)

    def restart(self) -> None:
        """The time base was disturbed: nothing of the past binds the future."""
        self._held = None

    def _at(self, held: tuple[int, int, int], raw_ns: int) -> tuple[int, int]:
        grown = self._growth_ns(raw_ns - held[0])
        return held[1] - grown, held[2] + grown

    def _growth_ns(self, distance_ns: int) -> int:
        # One more than needed wherever the product is not exact: float64 carries days of nanoseconds at 1e-16.
        return math.ceil(abs(distance_ns) * self.rate_bound) + 1 if distance_ns else 0
