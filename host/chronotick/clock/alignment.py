"""Servers that differ by a constant, as the asymmetry of paths makes them, are brought to one level for the floor.

A path that takes longer one way than back shifts every theta of its server by half the difference, for as long as the
route lasts. The floor takes all servers' fixes as measurements of one line: constant disagreement among them looks like
noise, and their mean depends on who happens to be heard.

*Differences.* For each server the mean m of (fix minus the floor's line) is kept. What is wrong with the line itself is
in all of these means alike, so their differences are those of the paths. Fixes that queued long weigh less,
1 / (1 + (2 e / E)^2) with e the excess delay and E its running mean, residuals beyond three deviations count as three,
and after some 512 fixes the past is forgotten, since routes change.

*Level.* Which server is right can not be seen: each says only that truth is within its root distance d. If asymmetry
is as likely to be any share of the delay as any other, truth is equally likely to be anywhere in what all claims
m +- d share, so the middle of that is the level g. Short paths thereby count most: 10 ms out and 18 ms back on three
servers and 12 ms each way on two leave an error of 1 ms, where the mean of all errs by 2.4 ms. A server that is new
is sure of its own mean only to a standard error s: its claim counts as wider by 2 s. Claims that share nothing are
averaged with weights 1 / d^2.

*Shift.* A server's theta is moved by (g - m) T / (T + v): v = s^2 is the variance of its mean, T what the scatter of
all means around g has beyond their own variances. Servers that do not differ are left exactly as they are, and so is a
server that is alone. No shift exceeds the server's own root distance: it stays inside its own claim. Fixes that the
floor reads again are moved by what is known then (`Floor.update`).

Where configured, what grows with a server's delay is taken off before (`delay_slope.py`).
"""

import math
from typing import Final

import msgspec

from chronotick.clock.delay_slope import DelaySlope
from chronotick.clock.discontinuity import Kind
from chronotick.clock.excess import DelayFloor
from chronotick.clock.floor import YOUNG_FIXES
from chronotick.clock.state import ClockState
from chronotick.ntp.fix import Fix
from chronotick.units import ns_to_s, s_to_ns

# Fixes of a server after which its past has lost most of its weight.
MEMORY: Final = 512.0
# Fixes that make a mean.
ENOUGH: Final = 4
# Fixes with this many times half the usual excess delay weigh half.
QUEUED: Final = 2.0
# Residuals beyond this many standard deviations count as this.
MOST_SIGMA: Final = 3.0
# How far the error of one residual outlasts it, as a factor on the variance of a mean.
DEPENDENCE: Final = 2.0
# A server that was not heard for this many fixes of others is forgotten.
FORGOTTEN_AFTER: Final = 1024
_RUNNING: Final = 64


class _Path(msgspec.Struct):
    """One server's constant part, relative to the floor's line.

    Attributes:
        mean_s: m. square_s2: variance of one residual. weight, weight2: sums of the weights and of their squares.
        excess_s: running mean of the excess delay. claim_s: d, without queueing.
        fixes: residuals so far. heard: the running number of the last fix.
    """

    mean_s: float = 0.0
    square_s2: float = 0.0
    weight: float = 0.0
    weight2: float = 0.0
    excess_s: float = 0.0
    claim_s: float = 0.0
    fixes: int = 0
    heard: int = 0

    def add(self, residual_s: float, excess_s: float) -> None:
        """Take one residual."""
        self.fixes += 1
        self.excess_s += (excess_s - self.excess_s) / min(self.fixes, _RUNNING)
        share = QUEUED * excess_s / self.excess_s if self.excess_s > 0.0 else 0.0
        weight, keep = 1.0 / (1.0 + share * share), 1.0 - 1.0 / MEMORY
        self.weight = self.weight * keep + weight
        self.weight2 = self.weight2 * keep * keep + weight * weight
        gain, before_s = weight / self.weight, self.mean_s
        away_s = residual_s - before_s
        if self.fixes > 2 * ENOUGH:
            limit_s = MOST_SIGMA * math.sqrt(self.square_s2)
            away_s = min(max(away_s, -limit_s), limit_s)
        self.mean_s += gain * away_s
        # West's weighted variance: the first residual has none.
        self.square_s2 += gain * (away_s * (before_s + away_s - self.mean_s) - self.square_s2)

    @property
    def variance_s2(self) -> float:
        """Of the mean."""
        return DEPENDENCE * self.square_s2 * self.weight2 / (self.weight * self.weight)


