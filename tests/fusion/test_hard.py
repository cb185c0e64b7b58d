"""The hard interval: it holds the truth whenever its two assumptions hold, and says when they did not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.fusion import HardBound, HardUpdate
from chronotick.ntp.fix import Fix

S = 10**9
BOUND = 5e-5


def fix(raw_ns: int, earliest: int, latest: int) -> Fix:
    return Fix(
        raw_ns=raw_ns,
        theta_ns=(earliest + latest) // 2,
        delay_s=1e-3,
        root_distance_s=(latest - earliest) / 2e9,
        server="a",
        survivors=("a",),
        earliest_theta_ns=earliest,
        latest_theta_ns=latest,
    )


steps = st.tuples(
    st.integers(0, 10_000 * S),  # distance in time
    st.floats(-BOUND, BOUND),  # true rate over it
    st.integers(0, 10**8),  # below the truth
    st.integers(0, 10**8),  # above the truth
)


@given(st.lists(steps, min_size=1, max_size=30), st.integers(0, 10_000 * S), st.floats(-BOUND, BOUND))
def test_the_truth_is_always_inside(path: list[tuple[int, float, int, int]], age_ns: int, last_rate: float) -> None:
    """As long as each fix's interval holds and the rate keeps its bound, so does the intersection, at any age."""
    bound = HardBound(BOUND)
    raw, truth = 1_000 * S, 1_700_000_000 * S
    for distance_ns, rate, below, above in path:
        raw += distance_ns
        truth += math.trunc(rate * distance_ns)
        assert bound.update(fix(raw, truth - below, truth + above)) is not HardUpdate.CONTRADICTED
    interval = bound.at(raw + age_ns)
    assert interval is not None
    assert interval[0] <= truth + math.trunc(last_rate * age_ns) <= interval[1]


def test_it_grows_by_the_bound_on_both_sides_and_outward() -> None:
    """After an age a each side has moved by at least bound times a, in whole nanoseconds, at most one more."""
    bound = HardBound(BOUND)
    bound.update(fix(0, -100, 100))
    assert bound.at(0) == (-100, 100)
    low, high = bound.at(S + 1) or (0, 0)
    grown = math.ceil(BOUND * (S + 1))
    assert -100 - grown - 1 <= low <= -100 - grown
    assert 100 + grown <= high <= 100 + grown + 1


def test_successive_fixes_narrow_it() -> None:
    """Two half right servers together are better than either."""
    bound = HardBound(BOUND)
    assert bound.update(fix(0, -1000, 200)) is HardUpdate.FIRST
    assert bound.update(fix(0, -200, 1000)) is HardUpdate.KEPT
    assert bound.at(0) == (-200, 200)


def test_a_late_fix_counts_from_its_own_instant() -> None:
    """A fix older than the newest is grown to it before it is intersected."""
    bound = HardBound(BOUND)
    bound.update(fix(S, -(10**6), 10**6))
    bound.update(fix(0, -1000, 1000))
    low, high = bound.at(S) or (0, 0)
    assert (low, high) == (-1000 - 50_001, 1000 + 50_001)


def test_a_contradiction_restarts_from_the_newest_and_is_counted() -> None:
    """An empty intersection proves a wrong assumption: what was held is dropped."""
    bound = HardBound(BOUND)
    bound.update(fix(0, 0, 1000))
    assert bound.update(fix(S, 10**9, 10**9 + 500)) is HardUpdate.CONTRADICTED
    assert bound.at(S) == (10**9, 10**9 + 500)
    assert bound.contradictions == 1


def test_a_restart_forgets_and_nothing_is_known() -> None:
    """After a discontinuity there is no interval until the next fix."""
    bound = HardBound(BOUND)
    bound.update(fix(0, 0, 1000))
    bound.restart()
    assert bound.at(0) is None
    assert bound.raw_ns is None


def test_a_bound_of_nothing_is_refused() -> None:
    """A clock whose rate is exactly known does not exist."""
    with pytest.raises(ValueError, match="rate bound"):
        HardBound(0.0)
