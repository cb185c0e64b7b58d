"""Which of two events came first: only the hard intervals prove it; both kinds together say how likely it is."""

from enum import StrEnum
from math import erf, sqrt
from typing import Final, NamedTuple

from chronotick.client.instant import Bounded
from chronotick.client.reading import Reading
from chronotick.wire.snapshot import MAX_NS, Z95

# The calibration was tested at levels up to 99 %; further out nothing is claimed.
LEAST_PROBABILITY: Final = 0.001
# The variance of a triangular distribution is the square of its whole width over this.
TRIANGLE: Final = 24


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

    Everything else is AMBIGUOUS, and `probability` is Phi(gap / spread) with

        spread^2 = sa^2 + sb^2 + (wa^2 + wb^2) / 24

    where s is the calibrated 95 % half width over 1.96, and w the width of the hard interval. The last term is what no
    clock can see: a path that is slower one way than the other, or a server that is wrong within its own claim, shifts
    a host's estimates for as long as it lasts. Such a shift can be as large as the hard interval leaves it; an estimate
    hangs on several servers, and the mean of two shifts that are each anything within the bound alike has a triangular
    distribution over it, whose variance is w^2 / 24. On symmetric paths this is too cautious: the probability is then
    nearer to one half than it had to be. tests/bench/ordering.py shows both, predicted beside what came true.

    Two instants of one run of a host in one epoch share that shift, and it cancels: their spread has no last term. What
    else their errors share cancels too, so that the probability is on the cautious side here as well.

    It is for ranking and display; for correctness only a proof will do.

    A time that is UNKNOWN has no bounds, so it is AMBIGUOUS to all other clocks, with probability one half.
    """
    gap = b.utc_ns - a.utc_ns
    ran = _between_by_raw_clock(a, b)
    if ran > 0 or (not ran and a.latest_ns < b.earliest_ns):
        return Comparison(Order.BEFORE, 1.0, gap)
    if ran < 0 or b.latest_ns < a.earliest_ns:
        return Comparison(Order.AFTER, 0.0, gap)
    variance = (a.half_width_95_ns**2 + b.half_width_95_ns**2) / Z95**2
    if not _share_shift(a, b):
        variance += ((a.latest_ns - a.earliest_ns) ** 2 + (b.latest_ns - b.earliest_ns) ** 2) / TRIANGLE
    spread = sqrt(variance)
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


def _share_shift(a: Bounded, b: Bounded) -> bool:
    """Whether both were told by one run of a host in one epoch, so that what shifts the one shifts the other."""
    told = [(getattr(one, "host_instance", 0), getattr(one, "epoch", None)) for one in (a, b)]
    return told[0] == told[1] and bool(told[0][0])


def _known(one: Bounded) -> bool:
    return one.latest_ns < MAX_NS
