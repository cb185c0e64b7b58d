"""How wide the intervals are, and how far realised errors may narrow sigma: one calibration per horizon.

A half width is sigma times a multiplier. Each rung of the ladder learns one multiplier for each level from the scores
u = |y - f| / sqrt(sigma^2 + v), with y a future-only target, v its variance and sigma what the answer believed of
itself:

- the logarithm of a multiplier follows its quantile: up by gamma (1 - alpha) when a score lies above what was issued at
  its origin, down by gamma alpha when not. Over time a share alpha lies above, whatever the distribution (adaptive
  conformal inference, Gibbs and Candès 2021; quantile tracking, Angelopoulos et al. 2023);
- the scores are first divided by how large they usually are, and half of that by how large they have been lately. The
  first is learned within a few scores, where a quantile takes hundreds; the second because errors come in bursts. What
  sigma has done by itself since these were scored is not done a second time (`fusion.scale`);
- v is what the floor believes, and no better known than sigma: what of it is counted is learned from targets that are
  made of half of the fixes (`fusion.target_noise`), because what is taken off as the target's error is taken off the
  interval. Below v is what is counted;
- where the target is noisier than the forecast (near horizons, long paths) a score tells more of the target than of the
  forecast. With q = sigma^2 / (sigma^2 + v) a score moves the multipliers by sqrt(q), and a rung whose scores are worth
  q on average takes the share 1 - q of its logarithms from the next longer one;
- rare levels are not seen in few scores: until 1/alpha independent ones exist a multiplier is widened, as Student's
  quantile is against the normal one, by as many degrees of freedom.

The floor alone and the fused answer are calibrated apart: what the models have shown must not narrow the answer of a
floor that stands alone after they died. Each has a sigma of its own, the fused answer's being made of what those who
are heard believe (`fusion.fuse.Mix.ratio`): by errors alone, widths would follow a cycle that is learned by hours.
Nor is the fused answer ever given a wider interval than the floor's. Its record begins with the floor's, and counts the
floor's scores as witnesses: the clock is known as well as before.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from chronotick.fusion.holdover import HoldOver
from chronotick.fusion.ladder import place
from chronotick.fusion.rules import IntervalRules
from chronotick.fusion.scale import Scale
from chronotick.fusion.target_noise import TargetNoise
from chronotick.units import NS_PER_S
from chronotick.wire.levels import AT_95, LEVELS, Z

# One error of more than five sigma says no more about sigma than one of five.
_MOST_SQUARE = 25.0
# No multiplier leaves this range around the normal quantile, in logarithms: 1/20 to 20 times.
_MOST_LOG = 3.0
_LEAST_SCORE = 1e-12
_LEAST_SIGMA_S = 1e-15

_ALPHAS = tuple(1.0 - level for level in LEVELS)
_LOG_Z = tuple(math.log(z) for z in Z)


class Multipliers(msgspec.Struct, frozen=True):
    """Logarithms of what was held against the scores of one rung at each of `LEVELS`: of floor and fused answer."""

    floor: tuple[float, ...]
    fused: tuple[float, ...]


class Track:
    """Scores of one kind of answer at one horizon.

    Attributes:
        logs: logarithms of the multipliers at `LEVELS`, apart from the scale.
        scale: how large the scores are.
        weight: q above, the share of a score that is the forecast's and not its target's; running mean, 0..1.
        count: scores taken.
        shrink: what sigma may be multiplied by, at most 1.
    """

    def __init__(self, horizon_s: float, rules: IntervalRules, lag_s: float = 0.0) -> None:
        self._horizon_s = horizon_s
        self._lag_s = lag_s
        self._rules = rules
        self.noise: TargetNoise = TargetNoise(rules)
        self.logs: list[float] = [
            log_z + math.log(factor) for log_z, factor in zip(_LOG_Z, rules.start_factors, strict=True)
        ]
        self.scale: Scale = Scale(rules)
        self.weight: float = 1.0
        self.count: int = 0
        self.shrink: float = 1.0
        self._first_ns = 0
        self._last_ns = 0
        # Scores of the record that this one goes on from.
        self._before = 0
        # Running means of q^3, and of squared scores with these weights.
        self._weight_mean = 0.0
        self._square_mean = 0.0

    def issued(self, log_sigma: float | None) -> tuple[float, ...]:
        """What a score said at a sigma will be held against: logarithms at `LEVELS`. None: the sigma it was."""
        factors = self.scale.factors(log_sigma, self.spans * self.weight)
        return tuple(one + factor for one, factor in zip(self.logs, factors, strict=True))

    @property
    def spans(self) -> float:
        """Number of independent scores: overlapping horizons are not many witnesses."""
        if not self.count:
            return 0.0
        seen_s = (self._last_ns - self._first_ns) / NS_PER_S
        return min(self._before + self.count, self._rules.window, seen_s / self._horizon_s + 1.0)

    @property
    def _witnesses(self) -> float:
        """Number of independent errors in `memory` scores: targets within a lag of each other share their noise."""
        if not self.count:
            return 0.0
        kept = min(self._rules.memory / (self._before + self.count), 1.0)
        return kept * (self._last_ns - self._first_ns) / NS_PER_S / (self._horizon_s + self._lag_s)

    def go_on_from(self, other: "Track") -> None:
        """Begin where another record of the same horizon stands, before the first score.

        What it was too narrow by is taken over, what it was too wide by is not: noise is the same for both, but a line
        that knows less of the clock has a sigma that is too wide for reasons of its own.
        """
        self.logs = [max(own, its) for own, its in zip(self.logs, other.logs, strict=True)]
        self.scale, self.noise = other.scale.widest(), other.noise.copy()
        self._first_ns, self._before = other._first_ns, other._before + other.count

    def rebase(self, shift_ns: int) -> None:
        """The raw clock has begun anew: what was at r is at r + `shift_ns` now."""
        self._first_ns += shift_ns
        self._last_ns += shift_ns

    def add(
        self,
        origin_raw_ns: int,
        error_s: float,
        sigma_s: float,
        variance_s2: float,
        issued: Sequence[float],
        disagreement: float | None = None,
    ) -> None:
        """Take one score; `issued` is what this track had issued at the origin, `disagreement` as of `TargetNoise`."""
        rules = self._rules
        square = sigma_s * sigma_s
        if square + variance_s2 <= 0:
            return
        if disagreement is not None and variance_s2 > 0:
            self.noise.add(error_s, square, variance_s2, disagreement, self._witnesses)
        total = square + self.noise.share * variance_s2
        score = abs(error_s) / math.sqrt(total)
        share = square / total
        weight = math.sqrt(share)
        log_score = math.log(max(score, _LEAST_SCORE))
        for i, alpha in enumerate(_ALPHAS):
            moved = self.logs[i] + rules.gammas[i] * weight * ((log_score > issued[i]) - alpha)
            self.logs[i] = min(max(moved, _LOG_Z[i] - _MOST_LOG), _LOG_Z[i] + _MOST_LOG)
        size = min(score * score, _MOST_SQUARE)
        if not self._before + self.count:
            self._first_ns = origin_raw_ns
        self._last_ns = origin_raw_ns
        self.count += 1
        self.scale.take(size, _log_sigma(sigma_s), weight, self.count)
        self.weight += max(1.0 / rules.memory, 1.0 / (self.count + 1)) * (share - self.weight)
        self._narrow(share**3, size)

    def _narrow(self, weight: float, square: float) -> None:
        rules = self._rules
        gain = 1.0 / min(self.count, rules.window)
        self._weight_mean += gain * (weight - self._weight_mean)
        self._square_mean += gain * (weight * square - self._square_mean)
        if self._weight_mean <= 0:
            return
        counted = self.spans * self._weight_mean
        # Two standard errors up, then diluted with "the floor is right": sigma narrows only as evidence grows.
        upper = self._square_mean / self._weight_mean * (1.0 + 2.0 * math.sqrt(2.0 / max(counted, 1.0)))
        ratio = (counted * upper + rules.prior_scores) / (counted + rules.prior_scores)
        self.shrink = min(max(math.sqrt(ratio), rules.least_shrink), 1.0)


class IntervalModel:
    """The calibration of all rungs.

    Args:
        horizons: the ladder, s, ascending.
        library: what the clock has been seen to do over long horizons, if anybody keeps it.
        lag_s: targets closer than this share their fixes.
    """

    def __init__(
        self,
        horizons: Sequence[float],
        rules: IntervalRules | None = None,
        library: HoldOver | None = None,
        *,
        lag_s: float = 0.0,
    ) -> None:
        self._library = library
        self._horizons = tuple(horizons)
        self._rules = rules or IntervalRules()
        self._floor = [Track(h, self._rules, lag_s) for h in horizons]
        self._fused = [Track(h, self._rules, lag_s) for h in horizons]
        # Sigma of the floor and of the fused answer at all rungs, in logarithms, and the multipliers, as settled last.
        self._log_sigmas: tuple[float | None, ...] = (None,) * len(self._horizons)
        self._log_fused: tuple[float | None, ...] = self._log_sigmas
        self._floor_at: list[tuple[float, ...]] = []
        self._fused_at: list[tuple[float, ...]] = []
        self.settle()

    def issued(self, rung: int) -> Multipliers:
        """What is held against the next scores of a rung; to be given back to `score`."""
        return Multipliers(
            floor=self._floor[rung].issued(self._log_sigmas[rung]),
            fused=self._fused[rung].issued(self._log_fused[rung]),
        )

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
        fused_sigma_s: float | None = None,
        disagreement: float | None = None,
        settled: bool = True,
    ) -> None:
        """Take one origin's errors; `fused_error_s` is None where nothing but the floor had weight.

        `fused_sigma_s`: what the fused answer believed of itself; None: what the floor did, `sigma_s`.

        Widths change with the next `settle`.

        `disagreement`: of the latest halved targets (`fusion.target`). `settled`: the floor knew the clock's rate at
        the origin, so that the error is one for the library.
        """
        floor, fused = self._floor[rung], self._fused[rung]
        floor.add(origin_raw_ns, floor_error_s, sigma_s, variance_s2, issued.floor, disagreement)
        if fused_error_s is not None:
            said = issued.fused
            if not fused.count:
                # It begins where the floor stands: those who were let in were better than that.
                fused.go_on_from(floor)
                said = issued.floor
            own_s = sigma_s if fused_sigma_s is None else fused_sigma_s
            fused.add(origin_raw_ns, fused_error_s, own_s, variance_s2, said, disagreement)
        if self._library is not None and settled:
            error_s = floor_error_s if fused_error_s is None else fused_error_s
            self._library.take(rung, origin_raw_ns, error_s, sigma_s)

    def rebase(self, shift_ns: int) -> None:
        """The raw clock has begun anew: what was at r is at r + `shift_ns` now."""
        for track in (*self._floor, *self._fused):
            track.rebase(shift_ns)
        if self._library is not None:
            self._library.rebase(shift_ns)

    def multiplier(self, h_s: float, share: float) -> float:
        """Half width of the 95 % interval in sigma of the floor, as `multipliers`."""
        return self.multipliers(h_s, share)[AT_95]

    def multipliers(self, h_s: float, share: float, ratio: float = 1.0) -> tuple[float, ...]:
        """Half widths at `LEVELS` in sigma of the floor, where candidates have `share` of the weight, 0..1.

        `share` counts as far as the answer has left the floor's (`Mix.departed`); `ratio`: the fused answer's sigma
        over the floor's.
        """
        lower, upper, part = place(self._horizons, h_s)
        floor = _between(self._floor_at[lower], self._floor_at[upper], part)
        if share <= 0.0:
            return floor
        fused = _between(self._fused_at[lower], self._fused_at[upper], part)
        return tuple((1.0 - share) * a + share * min(a, ratio * b) for a, b in zip(floor, fused, strict=True))

    def half_widths_s(self, sigma_s: float, h_s: float, share: float, ratio: float = 1.0) -> tuple[float, ...]:
        """Half widths at `LEVELS`, s, from the floor's sigma, but far ahead none wider than the library calls for, and
        the widest never less than it supports. `share`, `ratio`: as of `multipliers`."""
        widths = tuple(sigma_s * one for one in self.multipliers(h_s, share, ratio))
        if self._library is None:
            return widths
        most_s = self._library.most_s(h_s, sigma_s)
        *widths_s, widest_s = (min(one, most_s) for one in widths)
        return (*widths_s, max(widest_s, self._library.least_s(h_s)))

    def shrink(self, h_s: float, share: float, ratio: float = 1.0) -> float:
        """What the floor's sigma is multiplied by, <= 1: exactly 1 where candidates have no weight (as above)."""
        if share <= 0.0:
            return 1.0
        lower, upper, part = place(self._horizons, h_s)
        low, high = self._fused[lower].shrink, self._fused[upper].shrink
        narrowed = min(ratio * (low + part * (high - low)), 1.0)
        return math.sqrt((1.0 - share) + share * narrowed * narrowed)

    def settle(self, sigmas_s: Sequence[float] | None = None, fused_sigmas_s: Sequence[float] | None = None) -> None:
        """Work out the multipliers of all rungs, from the longest down, with all scores taken until now.

        `sigmas_s`: what the floor says now at each rung, s, and `fused_sigmas_s` what the fused answer does, if another
        thing; None: what was said before.
        """
        if sigmas_s is not None:
            self._log_sigmas = tuple(map(_log_sigma, sigmas_s))
            self._log_fused = tuple(map(_log_sigma, fused_sigmas_s or sigmas_s))
        self._floor_at = self._chain(self._floor, self._log_sigmas)
        fused = self._chain(self._fused, self._log_fused)
        self._fused_at = [
            fused[rung] if track.count else self._floor_at[rung] for rung, track in enumerate(self._fused)
        ]

    def _chain(self, tracks: Sequence[Track], log_sigmas: Sequence[float | None]) -> list[tuple[float, ...]]:
        made: list[tuple[float, ...]] = []
        logs: tuple[float, ...] = ()
        spans = 0.0
        for track, log_sigma in zip(reversed(tracks), reversed(log_sigmas), strict=True):
            own, w = track.issued(log_sigma), track.weight if logs else 1.0
            logs = _between(logs, own, w) if logs else own
            spans = w * track.spans + (1.0 - w) * spans
            made.append(tuple(accumulate((self._widened(i, logs[i], spans) for i in range(len(LEVELS))), max)))
        return made[::-1]

    def _widened(self, i: int, log: float, spans: float) -> float:
        """The multiplier at level `i` from its logarithm, wider where fewer than 1/alpha independent scores exist.

        log(t/z) of Student's quantile is (z^2 + 1) / (4 (n - 1)) to within 10 % from 3 degrees of freedom n on (the
        first term of Abramowitz and Stegun 26.7.5, with n - 1 for n).
        """
        lacking = max(0.0, 1.0 - spans * _ALPHAS[i])
        degrees = self._rules.start_degrees + spans
        return math.exp(log + lacking * (Z[i] * Z[i] + 1.0) / (4.0 * (degrees - 1.0)))


def _between(low: Sequence[float], high: Sequence[float], part: float) -> tuple[float, ...]:
    return tuple(a + part * (b - a) for a, b in zip(low, high, strict=True))


def _log_sigma(sigma_s: float) -> float:
    return math.log(max(sigma_s, _LEAST_SIGMA_S))
