"""What a vote's bound is worth while liars may be changing hands. Pure.

A vote is right when the newest samples of a majority are. If liars change between two samples of one vote, those who
lied before them are in it beside those who lie after, and it can be wrong without any sign of it. The votes before the
change were right, though, and of the samples after it a minority at most is false. So a fix gets the hull of all votes
held since the oldest sample in the newest one was taken, each without what more than a minority of the samples after it
excludes: that holds the truth if liars changed hands once in that time. While anybody is caught, or nobody agrees, they
may have done so more often, and the votes are taken whole: then one of them has to be right. Who is caught for rounds
on end is no sign of that: it is the server that always lies. See docs/adr/0005.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from chronotick.ntp.select import Selection, Standing, Verdict

# Votes kept; where there were more, neighbours are joined, which errs to the wide side by a few hundredths of a round.
_MOST_VOTES: Final = 64
# Rounds after which those who are caught all the time are no sign that others will lie.
_STEADY_ROUNDS: Final = 8
# Nobody was caught: there was no vote yet, or none with a chance to agree.
_CALM: Final = frozenset({Verdict.NO_CANDIDATES, Verdict.WAITING})


class Bound(msgspec.Struct, frozen=True):
    """What a vote allowed theta to be, at the instant of the vote; whole ns."""

    raw_ns: int
    low_ns: int
    high_ns: int


class Claim(msgspec.Struct, frozen=True):
    """A server's newest sample: when it was taken, and what it allows theta to be at the vote's instant; whole ns."""

    taken_raw_ns: int
    low_ns: int
    high_ns: int


class Turnover(msgspec.Struct, frozen=True):
    """What is remembered of the votes before.

    Attributes:
        votes: bounds of those that agreed, in their order, back to the oldest sample of the newest one.
        caught: servers whose claims the newest vote contradicted, sorted.
        caught_raw_ns: since when these are the same, or when somebody was last caught, or a vote found no majority;
            None before that.
    """

    votes: tuple[Bound, ...] = ()
    caught: tuple[str, ...] = ()
    caught_raw_ns: int | None = None

    def calm(self, raw_ns: int, oldest_raw_ns: int) -> bool:
        """Whether the same servers, or none, have been caught for so long that liars hardly change hands."""
        if self.caught_raw_ns is None:
            return True
        rounds = _STEADY_ROUNDS if self.caught else 1
        return raw_ns - self.caught_raw_ns > rounds * (raw_ns - oldest_raw_ns)


def after_vote(past: Turnover, vote: Selection, raw_ns: int, oldest_raw_ns: int, rate_bound: float) -> Turnover:
    """Remember a vote.

    Args:
        raw_ns: the vote's instant.
        oldest_raw_ns: of the oldest sample in it.
        rate_bound: what theta may drift, s/s.
    """
    if vote.verdict is not Verdict.AGREED:
        return past if vote.verdict in _CALM else msgspec.structs.replace(past, caught_raw_ns=raw_ns)
    caught = vote.named(Standing.FALSETICKER)
    kept = (one for one in past.votes if one.raw_ns >= oldest_raw_ns)
    votes = (*kept, Bound(raw_ns, vote.earliest_theta_ns, vote.latest_theta_ns))
    since_raw_ns = past.caught_raw_ns
    if caught and caught != past.caught:
        since_raw_ns = raw_ns
    elif past.caught and not caught and past.votes:
        since_raw_ns = past.votes[-1].raw_ns
    return Turnover(
        votes=votes if len(votes) <= _MOST_VOTES else _joined(votes, rate_bound),
        caught=caught,
        caught_raw_ns=since_raw_ns,
    )


def bound(
    past: Turnover, vote: Selection, claims: Sequence[Claim], raw_ns: int, oldest_raw_ns: int, rate_bound: float
) -> tuple[int, int]:
    """Lowest and highest theta at `raw_ns` after a vote that agreed, whole ns.

    Args:
        past: includes the vote.
        claims: of the servers in the vote, at `raw_ns`.
    """
    votes = [_hull((one,), raw_ns, rate_bound) for one in past.votes]
    if past.calm(raw_ns, oldest_raw_ns):
        size = vote.candidates + len(vote.named(Standing.UNHEARD))
        minority = size - (size // 2 + 1)
        votes = [
            _left(moved, [claim for claim in claims if claim.taken_raw_ns > one.raw_ns], minority)
            for moved, one in zip(votes, past.votes, strict=True)
        ]
    possible = [one for one in votes if one.low_ns <= one.high_ns]
    low_ns = min((one.low_ns for one in possible), default=vote.earliest_theta_ns)
    high_ns = max((one.high_ns for one in possible), default=vote.latest_theta_ns)
    return min(low_ns, vote.earliest_theta_ns), max(high_ns, vote.latest_theta_ns)


def _left(vote: Bound, after: Sequence[Claim], minority: int) -> Bound:
    """What of a vote more than a minority of the later claims does not exclude; empty (low > high) where nothing is."""
    if len(after) <= minority:
        return vote
    low_ns = sorted((one.low_ns for one in after), reverse=True)[minority]
    high_ns = sorted(one.high_ns for one in after)[minority]
    return Bound(vote.raw_ns, max(vote.low_ns, low_ns), min(vote.high_ns, high_ns))


def _hull(votes: Sequence[Bound], raw_ns: int, rate_bound: float) -> Bound:
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
