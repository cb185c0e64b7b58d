"""The same filters judged by what they are for: their own realised errors an hour and more ahead.

One-step likelihood is the wrong judge of long horizons: at 64 s it does not care about a day. Here each filter's
forecast is kept until its instant has come, and weights are mean squared errors to a high negative power.
"""

from collections import deque
from collections.abc import Mapping

import msgspec
import numpy as np

from chronotick.candidates.motion import Vector
from chronotick.candidates.race import Race
from chronotick.candidates.rules import HorizonRules
from chronotick.clock.state import ClockState
from chronotick.units import ns_to_s, s_to_ns


class _Promise(msgspec.Struct, frozen=True, eq=False):
    """What all filters said of one instant; offsets relative to `reference_ns`, s."""

    target_raw_ns: int
    reference_ns: int
    offset_s: Vector


class HorizonVote:
    """Votes for one horizon."""

    def __init__(self, horizon_s: float, rules: HorizonRules) -> None:
        self.horizon_s = horizon_s
        self._rules = rules
        self._half_life_s = rules.half_lives * horizon_s + rules.half_life_s
        self._promises: deque[_Promise] = deque()
        self._square: Vector | None = None
        self._count = 0.0
        self._last_origin_ns: int | None = None
        self._last_target_ns: int | None = None
        self._generation = 0
        # The vote changes only when an error becomes known.
        self._voted: Mapping[str, Vector] | None = None

    def interrupt(self) -> None:
        """Theta has stepped: what was promised is void."""
        self._promises.clear()

    def take(self, race: Race, state: ClockState) -> None:
        """The race and the floor have met a fix: collect what has come due, promise anew."""
        if race.generation != self._generation:
            self._generation = race.generation
            self._promises.clear()
            self._square, self._count, self._voted = None, 0.0, None
        while self._promises and self._promises[0].target_raw_ns <= state.raw_ns:
            self._collect(self._promises.popleft(), state)
        spacing_ns = s_to_ns(self.horizon_s / self._rules.origins)
        if self._last_origin_ns is not None and race.raw_ns - self._last_origin_ns < spacing_ns:
            return
        self._last_origin_ns = race.raw_ns
        anchor_s = ns_to_s(state.theta_at_ns(race.raw_ns) - race.reference_ns)
        said = anchor_s + np.concatenate([one.ahead_s(self.horizon_s) - one.offset_s for one in race.sets.values()])
        self._promises.append(_Promise(race.raw_ns + s_to_ns(self.horizon_s), race.reference_ns, said))

    def shares(self, race: Race) -> Mapping[str, Vector] | None:
        """The vote over all sets of filters, summing to 1; None while too few errors are known."""
        if self._square is None or self._count < self._rules.least_scores or race.generation != self._generation:
            return None
        if self._voted is not None:
            return self._voted
        log = -self._rules.power * np.log(np.maximum(self._square / self._count, 1e-30))
        weight = np.exp(log - np.nanmax(log))
        weight /= weight.sum()
        ends = np.cumsum([len(one) for one in race.sets.values()])[:-1]
        self._voted = dict(zip(race.sets, np.split(weight, ends), strict=True))
        return self._voted

    def _collect(self, promise: _Promise, state: ClockState) -> None:
        """The floor's line, which has just met a fix, says what is true: its error is small beside the forecasts'."""
        true_s = ns_to_s(state.theta_at_ns(promise.target_raw_ns) - promise.reference_ns)
        error2 = (promise.offset_s - true_s) ** 2
        fade = 1.0
        if self._last_target_ns is not None:
            fade = 0.5 ** (ns_to_s(promise.target_raw_ns - self._last_target_ns) / self._half_life_s)
        self._last_target_ns = promise.target_raw_ns
        self._square = error2 if self._square is None else self._square * fade + error2
        self._count = self._count * fade + 1.0
        self._voted = None
