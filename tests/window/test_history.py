"""The bounded store of fixes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.clock.measurement import Measurement
from chronotick.window import History

S = 10**9


def filled(raws: list[int], *, span_s: float = 1e9, max_fixes: int = 100) -> History:
    history = History(span_s=span_s, max_fixes=max_fixes)
    for raw in raws:
        history.append(raw, 7 * raw, 1e-12, epoch=1)
    return history


@given(st.lists(st.integers(0, 10**12), max_size=300), st.integers(1, 50), st.floats(1e-3, 2000.0))
def test_what_is_kept_is_the_newest_in_order(raws: list[int], most: int, span_s: float) -> None:
    """Whatever the order of arrival, the store is sorted, within its size and its span, and keeps the newest."""
    history = filled(raws, span_s=span_s, max_fixes=most)
    kept = history.between(-1, 10**13)
    assert len(kept) == len(history) <= most
    assert kept.raw_ns.tolist() == sorted(kept.raw_ns.tolist())
    assert (kept.theta_ns == 7 * kept.raw_ns).all()
    if raws:
        assert history.last_raw_ns == max(raws)
        assert history.last_raw_ns - history.first_raw_ns <= span_s * S + 1


def test_in_order_nothing_within_size_and_span_is_lost() -> None:
    """The last `max_fixes` fixes are there after the store has moved to its front several times."""
    history = filled(list(range(0, 1000 * S, S)), max_fixes=37)
    assert history.between(-1, 10**13).raw_ns.tolist() == list(range(963 * S, 1000 * S, S))


def test_between_leaves_out_its_beginning_and_takes_in_its_end() -> None:
    """`between(a, b)` holds a < raw <= b, so that what follows an origin never holds the origin's fix."""
    history = filled([10, 20, 30, 40])
    assert history.between(20, 40).raw_ns.tolist() == [30, 40]
    assert history.between(40, 20).raw_ns.tolist() == []


def test_the_nth_fix_after_an_instant_is_found_or_none() -> None:
    """Fixes are counted strictly after the instant."""
    history = filled([10, 20, 30, 40])
    assert [history.nth_after(20, n) for n in (1, 2, 3)] == [30, 40, None]


def test_another_epoch_empties_the_store() -> None:
    """Fixes from before a discontinuity never meet those after it."""
    history = filled([10, 20])
    history.take([Measurement(raw_ns=30, theta_ns=1, variance=1e-12, server="a", delay_s=0.0)], epoch=2)
    assert (len(history), history.epoch, history.first_raw_ns) == (1, 2, 30)


@pytest.mark.parametrize("variance", [0.0, -1.0, float("nan"), float("inf")])
def test_a_fix_without_a_usable_variance_is_refused(variance: float) -> None:
    """The smoother divides by it."""
    with pytest.raises(ValueError, match="variance"):
        filled([1]).append(2, 2, variance, epoch=1)


def test_the_first_of_nothing_is_an_error() -> None:
    """An empty store has no oldest fix."""
    with pytest.raises(IndexError):
        _ = History(span_s=1.0).first_raw_ns
