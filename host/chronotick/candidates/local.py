"""All local candidates together: what the pipeline feeds with the floor's updates and asks for curves."""

from chronotick.candidates.curve import Curve, withdrawn
from chronotick.candidates.shapes import AGEING, HARMONIC, HARMONIC_H, Shapes
from chronotick.candidates.steered import Steered
from chronotick.clock.floor import FloorUpdate
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import CandidatesConfig


class Local:
    """The shapes of the rate, and the rule for steered clocks; each only as far as it is configured."""

    def __init__(self, tuning: Tuning, config: CandidatesConfig) -> None:
        names = (HARMONIC, HARMONIC_H) if config.harmonic else ()
        self._heard = frozenset((*names, AGEING) if config.ageing else names)
        self._shapes = Shapes(tuning) if self._heard else None
        self._steered = Steered(tuning) if config.steered else None
        self._said: frozenset[str] = frozenset()

    @property
    def steered(self) -> bool:
        """Whether the clock looks as if somebody disciplined it."""
        return self._steered is not None and self._steered.steered

    def on_update(self, update: FloorUpdate) -> tuple[Curve, ...]:
        """The floor has met a fix: what there is to say now. Nothing new where the fix did not enter the bank.

        Whoever has spoken before and does not now is withdrawn: else its last curve would stand for days.
        """
        if update.state is None or not update.measurements:
            return ()
        curves: list[Curve] = []
        if self._shapes is not None:
            self._shapes.on_update(update)
            curves += [one for one in self._shapes.curves(update.state) if one.name in self._heard]
        if self._steered is not None:
            self._steered.on_update(update)
            if (curve := self._steered.curve(update.state)) is not None:
                curves.append(curve)
        saying = frozenset(one.name for one in curves)
        silenced, self._said = self._said - saying, saying
        return (*curves, *(withdrawn(name, update.state) for name in sorted(silenced)))
