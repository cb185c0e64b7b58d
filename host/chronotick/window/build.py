"""Build the window of a role: the smoothed rate of measurements on the role's grid, ending at the origin."""

import math

import numpy as np

from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import RoleConfig
from chronotick.units import NS_PER_S, s_to_ns
from chronotick.window.history import History
from chronotick.window.smooth import bin_fixes, smooth
from chronotick.window.types import NotReady, Window

# More fixes than this per grid step are averaged first: the grid can not show them, and the smoother's time is bounded.
_KNOTS_PER_STEP = 4
# History before the window that the smoother settles on, as a share of the window.
_LEAD_SHARE = 0.125
# A grid point further than this many usual distances between fixes from any fix lies in a gap ...
_GAP_SPACINGS = 1.5
# ... but never nearer than one step, and never further than this many: there a grid would be interpolation, not data.
_GAP_MAX_STEPS = 4.0


def build(
    history: History,
    state: ClockState,
    role: RoleConfig,
    tuning: Tuning,
    *,
    origin_raw_ns: int | None = None,
) -> Window | NotReady:
    """The window of `role` that ends at `origin_raw_ns` (the floor's last fix by default), or why there is none yet.

    Only fixes up to the origin are read. The window always has `role.context` points; what lies before the first fix,
    or in a gap, is NaN. Precondition: `history` and `state` are of the same epoch, else not ready.
    """
    origin = state.raw_ns if origin_raw_ns is None else origin_raw_ns
    step_ns = s_to_ns(role.step_s)
    if not len(history) or state.fixes < 2 or history.epoch != state.epoch:
        return NotReady(role=role.name, reason="no fixes yet in this epoch")
    seen_s = (origin - history.first_raw_ns) / NS_PER_S
    if seen_s < tuning.warm_up_s:
        return NotReady(role=role.name, reason=f"warming up: {max(seen_s, 0):.0f} s of {tuning.warm_up_s:.0f} s seen")

    length_ns = (role.context - 1) * step_ns
    t0 = origin - length_ns
    fixes = history.between(t0 - max(step_ns, int(length_ns * _LEAD_SHARE)) - 1, origin)
    if len(fixes) < 2:
        return NotReady(role=role.name, reason="no two fixes lie in the window")

    # Residuals from the floor's line: small numbers, whatever the rate and however long the window.
    t = (fixes.raw_ns - origin) / NS_PER_S
    z = (fixes.theta_ns - state.theta_ns) / NS_PER_S - state.rate * ((fixes.raw_ns - state.raw_ns) / NS_PER_S)
    knots_t, knots_z, knots_r = bin_fixes(t, z, fixes.variance_s2, role.step_s / _KNOTS_PER_STEP)
    if knots_t[-1] < 0:  # the line at the origin itself, which the last average may lie before
        knots_t, knots_z, knots_r = np.r_[knots_t, 0.0], np.r_[knots_z, 0.0], np.r_[knots_r, math.inf]
    line = smooth(
        knots_t,
        knots_z,
        knots_r,
        wander=state.wander,
        white_fm=tuning.white_fm,
        rate=0.0,
        rate_variance=tuning.rate_prior**2,
    )

    grid = np.arange(1 - role.context, 1) * role.step_s
    rate = state.rate + np.interp(grid, line.t_s, line.rate)
    usual_s = float(np.median(np.diff(t)))
    near_s = min(max(role.step_s, _GAP_SPACINGS * usual_s), _GAP_MAX_STEPS * role.step_s)
    right = np.minimum(np.searchsorted(t, grid), len(t) - 1)
    left = np.maximum(right - 1, 0)
    rate[np.minimum(np.abs(t[right] - grid), np.abs(grid - t[left])) > near_s] = np.nan
    points = int(np.isfinite(rate).sum())
    if points < role.min_context:
        return NotReady(role=role.name, reason=f"{points} of {role.min_context} points of history so far")
    return Window(
        role=role.name,
        epoch=state.epoch,
        origin_raw_ns=origin,
        t0_raw_ns=t0,
        step_ns=step_ns,
        rate=rate,
        series_rate=state.rate + float(line.rate[-1]),
        floor_rate=state.rate,
        span_s=(origin - max(t0, int(fixes.raw_ns[0]))) / NS_PER_S,
    )
