"""A recorded clock: the fixes that a host would have made of it, and what is known of the truth."""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.ntp.fix import Fix
from chronotick.units import NS_PER_S, s_to_ns

# What a server claims beside half the round trip where the trace does not say, s.
DISPERSION_S = 1e-4
# Truth is read between two points of it no further apart than this many usual distances. A quarter of the time lies
# between points that are closer than usual; a median of the distances would be that within a burst of polls.
_GAP_SPACINGS = 3.0
_GAP_SHARE = 0.25


class Truth(msgspec.Struct, frozen=True, eq=False):
    """True theta over the raw clock.

    Attributes:
        raw_s: float64, shape (n,), ascending, seconds of the trace's raw clock.
        theta_s: float64, shape (n,), UTC minus raw clock, s.
        gap_s: where two points are further apart than this, nothing is known between them.
    """

    raw_s: NDArray[np.float64]
    theta_s: NDArray[np.float64]
    gap_s: float

    @classmethod
    def of(cls, raw_s: NDArray[np.float64], theta_s: NDArray[np.float64], gap_s: float | None = None) -> "Truth":
        """Points in any order; the gap by default is three usual distances between points."""
        order = np.argsort(raw_s, kind="stable")
        raw_s, theta_s = raw_s[order], theta_s[order]
        usual_s = _usual_s(raw_s) if len(raw_s) > 1 else 1.0
        return cls(raw_s, theta_s, _GAP_SPACINGS * usual_s if gap_s is None else gap_s)

    def at(self, raw_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Theta at instants, s; NaN outside and in gaps."""
        right = np.clip(np.searchsorted(self.raw_s, raw_s), 1, len(self.raw_s) - 1)
        known = (raw_s >= self.raw_s[0]) & (raw_s <= self.raw_s[-1])
        known &= self.raw_s[right] - self.raw_s[right - 1] <= self.gap_s
        return np.where(known, np.interp(raw_s, self.raw_s, self.theta_s), np.nan)


class Trace(msgspec.Struct, frozen=True, eq=False):
    """One recorded clock.

    Attributes:
        name: for people.
        fixes: in the order of the raw clock.
        truth: what theta really was; that of the measurements themselves where they are the reference.
        score_from_s: instants before this are not scored, s of the raw clock.
        constant_s: truth minus measurement, median over the time before `score_from_s`, s: what a symmetric path
            would not have. 0 where the measurements are the truth, or where the path is known to be symmetric: then
            no constants are taken off.
        independent: whether the truth was measured apart from the fixes.
        others: errors of other clocks on the same packets, s, over `truth.raw_s`, by name (a recorded chronyd).
    """

    name: str
    fixes: tuple[Fix, ...]
    truth: Truth
    score_from_s: float
    constant_s: float
    independent: bool
    others: dict[str, NDArray[np.float64]] = {}

    @property
    def poll_s(self) -> float:
        """Usual distance between two fixes, s."""
        return float(np.median(np.diff([fix.raw_ns for fix in self.fixes]))) / NS_PER_S

    @property
    def span_s(self) -> float:
        """From the first fix to the last, s."""
        return (self.fixes[-1].raw_ns - self.fixes[0].raw_ns) / NS_PER_S


def _usual_s(raw_s: NDArray[np.float64]) -> float:
    """Distance between points around an instant that is drawn at random, s; `raw_s` ascends."""
    apart_s = np.sort(np.diff(raw_s))
    passed_s = np.cumsum(apart_s)
    return float(apart_s[np.searchsorted(passed_s, _GAP_SHARE * passed_s[-1])])


def fixes_of(
    raw_s: NDArray[np.float64],
    theta_s: NDArray[np.float64],
    delay_s: NDArray[np.float64],
    claim_s: NDArray[np.float64],
    servers: list[str],
) -> tuple[Fix, ...]:
    """Columns as fixes, in the order of the raw clock.

    Args:
        raw_s, theta_s, delay_s: shape (n,), s; the delay is not negative.
        claim_s: what each server's claim adds to half the delay in the root distance, s, shape (n,).
        servers: n names.
    """
    fixes = []
    for i in np.argsort(raw_s, kind="stable").tolist():
        theta_ns = s_to_ns(float(theta_s[i]))
        distance_s = float(delay_s[i]) / 2 + float(claim_s[i])
        radius_ns = math.ceil(distance_s * NS_PER_S) + 1
        fixes.append(
            Fix(
                raw_ns=s_to_ns(float(raw_s[i])),
                theta_ns=theta_ns,
                delay_s=float(delay_s[i]),
                root_distance_s=distance_s,
                server=servers[i],
                survivors=(servers[i],),
                earliest_theta_ns=theta_ns - radius_ns,
                latest_theta_ns=theta_ns + radius_ns,
                rest_s=float(theta_s[i]) - theta_ns / NS_PER_S,
            )
        )
    return tuple(fixes)
