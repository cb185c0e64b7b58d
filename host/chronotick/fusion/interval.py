"""How wide the 95 % interval is, and how far realised errors may narrow sigma: one calibration per horizon.

Adaptive conformal inference (Gibbs and Candès 2021) on the scores |y - f| / sqrt(sigma^2 + v), with y and v a
future-only target and its variance, and sigma the floor's. The floor alone and the fused answer are calibrated apart:
what the models have shown must not narrow the answer of a floor that stands alone after they died.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np

from chronotick.fusion.ladder import place
from chronotick.fusion.rules import IntervalRules
from chronotick.units import NS_PER_S

# One error of more than five sigma says no more about sigma than one of five.
_MOST_SQUARE = 25.0


class Multipliers(msgspec.Struct, frozen=True):
    """Half widths at one rung in sigma of the floor, as issued: for the floor alone and for the fused answer."""

    floor: float
    fused: float


class Track:
    """Scores of one kind of answer at one horizon.

    Attributes:
        multiplier: half width of the interval in sigma of the floor.
        shrink: what sigma may be multiplied by, at most 1.
    """

    def __init__(self, horizon_s: float, rules: IntervalRules) -> None:
        self._horizon_s = horizon_s
        self._rules = rules
        self._z = NormalDist().inv_cdf(0.5 + rules.level / 2)
        self._alpha = 1.0 - rules.level
        # Rings of the latest scores, and of their squared errors over squared sigma with the weights of these.
        self._scores = np.zeros(rules.window)
        self._squares = np.zeros(rules.window)
        self._weights = np.zeros(rules.window)
        self._count = 0
        self._first_ns = 0
        self._last_ns = 0
        self.multiplier: float = rules.start * self._z
        self.shrink: float = 1.0

    def add(self, origin_raw_ns: int, error_s: float, sigma_s: float, variance_s2: float, issued: float) -> None:
        """Take one score; `issued` is the multiplier that the answer was given with."""
        rules = self._rules
        total = sigma_s * sigma_s + variance_s2
        if total <= 0:
            return
        score = abs(error_s) / math.sqrt(total)
        asked = 1.0 - rules.level
        moved = self._alpha + rules.gamma * (asked - (score > issued))
        self._alpha = min(max(moved, rules.alpha_low_share * asked), rules.alpha_high)
        if not self._count:
            self._first_ns = origin_raw_ns
        self._last_ns = origin_raw_ns
        realised = (error_s * error_s - variance_s2) / (sigma_s * sigma_s) if sigma_s > 0 else 1.0
        at = self._count % rules.window
        self._scores[at] = score
        self._squares[at] = min(max(realised, 0.0), _MOST_SQUARE)
        self._weights[at] = (sigma_s * sigma_s / total) ** 2
        self._count += 1
        self._settle()

    def _settle(self) -> None:
        rules, n = self._rules, min(self._count, self._rules.window)
        spans = min(n, (self._last_ns - self._first_ns) / NS_PER_S / self._horizon_s + 1.0)
        scores = self._scores[:n]
        if n >= rules.min_scores:
            rank = min(math.ceil((n + 1) * (1.0 - self._alpha)), n) - 1
            self.multiplier = float(np.partition(scores, rank)[rank])
            if spans * (1.0 - rules.level) < 1.0:
                # Fewer independent scores than one expected miss: the quantile can not be seen yet, the spread can, and
                # the cautious start is let go only as far as there are independent scores.
                seen = max(self.multiplier, self._z * math.sqrt(float(np.mean(scores * scores))))
                trust = spans * (1.0 - rules.level)
                self.multiplier = trust * seen + (1.0 - trust) * max(seen, rules.start * self._z)
        weight = float(self._weights[:n].sum())
        if weight > 0:
            counted = spans * weight / n
            # Two standard errors up, then diluted with "the floor is right": sigma narrows only as evidence grows.
            mean = float(self._weights[:n] @ self._squares[:n]) / weight
            upper = mean * (1.0 + 2.0 * math.sqrt(2.0 / max(counted, 1.0)))
            ratio = (counted * upper + rules.prior_scores) / (counted + rules.prior_scores)
            self.shrink = min(max(math.sqrt(ratio), rules.least_shrink), 1.0)


class IntervalModel:
    """The calibration of all rungs.

    Args:
        horizons: the ladder, s, ascending.
    """

    def __init__(self, horizons: Sequence[float], rules: IntervalRules | None = None) -> None:
        self._horizons = tuple(horizons)
        rules = rules or IntervalRules()
        self._floor = [Track(h, rules) for h in horizons]
        self._fused = [Track(h, rules) for h in horizons]

    def issued(self, rung: int) -> Multipliers:
        """What is said at a rung now; to be given back to `score`."""
        return Multipliers(floor=self._floor[rung].multiplier, fused=self._fused[rung].multiplier)

    def score(
        self,
        rung: int,
        origin_raw_ns: int,
        *,
        floor_error_s: float,
        fused_error_s: float | None,
        sigma_s: float,
        variance_s2: float,
        issued: Multipliers,
    ) -> None:
        """Take one origin's errors; `fused_error_s` is None where nothing but the floor had weight."""
        self._floor[rung].add(origin_raw_ns, floor_error_s, sigma_s, variance_s2, issued.floor)
        if fused_error_s is not None:
            self._fused[rung].add(origin_raw_ns, fused_error_s, sigma_s, variance_s2, issued.fused)

    def multiplier(self, h_s: float, share: float) -> float:
        """Half width of the 95 % interval in sigma of the floor, where candidates have `share` of the weight, 0..1.

        `share` counts as far as the answer has left the floor's (`Mix.departed`).
        """
        floor = self._between(h_s, [track.multiplier for track in self._floor])
        if share <= 0.0:
            return floor
        return (1.0 - share) * floor + share * self._between(h_s, [track.multiplier for track in self._fused])

    def shrink(self, h_s: float, share: float) -> float:
        """What the floor's sigma is multiplied by, <= 1: exactly 1 where candidates have no weight (as above)."""
        if share <= 0.0:
            return 1.0
        narrowed = self._between(h_s, [track.shrink for track in self._fused])
        return math.sqrt((1.0 - share) + share * narrowed * narrowed)

    def _between(self, h_s: float, values: Sequence[float]) -> float:
        lower, upper, share = place(self._horizons, h_s)
        return values[lower] + share * (values[upper] - values[lower])
