"""The fusion stage in one object: floor updates and forecasts in, fused estimates out. Reads change only counters."""

import math
from collections.abc import Sequence

import msgspec

from chronotick.clock.floor import FloorUpdate
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig, RoleConfig
from chronotick.forecast.cache import ForecastCache
from chronotick.forecast.types import Forecast, Refusal
from chronotick.fusion.candidate import Candidate, ForecastCurve, Levelled, Standing
from chronotick.fusion.explanation import Explanation
from chronotick.fusion.fuse import fuse
from chronotick.fusion.gate import Gate
from chronotick.fusion.holdover import HoldOver
from chronotick.fusion.interval import IntervalModel
from chronotick.fusion.ladder import horizons_s
from chronotick.fusion.origins import Origins
from chronotick.fusion.revision import Revisions
from chronotick.fusion.rules import GateRules, IntervalRules
from chronotick.fusion.types import FusedForecast
from chronotick.fusion.watch import Watch
from chronotick.units import s_to_ns


class Counts(msgspec.Struct, frozen=True):
    """Forecasts since the start: taken in, given weight in at least one estimate, and refused (or late, or void)."""

    made: int = 0
    used: int = 0
    refused: int = 0


class Fusion:
    """Holds the candidates, remembers what they said, scores them, and fuses.

    Args:
        roles: the configured roles; they give the ladder of horizons.
    """

    def __init__(
        self,
        tuning: Tuning,
        config: FusionConfig,
        roles: Sequence[RoleConfig],
        gate_rules: GateRules | None = None,
        interval_rules: IntervalRules | None = None,
    ) -> None:
        self._tuning = tuning
        self._config = config
        self.horizons: tuple[float, ...] = horizons_s(roles, tuning)
        self.gate: Gate = Gate(self.horizons, tuning, config, gate_rules)
        library = HoldOver(self.horizons, tuning.target_lag_s, tuning.rate_bound)
        self.intervals: IntervalModel = IntervalModel(self.horizons, interval_rules, library, lag_s=tuning.target_lag_s)
        self.cache: ForecastCache[Candidate] = ForecastCache()
        self.state: ClockState | None = None
        self._origins = Origins(tuning, self.gate, self.intervals, config.clip_sigma)
        self._watch = Watch(self.gate, config.clip_sigma)
        self._made = self._used = self._refused = 0
        self._unused: set[str] = set()
        self._standing: dict[str, Standing] = {}
        self._revisions: dict[str, Revisions] = {}

    @property
    def counts(self) -> Counts:
        """Forecasts made, used and refused so far."""
        return Counts(made=self._made, used=self._used, refused=self._refused)

    def on_update(self, update: FloorUpdate, curves: Sequence[Candidate] = ()) -> None:
        """The floor has met a fix: hold it against the open candidates, score what has come due, remember anew.

        Args:
            curves: what the local candidates say now that they have met the fix too. They take the place of their
                former ones only after the fix was held against those: it must not judge what it has shaped.
        """
        state = update.state
        if state is None:
            return
        if self.state is None or state.epoch != self.state.epoch:
            self._origins.cross(self.state, state.raw_ns)
            self._forget()
        for one in update.measurements:
            if self.state is not None:
                self._watch.take(one, self.state, self._live(self.state))
            self._origins.add(one, state.epoch)
        advanced = self.state is None or state.raw_ns > self.state.raw_ns
        self.state = state
        for curve in curves:
            self._take(self._levelled(curve, state))
        if advanced and self._origins.ready:
            self._origins.score_due(state)
            for rung, origin in self._origins.remember(state, self._live(state)):
                self._watch.add(rung, origin)

    def restart(self, state: ClockState) -> None:
        """The floor has begun a new epoch without a fix: what it says now, usually that nothing is known."""
        self._origins.begin(state.raw_ns)
        self._forget()
        self.state = state

    def rebase(self, shift_ns: int) -> None:
        """The raw clock has begun anew: what was at r is at r + `shift_ns` now. A `restart` is to follow."""
        self.gate.rebase(shift_ns)
        self.intervals.rebase(shift_ns)

    def on_forecast(self, forecast: Forecast) -> bool:
        """Take in a validated forecast.

        False, and counted as refused, when its epoch or its span is over, or when it is absurd (`Gate.absurd`): then it
        costs as a bad answer does.
        """
        return self.on_candidate(ForecastCurve(forecast))

    def on_candidate(self, candidate: Candidate) -> bool:
        """Take in a forecast's curve, in place of the one before it of the same model and role; counted."""
        if not self._take(candidate):
            self._refused += 1
            return False
        self._made += 1
        self._unused.add(candidate.name)
        return True

    def _levelled(self, curve: Candidate, state: ClockState) -> Candidate:
        at_fix_s = curve.correction_s(state, state.raw_ns)
        if at_fix_s == 0.0 or not math.isfinite(at_fix_s):
            return curve
        standing = self._standing.setdefault(curve.name, Standing(self._tuning.half_life_s))
        return Levelled(curve, standing.add(state.raw_ns, at_fix_s))

    def _take(self, candidate: Candidate) -> bool:
        """Take in a curve of any kind, unless its epoch or its span is over, it is absurd, or it is a sudden turn."""
        state = self.state
        if state is None or candidate.epoch != state.epoch or candidate.end_raw_ns <= state.raw_ns:
            return False
        if self.gate.absurd(candidate, state) or self._sudden(candidate, state):
            self.gate.penalise(candidate.name, state.raw_ns)
            return False
        self.gate.admit(candidate)
        self.cache.put(candidate)
        return True

    def _sudden(self, candidate: Candidate, state: ClockState) -> bool:
        """Whether a forecast contradicts the model's own earlier one where it is heard; the earlier one then stays.

        What departs less than that, but more than usual, is doubted.
        """
        if not isinstance(candidate, ForecastCurve):
            # A filter is revised by each fix, and held against each.
            return False
        old = next((one for one in self._live(state) if one.name == candidate.name), None)
        if old is None:
            return False
        revisions = self._revisions.setdefault(candidate.name, Revisions(self.horizons))
        nats = revisions.judge(candidate, old, state, self.gate.heard(candidate.name))
        if nats is None:
            return True
        self.gate.trust.doubt(candidate.name, nats)
        return False

    def on_bad(self, refusal: Refusal) -> None:
        """A model answered badly, or not in time: it loses weight, and with repetition all of it."""
        self._refused += 1
        if self.state is not None:
            for role in refusal.roles:
                self.gate.penalise(f"{refusal.model}/{role}", self.state.raw_ns)

    def estimate(self, raw_ns: int, until_raw_ns: int) -> FusedForecast | None:
        """The fused line from `raw_ns` to `until_raw_ns`; None while the floor knows nothing."""
        state = self.state
        if state is None or state.fixes < 1:
            return None
        live = self._live(state)
        fused = fuse(state, live, self.gate, self.intervals, raw_ns, until_raw_ns, self._config.clip_sigma)
        if len(fused.weights) > 1:
            speaking = dict(fused.weights)
            for one in live:
                if one.name in self._unused and one.model in speaking:
                    self._unused.discard(one.name)
                    self._used += 1
        return fused

    def alone(self, raw_ns: int) -> dict[str, int]:
        """What each live candidate says of theta at `raw_ns` by itself, ns, by its name in the gate."""
        state = self.state
        if state is None:
            return {}
        line_ns = state.theta_at_ns(raw_ns)
        return {
            one.name: line_ns + s_to_ns(one.correction_s(state, raw_ns))
            for one in self._live(state)
            if one.end_raw_ns >= raw_ns
        }

    def explain(self) -> tuple[Explanation, ...]:
        """Why each candidate has the weight that it has, at each horizon."""
        if self.state is None:
            return ()
        return self.gate.explain(self._live(self.state), self.state.raw_ns)

    def _live(self, state: ClockState) -> tuple[Candidate, ...]:
        if not self._config.enabled:
            return ()
        return self.cache.live(epoch=state.epoch, raw_ns=state.raw_ns)

    def _forget(self) -> None:
        """A new epoch. What was learned about the models stays."""
        self._watch.forget()
        self._unused.clear()
        self._standing.clear()
