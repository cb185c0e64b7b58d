"""What a fix is bounded by while liars may be changing hands."""

import random
from typing import Any

import msgspec
import pytest

from chronotick.config.schema import NtpConfig
from chronotick.ntp.associations import Associations
from chronotick.ntp.select import Selection, Standing, Verdict
from chronotick.ntp.turnover import Claim, Turnover, after_vote, bound

S = 10**9
MS = 10**6
RATE = 5e-5


def vote(low_ns: int, high_ns: int, *, caught: bool = False, verdict: Verdict = Verdict.AGREED) -> Selection:
    standings = (("a", Standing.SURVIVOR), ("b", Standing.FALSETICKER if caught else Standing.SURVIVOR))
    return Selection(verdict=verdict, standings=standings, earliest_theta_ns=low_ns, latest_theta_ns=high_ns)


def after(
    *votes: tuple[int, Selection], claims: tuple[Claim, ...] = (), servers: int = 3, oldest_ns: int = 0
) -> tuple[int, int]:
    """The bound after votes at these instants."""
    past = Turnover()
    for raw_ns, one in votes:
        past = after_vote(past, one, raw_ns, oldest_ns, RATE)
    return bound(past, msgspec.structs.replace(one, candidates=servers), claims, raw_ns, oldest_ns, RATE)


def test_the_votes_of_a_round_count_as_far_as_later_samples_leave_them() -> None:
    """Of three servers one may lie: what two later samples exclude is not left of a vote, what one does is."""
    votes = ((S, vote(-900, 900)), (2 * S, vote(-5, 6)))
    claims = (Claim(2 * S, -20, 30), Claim(2 * S - 1, -10, 40), Claim(S - 1, -1, 1))
    assert after(*votes, claims=claims) == (-20, 40)
    assert after(*votes, claims=claims[1:]) == (-50_901, 50_901)
    assert after(*votes, claims=claims, servers=5) == (-50_901, 50_901)
    assert after(votes[0], (2 * S, vote(-5, 6)), claims=(Claim(2 * S, 70_000, 80_000),) * 2) == (-5, 6)


def test_while_somebody_is_caught_votes_count_whole() -> None:
    """Each grown by what theta may have moved since; the one that caught may be before or now."""
    claims = (Claim(2 * S, -5, 6),) * 3
    assert after((S, vote(-9, 9)), (2 * S, vote(-5, 6)), claims=claims) == (-5, 6)
    assert after((S, vote(-9, 9, caught=True)), (2 * S, vote(-5, 6)), claims=claims) == (-50_010, 50_010)
    assert after((S, vote(-9, 9)), (2 * S, vote(-5, 6, caught=True)), claims=claims) == (-50_010, 50_010)


def test_no_majority_is_a_sign_too() -> None:
    """But servers that are waited for are none."""
    claims = (Claim(3 * S, -5, 6),) * 3
    past = ((S, vote(-9, 9)), (2 * S, vote(0, 0, verdict=Verdict.NO_MAJORITY)), (3 * S, vote(-5, 6)))
    assert after(*past, claims=claims) == (-100_010, 100_010)
    calm = ((S, vote(-9, 9)), (2 * S, vote(0, 0, verdict=Verdict.WAITING)), (3 * S, vote(-5, 6)))
    assert after(*calm, claims=claims) == (-5, 6)


def test_a_round_ends_with_its_oldest_sample() -> None:
    """Votes from before all samples of the newest one are forgotten, and so is who was caught then."""
    claims = (Claim(4 * S, -5, 6),) * 3
    past = ((S, vote(-90_000, 9, caught=True)), (3 * S, vote(-7, 7)))
    assert after(*past, (4 * S, vote(-5, 6)), oldest_ns=2 * S, claims=claims) == (-5, 6)
    assert after(*past, (4 * S, vote(-5, 6, caught=True)), oldest_ns=2 * S, claims=claims) == (-50_008, 50_008)


def test_who_always_lies_is_no_sign_after_eight_rounds() -> None:
    """Caught from 1 s on, with rounds of 2 s: votes count whole until 17 s, then no more, until others are caught."""

    def said(*caught: str) -> Selection:
        standings = tuple((name, Standing.FALSETICKER if name in caught else Standing.SURVIVOR) for name in "abc")
        return Selection(
            verdict=Verdict.AGREED, standings=standings, earliest_theta_ns=-5, latest_theta_ns=6, candidates=3
        )

    def ends(*others: tuple[int, Selection]) -> list[int]:
        """The upper ends, s by s."""
        past, upper = Turnover(), []
        for s in range(1, 21):
            one = dict(others).get(s, said("b"))
            past = after_vote(past, one, s * S, (s - 2) * S, RATE)
            claims = (Claim(s * S, -5, 6),) * 3
            upper.append(bound(past, one, claims, s * S, (s - 2) * S, RATE)[1])
        return upper

    assert [s for s, end in enumerate(ends(), 1) if end == 6] == [1, 18, 19, 20]
    assert [s for s, end in enumerate(ends((19, said("c"))), 1) if end == 6] == [1, 18]
    assert [s for s, end in enumerate(ends((19, said()), (20, said())), 1) if end == 6] == [1, 18]


def test_joined_votes_err_to_the_wide_side() -> None:
    """Hundreds of votes in a round are kept as at most 64, whose hull holds that of all and is hardly wider."""
    rng = random.Random(1)
    votes = [(i * S, vote(-rng.randrange(MS), rng.randrange(MS), caught=True)) for i in range(500)]
    past = Turnover()
    for raw_ns, one in votes:
        past = after_vote(past, one, raw_ns, 0, RATE)
        assert len(past.votes) <= 64
    raw_ns, last = votes[-1]
    low_ns, high_ns = bound(past, last, (), raw_ns, 0, RATE)
    grown = [round((raw_ns - at) * RATE) for at, _ in votes]
    least = min(one.earliest_theta_ns - by for (_, one), by in zip(votes, grown, strict=True))
    most = max(one.latest_theta_ns + by for (_, one), by in zip(votes, grown, strict=True))
    assert least - 2 * MS < low_ns <= least
    assert most <= high_ns < most + 2 * MS


@pytest.mark.parametrize("lie_ms", [0.1, 0.2, 0.25])
def test_a_liar_that_begins_where_another_ends_moves_nothing(outcome: Any, lie_ms: float) -> None:
    """Until `b`, which was caught, is heard anew, `c` and `a` agree on what misses truth; the fix's bound does not."""
    table = Associations.of(NtpConfig(servers=("a", "b", "c")))
    missed = 0
    for round_ in range(12):
        changed = round_ >= 6
        for i, (name, lie_ns) in enumerate(
            (("a", 120_000), ("c", changed * round(lie_ms * MS)), ("b", S * (not changed)))
        ):
            step = table.step(outcome(name, (16 * round_ + 4 * i + 1) * S, lie_ns), (16 * round_ + 4 * i + 1) * S)
            table = step.associations
            if step.fix is not None:
                assert step.fix.earliest_theta_ns <= 0 <= step.fix.latest_theta_ns
                missed += not step.selection.earliest_theta_ns <= 0 <= step.selection.latest_theta_ns
    assert missed == (lie_ms > 0.15)
