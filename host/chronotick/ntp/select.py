"""Which servers agree: RFC 5905 section 11.2, on intervals of theta in whole nanoseconds. Pure.

Each candidate claims that true theta lies in [low, high]. Of n candidates let k = n // 2 + 1, a strict majority.

*Agreement.* As in RFC 5905 section 11.2.1 the number of falsetickers allowed, m, rises from 0: the interval is bounded
by the lowest and the highest point that n - m claims share, and it stands when at most m midpoints lie outside it.
Where the midpoint rule never holds although k claims do share a point (two claims that are wide and off to both sides
of a narrow one), the claims still agree: the interval for k is taken. ntpd would find no majority there. The servers
whose own midpoint lies inside are the truechimers: their measurements may be used. Where there is none, because the
paths are uneven in opposite ways, all whose claims reach into the interval are; `Associations` moves such a
measurement to the bound's edge, since so much of it is proven to be the path's.

*The bound.* RFC 5905's interval is not a guarantee. With m = 0 it is the intersection of all claims, and if the claims
of a bare majority hold truth, truth may lie outside it: [0, 10], [0, 10], [4, 14] give [4, 10], and truth may be 2. The
bound that is published is therefore another one: from the lowest to the highest point that k claims share. If any k
claims hold truth, truth is such a point, so it is inside: that is the guarantee, and all of it. Any two majorities
overlap, so the points form one stretch up to gaps that some claim bridges.

*Refuted claims.* Servers are asked one after the other, so a vote is held on samples of different ages. A claim that
lay outside the bound of an earlier vote was false then, if that vote's majority was right, and it has not changed
since: it supports nothing, but its server stays in the electorate. Otherwise those who lied a moment ago would vote
beside those who lie now.

*Cluster and combine* (sections 11.2.2, 11.2.3): while more than three survive and the one that lies farthest off does
so by more than the servers' own jitter explains, it goes. The rest is averaged, weighted by 1/root distance. RFC 5905
compares with the smallest jitter, and so nearly always goes down to three; that suits a client that averages its
survivors. Here each survivor's measurements go on to a filter that weighs them, and a server dropped is information
lost, so the yardstick is three times the median jitter, or half of the server's own root distance: so much a path's
asymmetry explains, and the server with the shortest path, which knows best, may be the one that stands alone.
"""

import math
from enum import StrEnum
from statistics import median
from typing import Final

import msgspec

from chronotick.units import NS_PER_S

# RFC 5905 NMIN: cluster keeps at least this many.
_KEEP_AT_LEAST: Final = 3
# Scatter that the servers' median jitter explains, and the share of a root distance that asymmetry does.
_EXPLAINED: Final = 3.0
_ASYMMETRY: Final = 0.5
# RFC 5905 MAXDIST: what one stratum weighs against root distance, s.
_STRATUM_WEIGHT_S: Final = 1.5


class Standing(StrEnum):
    """What selection made of a server."""

    SURVIVOR = "survivor"
    # Its claim is compatible, its measurement lies too far off: outside the agreement, or pruned by cluster.
    OUTLIER = "outlier"
    # Its claim contradicts the agreement.
    FALSETICKER = "falseticker"
    # It took part, but there was no agreement to measure it by.
    UNDECIDED = "undecided"
    # Not in the vote:
    SAME_ADDRESS = "same_address"
    UNHEARD = "unheard"
    UNREACHABLE = "unreachable"
    TOO_DISTANT = "too_distant"
    DENIED = "denied"


