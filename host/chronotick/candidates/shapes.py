"""Curves of the race: cycles (`harmonic`), warm-up and ageing (`ageing`), the vote by realised errors (`harmonic_h`).

`harmonic` and `ageing` filter the fixes by themselves, so they differ from the floor already at the state; where the
line has a share of the vote, the floor's own line has it. `harmonic_h` is made of slow filters too, whose offsets lag:
it says only what theta gains from the floor's line on.
"""

import bisect
import math
from collections.abc import Mapping
from typing import Final

from chronotick.candidates.curve import Correction, Curve
from chronotick.candidates.horizon import HorizonVote
from chronotick.candidates.lines import Spread, Vote
from chronotick.candidates.motion import Vector
from chronotick.candidates.race import Race
from chronotick.candidates.rules import HorizonRules, RaceRules
from chronotick.clock.floor import FloorUpdate, Verdict
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.units import ns_to_s

HARMONIC: Final = "harmonic"
HARMONIC_H: Final = "harmonic_h"
AGEING: Final = "ageing"


class Shapes:
    """Runs the race and draws its curves.

    Args:
        tuning: constants of the oscillator.
        race_rules, horizon_rules: for real oscillators; they are compressed as `tuning` is.
    """

    def __init__(
        self, tuning: Tuning, race_rules: RaceRules | None = None, horizon_rules: HorizonRules | None = None
    ) -> None:
        self._tuning = tuning
        self._rules = (race_rules or RaceRules()).compressed(tuning.compression)
        self._horizon_rules = (horizon_rules or HorizonRules()).compressed(tuning.compression)
        self._race: Race | None = None
        self._ahead: list[HorizonVote] = []

    def on_update(self, update: FloorUpdate) -> None:
        """The floor has met a fix; what entered its bank enters the race."""
        state = update.state
        if state is None:
            return
        race, measurements = self._race, update.measurements
        if race is not None and race.epoch != state.epoch:
            if update.verdict is Verdict.STEPPED and measurements:
                race.step(measurements[0], state.epoch)
                measurements = measurements[1:]
                for one in self._ahead:
                    one.interrupt()
            else:
                race = self._race = None
        if race is None:
            if state.fixes >= self._rules.young_fixes:
                self._race = Race(self._tuning, self._rules, state)
                self._ahead = [HorizonVote(h, self._horizon_rules) for h in self._horizon_rules.horizons_s]
            return
        try:
            for measurement in measurements:
                race.take(measurement)
        except FloatingPointError:
            self._race = None
            return
        if measurements:
            for one in self._ahead:
                one.take(race, state)

    def curves(self, state: ClockState) -> tuple[Curve, ...]:
        """What the race says now, in the place of what it said before."""
        race = self._race
        if race is None or race.epoch != state.epoch:
            return ()
        found = []
        cycles, decay = race.cycles, race.share[Race.DECAY]
        early = race.span_s < self._rules.quiet_s
        # A curvature is as well half a long cycle as a warm-up, and the cycle would swing back.
        if cycles > decay and (not early or cycles >= self._rules.beyond_doubt):
            found.append(self._of_likelihood(HARMONIC, race, Race.CYCLES))
        if not early or decay >= self._rules.beyond_doubt:
            found.append(self._of_likelihood(AGEING, race, (Race.DECAY,)))
        if (by_error := self._of_errors(race)) is not None:
            found.append(by_error)
        return tuple(found)

    def _of_likelihood(self, name: str, race: Race, kinds: tuple[str, ...]) -> Curve:
        shares = race.shares((Race.LINE, *kinds))
        del shares[Race.LINE]
        odds = (race.decay_odds if Race.DECAY in kinds else race.cycle_odds).mean
        return self._curve(name, race, _ByLikelihood(race, shares, self._rules.reach_s), odds)

    def _of_errors(self, race: Race) -> Curve | None:
        knots = [
            (math.log(one.horizon_s), Vote(race, shares))
            for one in self._ahead
            if one.horizon_s >= self._horizon_rules.least_polls * race.poll_s
            and (shares := one.shares(race)) is not None
        ]
        if not knots:
            return None
        return self._curve(HARMONIC_H, race, _ByErrors(knots, race))

    def _curve(self, name: str, race: Race, correction: Correction, log_odds: float = 0.0) -> Curve:
        return Curve(
            name,
            origin_raw_ns=race.raw_ns,
            epoch=race.epoch,
            span_s=race.span_s,
            reach_s=self._rules.reach_s,
            correction=correction,
            log_odds=log_odds,
        )


# Objects, not closures: what the host knows can be stored, and closures can not.


class _ByLikelihood:
    """Correction by the shapes' own lines; whoever else has a share of the vote has the floor's."""

    def __init__(self, race: Race, shares: Mapping[str, Vector], reach_s: float) -> None:
        self._vote = Vote(race, shares)
        self._spread = Spread(race, shares, reach_s)
        self._raw_ns = race.raw_ns
        self._reference_ns = race.reference_ns

    def __call__(self, state: ClockState, at_raw_ns: int) -> float:
        line_s = ns_to_s(state.theta_ns - self._reference_ns) + state.rate * state.ahead_s(at_raw_ns)
        vote = self._vote
        return vote.offset_s + vote.gain_s(ns_to_s(at_raw_ns - self._raw_ns)) - vote.weight * line_s

    def sigma_s(self, state: ClockState, at_raw_ns: int, correction_s: float) -> float | None:
        """Of the shapes, of the line, and by how far these are apart: of which the correction is the shapes' share."""
        shapes_s, share = self._spread.sigma_s(ns_to_s(at_raw_ns - self._raw_ns)), min(self._vote.weight, 1.0)
        if shapes_s is None or share <= 0.0:
            return None
        line = 1.0 - share
        line_s = state.sigma_s(at_raw_ns)
        return math.sqrt(share * shapes_s**2 + line * line_s**2 + line / share * correction_s**2)


class _ByErrors:
    """Correction by what the votes of the horizons around it gain, straight in the logarithm of the horizon."""

    def __init__(self, knots: list[tuple[float, Vote]], race: Race) -> None:
        self._knots = knots
        self._raw_ns = race.raw_ns

    def __call__(self, state: ClockState, at_raw_ns: int) -> float:
        gained_s = self._gain_s(ns_to_s(at_raw_ns - self._raw_ns)) - self._gain_s(ns_to_s(state.raw_ns - self._raw_ns))
        return gained_s - state.rate * state.ahead_s(at_raw_ns)

    def sigma_s(self, state: ClockState, at_raw_ns: int, correction_s: float) -> None:
        """Those who were chosen by their errors have shown that what they think of themselves is not what counts."""

    def _gain_s(self, h_s: float) -> float:
        if h_s <= 0.0:
            return 0.0
        log_h, knots = math.log(h_s), self._knots
        upper = bisect.bisect_left(knots, log_h, key=lambda knot: knot[0])
        if upper == 0 or upper == len(knots):
            return knots[min(upper, len(knots) - 1)][1].gain_s(h_s)
        (low, below), (high, above) = knots[upper - 1], knots[upper]
        share = (log_h - low) / (high - low)
        return (1.0 - share) * below.gain_s(h_s) + share * above.gain_s(h_s)
