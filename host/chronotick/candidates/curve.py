"""What a local candidate says: a curve to lay beside the floor's line. It is a `fusion/candidate.py` candidate."""

from typing import Final, Protocol

from chronotick.clock.state import ClockState
from chronotick.units import s_to_ns

# The same few horizons of one state are asked for again and again; so many answers are remembered.
_REMEMBERED: Final = 64


class Correction(Protocol):
    """What a curve is made of. Objects, not closures, so that a curve can be stored."""

    def __call__(self, state: ClockState, raw_ns: int, /) -> float:
        """Theta minus the line of `state` at an instant, s."""
        ...

    def sigma_s(self, state: ClockState, raw_ns: int, correction_s: float, /) -> float | None:
        """Standard deviation of that theta, s, where the correction is `correction_s`; None where nobody knows it."""
        ...


class Curve:
    """One curve.

    Args:
        name: of the candidate and of the model that is published alike.
        origin_raw_ns, epoch: the fix that it was made at.
        span_s: history that it was made from, s.
        reach_s: how far ahead it says anything, s.
        correction: what it says; see `correction_s`.
        trusted: a rule has decided that the floor's line is wrong here.
        log_odds: mean decimal logarithm of the odds of its shape; see `fusion/candidate.py`.
    """

    def __init__(
        self,
        name: str,
        *,
        origin_raw_ns: int,
        epoch: int,
        span_s: float,
        reach_s: float,
        correction: Correction,
        trusted: bool = False,
        log_odds: float = 0.0,
    ) -> None:
        self.name: str = name
        self.model: str = name
        self.role: str = ""
        self.epoch: int = epoch
        self.origin_raw_ns: int = origin_raw_ns
        self.end_raw_ns: int = origin_raw_ns + s_to_ns(reach_s)
        self.span_s: float = span_s
        self.trusted: bool = trusted
        self.log_odds: float | None = log_odds
        self._correction = correction
        self._known: dict[tuple[int, int], float] = {}

    def correction_s(self, state: ClockState, raw_ns: int) -> float:
        """Theta minus the line of `state` at `raw_ns` >= `state.raw_ns`, s; `state` may be later than the origin."""
        asked = (state.raw_ns, raw_ns)
        if asked not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[asked] = self._correction(state, raw_ns)
        return self._known[asked]

    def sigma_s(self, state: ClockState, raw_ns: int) -> float | None:
        """See `fusion/candidate.py`."""
        return self._correction.sigma_s(state, raw_ns, self.correction_s(state, raw_ns))


def withdrawn(name: str, state: ClockState) -> Curve:
    """In the place of a curve that no longer holds: it ends at once, so it says nothing anywhere."""
    return Curve(
        name,
        origin_raw_ns=state.raw_ns,
        epoch=state.epoch,
        span_s=0.0,
        reach_s=1e-9,
        correction=_Nothing(),
    )


class _Nothing:
    """No correction anywhere. An object, not a closure, so that it can be stored."""

    def __call__(self, later: ClockState, at_raw_ns: int) -> float:
        return 0.0

    def sigma_s(self, later: ClockState, at_raw_ns: int, correction_s: float) -> None:
        """Nobody speaks."""
