"""The library of extrapolation errors: what it has seen is the least that is said."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.fusion.holdover import LEAST_SPANS, SPANS, HoldOver
from chronotick.fusion.interval import IntervalModel

S = 10**9
LADDER = (60.0, 600.0, 3600.0, 21600.0)
BOUND = 5e-5


def library() -> HoldOver:
    return HoldOver(LADDER, 600.0, BOUND)


def fill(one: HoldOver, rung: int, error_s: float, spans: int, sigma_s: float = 1e-6) -> None:
    """So many independent errors of this size at a rung, over and below in turn."""
    for i in range(spans):
        one.take(rung, round(i * LADDER[rung] * S), error_s if i % 2 else -error_s, sigma_s)


def test_before_anything_is_known_it_is_a_tenth_of_the_rate_bound() -> None:
    """A new host's clock is taken to run off by 5 ppm beyond the first ten minutes."""
    assert library().least_s(600.0) == 0.0
    assert library().least_s(21600.0) == pytest.approx(0.1 * BOUND * 21000.0)


def test_what_was_seen_is_the_least_that_is_said() -> None:
    """The largest error of a horizon, with a margin that goes as spans come, is the bound there; half of it nearby."""
    one = library()
    fill(one, 1, 1e-6, 100)
    fill(one, 2, 1e-5, 100)
    assert one.least_s(599.0) == 0.0
    assert one.least_s(600.0) == pytest.approx(0.5e-6 * 1.02)
    assert one.least_s(3600.0) == pytest.approx(1e-5 * 1.02)
    few = library()
    fill(few, 2, 1e-5, LEAST_SPANS)
    assert few.least_s(3600.0) == pytest.approx(1e-5 * (1 + 2 / 3))


def test_far_ahead_nothing_is_wider_than_twice_what_was_seen() -> None:
    """Twice the largest error where the floor knows no less than it did then; more in proportion where it does."""
    one = library()
    assert one.most_s(21600.0, 1e-6) == math.inf
    fill(one, 2, 1e-5, 100, sigma_s=1e-6)
    assert one.most_s(3599.0, 1e-6) == math.inf
    assert one.most_s(3600.0, 1e-7) == one.most_s(3600.0, 1e-6) == pytest.approx(2 * one.least_s(3600.0))
    assert one.most_s(3600.0, 5e-6) == pytest.approx(5 * one.most_s(3600.0, 1e-6))
    # Further than was ever seen sigma is expected to have grown as a random walk's does.
    assert one.most_s(14400.0, 8e-6) == pytest.approx(2 * one.least_s(14400.0))
    assert one.most_s(14400.0, 16e-6) == pytest.approx(4 * one.least_s(14400.0))


def test_between_two_horizons_what_is_allowed_lies_between_them() -> None:
    """With errors and sigmas a hundred times larger at 6 h than at 1 h, both are ten times larger at their mean."""
    one = library()
    fill(one, 2, 1e-5, 100, sigma_s=1e-6)
    fill(one, 3, 1e-3, 100, sigma_s=1e-4)
    middle_s = math.sqrt(3600.0 * 21600.0)
    assert one.most_s(middle_s, 1e-5) == pytest.approx(10 * one.most_s(3600.0, 1e-6))
    assert one.most_s(middle_s, 2e-5) == pytest.approx(20 * one.most_s(3600.0, 1e-6))


def test_beyond_what_was_seen_it_grows_with_the_square_and_not_beyond_the_rate_bound() -> None:
    """Six times the longest horizon seen is thirty-six times its error; a wild clock is held by its bound."""
    one = library()
    fill(one, 1, 1e-6, 100)
    assert one.least_s(3600.0) == pytest.approx(36e-6 * 1.02)
    fill(one, 1, 1e-2, 100)
    assert one.least_s(21600.0) == pytest.approx(1.02e-2 + BOUND * 21000.0)


def test_overlapping_errors_are_one_span() -> None:
    """A hundred origins within one horizon are one witness, and one is not enough."""
    one = library()
    for i in range(100):
        one.take(2, i * S, 1e-6, 1e-6)
    assert [len(kept) for kept in one.worst_s] == [0, 0, 1, 0]
    assert one.least_s(3600.0) == library().least_s(3600.0)


def test_it_forgets_what_is_long_ago_and_refuses_what_is_no_number() -> None:
    """Only the latest spans are kept."""
    one = library()
    fill(one, 1, 1e-3, 3, sigma_s=1e-3)
    for i in range(3, SPANS + 3):
        one.take(1, round(i * 600 * S), 1e-6, 1e-9)
    one.take(1, 10**6 * S, math.nan, 1e-9)
    assert len(one.worst_s[1]) == len(one.sigma_s[1]) == SPANS
    assert max(one.sigma_s[1]) == 1e-9
    assert one.least_s(600.0) < 2e-6


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), max_size=80), st.floats(0, 1e5), st.floats(0, 1e5))
def test_it_never_falls_with_the_horizon(errors: list[tuple[int, float]], one_s: float, two_s: float) -> None:
    """Whatever was seen, further ahead is never said to be nearer."""
    one = library()
    for i, (rung, error_s) in enumerate(errors):
        one.take(rung, i * 30_000 * S, error_s, 1e-6)
    near, far = sorted((one_s, two_s))
    assert one.least_s(near) <= one.least_s(far) * (1 + 1e-9)


def test_the_widest_interval_holds_what_the_library_has_seen() -> None:
    """A sigma that is far too small does not narrow the widest level below it; other levels are the scores' affair."""
    kept = library()
    fill(kept, 2, 1e-3, 50)
    with_it = IntervalModel(LADDER, None, kept).half_widths_s(1e-9, 3600.0, 0.0)
    without = IntervalModel(LADDER).half_widths_s(1e-9, 3600.0, 0.0)
    assert with_it[:-1] == without[:-1]
    assert with_it[-1] == pytest.approx(1.04e-3)
    assert without[-1] < 1e-7


def test_no_interval_is_wider_than_twice_what_the_library_has_seen() -> None:
    """A sigma that is far too wide, and was in all spans, is held by it at each level; near horizons are not."""
    kept = library()
    fill(kept, 2, 1e-5, 50, sigma_s=1.0)
    model = IntervalModel(LADDER, None, kept)
    assert max(model.half_widths_s(1.0, 3600.0, 0.0)) == pytest.approx(2 * 1.04e-5)
    assert list(model.half_widths_s(1.0, 600.0, 0.0)) == list(IntervalModel(LADDER).half_widths_s(1.0, 600.0, 0.0))


def test_a_clock_that_begins_anew_moves_its_spans() -> None:
    """After a reboot the same errors at the same distances fill the same spans: nothing counts twice or not at all."""
    moved, straight = library(), library()
    shift_ns = -5_000 * S
    fill(moved, 1, 1e-5, 4)
    fill(straight, 1, 1e-5, 4)
    moved.rebase(shift_ns)
    for at_s in (2000.0, 2399.0, 2400.0, 3000.0):
        straight.take(1, round(at_s * S), 2e-5, 1e-6)
        moved.take(1, round(at_s * S) + shift_ns, 2e-5, 1e-6)
    assert moved.worst_s == straight.worst_s
    assert moved.least_s(3600.0) == straight.least_s(3600.0)
