"""How the estimate spreads if nothing more is measured: what the line of the next second can not say. Pure."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Final

import msgspec

from chronotick.units import NS_PER_S, s_to_ns

# Looks ahead at which the spread is worked out, s; between them it is interpolated.
AHEAD_S: Final = (0.0, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1200.0, 2400.0, 3600.0, 4000.0)


class Outlook(msgspec.Struct, frozen=True):
    """Calibrated spread at instants ahead, not decreasing.

    Attributes:
        at_raw_ns: raw clock of each, ascending, at least two.
        sigma_s: standard deviation at each, s.
        half_width_95_s: half width of the 95 % interval at each, s.
    """

    at_raw_ns: tuple[int, ...]
    sigma_s: tuple[float, ...]
    half_width_95_s: tuple[float, ...]

    @classmethod
    def of(cls, raw_ns: int, spread: Callable[[int], tuple[float, float]]) -> "Outlook":
        """The outlook from `raw_ns`, given sigma and 95 % half width (s) at any raw instant."""
        at = tuple(raw_ns + s_to_ns(ahead_s) for ahead_s in AHEAD_S)
        sigma, half = zip(*(spread(one) for one in at), strict=True)
        return cls(at, tuple(accumulate(sigma, max)), tuple(accumulate(half, max)))

    def spread_ns(self, raw_ns: int) -> tuple[int, int]:
        """Sigma and 95 % half width at a raw instant, ns; held at the ends."""
        upper = min(max(bisect_right(self.at_raw_ns, raw_ns), 1), len(self.at_raw_ns) - 1)
        begin, end = self.at_raw_ns[upper - 1 : upper + 1]
        share = min(max((raw_ns - begin) / (end - begin), 0.0), 1.0)
        sigma, half = (
            values[upper - 1] + share * (values[upper] - values[upper - 1])
            for values in (self.sigma_s, self.half_width_95_s)
        )
        return round(sigma * NS_PER_S), round(half * NS_PER_S)
