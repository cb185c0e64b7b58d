"""What a forecast is scored against: theta smoothed from fixes after its origin only.

The three ways to get this wrong, each of which makes a gate choose harmful candidates:

- a target interpolated between fixes that include the origin's contains the noise that the forecast itself started
  from, and rewards following it;
- a raw fix has so much noise on a long path that no candidate ever shows a gain: smooth, and weigh by the variance
  that is left;
- a fixed-lag smoother that also reads fixes before the origin shares its error with the floor and all candidates.
"""

import math

import msgspec
import numpy as np

from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.units import NS_PER_S, s_to_ns
from chronotick.window.history import Fixes, History
from chronotick.window.smooth import bin_fixes, smooth

# A target is known when this many fixes after it have come, and `Tuning.target_lag_s` has passed.
MIN_FIXES_AFTER = 6
# Fixes before the target reach back this many times as far as those after it reach on; older ones change nothing.
_BACK_LAGS = 2.0
# The smoother's knots per target, so that its time is bounded however fast the polls are.
_KNOTS = 32
# The rate's prior at the first fix is the floor's at the origin, this many times wider than the floor believes it.
_PRIOR_WIDEN = 10.0
# ... and at least this share of `Tuning.rate_prior` wide: 10 ppb.
_RATE_LEAST = 1e-4


class Target(msgspec.Struct, frozen=True):
    """A smoothed theta, relative to the floor's line at the origin extended to the target.

    Attributes:
        offset_s: theta minus that line, s.
        variance_s2: its variance, s^2.
    """

    offset_s: float
    variance_s2: float


def ready_raw_ns(history: History, target_raw_ns: int, tuning: Tuning) -> int | None:
    """Raw clock of the last fix that the target needs, or None while it has not come."""
    sixth = history.nth_after(target_raw_ns, MIN_FIXES_AFTER)
    lagging = history.nth_after(target_raw_ns + s_to_ns(tuning.target_lag_s) - 1, 1)
    return None if sixth is None or lagging is None else max(sixth, lagging)


def future_target(
    history: History, origin: ClockState, target_raw_ns: int, until_raw_ns: int, wander: float, tuning: Tuning
) -> Target | None:
    """Smooth the fixes after `origin.raw_ns` up to `until_raw_ns` and read the line at the target.

    Args:
        origin: the floor at the origin: its line is the reference, its rate the (wide) prior. Nothing of it is in the
            offset, and no fix at or before its instant is read.
        until_raw_ns: from `ready_raw_ns`.
        wander: process noise as known now, s/s/sqrt(s).

    Returns:
        None when fewer than two fixes lie there.
    """
    fixes = _around(history, origin, target_raw_ns, until_raw_ns)
    return None if len(fixes) < 2 else _read(fixes, origin, target_raw_ns, wander, tuning)


def disagreement(
    history: History, origin: ClockState, target_raw_ns: int, until_raw_ns: int, wander: float, tuning: Tuning
) -> float | None:
    """Squared difference of the targets that every other fix makes, over its variance: 1 on average where targets err
    as they say. Arguments as of `future_target`.

    No forecast is in it, and the clock itself hardly: both halves saw the same one.

    Returns:
        None when fewer than six fixes lie there, or when these are too good or too few for float64 to say how good.
    """
    fixes = _around(history, origin, target_raw_ns, until_raw_ns)
    if len(fixes) < MIN_FIXES_AFTER:
        return None
    one, other = (
        _read(
            Fixes(fixes.raw_ns[at::2], fixes.theta_ns[at::2], fixes.variance_s2[at::2]),
            origin,
            target_raw_ns,
            wander,
            tuning,
        )
        for at in (0, 1)
    )
    variance_s2 = one.variance_s2 + other.variance_s2
    return (one.offset_s - other.offset_s) ** 2 / variance_s2 if variance_s2 > 0.0 else None


def _around(history: History, origin: ClockState, target_raw_ns: int, until_raw_ns: int) -> Fixes:
    reach_ns = int(_BACK_LAGS * (until_raw_ns - target_raw_ns))
    return history.between(max(origin.raw_ns, target_raw_ns - reach_ns), until_raw_ns)


def _read(fixes: Fixes, origin: ClockState, target_raw_ns: int, wander: float, tuning: Tuning) -> Target:
    t = (fixes.raw_ns - target_raw_ns) / NS_PER_S
    since_s = (fixes.raw_ns - origin.raw_ns) / NS_PER_S
    z = (fixes.theta_ns - origin.theta_ns) / NS_PER_S - origin.rate * since_s
    t, z, r = bin_fixes(t, z, fixes.variance_s2, float(t[-1] - t[0]) / _KNOTS)
    # The target itself is a knot without a measurement: the smoother then gives line and variance exactly there.
    at = int(np.searchsorted(t, 0.0))
    line = smooth(
        np.insert(t, at, 0.0),
        np.insert(z, at, 0.0),
        np.insert(r, at, math.inf),
        wander=wander,
        white_fm=tuning.white_fm,
        rate=0.0,
        rate_variance=_PRIOR_WIDEN**2 * max(origin.variance[2], 0.0)
        + wander**2 * float(since_s[0])
        + (_RATE_LEAST * tuning.rate_prior) ** 2,
    )
    return Target(offset_s=float(line.offset_s[at]), variance_s2=float(line.variance_s2[at]))
