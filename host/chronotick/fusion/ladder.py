"""The horizons at which candidates are judged, and what lies between two of them."""

import bisect
import math
from collections.abc import Sequence
from typing import Final

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import RoleConfig

# Rungs in shares of `Tuning.target_lag_s`: 15 s, 30 s, 1 min, 2.5 min, 5 min, 10 min, 20 min, 30 min, 1 h, 2 h, 3 h
# and 6 h of a real oscillator. What is asked of a clock lies on one, and no two neighbours are further than 2.5 apart.
_LAG_SHARES: Final = (1 / 40, 1 / 20, 1 / 10, 1 / 4, 1 / 2, 1.0, 2.0, 3.0, 6.0, 12.0, 18.0, 36.0)
# A rung nearer than this to its neighbour would share its evidence: two judges of one horizon.
_APART: Final = math.sqrt(2.0)


def horizons_s(roles: Sequence[RoleConfig], tuning: Tuning) -> tuple[float, ...]:
    """Horizons in s, ascending: from a fast poll to 6 h of physics, because fitted candidates live without roles.

    Enabled roles can only extend it: downwards by halving to their smallest step, upwards by doubling to their farthest
    reach. At most some twenty rungs for any role that makes sense.
    """
    rungs = [share * tuning.target_lag_s for share in _LAG_SHARES]
    enabled = [role for role in roles if role.enabled]
    if not enabled:
        return tuple(rungs)
    least_s = min(role.step_s for role in enabled)
    most_s = max(role.step_s * role.horizon for role in enabled)
    while rungs[0] > least_s * _APART:
        rungs.insert(0, max(rungs[0] / 2.0, least_s))
    while rungs[-1] < most_s / _APART:
        doubled_s = 2.0 * rungs[-1]
        rungs.append(most_s if doubled_s > most_s / _APART else doubled_s)
    return tuple(rungs)


def place(horizons: Sequence[float], h_s: float) -> tuple[int, int, float]:
    """Rungs below and above `h_s` and the share of the upper one, linear in log h; the ends are held."""
    if h_s <= horizons[0]:
        return 0, 0, 0.0
    if h_s >= horizons[-1]:
        top = len(horizons) - 1
        return top, top, 0.0
    upper = bisect.bisect_right(horizons, h_s)
    lower = upper - 1
    return lower, upper, math.log(h_s / horizons[lower]) / math.log(horizons[upper] / horizons[lower])
