"""Does a model still say what it said before? The quickest judge of a forecast: it needs no fix at all.

Two forecasts of one model about the same instant differ by a revision. A model that sees a real cycle revises itself
by much less than it corrects the floor, so one that suddenly answers with a constant, a curve turned around or the
wrong sign is seen on arrival, long before any fix could tell: its revision is many times its usual one.

A revision of r usual squares is evidence against "the same model" of (r - 1 - ln r) / 2 nats: the log likelihood ratio
of a normal revision of just that size to one of the usual size. Five usual ones (10 nats) are refused as sudden;
less only quietens (`trust.py`).
"""

import math
from collections.abc import Sequence
from typing import Final

from chronotick.clock.state import ClockState
from chronotick.fusion.candidate import Candidate
from chronotick.units import s_to_ns

# Revisions beyond this many usual ones (root mean square) are sudden.
SUDDEN: Final = 5.0
# How fast the usual revision is learned, and from how many on it is known.
_GAIN: Final = 0.1
_FEW: Final = 6
# Squared revisions below this are the rounding of a nanosecond, s^2.
_LEAST_SQUARE: Final = 1e-19


class Revisions:
    """The usual revisions of one candidate at each rung.

    Args:
        horizons: the ladder, s.
    """

    def __init__(self, horizons: Sequence[float]) -> None:
        self._horizons = tuple(horizons)
        self._square = [0.0] * len(self._horizons)
        self._count = [0] * len(self._horizons)

    def judge(self, new: Candidate, old: Candidate, state: ClockState, heard: Sequence[int]) -> dict[int, float] | None:
        """What speaks against `new` and `old` being of the same model, in nats by rung of `heard`; None: it is sudden.

        Unless it is, learn from all rungs that both reach.
        """
        squares: list[tuple[int, float]] = []
        for rung, horizon_s in enumerate(self._horizons):
            at_ns = state.raw_ns + s_to_ns(horizon_s)
            if at_ns <= min(new.end_raw_ns, old.end_raw_ns):
                revision_s = new.correction_s(state, at_ns) - old.correction_s(state, at_ns)
                squares.append((rung, revision_s * revision_s))
        nats: dict[int, float] = {}
        for rung, square in squares:
            ratio = square / max(self._square[rung], _LEAST_SQUARE)
            if rung in heard and self._count[rung] >= _FEW:
                if ratio > SUDDEN * SUDDEN:
                    return None
                if ratio > 1.0:
                    nats[rung] = 0.5 * (ratio - 1.0 - math.log(ratio))
        for rung, square in squares:
            self._count[rung] += 1
            self._square[rung] += (square - self._square[rung]) * max(_GAIN, 1.0 / self._count[rung])
        return nats
