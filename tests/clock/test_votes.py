"""The vote of the floor's bank: what it remembers, for how long, and which memory is believed."""

import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from tests.scripts import BENCH, module

from chronotick.clock.tuning import Tuning
from chronotick.clock.votes import Votes

EVEN = np.zeros(2)
HOUR_OR_HUNDRED = ((3600.0, 100),)
# Nats by which a member leads at each fix.
LEAD = np.array([0.1, 0.0])


def lead(votes: Votes, fixes: int, passed_s: float, likelihood: np.ndarray) -> float:
    """Log odds of the first member after so many fixes."""
    for _ in range(fixes):
        votes.take(likelihood, passed_s)
    first, second = votes.weight()
    return float(np.log(first / second))


@pytest.mark.parametrize(("passed_s", "share"), [(0.0, 0.0), (9.0, 0.0025), (36.0, 0.01), (64.0, 0.01), (1024.0, 0.01)])
def test_a_fix_forgets_as_much_as_time_has_passed_and_a_hundredth_at_most(passed_s: float, share: float) -> None:
    """An hour is remembered, and a hundred fixes where they are rare; fixes of one instant make nobody forget."""
    votes = Votes(EVEN, HOUR_OR_HUNDRED)
    before = lead(votes, 10, 0.0, LEAD)
    assert before == pytest.approx(1.0)
    assert lead(votes, 1, passed_s, EVEN) == pytest.approx(before * (1.0 - share))


def test_what_is_forgotten_goes_back_to_the_prior() -> None:
    """Without anything that speaks for anybody the vote is the prior again."""
    votes = Votes(np.array([1.0, 0.0]), HOUR_OR_HUNDRED)
    lead(votes, 50, 16.0, -5.0 * LEAD)
    assert lead(votes, 3000, 64.0, EVEN) == pytest.approx(1.0, abs=1e-9)


def test_after_a_change_the_shorter_memory_is_believed() -> None:
    """What was learned in ten hours is overruled sooner than the longer memory alone would."""
    both, longer = (Votes(EVEN, memories) for memories in (Tuning().vote_memories, Tuning().vote_memories[1:]))
    for votes in (both, longer):
        assert lead(votes, 600, 64.0, LEAD) > 5.0
    until = [next(n for n in range(1, 1000) if lead(votes, 1, 64.0, LEAD[::-1]) < 0.0) for votes in (both, longer)]
    assert until[0] < 0.7 * until[1]


def test_on_a_steady_clock_the_longer_memory_is_believed() -> None:
    """Where one member leads by a little for days it has more of the vote than a short memory would give it."""
    rng = np.random.default_rng(4)
    both, shorter = (Votes(EVEN, memories) for memories in (Tuning().vote_memories, Tuning().vote_memories[:1]))
    odds: list[list[float]] = [[], []]
    for _ in range(4000):
        likelihood = np.array([0.02 + 0.3 * float(rng.standard_normal()), 0.0])
        for votes, found in zip((both, shorter), odds, strict=True):
            found.append(lead(votes, 1, 64.0, likelihood))
    assert np.mean(np.array(odds[0][1000:]) > 0) > np.mean(np.array(odds[1][1000:]) > 0)


def test_a_member_that_is_lost_costs_the_others_nothing() -> None:
    """Its likelihood is no number: the rest of the vote is as if it had never been."""
    with_it, without = Votes(np.zeros(3), Tuning().vote_memories), Votes(EVEN, Tuning().vote_memories)
    with_it.take(np.array([0.1, 0.0, -800.0]), 16.0)
    without.take(LEAD, 16.0)
    with_it.take(np.array([0.1, 0.0, np.nan]), 16.0)
    without.take(LEAD, 16.0)
    with_it.keep(np.array([True, True, False]))
    assert with_it.weight() == pytest.approx(without.weight())


@pytest.fixture
def bench() -> Iterator[ModuleType]:
    """tests/bench/vote_memory.py, with the benches that it imports under the names by which it does."""
    names = ("clocks", "checkpoint_skill", "gate", "vote_memory")
    yield [module(BENCH / f"{name}.py") for name in names][-1]
    for name in names:
        sys.modules.pop(name, None)


def test_two_memories_follow_a_warm_up_better_than_the_two_hundred_fixes_of_before(bench: ModuleType) -> None:
    """A short form of tests/bench/vote_memory.py: an hour ahead of a clock whose rate settles."""
    row = bench.run("warm", range(800, 801))
    assert row["ratio"]["200 fixes"]["1h"][0] > 1.02