class Verdict(StrEnum):
    """Whether the servers agree, and if not, why there is no time."""

    AGREED = "agreed"
    NO_CANDIDATES = "no_candidates"
    # No majority yet, but servers that have not answered may still make one.
    WAITING = "waiting"
    NO_MAJORITY = "no_majority"
    TOO_FEW_AGREE = "too_few_agree"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A server's claim at the instant of selection.

    Attributes:
        server: identity, unique in a vote.
        low_ns, high_ns: its interval of theta, outward rounded.
        midpoint_ns: its newest theta, moved to this instant; inside the interval.
        offset_ns: its best recent theta, moved to this instant, for cluster and combine.
        jitter_s: scatter of its samples.
        distance_s: root distance, > 0.
        stratum: 1..15.
        refuted: an earlier vote's bound contradicted this very claim.
    """

    server: str
    low_ns: int
    high_ns: int
    midpoint_ns: int
    offset_ns: int
    jitter_s: float
    distance_s: float
    stratum: int
    refuted: bool = False


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What a vote decided.

    Attributes:
        verdict: whether there is time.
        standings: (server, standing) of every server, sorted by name.
        earliest_theta_ns, latest_theta_ns: holds true theta whenever the claims of a strict majority of the candidates
            and of those expected do. Both 0 unless `verdict` is AGREED.
        theta_ns: the survivors' weighted mean; 0 unless AGREED.
        spread_s: standard deviation of the survivors around it, s.
        agreeing: the largest number of claims that share a point.
        candidates: how many took part.
    """

    verdict: Verdict
    standings: tuple[tuple[str, Standing], ...]
    earliest_theta_ns: int = 0
    latest_theta_ns: int = 0
    theta_ns: int = 0
    spread_s: float = 0.0
    agreeing: int = 0
    candidates: int = 0

    def refutes(self, low_ns: int, high_ns: int) -> bool:
        """Whether a claim of [low, high] at this vote's instant is false wherever this vote is right."""
        return self.verdict is Verdict.AGREED and (high_ns < self.earliest_theta_ns or low_ns > self.latest_theta_ns)

    def named(self, standing: Standing) -> tuple[str, ...]:
        """The servers of one standing, sorted."""
        return tuple(server for server, its in self.standings if its is standing)

    @property
    def survivors(self) -> tuple[str, ...]:
        """The servers whose measurements may be used."""
        return self.named(Standing.SURVIVOR)

    @property
    def falsetickers(self) -> tuple[str, ...]:
        """The servers that contradict the majority."""
        return self.named(Standing.FALSETICKER)


def select(candidates: tuple[Candidate, ...], *, expected: int = 0, min_agreeing: int = 1) -> Selection:
    """Hold the vote. The order of the candidates does not matter.

    Args:
        candidates: those that are fit to vote, with distinct names.
        expected: servers that have not answered yet but still may: they count in the electorate, so that the first to
            answer does not decide alone, and the bound is as wide as a majority of all needs it.
        min_agreeing: claims that must share a point, beyond the majority.
    """
    voters = tuple(sorted(candidates, key=lambda c: c.server))
    claims = tuple(c for c in voters if not c.refuted)
    needed = (len(voters) + expected) // 2 + 1
    agreeing = deepest(claims)
    if not voters:
        return _undecided(voters, Verdict.WAITING if expected else Verdict.NO_CANDIDATES, agreeing)
    if agreeing < needed:
        return _undecided(voters, Verdict.WAITING if agreeing + expected >= needed else Verdict.NO_MAJORITY, agreeing)
    if agreeing < min_agreeing:
        return _undecided(voters, Verdict.TOO_FEW_AGREE, agreeing)
    # All that have not answered yet may be honest: of those that have, a majority of all is sure of this many only.
    bound = shared_by(claims, needed - expected)
    agreement = _agreement(claims, needed)
    assert bound is not None
    low, high = agreement
    truechimers = [c for c in claims if low <= c.midpoint_ns <= high] or [
        c for c in claims if c.low_ns <= high and c.high_ns >= low
    ]
    survivors = _cluster(truechimers, max(_KEEP_AT_LEAST, min_agreeing))
    theta_ns, spread_s = _combine(survivors)
    kept = {c.server for c in survivors}
    return Selection(
        verdict=Verdict.AGREED,
        standings=tuple((c.server, _standing(c, c.server in kept, low, high)) for c in voters),
        earliest_theta_ns=bound[0],
        latest_theta_ns=bound[1],
        theta_ns=theta_ns,
        spread_s=spread_s,
        agreeing=agreeing,
        candidates=len(voters),
    )


