"""The horizons at which candidates are judged, and what lies between two of them."""

import math
from collections.abc import Sequence

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import RoleConfig

# Horizons double from one to the next. Without roles the ladder still calibrates the floor: from the target's lag over
# this much, eight times doubled.
_LAG_SHARE = 8.0
_FLOOR_STEPS = 8


def horizons_s(roles: Sequence[RoleConfig], tuning: Tuning) -> tuple[float, ...]:
    """Horizons in s, ascending: the smallest step of the enabled roles times 1, 2, 4, ... and their farthest reach."""
    enabled = [role for role in roles if role.enabled]
    if not enabled:
        first = tuning.target_lag_s / _LAG_SHARE
        return tuple(first * 2.0**k for k in range(_FLOOR_STEPS))
    first = min(role.step_s for role in enabled)
    last = max(role.step_s * role.horizon for role in enabled)
    # A rung nearly at the end is the end: two judges of one horizon would share the evidence.
    doublings = max(0, math.ceil(math.log2(last / first) - 0.5))
    return (*(first * 2.0**k for k in range(doublings)), last)


def place(horizons: Sequence[float], h_s: float) -> tuple[int, int, float]:
    """Rungs below and above `h_s` and the share of the upper one, linear in log h; the ends are held."""
    if h_s <= horizons[0]:
        return 0, 0, 0.0
    if h_s >= horizons[-1]:
        top = len(horizons) - 1
        return top, top, 0.0
    upper = next(i for i, one in enumerate(horizons) if one > h_s)
    lower = upper - 1
    return lower, upper, math.log(h_s / horizons[lower]) / math.log(horizons[upper] / horizons[lower])
