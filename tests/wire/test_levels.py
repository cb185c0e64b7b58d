"""Between calibrated levels: what lies there, and that it never goes backwards."""

from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.wire.levels import AT_95, LEVELS, Z, never_crossing, normal_widths, width_at

WIDTHS = st.lists(st.floats(0, 1e9), min_size=len(LEVELS), max_size=len(LEVELS)).map(sorted)


def test_the_quantiles_are_the_normal_ones() -> None:
    """Z holds the two-sided normal quantiles of the levels."""
    assert [NormalDist().inv_cdf(0.5 + level / 2) for level in LEVELS] == pytest.approx(Z, rel=1e-12)
    assert normal_widths(Z[AT_95]) == pytest.approx(Z)


@given(WIDTHS, st.floats(0, 8), st.floats(0, 8))
def test_a_higher_level_is_never_narrower(widths: list[float], one: float, two: float) -> None:
    """Whatever the widths, the interpolation ascends, and meets each width at its level."""
    low, high = sorted((one, two))
    assert width_at(widths, low) <= width_at(widths, high) * (1 + 1e-12)
    assert [width_at(widths, z) for z in Z] == pytest.approx(widths)
    assert width_at(widths, 0.0) == 0.0


@given(st.floats(0, 8))
def test_a_normal_distribution_is_met_exactly(z: float) -> None:
    """Where the widths are normal ones every level between and beyond is the normal one too."""
    assert width_at(normal_widths(Z[AT_95]), z) == pytest.approx(z)


def test_crossing_widths_are_lifted() -> None:
    """No width is below the one before it, and none is lowered."""
    assert never_crossing((1.0, 3.0, 2.0, 4.0, 0.0)) == (1.0, 3.0, 3.0, 4.0, 4.0)
