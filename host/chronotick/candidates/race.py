"""Shapes of the rate, run against each other on the same fixes: a wandering line, cycles, days, a decay."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from chronotick.candidates.filters import Filters
from chronotick.candidates.motion import Cycles, Decay, TunedCycles, Vector
from chronotick.candidates.rules import RaceRules
from chronotick.clock.bank import RESTLESS_PER_DECADE
from chronotick.clock.measurement import Measurement
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.units import ns_to_s, s_to_ns

# The reference moves along when the offset from it exceeds this, s: float64 then resolves below a femtosecond.
_RECENTRE_S: Final = 1.0
# Shares of the vote below this are rounding.
_LEAST_SHARE: Final = 1e-12


class Race:
    """All filters, and how well each foretold the fixes.

    The line's filters stand for the floor: they have its grid of wander and its likeliest noise, and make their share
    of the vote comparable with that of the shapes.

    Attributes:
        kinds: names of the sets; `sets`, `log_weight`: by kind, shapes (filters,).
        raw_ns, reference_ns: instant of all states, and what their offsets are relative to.
        epoch: the floor's.
        since_raw_ns: where the history begins.
        generation: grows by one when filters were lost: what was remembered of each is void.
        share: of the whole vote, by kind.
        cycle_odds, decay_odds: how surely cycles, days among them, and decays have led.
    """

    LINE: Final = "line"
    DAY: Final = "day"
    DECAY: Final = "decay"
    # By kind, the harmonics of cycles of any period: a fan that comes and goes is no sine.
    HARMONICS: Final[Mapping[str, int]] = {"cycle": 1, "cycle of two": 2, "cycle of three": 3}
    CYCLES: Final[tuple[str, ...]] = (*HARMONICS, DAY)

    def __init__(self, tuning: Tuning, rules: RaceRules, state: ClockState) -> None:
        self._rules = rules
        self.sets: dict[str, Filters] = _filters(tuning, rules)
        self._prior: dict[str, Vector] = {kind: _prior(one.wander) for kind, one in self.sets.items()}
        self.log_weight: dict[str, Vector] = {kind: one.copy() for kind, one in self._prior.items()}
        self.raw_ns: int = state.raw_ns
        self.reference_ns: int = state.theta_ns
        self.since_raw_ns: int = state.raw_ns
        self.epoch: int = state.epoch
        self.generation: int = 0
        self.cycle_odds: Odds = Odds(rules.odds_half_life_s)
        self.decay_odds: Odds = Odds(rules.odds_half_life_s)
        self.share: dict[str, float] = self._shared()
        self._updates = 0
        v0, _, v2, _ = state.variance
        for kind, one in self.sets.items():
            doubt = {self.LINE: 0.0, self.DECAY: rules.decay_amplitude}.get(kind, rules.amplitude)
            one.start(0.0, v0, state.rate, v2 + doubt**2)

    @property
    def poll_s(self) -> float:
        """Mean distance of two fixes so far, s."""
        return self.span_s / max(self._updates, 1)

    @property
    def span_s(self) -> float:
        """Length of the history, s."""
        return ns_to_s(self.raw_ns - self.since_raw_ns)

    @property
    def cycles(self) -> float:
        """Share of the whole vote that all cycles have together."""
        return sum(self.share[kind] for kind in self.CYCLES)

    def take(self, one: Measurement) -> None:
        """One measurement, through all filters. Raises FloatingPointError when a kind has no finite filter left."""
        dt_s = max(ns_to_s(one.raw_ns - self.raw_ns), 0.0)
        self.raw_ns = max(self.raw_ns, one.raw_ns)
        z_s = ns_to_s(one.theta_ns - self.reference_ns)
        keep = self._rules.forgetting
        for kind, filters in self.sets.items():
            filters.predict(dt_s)
            likelihood = filters.update(z_s, one.likely_variance, guarded=self._updates >= self._rules.unguarded)
            votes = self.log_weight[kind]
            votes *= keep
            votes += (1.0 - keep) * self._prior[kind] + likelihood
            if abs(z_s) > _RECENTRE_S:
                filters.recentre(ns_to_s(s_to_ns(z_s)))
            self._drop_lost(kind)
        best = max(float(votes.max()) for votes in self.log_weight.values())
        for votes in self.log_weight.values():
            votes -= best
        if abs(z_s) > _RECENTRE_S:
            self.reference_ns += s_to_ns(z_s)
        self._updates += 1
        self.share = self._shared()
        self.cycle_odds.add(self.raw_ns, self.cycles)
        self.decay_odds.add(self.raw_ns, self.share[self.DECAY])

    def step(self, first: Measurement, epoch: int) -> None:
        """Theta has stepped and `first` is the first measurement after it; the oscillator is the same."""
        self.epoch = epoch
        self.raw_ns, self.reference_ns, dt_s = (
            max(self.raw_ns, first.raw_ns),
            first.theta_ns,
            max(ns_to_s(first.raw_ns - self.raw_ns), 0.0),
        )
        for filters in self.sets.values():
            filters.predict(dt_s)
            filters.jump(0.0, first.likely_variance)

    def shares(self, kinds: Sequence[str]) -> dict[str, Vector]:
        """The vote among some kinds, summing to 1 over all of them."""
        best = max(float(self.log_weight[kind].max()) for kind in kinds)
        raw = {kind: np.exp(self.log_weight[kind] - best) for kind in kinds}
        total = sum(float(one.sum()) for one in raw.values())
        return {kind: one / total for kind, one in raw.items()}

    def _shared(self) -> dict[str, float]:
        return {kind: float(votes.sum()) for kind, votes in self.shares(tuple(self.sets)).items()}

    def _drop_lost(self, kind: str) -> None:
        lost = self.sets[kind].lost()
        if lost is None:
            return
        if lost.all():
            raise FloatingPointError(f"no filter of a {kind} is finite")
        self.generation += 1
        self.sets[kind].keep(~lost)
        self._prior[kind] = self._prior[kind][~lost]
        self.log_weight[kind] = self.log_weight[kind][~lost]


class Odds:
    """Mean decimal logarithm of a shape's odds against all others, halved every `half_life_s`.

    The odds of a moment swing with a few fixes, upwards too: a shape that is not there has had 1e5 for an hour. One
    that is there leads nearly all the time. Each logarithm is kept within +-3.
    """

    MOST: Final = 3.0
    # Fixes before which the mean says nothing.
    FEW: Final = 8

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._sum = self._count = 0.0
        self._fixes = 0
        self._last_ns: int | None = None

    def add(self, raw_ns: int, share: float) -> None:
        """Count a shape's share of the whole vote, 0..1, at one fix."""
        since_s = 0.0 if self._last_ns is None else ns_to_s(max(raw_ns - self._last_ns, 0))
        fade = 0.5 ** (since_s / self._half_life_s)
        self._last_ns = raw_ns
        log = math.log10(max(share, _LEAST_SHARE) / max(1.0 - share, _LEAST_SHARE))
        self._sum = self._sum * fade + min(max(log, -self.MOST), self.MOST)
        self._count = self._count * fade + 1.0
        self._fixes += 1

    @property
    def mean(self) -> float:
        """-3..3; 0 while there are few fixes."""
        return self._sum / self._count if self._fixes >= self.FEW else 0.0


