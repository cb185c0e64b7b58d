"""A vote among filters at one instant, as a function of the time ahead."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from chronotick.candidates.motion import Motion, Vector
from chronotick.candidates.race import Race

# Of a thousand filters a handful has the vote; those with less than this share of it are left out.
_LEAST_SHARE: Final = 1e-4


class Lines:
    """Some filters of one kind. The vote is linear in their states, so it is taken once.

    Args:
        states: shape (2 + extra, m): offset, s, rate and extra states, s/s.
        weight: shape (m,), their shares of the vote.
    """

    def __init__(self, states: Vector, motion: Motion, weight: Vector) -> None:
        self.weight: float = float(weight.sum())
        self.offset_s: float = float(states[0] @ weight)
        self._rate = float(states[1] @ weight)
        self._extra = states[2:] * weight
        self._motion = motion

    def gain_s(self, h_s: float) -> float:
        """What theta gains in `h_s` seconds, times the weight, s."""
        return self._rate * h_s + float(np.vdot(self._motion.offset_of(h_s), self._extra))


class Vote:
    """The filters of several kinds together.

    Attributes:
        weight: their share of the vote, 0..1; whoever else voted has the rest.
        offset_s: theta relative to the race's reference now, times the weight, s.
    """

    def __init__(self, race: Race, shares: Mapping[str, Vector]) -> None:
        self._lines: list[Lines] = []
        for kind, weight in shares.items():
            heard = weight > _LEAST_SHARE
            if heard.any():
                self._lines.append(Lines(*race.sets[kind].lines(heard), weight[heard]))
        self.weight: float = sum(one.weight for one in self._lines)
        self.offset_s: float = sum(one.offset_s for one in self._lines)

    def gain_s(self, h_s: float) -> float:
        """What theta gains in `h_s` seconds, times the weight, s."""
        return sum(one.gain_s(h_s) for one in self._lines)
