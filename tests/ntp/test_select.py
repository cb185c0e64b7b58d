"""Selection: who is believed, and what the published bound is worth."""

import random
from typing import Any

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from chronotick.ntp.select import Candidate, Selection, Standing, Verdict, deepest, select, shared_by

MS = 1_000_000


def claim(server: str, middle: int, radius: int, **changes: Any) -> Candidate:
    candidate = Candidate(
        server=server,
        low_ns=middle - radius,
        high_ns=middle + radius,
        midpoint_ns=middle,
        offset_ns=middle,
        jitter_s=1e-3,
        distance_s=max(radius, 1) * 1e-9,
        stratum=1,
    )
    return msgspec.structs.replace(candidate, **changes)


def claims(*pairs: tuple[int, int], **changes: Any) -> tuple[Candidate, ...]:
    return tuple(claim(f"s{i}", middle, radius, **changes) for i, (middle, radius) in enumerate(pairs))


ANY = st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 40)), max_size=7).map(lambda pairs: claims(*pairs))


@st.composite
def with_honest_majority(draw: st.DrawFn) -> tuple[int, tuple[Candidate, ...]]:
    """True theta, and claims of which a strict majority holds it; the others may claim anything."""
    truth = draw(st.integers(-50, 50))
    liars = draw(st.lists(st.tuples(st.integers(-80, 80), st.integers(0, 60)), max_size=3))
    honest = draw(
        st.lists(
            st.integers(0, 40).flatmap(lambda r: st.tuples(st.integers(truth - r, truth + r), st.just(r))),
            min_size=len(liars) + 1,
            max_size=len(liars) + 4,
        )
    )
    return truth, claims(*draw(st.permutations(liars + honest)))


@given(case=with_honest_majority())
def test_the_bound_holds_truth_whenever_a_majority_does(case: tuple[int, tuple[Candidate, ...]]) -> None:
    """Whatever the minority claims, truth is in the published bound, and a majority is found."""
    truth, candidates = case
    got = select(candidates)
    assert got.verdict is Verdict.AGREED
    assert got.earliest_theta_ns <= truth <= got.latest_theta_ns


@given(case=with_honest_majority(), heard=st.integers(1, 7))
def test_the_bound_holds_truth_while_some_have_not_answered(
    case: tuple[int, tuple[Candidate, ...]], heard: int
) -> None:
    """The honest majority is one of all servers: the first to answer, liars among them, do not narrow truth out."""
    truth, electorate = case
    got = select(electorate[:heard], expected=len(electorate[heard:]))
    if got.verdict is Verdict.AGREED:
        assert got.earliest_theta_ns <= truth <= got.latest_theta_ns


def test_two_liars_and_one_honest_server_leave_room_for_the_honest_one() -> None:
    """Two of five still to be heard: only the honest claim need hold truth, so the bound covers all of it."""
    got = select(claims((5, 5), (5, 5), (9, 5)), expected=2)
    assert got.verdict is Verdict.AGREED
    assert (got.earliest_theta_ns, got.latest_theta_ns) == (0, 14)


def test_the_intersection_of_all_would_be_no_bound() -> None:
    """Two of three claims hold 2; all three share [4, 10] only, as RFC 5905 gives; the bound still holds 2."""
    got = select(claims((5, 5), (5, 5), (9, 5)))
    assert got.verdict is Verdict.AGREED
    assert (got.earliest_theta_ns, got.latest_theta_ns) == (0, 10)


def test_midpoints_tell_who_belongs_to_the_agreement() -> None:
    """Three claims share [9, 10], where nobody's midpoint lies: the two that measured the same are believed instead."""
    got = select(claims((5, 5), (5, 5), (15, 6)))
    assert got.survivors == ("s0", "s1")
    assert got.named(Standing.OUTLIER) == ("s2",)


@given(candidates=ANY, seed=st.integers())
def test_the_order_does_not_matter(candidates: tuple[Candidate, ...], seed: int) -> None:
    """Any permutation of the candidates gives the same selection, to the last bit."""
    shuffled = list(candidates)
    random.Random(seed).shuffle(shuffled)
    assert select(tuple(shuffled)) == select(candidates)


@given(candidates=ANY)
def test_a_selection_is_consistent(candidates: tuple[Candidate, ...]) -> None:
    """Everyone has one standing; agreement means a strict majority, survivors that reach into the bound, and no empty
    bound."""
    got = select(candidates)
    assert sorted(server for server, _ in got.standings) == sorted(c.server for c in candidates)
    assert got.candidates == len(candidates)
    assert (got.verdict is Verdict.AGREED) == bool(got.survivors)
    if got.verdict is Verdict.AGREED:
        assert 2 * got.agreeing > len(candidates)
        assert got.earliest_theta_ns <= got.latest_theta_ns
        kept = [c for c in candidates if c.server in got.survivors]
        assert all(c.low_ns <= got.latest_theta_ns and c.high_ns >= got.earliest_theta_ns for c in kept)
        assert min(c.offset_ns for c in kept) <= got.theta_ns <= max(c.offset_ns for c in kept)
    else:
        assert 2 * got.agreeing <= len(candidates)
        assert (got.earliest_theta_ns, got.latest_theta_ns, got.theta_ns) == (0, 0, 0)


@given(candidates=ANY, count=st.integers(1, 7))
def test_shared_points_agree_with_counting_every_point(candidates: tuple[Candidate, ...], count: int) -> None:
    """The ends found at the intervals' ends are those found by trying every integer point."""
    depth = {x: sum(c.low_ns <= x <= c.high_ns for c in candidates) for x in range(-101, 102)}
    deep = [x for x, n in depth.items() if n >= count]
    assert shared_by(candidates, count) == ((min(deep), max(deep)) if deep else None)
    assert deepest(candidates) == max(depth.values())


