"""Which of two events came first: only the hard intervals prove it, the calibrated ones say how likely it is."""

from enum import StrEnum
from math import erf, sqrt
from typing import Final, NamedTuple

from chronotick.client.instant import Bounded
from chronotick.client.reading import Reading
from chronotick.wire.snapshot import MAX_NS, Z95

# The calibration was tested at levels up to 99 %; further out nothing is claimed.
LEAST_PROBABILITY: Final = 0.001


class Order(StrEnum):
    """What is proven about two events."""

    BEFORE = "BEFORE"
    AFTER = "AFTER"
    AMBIGUOUS = "AMBIGUOUS"


class Comparison(NamedTuple):
    """The order of a and b.

    Attributes:
        order: BEFORE when a was certainly before b, AFTER when certainly after it, else AMBIGUOUS.
        probability: that a was before b. 1 and 0 for BEFORE and AFTER; else from 0.001 to 0.999.
        gap_ns: b's estimate minus a's.
    """

    order: Order
    probability: float
    gap_ns: int


def compare(a: Bounded, b: Bounded) -> Comparison:
    """Compare two events by what is known of their times, wherever they were read.

    BEFORE and AFTER are proofs: the hard intervals do not touch, so the verdict is right whenever each host's majority
    of servers was. Two readings of one snapshot are ordered by the raw clock that they share, which needs no servers.

    Everything else is AMBIGUOUS, and `probability` is Phi((b - a) / sqrt(sa^2 + sb^2)), s being the calibrated 95 %
    half width over 1.96: normal errors, independent of each other. Errors of one host at two instants are not
    independent, they mostly cancel; for these the probability is too near to one half, which is the safe side.

    What no clock can see is in neither half width: the asymmetry of a path shifts a host's estimates by up to half its
    delay, for as long as the path lasts. Between hosts far from their servers the probability therefore says too much
    (tests/bench/ordering.py prints how much). It is for ranking and display; for correctness only a proof will do.

    A time that is UNKNOWN has no bounds, so it is AMBIGUOUS to all other clocks, with probability one half.
    """
    gap = b.utc_ns - a.utc_ns
    ran = _between_by_raw_clock(a, b)
    if ran > 0 or (not ran and a.latest_ns < b.earliest_ns):
        return Comparison(Order.BEFORE, 1.0, gap)
    if ran < 0 or b.latest_ns < a.earliest_ns:
        return Comparison(Order.AFTER, 0.0, gap)
    spread = sqrt(a.half_width_95_ns**2 + b.half_width_95_ns**2) / Z95
    if _known(a) and _known(b):
        share = 0.5 * (1 + erf(gap / (spread * sqrt(2)))) if spread else 0.5 + 0.5 * ((gap > 0) - (gap < 0))
    else:
        share = 0.5
    return Comparison(Order.AMBIGUOUS, min(max(share, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY), gap)


def _between_by_raw_clock(a: Bounded, b: Bounded) -> int:
    """Raw ns from a to b where both are readings of one host's snapshot; 0 where that can not be told.

    Answers over ZeroMQ bear no process id: what they hold is the asker's raw clock, and two askers can be two machines.
    """
    if not isinstance(a, Reading) or not isinstance(b, Reading):
        return 0
    if not a[2].host_pid or not b[2].host_pid or a.host_instance != b.host_instance:
        return 0
    return b.raw_ns - a.raw_ns


def _known(one: Bounded) -> bool:
    return one.latest_ns < MAX_NS
