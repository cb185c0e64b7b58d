"""The prequential gate: who may speak at which horizon, and how loudly.

Every candidate is judged at each rung of the ladder by forecasts that were made before their target was measured (Dawid
1984). The loss is pseudo-Huber, sqrt(1 + e^2/s) - 1, with s the floor's own running squared error there plus the
target's variance; a target is weighed by how much of s is not its own noise. A candidate opens when it saves more than
`open_gain` of the floor's loss and its t (`Evidence.t`) is above a boundary: `open_t`, raised by Student's factor for
few independent scores (as far as `most_t`: what they scatter is known from all scores, also those that overlap) and,
because it is looked at after every score, by the logarithm of their number (Robbins 1970).
It closes below a quarter of that gain, or when t falls below 0. Weights are loss ratios to the eighth power, the
floor's being 1; of the gain 1 - 1/t is believed against the floor, and all of it among the candidates.

A rung is not alone. Whoever has proved better a rung below needs only a gain here, and no t against it: who is right
ten minutes ahead is seldom wrong twenty ahead. And a shape that is fitted to each fix has a witness of its own, the
likelihood of all of them (`Candidate.log_odds`). Where it leads by ten to one or more, in the mean over hours, the
burden of proof turns: it is credited, heard before its forecasts are scored, and afterwards while they save something
and the rung below does not speak against it.

Losses come in late: a horizon and a lag after the forecast. Quicker judges can only quieten and close: bad answers in a
row, late, absurd or suddenly turned ones among them (`revision.py`), and a cumulative sum (Page 1954) of how much worse
than the floor's line the candidate's explained the latest fixes, each with the spread that it has shown, from the fix
before and from each rung's distance; of forecasts that overlap only the time between them is news. How much they leave
of a share until then is in `trust.py`. Whoever is closed so
stays closed until the forecasts of that moment have themselves been scored, and of what it had earned only a share is
kept. The sum is for forecasts and rules: who is fitted to each fix is put right by each.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig
from chronotick.fusion.candidate import Candidate
from chronotick.fusion.evidence import Evidence
from chronotick.fusion.explanation import Explanation, Facts, reason
from chronotick.fusion.ladder import place
from chronotick.fusion.rules import GateRules
from chronotick.fusion.trust import Trust, quietened
from chronotick.units import s_to_ns

FLOOR: Final = "floor"
# Candidates remembered; beyond it the one heard of longest ago is forgotten.
_MAX_CANDIDATES: Final = 64
# A candidate's squared error is never taken to be a smaller share of the floor's than this.
_LEAST_OWN: Final = 0.02
# Nor its loss.
_LEAST_LOSS: Final = 1e-9
# Squared errors below this are the rounding of a nanosecond, s^2.
_LEAST_SQUARE: Final = 1e-19


class Gate:
    """Evidence for every candidate at every horizon, and the weights that follow from it.

    Args:
        horizons: the ladder, s, ascending.
    """

    def __init__(
        self, horizons: Sequence[float], tuning: Tuning, config: FusionConfig, rules: GateRules | None = None
    ) -> None:
        self.horizons: tuple[float, ...] = tuple(horizons)
        self._tuning = tuning
        self._config = config
        self._rules = rules or GateRules()
        self._evidence: dict[str, list[Evidence]] = {}
        self._trusted: set[str] = set()
        self._fitted: set[str] = set()
        self._credited: set[str] = set()
        self.trust: Trust = Trust(len(self.horizons), self._rules)
        self._square: list[float] = [0.0] * len(self.horizons)
        self._count: list[int] = [0] * len(self.horizons)
        self._noise_s = math.inf

    def stands(self, candidate: Candidate, rung: int, origin_raw_ns: int) -> bool:
        """Whether a candidate can be judged, and heard, at a rung seen from `origin_raw_ns`."""
        horizon_s = self.horizons[rung]
        if candidate.origin_raw_ns > origin_raw_ns:
            return False
        if candidate.end_raw_ns - origin_raw_ns < s_to_ns(self._rules.reach_share * horizon_s):
            return False
        long_s = self._tuning.long_context_s
        if horizon_s <= self._rules.hold_over_share * long_s:
            return True
        if candidate.name in self._credited:
            sure = (candidate.log_odds or 0.0) >= self._rules.sure_log_odds
            long_s = min(long_s, (self._rules.sure_spans if sure else self._rules.credit_spans) * horizon_s)
        return candidate.span_s >= long_s

    def absurd(self, candidate: Candidate, state: ClockState) -> bool:
        """Whether a curve leaves the floor's line, at any rung that it reaches, by more than the floor can be wrong.

        Never that of a rule, which has decided that the floor's line is wrong.
        """
        if candidate.trusted:
            return False
        for rung, horizon_s in enumerate(self.horizons):
            at_ns = state.raw_ns + s_to_ns(horizon_s)
            limit_s = self._rules.absurd_sigma * state.sigma_s(at_ns)
            if self.stands(candidate, rung, state.raw_ns) and not abs(candidate.correction_s(state, at_ns)) <= limit_s:
                return True
        return False

    def score(
        self,
        rung: int,
        origin_raw_ns: int,
        floor_error_s: float,
        errors_s: Mapping[str, float],
        *,
        variance_s2: float,
        noise_s: float,
        now_raw_ns: int,
    ) -> None:
        """Judge one origin at one rung.

        Args:
            origin_raw_ns: when the forecasts were made.
            floor_error_s: target minus the floor's line; `errors_s`: target minus each candidate, as it was clipped.
            variance_s2: the target's variance.
            noise_s: noise of one fix as known now.
            now_raw_ns: raw clock of the newest fix.
        """
        rules = self._rules
        square = max(floor_error_s * floor_error_s, _LEAST_SQUARE)
        if self._count[rung]:
            step = min(square, rules.scale_clip * self._square[rung]) - self._square[rung]
            self._square[rung] += step * max(rules.scale_gain, 1.0 / (self._count[rung] + 1))
        else:
            self._square[rung] = square + variance_s2
        self._count[rung] += 1
        self._noise_s = noise_s
        scale = self._square[rung] + variance_s2
        weight = self._square[rung] / scale
        floor_loss = math.sqrt(1.0 + floor_error_s * floor_error_s / scale) - 1.0
        for name, error_s in errors_s.items():
            evidence = self._of(name)[rung]
            loss = math.sqrt(1.0 + error_s * error_s / scale) - 1.0
            unit_s = math.sqrt(scale)
            target, correction = floor_error_s / unit_s, (floor_error_s - error_s) / unit_s
            evidence.add(origin_raw_ns, weight, loss, floor_loss, target, correction)
            self._decide(name, rung, now_raw_ns)

    def watch(self, rung: int, name: str, nats: float, now_raw_ns: int, share: float = 1.0) -> None:
        """One fix spoke against a candidate by `nats` (for it: negative): the floor's log likelihood minus its own.

        `share` of it is news beside the fix before, 0..1: only that can shut it.

        Only where it may speak: a rung at which it never earned a say tells nothing new. When the sum is too much the
        candidate is shut at all rungs: it is no longer what earned its say. A rule's curve is shut at this one. Nothing
        is held against who is fitted to the fixes: this one has put it right already.
        """
        if name in self._fitted or not self.may_speak(name, rung):
            return
        total = self.trust.watch(name, rung, nats, share)
        if name in self._trusted:
            # Two unlucky fixes must not end a rule that hours of the clock's rate speak for, and while a slew lasts the
            # floor is right a minute ahead and wrong an hour ahead.
            if total > self._rules.watch_limit * self._rules.trusted_patience:
                self.trust.acquit(name, rung)
                self._shut_rung(name, rung, now_raw_ns)
        elif total > self._rules.watch_limit:
            self._shut(name, now_raw_ns)

    def penalise(self, name: str, now_raw_ns: int) -> None:
        """A bad answer, or none: halves the candidate's weight, and closes it when it happens again and again."""
        if self.trust.strike(name) >= self._rules.strikes:
            self._shut(name, now_raw_ns)

    def admit(self, candidate: Candidate) -> None:
        """A good answer has come: it ends a row of bad ones, and says what stands behind it."""
        name, log_odds = candidate.name, candidate.log_odds
        self.trust.pardon(name)
        for those, true in (
            (self._trusted, candidate.trusted),
            (self._fitted, log_odds is not None and not candidate.trusted),
            (self._credited, log_odds is not None and log_odds >= self._rules.credit_log_odds),
        ):
            (those.add if true else those.discard)(name)

    def weights(self, h_s: float, candidates: Sequence[Candidate], origin_raw_ns: int) -> dict[str, float]:
        """Weights `h_s` seconds ahead of the origin, floor included, summing to 1; who has none is left out.

        Where a trusted candidate stands and the floor has not proved better, it takes the floor's place: the floor's
        weight is then 0, and the others compete with it.
        """
        lower, upper, share = place(self.horizons, h_s)
        below = self._at_rung(lower, candidates, origin_raw_ns)
        if share == 0.0 or upper == lower:
            return below
        above = self._at_rung(upper, candidates, origin_raw_ns)
        names = [FLOOR, *(c.name for c in candidates if c.name in below or c.name in above)]
        return {name: (1 - share) * below.get(name, 0.0) + share * above.get(name, 0.0) for name in names}

    def explain(self, candidates: Sequence[Candidate], origin_raw_ns: int) -> tuple[Explanation, ...]:
        """Every candidate judged or speaking, at every rung, with the weight that those of `candidates` have now."""
        weights = [self._at_rung(rung, candidates, origin_raw_ns) for rung in range(len(self.horizons))]
        unjudged = {one.name: self._blank() for one in candidates if one.name not in self._evidence}
        return tuple(
            self._explanation(name, rung, evidence, weights[rung].get(name, 0.0))
            for name, rungs in (self._evidence | unjudged).items()
            for rung, evidence in enumerate(rungs)
        )

    def needed_t(self, rung: int, spans: float) -> float:
        """The t that opens a candidate at a rung on so many independent scores."""
        rules = self._rules
        long = self.horizons[rung] >= rules.long_share * self._tuning.half_life_s
        noisy = self._noise_s * self._noise_s > self._square[rung]
        asked = max(self._config.open_t, rules.noisy_t) if long and noisy else self._config.open_t
        return min(_student(spans) * math.sqrt(asked * asked + rules.looks * math.log1p(spans / 4.0)), rules.most_t)

    def rebase(self, shift_ns: int) -> None:
        """The raw clock has begun anew: what was at r is at r + `shift_ns` now."""
        for rungs in self._evidence.values():
            for evidence in rungs:
                evidence.rebase(shift_ns)

    def may_speak(self, name: str, rung: int) -> bool:
        """Whether a candidate would have weight at a rung: by its record, or by a rule that nothing has refuted."""
        return self.is_open(name, rung) or (name in self._trusted and not self._distrusted(name, rung))

    def heard(self, name: str) -> tuple[int, ...]:
        """Rungs at which a candidate may speak."""
        return tuple(rung for rung in range(len(self.horizons)) if self.may_speak(name, rung))

    def shown_s2(self, name: str, rung: int, sigma2_s2: float) -> tuple[float, float]:
        """Squared errors to be expected of the floor and of a candidate at a rung, by what both have shown, s^2.

        The floor's sigma can be several times too wide, and a candidate that earned its say is better still: one that
        breaks shows against its own record long before it shows against the floor's spread.
        """
        floor_s2 = min(sigma2_s2, self._square[rung]) if self._count[rung] else sigma2_s2
        gain = self._evidence[name][rung].gain if name in self._evidence else 0.0
        return floor_s2, floor_s2 * min(max(1.0 - gain, _LEAST_OWN), 1.0)

    def is_open(self, name: str, rung: int) -> bool:
        """Whether a candidate is open at a rung: by its record, or on credit while it has none."""
        return (name in self._evidence and self._evidence[name][rung].open) or self._unscored(name, rung)

    def _of(self, name: str) -> list[Evidence]:
        if name not in self._evidence:
            if len(self._evidence) >= _MAX_CANDIDATES:
                oldest = next(iter(self._evidence))
                del self._evidence[oldest]
                self.trust.forget(oldest)
                for those in (self._trusted, self._fitted, self._credited):
                    those.discard(oldest)
            self._evidence[name] = self._blank()
        return self._evidence[name]

    def _blank(self) -> list[Evidence]:
        return [Evidence(self._half_life_s(h), 2.0 * self._tuning.target_lag_s) for h in self.horizons]

    def _half_life_s(self, horizon_s: float) -> float:
        return max(self._tuning.half_life_s, self._rules.half_lives * horizon_s)

    def _decide(self, name: str, rung: int, now_raw_ns: int) -> None:
        rungs, rules, horizon_s = self._evidence[name], self._rules, self.horizons[rung]
        evidence = rungs[rung]
        gain, t, spans = evidence.gain, evidence.t(horizon_s), evidence.spans(horizon_s)
        proved = t > self.needed_t(rung, spans)
        credited = name in self._credited and not self._refuted(rungs, rung - 1)
        if evidence.open:
            evidence.on_credit = evidence.on_credit and not proved
            evidence.open = (
                gain >= rules.close_share * self._config.open_gain and t > 0.0 and (credited or not evidence.on_credit)
            )
            return
        if evidence.shut_until_raw_ns is not None:
            if now_raw_ns < evidence.shut_until_raw_ns:
                return
            evidence.shut_until_raw_ns = None
        if gain <= self._config.open_gain:
            return
        enough = evidence.scores > rules.min_scores
        by_record = enough and spans > rules.min_spans and proved
        follows = enough and spans > rules.follow_spans and t > rules.follow_t and self._proved_at(rungs, rung - 1)
        evidence.on_credit = not by_record and not follows
        evidence.open = by_record or follows or (credited and evidence.scores > rules.few_scores and t > 0.0)

    def _proved_at(self, rungs: Sequence[Evidence], rung: int) -> bool:
        """Whether a candidate is open at a rung and its t above the boundary; not below the first."""
        if rung < 0 or not rungs[rung].open:
            return False
        horizon_s = self.horizons[rung]
        return rungs[rung].t(horizon_s) > self.needed_t(rung, rungs[rung].spans(horizon_s))

    def _refuted(self, rungs: Sequence[Evidence], rung: int) -> bool:
        """Whether the scores at a rung speak against a candidate; not below the first, and not while they are few."""
        if rung < 0 or rungs[rung].scores <= self._rules.few_scores:
            return False
        return rungs[rung].gain < -self._config.open_gain and rungs[rung].t(self.horizons[rung]) < self._rules.refute_t

    def _unscored(self, name: str, rung: int) -> bool:
        """Whether a credited candidate is heard at a rung that has no say about it yet: where the next rung below that
        has one says so too."""
        if name not in self._credited:
            return False
        rungs = self._evidence.get(name)
        if rungs is None:
            return True
        if rungs[rung].scores > self._rules.few_scores or rungs[rung].shut_until_raw_ns is not None:
            return False
        below = self._scored_below(rungs, rung)
        return below is None or rungs[below].open

    def _on_credit(self, name: str, rung: int) -> bool:
        return self._unscored(name, rung) or self._evidence[name][rung].on_credit

    def _scored_below(self, rungs: Sequence[Evidence], rung: int) -> int | None:
        return next((one for one in range(rung - 1, -1, -1) if rungs[one].scores > self._rules.few_scores), None)

    def _shut(self, name: str, now_raw_ns: int) -> None:
        self.trust.acquit(name)
        for horizon_s, evidence in zip(self.horizons, self._of(name), strict=True):
            evidence.open = False
            evidence.doubt(self._rules.kept_share, now_raw_ns)
            evidence.shut_until_raw_ns = now_raw_ns + s_to_ns(horizon_s + self._tuning.target_lag_s)

    def _shut_rung(self, name: str, rung: int, now_raw_ns: int) -> None:
        evidence = self._of(name)[rung]
        evidence.open = False
        evidence.shut_until_raw_ns = now_raw_ns + s_to_ns(self.horizons[rung] + self._tuning.target_lag_s)

    def _at_rung(self, rung: int, candidates: Sequence[Candidate], origin_raw_ns: int) -> dict[str, float]:
        raw = {FLOOR: 1.0}
        standing = [one for one in candidates if self.stands(one, rung, origin_raw_ns)]
        ruled = {one.name for one in standing if one.trusted and not self._distrusted(one.name, rung)}
        for one in standing:
            loudness = self.trust.loudness(one.name)
            if one.name in ruled:
                raw[FLOOR] = min(raw[FLOOR], 1.0 - loudness)
                raw[one.name] = max(self._power(one.name, rung), 1.0) * loudness
            elif self.is_open(one.name, rung) and not (ruled and self._on_credit(one.name, rung)):
                # Credit is against the floor's line: a rule that stands in its place is beaten by a record only.
                raw[one.name] = quietened(self._power(one.name, rung), self.trust.left(one.name, rung))
        total = sum(raw.values())
        weights = {name: weight / total for name, weight in raw.items()}
        return weights if ruled else self._among_themselves(weights, rung)

    def _among_themselves(self, weights: dict[str, float], rung: int) -> dict[str, float]:
        """The same share for the floor; the rest by the candidates' own losses, where all of them have been scored.

        How far to leave the floor depends on how sure it is that each is better than it. Who of them is the best does
        not: two that are both far better than the floor differ by what they lost on the same targets.
        """
        heard = [name for name, weight in weights.items() if weight > 0.0 and name != FLOOR]
        if len(heard) < 2 or any(self._unscored(name, rung) for name in heard):
            return weights
        lost = {name: max(1.0 - self._evidence[name][rung].gain, _LEAST_LOSS) for name in heard}
        best = min(lost.values())
        merit = {name: math.pow(best / one, self._rules.power) for name, one in lost.items()}
        # Who is quieted gives way to the others also where it was far better than they.
        rest = {name: sum(merit[other] for other in heard if other != name) for name in heard}
        own = {n: quietened(merit[n] / rest[n], self.trust.left(n, rung)) * rest[n] for n in heard}
        share = sum(weights[name] for name in heard) / sum(own.values())
        return weights | {name: share * one for name, one in own.items()}

    def _power(self, name: str, rung: int) -> float:
        """Loss ratio to the power, with as much of the gain believed as is sure; on credit some of it always is."""
        rules, rungs = self._rules, self._evidence.get(name)
        loaned = math.pow(rules.credit_ratio, rules.power) if self._unscored(name, rung) else 1.0
        if rungs is None:
            return loaned
        if loaned > 1.0:
            below = self._scored_below(rungs, rung)
            return loaned if below is None else max(loaned, self._power(name, below))
        sure = self._sureness(rungs, rung)
        if rung > 0 and rungs[rung - 1].open:
            sure = max(sure, self._sureness(rungs, rung - 1))
        if name in self._credited and rungs[rung].open:
            sure = max(sure, rules.credit_sureness)
        return math.pow(rungs[rung].ratio(sure, rules.max_ratio), rules.power)

    def _sureness(self, rungs: Sequence[Evidence], rung: int) -> float:
        return 1.0 - 1.0 / max(rungs[rung].t(self.horizons[rung]), 1.0)

    def _distrusted(self, name: str, rung: int) -> bool:
        """Whether a rule's curve was shut, or the floor has proved as much better than it as opening would ask for."""
        if name not in self._evidence:
            return False
        evidence = self._evidence[name][rung]
        if evidence.shut_until_raw_ns is not None:
            return True
        needed_t = self.needed_t(rung, evidence.spans(self.horizons[rung]))
        return evidence.gain < -self._config.open_gain and evidence.t(self.horizons[rung]) < -needed_t

    def _explanation(self, name: str, rung: int, evidence: Evidence, weight: float) -> Explanation:
        horizon_s = self.horizons[rung]
        n_eff, gain, t = evidence.spans(horizon_s), evidence.gain, evidence.t(horizon_s)
        enough = evidence.scores > self._rules.min_scores and n_eff > self._rules.min_spans
        facts = Facts(
            gain=gain,
            t=t,
            n_eff=n_eff,
            needed_t=self.needed_t(rung, n_eff),
            asked=self._config.open_gain,
            weight=weight,
            left=self.trust.left(name, rung),
            scored=evidence.scores > 0,
            enough=enough,
            open=evidence.open,
            on_credit=evidence.on_credit,
            ahead_of_scores=self._unscored(name, rung),
            shut=evidence.shut_until_raw_ns is not None,
            trusted=name in self._trusted,
            distrusted=self._distrusted(name, rung),
        )
        return Explanation(name, horizon_s, n_eff, gain, t, self.is_open(name, rung), weight, reason(facts))


def _student(spans: float) -> float:
    """How much further out Student's t is than the normal at 1.5 standard deviations; within 3 % from 1 degree on."""
    degrees = max(spans - 1.0, 0.3)
    return 1.0 + 0.9 / degrees + 1.2 / degrees**3
