"""A vote among filters at one instant, as a function of the time ahead."""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from chronotick.candidates.filters import Filters
from chronotick.candidates.motion import Motion, Vector
from chronotick.candidates.race import Race

# Of a thousand filters a handful has the vote; those with less than this share of it are left out.
_LEAST_SHARE: Final = 1e-4
# How far the vote is spread is worked out from those with this share of the largest and more.
_LEAST_OF_LARGEST: Final = 1e-2
# At these horizons: 0, and doublings up to the farthest; in shares of that.
_GRID: Final = np.concatenate(([0.0], 2.0 ** np.arange(-15.0, 1.0)))
# And straight between them over this, where 0 has a place, too.
_PLACES: Final = np.log1p(_GRID / _GRID[1])


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


class Spread:
    """How far the filters of several kinds are from each other and think that they may be wrong, together.

    It outlives the moment, as filters do not: what it is made of is copied, and worked out when somebody asks.

    Args:
        reach_s: the farthest horizon that is asked for, s.
    """

    def __init__(self, race: Race, shares: Mapping[str, Vector], reach_s: float) -> None:
        least = max(_LEAST_SHARE, _LEAST_OF_LARGEST * max(float(weight.max()) for weight in shares.values()))
        counted = {kind: weight > least for kind, weight in shares.items()}
        self._filters: list[tuple[Filters, Vector]] = [
            (race.sets[kind].some(which), shares[kind][which]) for kind, which in counted.items() if which.any()
        ]
        self._reach_s = reach_s
        self._log_sigma: Vector | None = None

    def sigma_s(self, h_s: float) -> float | None:
        """Standard deviation of theta `h_s` seconds on, s, of those who count; None where nobody does."""
        if not self._filters:
            return None
        if self._log_sigma is None:
            self._log_sigma = self._log_sigmas(self._reach_s * _GRID)
        place = math.log1p(max(h_s, 0.0) / (self._reach_s * _GRID[1]))
        return math.exp(float(np.interp(place, _PLACES, self._log_sigma)))

    def _log_sigmas(self, h_s: Vector) -> Vector:
        with np.errstate(all="ignore"):
            said, variances = zip(*(filters.spread(h_s) for filters, _ in self._filters), strict=True)
        weight = np.concatenate([one for _, one in self._filters])
        weight /= weight.sum()
        offset_s, variance = np.concatenate(said, axis=1), np.concatenate(variances, axis=1)
        apart = offset_s - (offset_s @ weight)[:, None]
        log: Vector = 0.5 * np.log((variance + apart * apart) @ weight)
        return log
