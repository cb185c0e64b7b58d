"""What a vote's bound is worth while liars may be changing hands. Pure.

A vote is right when the newest samples of a majority are. If liars change between two samples of one vote, those who
lied before them are in it beside those who lie after, and it can be wrong without any sign of it. The votes before the
change were right, though. So while anybody is caught, or nobody agrees, a fix gets the hull of all votes that were held
since the oldest sample in the newest one was taken: it holds the truth if any of them was right, be it the last one
before the change. Where nobody is caught for a round the newest vote stands alone, and nothing is paid: docs/adr/0005.
"""

import math
from typing import Final

import msgspec

from chronotick.ntp.select import Selection, Standing, Verdict

# Votes kept; where there were more, neighbours are joined, which errs to the wide side by a few hundredths of a round.
_MOST_VOTES: Final = 64
# Nobody was caught: there was no vote yet, or none with a chance to agree.
_CALM: Final = frozenset({Verdict.NO_CANDIDATES, Verdict.WAITING})


class Bound(msgspec.Struct, frozen=True):
    """What a vote allowed theta to be, at the instant of the vote; whole ns."""

    raw_ns: int
    low_ns: int
    high_ns: int


class Turnover(msgspec.Struct, frozen=True):
    """What is remembered of the votes before.

    Attributes:
        votes: bounds of those that agreed, in their order, back to the oldest sample of the newest one.
        caught_raw_ns: when a vote last contradicted a server's claim, or found no majority; None before that.
    """

    votes: tuple[Bound, ...] = ()
    caught_raw_ns: int | None = None


def after_vote(past: Turnover, vote: Selection, raw_ns: int, oldest_raw_ns: int, rate_bound: float) -> Turnover:
    """Remember a vote.

    Args:
        raw_ns: the vote's instant.
        oldest_raw_ns: of the oldest sample in it.
        rate_bound: what theta may drift, s/s.
    """
    if vote.verdict is not Verdict.AGREED:
        return past if vote.verdict in _CALM else msgspec.structs.replace(past, caught_raw_ns=raw_ns)
    caught = any(its is Standing.FALSETICKER for _, its in vote.standings)
    kept = (one for one in past.votes if one.raw_ns >= oldest_raw_ns)
    votes = (*kept, Bound(raw_ns, vote.earliest_theta_ns, vote.latest_theta_ns))
    return Turnover(
        votes=votes if len(votes) <= _MOST_VOTES else _joined(votes, rate_bound),
        caught_raw_ns=raw_ns if caught else past.caught_raw_ns,
    )


def bound(past: Turnover, vote: Selection, raw_ns: int, oldest_raw_ns: int, rate_bound: float) -> tuple[int, int]:
    """Lowest and highest theta at `raw_ns` after a vote that agreed, whole ns; `past` includes it."""
    if past.caught_raw_ns is None or past.caught_raw_ns < oldest_raw_ns:
        return vote.earliest_theta_ns, vote.latest_theta_ns
    whole = _hull(past.votes, raw_ns, rate_bound)
    return whole.low_ns, whole.high_ns


def _hull(votes: tuple[Bound, ...], raw_ns: int, rate_bound: float) -> Bound:
    """What all of them (>= 1) allow at one instant, each grown by the rate bound."""
    # One more than needed wherever the product is not exact.
    grown = [math.ceil(abs(raw_ns - one.raw_ns) * rate_bound) + (one.raw_ns != raw_ns) for one in votes]
    return Bound(
        raw_ns,
        min(one.low_ns - by for one, by in zip(votes, grown, strict=True)),
        max(one.high_ns + by for one, by in zip(votes, grown, strict=True)),
    )


def _joined(votes: tuple[Bound, ...], rate_bound: float) -> tuple[Bound, ...]:
    """Half as many: two neighbours as their hull at the instant of the later one, so that none is forgotten early."""
    pairs = (votes[i : i + 2] for i in range(0, len(votes), 2))
    return tuple(_hull(pair, max(one.raw_ns for one in pair), rate_bound) for pair in pairs)
