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


def instant(utc: int, early: int = 1000, late: int = 1000, half: int = 100, host: int = 0, epoch: int = 1) -> Instant:
    return Instant(
        utc, utc - early, utc + late, half // 2, half, 0, Status.SYNCHRONISED, host_instance=host, epoch=epoch
    )


def reliability(said: list[tuple[float, bool]]) -> dict[int, tuple[float, float]]:
    """Of each tenth of probabilities with enough pairs: mean of what was said, share that came true."""
    tenths: dict[int, list[tuple[float, bool]]] = {}
    for probability, before in said:
        tenths.setdefault(min(int(probability * 10), 9), []).append((probability, before))
    return {
        tenth: (sum(one[0] for one in pairs) / len(pairs), sum(one[1] for one in pairs) / len(pairs))
        for tenth, pairs in tenths.items()
        if len(pairs) >= 500
    }


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


def test_the_probability_on_one_host_is_what_happens() -> None:
    """Of pairs of one host said to be in order with probability p, a share p is, when the errors are as calibrated."""
    rng = random.Random(5)
    said = []
    for _ in range(40_000):
        truth_a, truth_b = rng.gauss(0, 300), rng.gauss(0, 300)
        # What both share cancels, and the hard interval plays no part.
        shift = rng.uniform(-(10**5), 10**5)
        a = instant(round(truth_a + shift + rng.gauss(0, 100)), 10**6, 10**6, 196, host=7)
        b = instant(round(truth_b + shift + rng.gauss(0, 200)), 10**6, 10**6, 392, host=7)
        said.append((compare(a, b).probability, truth_a < truth_b))
    found = reliability(said)
    assert len(found) == 10
    for mean, share in found.values():
        assert share == pytest.approx(mean, abs=0.08)


def test_the_probability_across_hosts_allows_for_what_shifts_them() -> None:
    """Where each host's estimates are shifted by the mean of two shifts within its bound, a share p is in order too."""
    rng = random.Random(6)
    said = []
    for _ in range(40_000):
        truth_a, truth_b = rng.gauss(0, 9000), rng.gauss(0, 9000)
        shifts = [rng.triangular(-bound, bound) for bound in (10_000, 3000)]
        a = instant(round(truth_a + shifts[0] + rng.gauss(0, 100)), 10_000, 10_000, 196, host=7)
        b = instant(round(truth_b + shifts[1] + rng.gauss(0, 200)), 3000, 3000, 392, host=8)
        if (found := compare(a, b)).order is Order.AMBIGUOUS:
            said.append((found.probability, truth_a < truth_b))
    classes = reliability(said)
    assert len(classes) == 10
    for mean, share in classes.values():
        assert share == pytest.approx(mean, abs=0.08)


@pytest.mark.parametrize(("host", "epoch"), [(8, 1), (7, 2), (0, 1)])
def test_only_one_host_in_one_epoch_shares_its_shift(host: int, epoch: int) -> None:
    """Another host, another epoch, or nobody knows whose: the probability is nearer to one half."""
    first, later = instant(0, host=7), instant(100, host=7)
    known = compare(first, later).probability
    assert 0.9 < known < 0.99
    assert 0.5 < compare(first, instant(100, host=host, epoch=epoch)).probability < 0.6
    assert compare(instant(0), instant(100)).probability < 0.6


def test_exact_times_without_spread_lean_to_their_order() -> None:
    """No spread at all still is no proof while the hard intervals touch."""
    same, later = instant(0, half=0, host=7), instant(5, half=0, host=7)
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
