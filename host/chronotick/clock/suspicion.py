"""Whether fixes that lie far off the line are outliers or a step: outliers do not repeat themselves."""

from enum import StrEnum
from typing import Final

import msgspec

from chronotick.clock.measurement import Measurement
from chronotick.units import ns_to_s

# A fix is suspect when its innovation exceeds this many sigma after what its queue may explain is taken off. Below,
# Huber's weight and the vote for a restless clock follow a wandering oscillator better than starting anew does.
SUSPECT_SIGMA: Final = 20.0
# Suspects in a row, at one level and spread over at least `Tuning.thin_s`, that make a step.
REPEATS: Final = 4
# Suspects in a row without a common level that make noise, not outliers: from then on all are used.
SCATTER: Final = 8


class Ruling(StrEnum):
    """What to do with a fix."""

    CLEAR = "clear"
    HOLD = "hold"
    STEP = "step"
    SCATTER = "scatter"


class _Suspect(msgspec.Struct, frozen=True):
    measurement: Measurement
    innovation_s: float
    sigma_s: float


class Jury:
    """Judges one innovation after the other.

    Queueing of d seconds above the fastest round trip, all in one direction, moves theta by d/2 (RFC 5905 section 8):
    this much is never held against a fix. A fix that agrees with the line ends the row, and the suspects before it
    were outliers.
    """

    def __init__(self, least_span_s: float) -> None:
        self._least_span_s = least_span_s
        self._row: list[_Suspect] = []
        self._scattered = False

    def rule(self, measurement: Measurement, innovation_s: float, sigma_s: float, excess_s: float) -> Ruling:
        """Judge `innovation_s`, the fix minus the line, whose predicted standard deviation is `sigma_s` > 0.

        `excess_s` >= 0: how long the round trip took above the server's least.
        """
        if abs(innovation_s) - 0.5 * excess_s <= SUSPECT_SIGMA * sigma_s:
            self.clear()
            return Ruling.CLEAR
        if self._scattered:
            return Ruling.CLEAR
        self._row.append(_Suspect(measurement, innovation_s, sigma_s))
        if self._is_step(self._row[-REPEATS:]):
            return Ruling.STEP
        if len(self._row) >= SCATTER:
            self._scattered = True
            return Ruling.SCATTER
        return Ruling.HOLD

    def level_s(self) -> float:
        """How far the true line may lie from the believed one, s: the last innovation once it is not alone."""
        return abs(self._row[-1].innovation_s) if len(self._row) > 1 else 0.0

    def take(self, newest: int = SCATTER) -> tuple[Measurement, ...]:
        """The newest suspects, oldest first; none is a suspect any longer."""
        row = self._row[-newest:]
        self._row = []
        return tuple(suspect.measurement for suspect in row)

    def clear(self) -> None:
        """Nobody is suspect."""
        self._row = []
        self._scattered = False

    def _is_step(self, row: list[_Suspect]) -> bool:
        if len(row) < REPEATS:
            return False
        span_s = ns_to_s(row[-1].measurement.raw_ns - row[0].measurement.raw_ns)
        sizes = [abs(suspect.innovation_s) for suspect in row]
        one_side = len({suspect.innovation_s > 0 for suspect in row}) == 1
        tolerance = SUSPECT_SIGMA * max(suspect.sigma_s for suspect in row)
        return one_side and span_s >= self._least_span_s and max(sizes) <= 2.0 * min(sizes) + tolerance
