"""How long ago a reading was made."""

from math import ceil, floor
from typing import NamedTuple

from chronotick.client.reading import Reading
from chronotick.errors import OutOfRange


class Elapsed(NamedTuple):
    """A duration of true time, ns.

    Attributes:
        ns: best estimate.
        least_ns, most_ns: hard interval: the raw clock between its rate bounds, cut with what the two readings say.
    """

    ns: int
    least_ns: int
    most_ns: int


def elapsed(since: Reading, now: Reading, slept_ns: int = 0) -> Elapsed:
    """True time from one reading of this machine to another.

    The raw clock counts a duration far better than two estimates of UTC differ, so it leads: a step of UTC between the
    two, in another epoch, is no passage of time.

    Args:
        slept_ns: how long the machine was suspended between them, at most: the raw clock stood still meanwhile.

    Raises:
        OutOfRange: `since` is later than `now`, or of a clock that is not this machine's.
    """
    ran = now.raw_ns - since.raw_ns
    if ran < 0:
        raise OutOfRange("The earlier reading is later than now: it is not of this clock, or of another boot.")
    line = now[2]
    least, most = floor(ran * (1 - line.bound_growth)), ceil(ran * (1 + line.bound_growth)) + slept_ns
    if since.utc_ns and now.utc_ns:
        closer = max(least, now.earliest_ns - since.latest_ns), min(most, now.latest_ns - since.earliest_ns)
        # Two readings that contradict each other prove nothing about the time between them.
        least, most = closer if closer[0] <= closer[1] else (least, most)
    said = ran + int(line.rate * ran) if not slept_ns else now.utc_ns - since.utc_ns
    return Elapsed(min(max(said, least), most), least, most)
