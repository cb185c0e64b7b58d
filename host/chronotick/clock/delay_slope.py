"""Queues that stand on one way only: theta grows with the delay, by a slope that can be learned and taken off.

A packet that queues for d seconds on one leg moves theta by d/2, on the other by -d/2 (RFC 5905 section 8). Where both
legs queue alike this is noise. Where one of them has most of it, theta has a slope b over the excess delay e, and
therefore a bias of b times the mean excess, which no filter is rid of that only weighs fixes by their delay.

For each server the residual of a fix from the floor's line is regressed on e by recursive weighted least squares:

    z - line = a + b e + noise,   var noise = n^2 + s^2 + (0.2 e)^2,   a ~ N(0, (100 ms)^2),   b ~ N(0, 0.3^2).

The intercept a is there because the line may stand off, and because a constant asymmetry is not what is looked for. n
is the floor's noise of one fix, s the standard deviation of its line; the last term is what a queue adds that the
slope does not explain, between a share of the queue drawn evenly from one leg's half (0.14) and from both (0.29). The
variance of b counts as many times more as residuals are larger than thought. b is believed beyond five of its standard
deviations, and to 0.5 at most, since no queue moves theta by more than half of itself; before that nothing is touched.

Off by default, because nothing in the fixes can say whether it helps: all of them share what is taken off. Of two
recorded clocks with one-sided queues both lose most of their standing error by it, and one of them gains several times
as much in errors that do not stand (docs/proofs.md). The hard interval never sees a corrected fix.
"""

import math
from typing import Final

import msgspec

from chronotick.clock.discontinuity import Kind
from chronotick.clock.excess import DelayFloor
from chronotick.clock.floor import YOUNG_FIXES
from chronotick.clock.state import ClockState
from chronotick.ntp.fix import Fix
from chronotick.units import ns_to_s, s_to_ns

# Standard deviations of slope and intercept, s, before any fix.
PRIOR_SLOPE: Final = 0.3
PRIOR_LEVEL_S: Final = 0.1
# What a queue adds to theta beside the slope, as a share of its length.
NOISE_SHARE: Final = 0.2
# A slope is believed beyond this many standard deviations, and to this size.
SIGNIFICANT: Final = 5.0
MOST: Final = 0.5
# Residuals beyond this many standard deviations count as this many.
MOST_SIGMA: Final = 3.0
# Fixes over which the size of residuals is averaged.
_RUNNING: Final = 128.0


class _Line(msgspec.Struct):
    """One server's regression.

    Attributes:
        level_s, slope: a and b. aa, ab, bb: their covariance, s^2, s and 1.
        size: mean square of the residuals over their variance.
        fixes: how many residuals.
    """

    level_s: float = 0.0
    slope: float = 0.0
    aa: float = PRIOR_LEVEL_S**2
    ab: float = 0.0
    bb: float = PRIOR_SLOPE**2
    size: float = 1.0
    fixes: int = 0

    def add(self, residual_s: float, excess_s: float, variance: float) -> None:
        """One step of least squares; `variance` of the residual's noise, s^2."""
        ga, gb = self.aa + self.ab * excess_s, self.ab + self.bb * excess_s
        s = ga + gb * excess_s + variance
        limit_s = MOST_SIGMA * math.sqrt(s)
        e = min(max(residual_s - self.level_s - self.slope * excess_s, -limit_s), limit_s)
        self.level_s += ga / s * e
        self.slope += gb / s * e
        self.aa, self.ab, self.bb = self.aa - ga * ga / s, self.ab - ga * gb / s, self.bb - gb * gb / s
        self.fixes += 1
        self.size += (e * e / s - self.size) / min(self.fixes + 1.0, _RUNNING)

    @property
    def believed(self) -> float:
        """The slope where it is significant, else 0."""
        sigma = math.sqrt(self.bb * max(self.size, 1.0))
        return min(max(self.slope, -MOST), MOST) if abs(self.slope) > SIGNIFICANT * sigma else 0.0


class DelaySlope:
    """Learns each server's slope, and takes what it explains off its fixes."""

    def __init__(self) -> None:
        self._delays: DelayFloor = DelayFloor()
        self._lines: dict[str, _Line] = {}

    def correct(self, fix: Fix, belief: ClockState | None) -> Fix:
        """Take a fix; it comes back without the slope's part of its theta, its bounds as they are.

        Args:
            belief: the floor's before this fix; nothing is learned while it is young.
        """
        if not (math.isfinite(fix.delay_s) and fix.delay_s >= 0.0):
            return fix
        excess_s = self._delays.excess_s(fix.server, fix.delay_s)
        line = self._lines.setdefault(fix.server, _Line())
        if belief is not None and belief.fixes >= YOUNG_FIXES:
            variance = belief.noise_s**2 + belief.sigma_s(fix.raw_ns) ** 2 + (NOISE_SHARE * excess_s) ** 2
            line.add(ns_to_s(fix.theta_ns - belief.theta_at_ns(fix.raw_ns)), excess_s, variance)
        if not line.believed:
            return fix
        return msgspec.structs.replace(fix, theta_ns=fix.theta_ns - s_to_ns(line.believed * excess_s))

    def slope(self, server: str) -> float:
        """What is believed of a server: seconds of theta per second of queue, -0.5..0.5; 0 where nothing is."""
        line = self._lines.get(server)
        return 0.0 if line is None else line.believed

    def restart(self, kind: Kind) -> None:
        """A declared discontinuity: paths are the same after a suspend; after any other nothing may be."""
        if kind is Kind.TIME_BASE:
            self._delays, self._lines = DelayFloor(), {}
