"""compare: proofs only from hard intervals, and a probability for the rest."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick import Clock, Comparison, Instant, Order, Status, compare
from chronotick.client.instant import instant_of

S = 1_000_000_000
NS = st.integers(-(10**9), 10**9)
WIDTH = st.integers(0, 10**9)


def instant(utc: int, early: int = 1000, late: int = 1000, half: int = 100) -> Instant:
    return Instant(utc, utc - early, utc + late, half // 2, half, 0, Status.SYNCHRONISED)


@given(NS, WIDTH, WIDTH, NS, WIDTH, WIDTH, WIDTH, WIDTH)
def test_a_verdict_is_a_proof(
    a: int, a_early: int, a_late: int, b: int, b_early: int, b_late: int, half_a: int, half_b: int
) -> None:
    """BEFORE and AFTER exactly where no pair of true times within the bounds has another order; else AMBIGUOUS."""
    one, two = instant(a, a_early, a_late, half_a), instant(b, b_early, b_late, half_b)
    said = compare(one, two)
    if one.latest_ns < two.earliest_ns:
        assert said == (Order.BEFORE, 1.0, b - a)
    elif two.latest_ns < one.earliest_ns:
        assert said == (Order.AFTER, 0.0, b - a)
    else:
        assert said.order is Order.AMBIGUOUS
        assert 0.001 <= said.probability <= 0.999


@given(NS, WIDTH, WIDTH, NS, WIDTH, WIDTH, WIDTH, WIDTH)
def test_the_other_way_round_is_the_other_verdict(
    a: int, a_early: int, a_late: int, b: int, b_early: int, b_late: int, half_a: int, half_b: int
) -> None:
    """compare(b, a) mirrors compare(a, b)."""
    one, two = instant(a, a_early, a_late, half_a), instant(b, b_early, b_late, half_b)
    there, back = compare(one, two), compare(two, one)
    mirror = {Order.BEFORE: Order.AFTER, Order.AFTER: Order.BEFORE, Order.AMBIGUOUS: Order.AMBIGUOUS}
    assert back.order is mirror[there.order]
    assert back.probability == pytest.approx(1 - there.probability)
    assert back.gap_ns == -there.gap_ns


def test_the_probability_is_what_happens() -> None:
    """Of pairs said to be in order with probability p, a share p is, when the errors are as calibrated."""
    rng = random.Random(5)
    bins: dict[int, list[bool]] = {}
    for _ in range(40_000):
        truth_a, truth_b = rng.gauss(0, 300), rng.gauss(0, 300)
        seen_a, seen_b = truth_a + rng.gauss(0, 100), truth_b + rng.gauss(0, 200)
        # A wide prior on the true times leaves the error distribution as the whole evidence.
        a = instant(round(seen_a), 10**6, 10**6, 196)
        b = instant(round(seen_b), 10**6, 10**6, 392)
        bins.setdefault(round(compare(a, b).probability * 10), []).append(truth_a < truth_b)
    for tenth, outcomes in bins.items():
        assert sum(outcomes) / len(outcomes) == pytest.approx(tenth / 10, abs=0.08)


def test_exact_times_without_spread_lean_to_their_order() -> None:
    """No spread at all still is no proof while the hard intervals touch."""
    same, later = instant(0, half=0), instant(5, half=0)
    assert compare(same, same) == Comparison(Order.AMBIGUOUS, 0.5, 0)
    assert compare(same, later).probability == 0.999
    assert compare(later, same).probability == pytest.approx(0.001)


def test_readings_of_one_snapshot_are_ordered_by_its_clock(host: Any, clock: Clock) -> None:
    """On one machine the order is known however wide the intervals are, also across a step back of UTC."""
    host.publish()
    first = clock.now()
    second = clock.now()
    assert compare(first, second) == (Order.BEFORE, 1.0, second.utc_ns - first.utc_ns)
    assert compare(second, first).order is Order.AFTER
    host.publish(1_600_000_000 * S, epoch=1)
    host.publish(1_600_000_000 * S, epoch=2)
    third = clock.now()
    assert third.latest_ns < first.earliest_ns
    assert compare(first, third).order is Order.BEFORE
    assert compare(instant_of(first), instant_of(second)).order is Order.AMBIGUOUS
    assert compare(first, first).order is Order.AMBIGUOUS


def test_answers_over_zeromq_are_not_ordered_by_raw_clocks(host: Any) -> None:
    """Two askers of one host may be two machines, whose raw clocks have nothing in common."""
    host.publish()
    host.serve()
    with Clock(endpoint=f"ipc://{host.directory.client}", timeout_s=5) as clock:
        first, second = clock.now(), clock.now()
    assert first.host_instance == second.host_instance
    assert compare(first, second).order is Order.AMBIGUOUS


def test_unknown_is_ambiguous(host: Any, clock: Clock, later: Callable[[float], None]) -> None:
    """What has no bounds is ordered against nothing."""
    unknown = instant_of(clock.now(allow_unknown=True))
    host.publish()
    known = clock.now()
    assert compare(unknown, known) == (Order.AMBIGUOUS, 0.5, known.utc_ns)
    assert compare(known, unknown).probability == 0.5