def _prior(wander: Vector) -> Vector:
    """Log weights of one kind before any fix: together 1, and as in the floor's bank less for the restless."""
    log: Vector = -RESTLESS_PER_DECADE * np.log10(wander / wander.min())
    log -= math.log(float(np.exp(log).sum()))
    return log


def _filters(tuning: Tuning, rules: RaceRules) -> dict[str, Filters]:
    line = np.array(tuning.wander_grid)
    empty = np.zeros((0, len(line)))
    day, day_wander, day_walk = _grid(rules.days_s, rules.day_wanders, rules.walks)
    tau, decay_wander = _grid(rules.decays_s, rules.decay_wanders)
    return {
        Race.LINE: Filters(Cycles(np.ones_like(line), 0), line, np.zeros_like(line), empty, tuning.white_fm),
        **{kind: _tuned(harmonics, rules, tuning) for kind, harmonics in Race.HARMONICS.items()},
        Race.DAY: Filters(
            Cycles(day, 2), day_wander, day_walk / np.sqrt(day), _amplitudes(2, rules, len(day)), tuning.white_fm
        ),
        Race.DECAY: Filters(
            Decay(tau), decay_wander, np.zeros_like(tau), np.full((1, len(tau)), rules.decay_amplitude), tuning.white_fm
        ),
    }


def _tuned(harmonics: int, rules: RaceRules, tuning: Tuning) -> Filters:
    """Cycles of so many harmonics that learn their period, from a grid of them."""
    count = int(math.log(rules.most_period_s / rules.least_period_s) / math.log(rules.period_ratio)) + 1
    periods = [rules.least_period_s * rules.period_ratio**i for i in range(count)]
    period, wander, looseness = _grid(periods, rules.wanders, range(len(rules.walks)))
    walk, phase_walk, period_walk = (
        np.array(each)[looseness.astype(int)] / np.sqrt(period)
        for each in (rules.walks, rules.phase_walks, rules.period_walks)
    )
    walks = np.concatenate((np.repeat([walk], 2 * harmonics, axis=0), [period_walk]))
    # Evenly spread between two periods of the grid.
    doubt = np.full((1, len(period)), math.log(rules.period_ratio) / math.sqrt(12.0))
    return Filters(
        TunedCycles(period, harmonics, rules.period_ratio, phase_walk),
        wander,
        walks,
        np.concatenate((_amplitudes(harmonics, rules, len(period)), doubt)),
        tuning.white_fm,
    )


def _amplitudes(harmonics: int, rules: RaceRules, count: int) -> Vector:
    """What is thought of both parts of each harmonic, shape (2 harmonics, count), s/s: the k-th has a k-th of it."""
    each = rules.amplitude / np.repeat(np.arange(1, harmonics + 1), 2)
    return np.repeat(each[:, None], count, axis=1)


def _grid(*axes: Sequence[float]) -> list[Vector]:
    return [one.ravel() for one in np.meshgrid(*(np.array(axis) for axis in axes), indexing="ij")]
