"""How far this clock has really run off the line: the library that bounds a time without servers.

Sigma is what the filters believe, and far ahead they believe in a random walk that few clocks are. The library believes
nothing: for each horizon from `Tuning.target_lag_s` on it keeps the largest error of the extrapolations of each span of
that length, over the last `SPANS` spans. What is said h ahead is at least the largest of them:

- times 1 + 2/n for n spans, because the next may be worse than all before: of n + 1 equals one in n + 1 is;
- between two horizons straight in logarithms;
- beyond the longest horizon H with `LEAST_SPANS` spans in proportion to (h/H)^2. That is how the error of a line grows
  while the rate bends one way, and no smooth rate does worse; never faster than the rate bound allows;
- before any horizon has as many, the clock is taken to run off by a tenth of its rate bound;
- near horizons have so many scores that multipliers of sigma know the rare errors too: there a share of it will do,
  from a half at `Tuning.target_lag_s` to all of it from six times that on.

From there on it is also a reason to say less: no level is wider than twice that, as long as the floor knows the clock
as well as it did in one of these spans at least. Where its sigma is larger than in all of them, what is allowed grows
in proportion.

A rate that begins to do what it never did is in no library; the hard interval is for that, and clips what is said here.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from chronotick.units import NS_PER_S

SPANS: Final = 128
LEAST_SPANS: Final = 3
UNKNOWN_SHARE: Final = 0.1
# What is said of a horizon is at most this many times what was seen there.
MOST: Final = 2.0
# Share of what was seen that is the least that is said at the nearest horizon, and the multiple of it with all.
NEAR_SHARE: Final = 0.5
FULL: Final = 6.0


class HoldOver:
    """The largest extrapolation errors of the past.

    Args:
        horizons: the ladder, s, ascending.
        least_s: shorter horizons are not kept: there sigma is right, and targets are noise.
        rate_bound: the oscillator's, s/s.

    Attributes:
        worst_s: for each horizon the largest error of each span, s, oldest first.
        sigma_s: for each of these spans the largest standard deviation that the floor had said, s.
        began_ns: for each horizon the origin that began its latest span, raw clock; 0 before the first.
    """

    def __init__(self, horizons: Sequence[float], least_s: float, rate_bound: float) -> None:
        self._horizons = tuple(horizons)
        self._least_s = least_s
        self._rate_bound = rate_bound
        self.worst_s: list[list[float]] = [[] for _ in horizons]
        self.sigma_s: list[list[float]] = [[] for _ in horizons]
        self.began_ns: list[int] = [0] * len(horizons)
        # Horizon, largest error with its margin, largest sigma.
        self._known: list[tuple[float, float, float]] = []

    def rebase(self, shift_ns: int) -> None:
        """The raw clock has begun anew: what was at r is at r + `shift_ns` now."""
        self.began_ns = [began_ns + shift_ns if began_ns else 0 for began_ns in self.began_ns]

    def take(self, rung: int, origin_raw_ns: int, error_s: float, sigma_s: float) -> None:
        """One error of what was said at an origin about a rung's horizon, and the floor's sigma of it."""
        horizon_s = self._horizons[rung]
        if horizon_s < self._least_s or not math.isfinite(error_s):
            return
        worst, sigmas = self.worst_s[rung], self.sigma_s[rung]
        if not worst or origin_raw_ns - self.began_ns[rung] >= horizon_s * NS_PER_S:
            for kept in (worst, sigmas):
                kept.append(0.0)
                del kept[:-SPANS]
            self.began_ns[rung] = origin_raw_ns
        worst[-1] = max(worst[-1], abs(error_s))
        sigmas[-1] = max(sigmas[-1], sigma_s)
        self._known = [
            (h, max(one) * (1.0 + 2.0 / len(one)), max(self.sigma_s[i]))
            for i, (h, one) in enumerate(zip(self._horizons, self.worst_s, strict=True))
            if len(one) >= LEAST_SPANS
        ]

    def least_s(self, h_s: float) -> float:
        """What an error `h_s` ahead must be expected to reach, s, not decreasing in h; 0 where sigma is the judge."""
        if h_s < self._least_s:
            return 0.0
        if not self._known:
            return UNKNOWN_SHARE * self._rate_bound * (h_s - self._least_s)
        near = min(math.log(h_s / self._least_s) / math.log(FULL), 1.0)
        return float(NEAR_SHARE ** (1.0 - near)) * self._seen_s(h_s)

    def most_s(self, h_s: float, sigma_s: float) -> float:
        """What need not be exceeded `h_s` ahead where the floor says `sigma_s`, s; infinite where that is not known."""
        if h_s < FULL * self._least_s:
            return math.inf
        at = bisect_right(self._known, h_s, key=lambda one: one[0])
        if at == 0:
            return math.inf
        near_s, _, sigma_near_s = self._known[at - 1]
        if at < len(self._known):
            far_s, _, sigma_far_s = self._known[at]
            share = math.log(h_s / near_s) / math.log(far_s / near_s)
            usual_s = sigma_near_s ** (1.0 - share) * sigma_far_s**share
        else:
            # As a rate that wanders without memory makes it grow.
            usual_s = sigma_near_s * (h_s / near_s) ** 1.5
        return MOST * self._seen_s(h_s) * max(sigma_s / usual_s, 1.0) if usual_s > 0 else math.inf

    def _seen_s(self, h_s: float) -> float:
        """The largest error seen, with its margin, between horizons and beyond them as above."""
        at = bisect_right(self._known, h_s, key=lambda one: one[0])
        if at == 0:
            return 0.0
        start_s = max(error for _, error, _ in self._known[:at])
        near_s = self._known[at - 1][0]
        if at < len(self._known):
            far_s, end_s = self._known[at][0], max(self._known[at][1], start_s)
            share = math.log(h_s / near_s) / math.log(far_s / near_s)
            return start_s ** (1.0 - share) * end_s**share if start_s > 0 else share * end_s
        return min(start_s * (h_s / near_s) ** 2, start_s + self._rate_bound * (h_s - near_s))
