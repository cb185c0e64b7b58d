"""How wide the intervals are, and how far realised errors may narrow sigma: one calibration per horizon.

Adaptive conformal inference (Gibbs and Candès 2021) on the scores |y - f| / sqrt(sigma^2 + v), with y and v a
future-only target and its variance, and sigma the floor's. The floor alone and the fused answer are calibrated apart:
what the models have shown must not narrow the answer of a floor that stands alone after they died.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.fusion.ladder import place
from chronotick.fusion.rules import IntervalRules
from chronotick.units import NS_PER_S
from chronotick.wire.levels import AT_95, LEVELS, Z, never_crossing

# One error of more than five sigma says no more about sigma than one of five.
_MOST_SQUARE = 25.0


class Multipliers(msgspec.Struct, frozen=True):
    """Half widths at one rung in sigma of the floor at each of `LEVELS`, as issued, of floor and fused answer."""

    floor: tuple[float, ...]
    fused: tuple[float, ...]


class Track:
    """Scores of one kind of answer at one horizon.

    Attributes:
        multipliers: half width of the interval at each of `LEVELS` in sigma of the floor.
        shrink: what sigma may be multiplied by, at most 1.
    """

    def __init__(self, horizon_s: float, rules: IntervalRules) -> None:
        self._horizon_s = horizon_s
        self._rules = rules
        self._alphas = [1.0 - level for level in LEVELS]
        # Rings of the latest scores, and of their squared errors over squared sigma with the weights of these.
        self._scores = np.zeros(rules.window)
        self._squares = np.zeros(rules.window)
        self._weights = np.zeros(rules.window)
        self._count = 0
        self._first_ns = 0
        self._last_ns = 0
        self.multipliers: tuple[float, ...] = tuple(rules.start * z for z in Z)
        self.shrink: float = 1.0

    def add(
        self, origin_raw_ns: int, error_s: float, sigma_s: float, variance_s2: float, issued: Sequence[float]
    ) -> None:
        """Take one score; `issued` are the multipliers that the answer was given with."""
        rules = self._rules
        total = sigma_s * sigma_s + variance_s2
        if total <= 0:
            return
        score = abs(error_s) / math.sqrt(total)
        for i, level in enumerate(LEVELS):
            asked = 1.0 - level
            moved = self._alphas[i] + rules.gamma * (asked - (score > issued[i]))
            self._alphas[i] = min(max(moved, rules.alpha_low_share * asked), max(rules.alpha_high, asked))
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
            ordered, spread = np.sort(scores), math.sqrt(float(np.mean(scores * scores)))
            found = [self._multiplier(i, ordered, spread, spans) for i in range(len(LEVELS))]
            self.multipliers = never_crossing(found)
        weight = float(self._weights[:n].sum())
        if weight > 0:
            counted = spans * weight / n
            # Two standard errors up, then diluted with "the floor is right": sigma narrows only as evidence grows.
            mean = float(self._weights[:n] @ self._squares[:n]) / weight
            upper = mean * (1.0 + 2.0 * math.sqrt(2.0 / max(counted, 1.0)))
            ratio = (counted * upper + rules.prior_scores) / (counted + rules.prior_scores)
            self.shrink = min(max(math.sqrt(ratio), rules.least_shrink), 1.0)

    def _multiplier(self, i: int, ordered: NDArray[np.float64], spread: float, spans: float) -> float:
        """Half width at level `i` from scores in ascending order, their rms and the number of independent ones."""
        n, z = len(ordered), Z[i]
        found = float(ordered[min(math.ceil((n + 1) * (1.0 - self._alphas[i])), n) - 1])
        trust = spans * (1.0 - LEVELS[i])
        if trust >= 1.0:
            return found
        # Fewer independent scores than one expected miss: the quantile can not be seen yet, the spread can, and
        # the cautious start is let go only as far as there are independent scores.
        seen = max(found, z * spread)
        return trust * seen + (1.0 - trust) * max(seen, self._rules.start * z)


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
        return Multipliers(floor=self._floor[rung].multipliers, fused=self._fused[rung].multipliers)

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
        """Half width of the 95 % interval in sigma of the floor, as `multipliers`."""
        return self.multipliers(h_s, share)[AT_95]

    def multipliers(self, h_s: float, share: float) -> tuple[float, ...]:
        """Half widths at `LEVELS` in sigma of the floor, where candidates have `share` of the weight, 0..1.

        `share` counts as far as the answer has left the floor's (`Mix.departed`).
        """
        lower, upper, part = place(self._horizons, h_s)
        found = []
        for i in range(len(LEVELS)):
            floor, fused = (
                one[lower].multipliers[i] + part * (one[upper].multipliers[i] - one[lower].multipliers[i])
                for one in (self._floor, self._fused)
            )
            found.append(floor if share <= 0.0 else (1.0 - share) * floor + share * fused)
        return tuple(found)

    def shrink(self, h_s: float, share: float) -> float:
        """What the floor's sigma is multiplied by, <= 1: exactly 1 where candidates have no weight (as above)."""
        if share <= 0.0:
            return 1.0
        narrowed = self._between(h_s, [track.shrink for track in self._fused])
        return math.sqrt((1.0 - share) + share * narrowed * narrowed)

    def _between(self, h_s: float, values: Sequence[float]) -> float:
        lower, upper, share = place(self._horizons, h_s)
        return values[lower] + share * (values[upper] - values[lower])
