"""The fusion stage in one object: floor updates and forecasts in, fused estimates out. Reads change only counters."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

import msgspec

from chronotick.clock.floor import FloorUpdate
from chronotick.clock.measurement import Measurement
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig, RoleConfig
from chronotick.forecast.cache import ForecastCache
from chronotick.forecast.types import Forecast, Refusal
from chronotick.fusion.candidate import Candidate, ForecastCurve, Levelled, Standing, heard_s
from chronotick.fusion.explanation import Explanation
from chronotick.fusion.fuse import Mix, fuse, mix
from chronotick.fusion.gate import Gate
from chronotick.fusion.holdover import HoldOver
from chronotick.fusion.interval import IntervalModel, Multipliers
from chronotick.fusion.ladder import horizons_s, place
from chronotick.fusion.revision import Revisions
from chronotick.fusion.rules import GateRules, IntervalRules
from chronotick.fusion.target import disagreement, future_target, ready_raw_ns
from chronotick.fusion.types import FusedForecast
from chronotick.units import NS_PER_S, ns_to_s, s_to_ns
from chronotick.window.history import History

# Origins are remembered no closer than these shares of the horizon and of the target's lag: closer ones say the same.
_HORIZON_SHARE = 8
_LAG_SHARE = 32
# What the floor says so soon after an epoch began (30 min) is no habit of the clock: its rate is hardly known.
SETTLED_LAGS = 3.0
# Horizon whose targets show how noisy targets are (60 s), in lags, and how often they are asked: targets of one lag are
# mostly made of the same fixes.
_NOISE_HORIZON_LAGS = 0.1
_NOISE_SPACING_LAGS = 0.125
# Origins of one horizon that wait for their target. More can only wait when fixes fail to come.
_MAX_WAITING = 256


class Counts(msgspec.Struct, frozen=True):
    """Forecasts since the start: taken in, given weight in at least one estimate, and refused (or late, or void)."""

    made: int = 0
    used: int = 0
    refused: int = 0


class _Origin(msgspec.Struct, frozen=True):
    """What was said at one fix about one horizon, until its target is known.

    `crossed`: the clock has stepped before that. Then only the intervals are held against the target.
    """

    state: ClockState
    target_raw_ns: int
    sigma_s: float
    fused_sigma_s: float
    corrections_s: dict[str, float]
    fused_s: float | None
    issued: Multipliers
    crossed: bool = False


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
        self._epoch_raw_ns = 0
        # A target needs fixes from two lags before it to one after; the rest is room for polls that slow down.
        self._history = History(span_s=self.horizons[-1] + 16 * tuning.target_lag_s)
        self._waiting: list[deque[_Origin]] = [deque(maxlen=_MAX_WAITING) for _ in self.horizons]
        self._young: list[deque[_Origin]] = [deque(maxlen=_MAX_WAITING) for _ in self.horizons]
        self._last_origin_ns: list[int | None] = [None] * len(self.horizons)
        self._last_watched_ns: list[int | None] = [None] * len(self.horizons)
        self._made = self._used = self._refused = 0
        self._unused: set[str] = set()
        self._standing: dict[str, Standing] = {}
        self._revisions: dict[str, Revisions] = {}
        self._noise_rung = bisect_left(self.horizons, 0.99 * _NOISE_HORIZON_LAGS * tuning.target_lag_s)
        # How far the halves of the fixes last disagreed, and about which instant.
        self._disagreement: float | None = None
        self._disagreed_ns: int | None = None

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
            self._cross()
            self._epoch_raw_ns = state.raw_ns
        for one in update.measurements:
            self._watch(one)
            self._history.append(one.raw_ns, one.theta_ns, one.variance, state.epoch)
        advanced = self.state is None or state.raw_ns > self.state.raw_ns
        self.state = state
        for curve in curves:
            self._take(self._levelled(curve, state))
        if advanced and len(self._history):
            self._score_due(state)
            ahead_ns = [state.raw_ns + s_to_ns(horizon_s) for horizon_s in self.horizons]
            live, clip = self._live(state), self._config.clip_sigma
            sigmas_s = [state.sigma_s(at_ns) for at_ns in ahead_ns]
            mixed = [mix(state, live, self.gate, at_ns, clip) for at_ns in ahead_ns]
            self.intervals.settle(sigmas_s, [one.ratio * sigma_s for one, sigma_s in zip(mixed, sigmas_s, strict=True)])
            self._remember(state, live, sigmas_s, mixed)

    def restart(self, state: ClockState) -> None:
        """The floor has begun a new epoch without a fix: what it says now, usually that nothing is known."""
        self._forget()
        self._epoch_raw_ns = state.raw_ns
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

    def _watch(self, fix: Measurement) -> None:
        """Hold one fix against what was said of its instant: at the fix before, and a horizon ago at each rung."""
        state = self.state
        if state is None or fix.raw_ns <= state.raw_ns:
            return
        sigma_s = state.sigma_s(fix.raw_ns)
        said = {
            one.name: heard_s(one, state, fix.raw_ns, sigma_s, self._config.clip_sigma) for one in self._live(state)
        }
        self.gate.trust.calm()
        lower, upper, _ = place(self.horizons, state.ahead_s(fix.raw_ns))
        for rung in {lower, upper}:
            self._compare(rung, fix, state, sigma_s, said)
        for rung, young in enumerate(self._young):
            horizon_ns = s_to_ns(self.horizons[rung])
            while young and young[0].target_raw_ns <= fix.raw_ns:
                origin = young.popleft()
                # Only the first fix after the target is near enough to speak for it.
                if fix.raw_ns - origin.target_raw_ns <= horizon_ns // _HORIZON_SHARE:
                    # Forecasts that overlap share their error: what is news in this one is the time between them.
                    last_ns = self._last_watched_ns[rung]
                    share = 1.0 if last_ns is None else min((origin.state.raw_ns - last_ns) / horizon_ns, 1.0)
                    self._last_watched_ns[rung] = origin.state.raw_ns
                    self._compare(rung, fix, origin.state, origin.sigma_s, origin.corrections_s, share)

    def _compare(
        self,
        rung: int,
        fix: Measurement,
        state: ClockState,
        sigma_s: float,
        corrections_s: dict[str, float],
        share: float = 1.0,
    ) -> None:
        """Which line did a fix lie nearer to, in log likelihood, each with the spread that it has shown?

        `share` of the answer is news, 0..1.
        """
        miss_s = (fix.theta_ns - state.theta_at_ns(fix.raw_ns)) / NS_PER_S
        for name, correction_s in corrections_s.items():
            if not self.gate.may_speak(name, rung):
                continue
            floor_s2, own_s2 = self.gate.shown_s2(name, rung, sigma_s * sigma_s)
            against = cost(miss_s - correction_s, own_s2 + fix.variance) - cost(miss_s, floor_s2 + fix.variance)
            if abs(miss_s - correction_s) <= abs(miss_s):
                # Worse than it used to be, and still no worse than the floor: no reason to shut it.
                against = min(against, 0.0)
            self.gate.watch(rung, name, against, fix.raw_ns, share)

    def _score_due(self, state: ClockState) -> None:
        lag_ns = s_to_ns(self._tuning.target_lag_s)
        for rung, waiting in enumerate(self._waiting):
            # Most have not come due, and the state alone says so.
            while waiting and state.raw_ns >= waiting[0].target_raw_ns + lag_ns:
                known_ns = ready_raw_ns(self._history, waiting[0].target_raw_ns, self._tuning)
                if known_ns is None:
                    break
                self._score(rung, waiting.popleft(), known_ns, state)

    def _score(self, rung: int, origin: _Origin, known_raw_ns: int, state: ClockState) -> None:
        target = future_target(
            self._history, origin.state, origin.target_raw_ns, known_raw_ns, state.wander, self._tuning
        )
        if target is None or not math.isfinite(target.offset_s):
            return
        y = target.offset_s
        if not origin.crossed:
            if rung == self._noise_rung:
                self._compare_halves(origin, known_raw_ns, state)
            self.gate.score(
                rung,
                origin.state.raw_ns,
                y,
                {name: y - correction_s for name, correction_s in origin.corrections_s.items()},
                variance_s2=target.variance_s2,
                noise_s=state.noise_s,
                now_raw_ns=state.raw_ns,
            )
        self.intervals.score(
            rung,
            origin.state.raw_ns,
            floor_error_s=y,
            fused_error_s=None if origin.fused_s is None else y - origin.fused_s,
            sigma_s=origin.sigma_s,
            fused_sigma_s=origin.fused_sigma_s,
            variance_s2=target.variance_s2,
            issued=origin.issued,
            # How noisy targets are is no question of what the clock did between them.
            disagreement=None if origin.crossed else self._disagreement,
            # Never so for what was said in an earlier epoch.
            settled=ns_to_s(origin.state.raw_ns - self._epoch_raw_ns) >= SETTLED_LAGS * self._tuning.target_lag_s,
        )

    def _compare_halves(self, origin: _Origin, known_raw_ns: int, state: ClockState) -> None:
        spacing_ns = s_to_ns(_NOISE_SPACING_LAGS * self._tuning.target_lag_s)
        if self._disagreed_ns is not None and origin.target_raw_ns - self._disagreed_ns < spacing_ns:
            return
        found = disagreement(
            self._history, origin.state, origin.target_raw_ns, known_raw_ns, state.wander, self._tuning
        )
        if found is not None and math.isfinite(found):
            self._disagreement, self._disagreed_ns = found, origin.target_raw_ns

    def _remember(
        self, state: ClockState, live: Sequence[Candidate], sigmas_s: Sequence[float], mixed: Sequence[Mix]
    ) -> None:
        clip = self._config.clip_sigma
        for rung, horizon_s in enumerate(self.horizons):
            spacing_s = max(horizon_s / _HORIZON_SHARE, self._tuning.target_lag_s / _LAG_SHARE)
            last_ns = self._last_origin_ns[rung]
            if last_ns is not None and state.raw_ns - last_ns < s_to_ns(spacing_s):
                continue
            self._last_origin_ns[rung] = state.raw_ns
            target_ns = state.raw_ns + s_to_ns(horizon_s)
            sigma_s = sigmas_s[rung]
            origin = _Origin(
                state=state,
                target_raw_ns=target_ns,
                sigma_s=sigma_s,
                fused_sigma_s=mixed[rung].ratio * sigma_s,
                corrections_s={
                    one.name: heard_s(one, state, target_ns, sigma_s, clip)
                    for one in live
                    if self.gate.stands(one, rung, state.raw_ns)
                },
                fused_s=mixed[rung].correction_s if mixed[rung].share > 0 else None,
                issued=self.intervals.issued(rung),
            )
            self._waiting[rung].append(origin)
            self._young[rung].append(origin)

    def _cross(self) -> None:
        """The clock has stepped: score what can be scored from before it, and go on waiting for what lies beyond.

        Who asked about an instant after the step was told something wrong, too: intervals that are held only against
        what no step has ended hold less than they say.
        """
        if self.state is not None and len(self._history):
            last_ns = self._history.last_raw_ns
            for rung, waiting in enumerate(self._waiting):
                while waiting and waiting[0].target_raw_ns <= last_ns:
                    self._score(rung, waiting.popleft(), last_ns, self.state)
        crossed = [[msgspec.structs.replace(one, crossed=True) for one in waiting] for waiting in self._waiting]
        self._forget()
        for waiting, those in zip(self._waiting, crossed, strict=True):
            waiting.extend(those)

    def _forget(self) -> None:
        """A new epoch: nothing waits for a target any more. What was learned about the models stays."""
        for waiting in (*self._waiting, *self._young):
            waiting.clear()
        self._last_origin_ns = [None] * len(self.horizons)
        self._last_watched_ns = [None] * len(self.horizons)
        self._disagreed_ns = None
        self._unused.clear()
        self._standing.clear()


def cost(error_s: float, variance_s2: float) -> float:
    """Negative log likelihood of an error, Student's t with 4 degrees of freedom, up to a constant: bursts happen."""
    variance_s2 = max(variance_s2, 1e-30)
    return 2.5 * math.log1p(error_s * error_s / variance_s2 / 4.0) + 0.5 * math.log(variance_s2)