class Alignment:
    """Follows the constant part of each server, and moves fixes to the common level.

    Args:
        delay_slope: also take off what grows with the delay.
    """

    def __init__(self, *, delay_slope: bool = False) -> None:
        self._slopes: DelaySlope | None = DelaySlope() if delay_slope else None
        self._delays: DelayFloor = DelayFloor()
        self._paths: dict[str, _Path] = {}
        self._fixes: int = 0
        # What each server's fixes are moved by at present, ns.
        self.shifts_ns: dict[str, int] = {}

    def level(self, fix: Fix, belief: ClockState | None) -> Fix:
        """The fix with its theta on the common level; its bounds stay as they are. Arguments as of `shift_ns`."""
        if self._slopes is not None:
            fix = self._slopes.correct(fix, belief)
        return msgspec.structs.replace(fix, theta_ns=fix.theta_ns + self.shift_ns(fix, belief))

    def restart(self, kind: Kind) -> None:
        """A declared discontinuity: paths are the same after a suspend; after any other nothing may be."""
        if self._slopes is not None:
            self._slopes.restart(kind)
        if kind is Kind.TIME_BASE:
            self._delays, self._paths, self._fixes, self.shifts_ns = DelayFloor(), {}, 0, {}

    def shift_ns(self, fix: Fix, belief: ClockState | None) -> int:
        """Take a fix, and say what to add to its theta.

        Args:
            belief: the floor's before this fix; nothing is learned while it is young.
        """
        if not (math.isfinite(fix.delay_s) and fix.delay_s >= 0.0 and math.isfinite(fix.root_distance_s)):
            return 0
        self._fixes += 1
        path = self._paths.setdefault(fix.server, _Path())
        path.heard = self._fixes
        excess_s = self._delays.excess_s(fix.server, fix.delay_s)
        path.claim_s = max(fix.root_distance_s - excess_s / 2.0, 0.0)
        if belief is not None and belief.fixes >= YOUNG_FIXES:
            path.add(ns_to_s(fix.theta_ns - belief.theta_at_ns(fix.raw_ns)), excess_s)
        self._forget()
        self.shifts_ns = self._all_shifts_ns()
        return self.shifts_ns.get(fix.server, 0)

    def _all_shifts_ns(self) -> dict[str, int]:
        known = {name: one for name, one in self._paths.items() if one.fixes >= ENOUGH}
        if len(known) < 2:
            return {}
        level_s = _level_s(list(known.values()))
        between_s2 = sum((one.mean_s - level_s) ** 2 - one.variance_s2 for one in known.values()) / len(known)
        if between_s2 <= 0.0:
            return {}
        shifts_s = {
            name: (level_s - one.mean_s) * between_s2 / (between_s2 + one.variance_s2) for name, one in known.items()
        }
        return {
            name: s_to_ns(min(max(shift_s, -known[name].claim_s), known[name].claim_s))
            for name, shift_s in shifts_s.items()
        }

    def _forget(self) -> None:
        gone = [name for name, one in self._paths.items() if self._fixes - one.heard > FORGOTTEN_AFTER]
        for name in gone:
            del self._paths[name]


def _level_s(paths: list[_Path]) -> float:
    """The middle of what all claims share, relative to the line, s."""
    widths_s = [one.claim_s + 2.0 * math.sqrt(one.variance_s2) for one in paths]
    low_s = max(one.mean_s - width_s for one, width_s in zip(paths, widths_s, strict=True))
    high_s = min(one.mean_s + width_s for one, width_s in zip(paths, widths_s, strict=True))
    if low_s <= high_s:
        return (low_s + high_s) / 2.0
    weights = [1.0 / max(one.claim_s, 1e-9) ** 2 for one in paths]
    return sum(weight * one.mean_s for weight, one in zip(weights, paths, strict=True)) / sum(weights)
