"""The vote of the floor's bank: how well each filter foretold the fixes, remembered for shorter and for longer.

Member i has in each memory m a log weight that every fix adds to and time takes from,

    log w_mi <- (1 - a_m) log w_mi + a_m log p_i + l_i,   a_m = min(passed / T_m, 1 / N_m),

with l_i its log likelihood, p_i the prior, passed the time since the last fix: a memory reaches back T_m seconds, or
N_m fixes where they are rare. What changes (a network's load, a room) does so with time; how well filters foretell is
learned from fixes. No one memory serves a warm-up and a steady clock, so the memories vote too: each foretold the fix
with the mixture that its weights made of the filters, and earns

    log W_m <- (1 - a_0) log W_m + log sum_i w_mi exp(l_i).

The weight of a member is sum_m W_m w_mi (dynamic model averaging, Raftery, Karny and Ettler, Technometrics 2010, with
the forgetting averaged too).
"""

from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Votes:
    """Log weights, shape (memories, members), and the memories' own, shape (memories,).

    Args:
        prior: log weights before any fix, shape (members,).
        memories: seconds and fixes that each reaches back, the shortest first.
    """

    def __init__(self, prior: Vector, memories: Sequence[tuple[float, int]]) -> None:
        self._prior = prior
        self._memory_s: Vector = np.array([span_s for span_s, _ in memories])
        self._most: Vector = np.array([1.0 / fixes for _, fixes in memories])
        self.log_weight: Vector = np.tile(prior, (len(memories), 1))
        self._trust: Vector = np.zeros(len(memories))

    def copy(self) -> "Votes":
        """One that goes on by itself from what this one has learned."""
        one = copy(self)
        one.log_weight, one._trust = self.log_weight.copy(), self._trust.copy()
        return one

    def take(self, likelihood: Vector, passed_s: float) -> None:
        """Count one fix.

        Args:
            likelihood: log density that each member gave it, shape (members,); of a lost member not finite.
            passed_s: since the fix before, >= 0.
        """
        forgotten = np.minimum(passed_s / self._memory_s, self._most)
        self.log_weight *= (1.0 - forgotten)[:, None]
        self.log_weight += forgotten[:, None] * self._prior
        before = _log_sum(self.log_weight)
        self.log_weight += likelihood
        after = _log_sum(self.log_weight)
        self._trust *= 1.0 - forgotten[0]
        self._trust += after - before
        # Only differences count, and the longest memory's sums would grow without end where fixes come at once.
        self.log_weight -= after[:, None]
        self._trust -= self._trust.max()

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Drop all members but those of the mask, shape (members,)."""
        self._prior, self.log_weight = self._prior[which], self.log_weight[:, which]

    def weight(self) -> Vector:
        """Weights of the members, shape (members,), summing to 1."""
        each = np.exp(self.log_weight - self.log_weight.max(axis=1, keepdims=True))
        trust = np.exp(self._trust - self._trust.max())
        weight: Vector = (trust / trust.sum() / each.sum(axis=1)) @ each
        return weight


def _log_sum(log: Vector) -> Vector:
    """Logarithm of the sum over members, of those that are finite, shape (memories,)."""
    finite = np.where(np.isfinite(log), log, -np.inf)
    most = finite.max(axis=1)
    total: Vector = most + np.log(np.exp(finite - most[:, None]).sum(axis=1))
    return total