@given(
    truth=st.integers(-(10**15), 10**15),
    shape=st.sampled_from([(2, 1), (3, 1), (3, 2), (4, 1), (4, 3), (5, 4), (6, 1)]),
    radius=st.integers(10, 20 * MS),
    data=st.data(),
)
def test_falsetickers_in_the_minority_are_outvoted(
    truth: int, shape: tuple[int, int], radius: int, data: st.DataObject
) -> None:
    """One of three, two of five, colluding or not: the liars are named and the honest carry on."""
    honest, liars = shape
    errors = data.draw(st.lists(st.integers(-radius // 2 + 1, radius // 2 - 1), min_size=honest, max_size=honest))
    lies = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=liars, max_size=liars))
    far = data.draw(st.integers(4 * radius, 10**12))
    pairs = [(truth + e, radius) for e in errors] + [(truth + sign * far, radius) for sign in lies]
    got = select(claims(*pairs, jitter_s=1e3))
    assert got.verdict is Verdict.AGREED
    assert got.survivors == tuple(f"s{i}" for i in range(honest))
    assert got.falsetickers == tuple(f"s{i}" for i in range(honest, honest + liars))
    assert got.earliest_theta_ns <= truth <= got.latest_theta_ns
    assert abs(got.theta_ns - truth) <= radius / 2


@given(case=with_honest_majority(), shift=st.integers(-(10**18), 10**18))
def test_selection_moves_with_time(case: tuple[int, tuple[Candidate, ...]], shift: int) -> None:
    """Adding the same whole number of ns to every claim adds it to the result and changes nothing else."""
    _, candidates = case
    moved = tuple(
        claim(
            c.server,
            c.midpoint_ns + shift,
            c.high_ns - c.midpoint_ns,
            distance_s=c.distance_s,
        )
        for c in candidates
    )
    here, there = select(candidates), select(moved)
    assume(here.verdict is Verdict.AGREED)
    assert there.standings == here.standings
    assert there.earliest_theta_ns == here.earliest_theta_ns + shift
    assert there.latest_theta_ns == here.latest_theta_ns + shift
    assert there.theta_ns == here.theta_ns + shift


def test_half_is_not_a_majority() -> None:
    """Two against two, and one against one, leave no time."""
    assert select(claims((0, 5), (1, 5), (100, 5), (101, 5))).verdict is Verdict.NO_MAJORITY
    got = select(claims((0, 5), (100, 5)))
    assert got.verdict is Verdict.NO_MAJORITY
    assert got.named(Standing.UNDECIDED) == ("s0", "s1")


def test_one_server_may_be_believed_unless_forbidden() -> None:
    """A single claim is its own majority; `min_agreeing` says that this is not enough."""
    assert select(claims((7, 5))).theta_ns == 7
    assert select(claims((7, 5)), min_agreeing=2).verdict is Verdict.TOO_FEW_AGREE
    assert select(claims((7, 5), (8, 5)), min_agreeing=2).verdict is Verdict.AGREED


def test_those_who_may_still_answer_count_in_the_electorate() -> None:
    """The first of six to answer does not decide alone; four of six may."""
    four = claims((0, 5), (1, 5), (2, 5), (3, 5))
    assert select((), expected=6).verdict is Verdict.WAITING
    assert select(four[:1], expected=5).verdict is Verdict.WAITING
    assert select(four[:3], expected=3).verdict is Verdict.WAITING
    assert select(four, expected=2).verdict is Verdict.AGREED
    torn = claims((0, 5), (1, 5), (2, 5), (100, 5), (200, 5))
    assert select(torn, expected=1).verdict is Verdict.WAITING
    assert select(torn).verdict is Verdict.AGREED
    assert select(torn[2:], expected=1).verdict is Verdict.NO_MAJORITY
    assert select(()).verdict is Verdict.NO_CANDIDATES


def test_wide_claims_off_to_both_sides_do_not_hide_a_narrow_one() -> None:
    """Three claims share a point, two midpoints lie outside at both sides: the narrow server carries on."""
    got = select(claims((-90, 100), (0, 1), (90, 100)))
    assert got.verdict is Verdict.AGREED
    assert got.survivors == ("s1",)
    assert got.named(Standing.OUTLIER) == ("s0", "s2")
    assert got.falsetickers == ()


def test_claims_that_meet_at_their_edges_still_give_a_time() -> None:
    """Two servers agree on a sliver that neither of them measured: paths uneven in opposite ways. Both carry on."""
    got: Selection = select(claims((-9, 10), (9, 10)))
    assert got.verdict is Verdict.AGREED
    assert got.survivors == ("s0", "s1")
    assert (got.earliest_theta_ns, got.latest_theta_ns) == (-1, 1)


def test_cluster_drops_the_outermost() -> None:
    """With four truechimers and a quiet network the one whose offset lies far from the others is pruned, not more."""
    quiet = claims((0, 50 * MS), (MS, 50 * MS), (2 * MS, 50 * MS), (30 * MS, 50 * MS), jitter_s=1e-5)
    got = select(quiet)
    assert got.survivors == ("s0", "s1", "s2")
    assert got.named(Standing.OUTLIER) == ("s3",)
    noisy = claims((0, 50 * MS), (MS, 50 * MS), (2 * MS, 50 * MS), (30 * MS, 50 * MS), jitter_s=0.1)
    assert len(select(noisy).survivors) == 4


def test_combine_weighs_by_root_distance() -> None:
    """A server with a third of the root distance counts three times."""
    got = select(claims((0, 30 * MS), (4 * MS, 10 * MS)))
    assert got.theta_ns == 3 * MS
