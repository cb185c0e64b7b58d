"""The rungs at which candidates are judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import RoleConfig
from chronotick.fusion.ladder import horizons_s, place


def role(step_s: float, horizon: int, *, enabled: bool = True) -> RoleConfig:
    return RoleConfig(name="r", plugin="p", step_s=step_s, horizon=horizon, enabled=enabled)


def test_rungs_double_from_the_smallest_step_to_the_farthest_reach() -> None:
    """One ladder serves all roles that are enabled."""
    assert horizons_s([role(64.0, 64)], Tuning()) == (64, 128, 256, 512, 1024, 2048, 4096)
    assert horizons_s([role(64.0, 8), role(128.0, 8), role(1.0, 5, enabled=False)], Tuning()) == (
        64,
        128,
        256,
        512,
        1024,
    )
    assert horizons_s([role(1.0, 5)], Tuning()) == (1, 2, 5)
    assert horizons_s([role(1.0, 1)], Tuning()) == (1,)


def test_without_roles_the_floor_still_has_a_ladder() -> None:
    """Its interval is calibrated all the same, on the time scale of the physics."""
    assert horizons_s([], Tuning())[0] == pytest.approx(75.0)
    assert horizons_s([], Tuning().compressed(60.0))[0] == pytest.approx(1.25)


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