def _undecided(voters: tuple[Candidate, ...], verdict: Verdict, agreeing: int) -> Selection:
    return Selection(
        verdict=verdict,
        standings=tuple((c.server, Standing.UNDECIDED) for c in voters),
        agreeing=agreeing,
        candidates=len(voters),
    )


def _standing(candidate: Candidate, survived: bool, low: int, high: int) -> Standing:
    if survived:
        return Standing.SURVIVOR
    false = candidate.refuted or candidate.high_ns < low or candidate.low_ns > high
    return Standing.FALSETICKER if false else Standing.OUTLIER


def shared_by(candidates: tuple[Candidate, ...], count: int) -> tuple[int, int] | None:
    """Lowest and highest point that lie in at least `count` (>= 1) of the closed intervals; None if no point does."""
    # The depth rises at low ends only, so its first sufficient point is one of them; the mirror image for the last.
    lows = [c.low_ns for c in candidates if _depth(candidates, c.low_ns) >= count]
    highs = [c.high_ns for c in candidates if _depth(candidates, c.high_ns) >= count]
    return (min(lows), max(highs)) if lows else None


def deepest(candidates: tuple[Candidate, ...]) -> int:
    """The largest number of intervals that share a point."""
    return max((_depth(candidates, c.low_ns) for c in candidates), default=0)


def _depth(candidates: tuple[Candidate, ...], point_ns: int) -> int:
    return sum(c.low_ns <= point_ns <= c.high_ns for c in candidates)


def _agreement(voters: tuple[Candidate, ...], needed: int) -> tuple[int, int]:
    """RFC 5905's interval, or the one of the bare majority where the midpoint rule never holds."""
    for allowed in range(len(voters) - needed + 1):
        interval = shared_by(voters, len(voters) - allowed)
        if interval is None:
            continue
        low, high = interval
        if sum(not low <= c.midpoint_ns <= high for c in voters) <= allowed:
            return interval
    interval = shared_by(voters, needed)
    assert interval is not None
    return interval


def _cluster(truechimers: list[Candidate], keep: int) -> list[Candidate]:
    """Drop the outermost while it lies farther off than jitter and its own path explain."""
    left = sorted(truechimers, key=lambda c: (c.stratum * _STRATUM_WEIGHT_S + c.distance_s, c.server))
    while len(left) > keep:
        scatter = [_selection_jitter_s(c, left) for c in left]
        worst = max(range(len(left)), key=lambda i: (scatter[i], i))
        by_jitter_s, by_path_s = _EXPLAINED * median(c.jitter_s for c in left), _ASYMMETRY * left[worst].distance_s
        if scatter[worst] <= max(by_jitter_s, by_path_s):
            break
        del left[worst]
    return left


def _selection_jitter_s(candidate: Candidate, others: list[Candidate]) -> float:
    squares = sum((candidate.offset_ns - other.offset_ns) ** 2 for other in others)
    return math.sqrt(squares / (len(others) - 1)) / NS_PER_S


def _combine(survivors: list[Candidate]) -> tuple[int, float]:
    """Weighted mean of the offsets, whole ns, and their standard deviation around it, s."""
    base = survivors[0].offset_ns
    weights = [1 / c.distance_s for c in survivors]
    total = sum(weights)
    mean = sum(w * (c.offset_ns - base) for w, c in zip(weights, survivors, strict=True)) / total
    square = sum(w * (c.offset_ns - base - mean) ** 2 for w, c in zip(weights, survivors, strict=True)) / total
    return base + round(mean), math.sqrt(square) / NS_PER_S
