"""The rungs at which candidates are judged."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import RoleConfig
from chronotick.fusion.ladder import horizons_s, place


def role(step_s: float, horizon: int, *, enabled: bool = True) -> RoleConfig:
    return RoleConfig(name="r", plugin="p", step_s=step_s, horizon=horizon, enabled=enabled)


def test_without_roles_it_reaches_from_a_poll_to_six_hours() -> None:
    """Fitted candidates have no roles, and are asked for a minute as well as for a night; in a lab's time too."""
    ladder = horizons_s([], Tuning())
    assert {15.0, 60.0, 600.0, 3600.0, 21_600.0} <= {round(one, 6) for one in ladder}
    assert max(b / a for a, b in pairwise(ladder)) <= 2.5 + 1e-9
    assert horizons_s([], Tuning().compressed(60.0)) == pytest.approx([one / 60.0 for one in ladder])


@pytest.mark.parametrize(
    ("roles", "first", "last"),
    [
        ([role(64.0, 64)], 15.0, 21_600.0),
        ([role(1.0, 5), role(900.0, 64)], 1.0, 57_600.0),
        ([role(1.0, 5), role(900.0, 64, enabled=False)], 1.0, 21_600.0),
        ([role(12.0, 2000)], 15.0, 24_000.0 * 0.9),
    ],
)
def test_enabled_roles_extend_it_both_ways(roles: list[RoleConfig], first: float, last: float) -> None:
    """One ladder serves all roles; it never shrinks, and a rung nearly at the end is the end."""
    ladder = horizons_s(roles, Tuning())
    assert (ladder[0], ladder[-1]) == pytest.approx((first, last))
    assert all(1.4 < b / a < 2.9 for a, b in pairwise(ladder))
    assert set(horizons_s([], Tuning())) <= set(ladder)


@given(st.floats(1e-3, 1e6))
def test_a_place_is_a_mixture_of_its_neighbours(h_s: float) -> None:
    """Shares lie within 0..1, rungs around the horizon, and the ends are held."""
    ladder = (1.0, 2.0, 4.0, 10.0)
    lower, upper, share = place(ladder, h_s)
    assert 0.0 <= share <= 1.0
    if h_s <= 1.0 or h_s >= 10.0:
        assert lower == upper
        assert share == 0.0
    else:
        assert ladder[lower] <= h_s <= ladder[upper]
