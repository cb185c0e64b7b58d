"""Readings carried to other instants without the host's help: ahead of now, and back to a past raw stamp. Pure.

What the host publishes is a line for the next second. Far from it the statistical spread is not known here, so it
grows as fast as the hard interval does: too wide rather than too narrow. The host itself knows better (`forecast_at`
and `convert` over ZeroMQ).
"""

from math import ceil

from chronotick.client.instant import Instant
from chronotick.client.reading import Reading
from chronotick.errors import ClockUnknown, OutOfRange
from chronotick.units import NS_PER_S
from chronotick.wire.snapshot import Status

MOST_AHEAD_S = 3600.0


def ahead_ns(seconds: float) -> int:
    """A look ahead as nanoseconds.

    Raises:
        OutOfRange: below 0, above 3600, or no number.
    """
    if not 0 <= seconds <= MOST_AHEAD_S:
        raise OutOfRange(f"A look ahead is from 0 to {MOST_AHEAD_S:.0f} s, not {seconds} s.")
    return round(seconds * NS_PER_S)


def future(now: Reading, later_ns: int) -> Instant:
    """What this clock will say `later_ns` (>= 0) from now if nothing is measured until then.

    Raises:
        ClockUnknown: nothing is known now, or what is known will be void by then.
    """
    line = now[2]
    then = now.raw_ns + later_ns
    if now.status is Status.UNKNOWN or then >= line.void_raw_ns:
        raise ClockUnknown(
            f"Nobody will stand for a time {later_ns / NS_PER_S:.0f} s from now.", mend="See: chronotick status."
        )
    utc = max(line.utc_ns(then), now.utc_ns)
    return _carried(now, utc, later_ns, line.earliest_ns(then), line.latest_ns(then), now.age_ns + later_ns)


def past(now: Reading, raw_ns: int, slept_ns: int = 0) -> Instant:
    """When the raw clock of this machine showed `raw_ns`, going back from now.

    Args:
        slept_ns: how long the machine may have been suspended since, ns: by that much true time may be earlier.

    Raises:
        OutOfRange: an instant after now, or before this boot.
        ClockUnknown: nothing is known now.
    """
    back = now.raw_ns - raw_ns
    if back < 0:
        raise OutOfRange(f"The stamp lies {-back} ns in the future: only past stamps can be converted.")
    if raw_ns < 0:
        raise OutOfRange("The stamp lies before this boot: its raw clock is not this one's.")
    if now.status is Status.UNKNOWN:
        raise ClockUnknown("Nothing is known of the time, so nothing of a past stamp.", mend="See: chronotick status.")
    line = now[2]
    grown = ceil(line.bound_growth * back)
    utc = now.utc_ns - back - int(line.rate * back)
    bounds = now.earliest_ns - back - grown - slept_ns, now.latest_ns - back + grown
    return _carried(now, utc, back, *bounds, abs(raw_ns - line.fix_raw_ns), slept_ns)


def _carried(
    now: Reading, utc_ns: int, far_ns: int, earliest_ns: int, latest_ns: int, age_ns: int, slept_ns: int = 0
) -> Instant:
    grown = ceil(now[2].bound_growth * far_ns) + slept_ns
    earliest_ns, latest_ns = min(earliest_ns, utc_ns), max(latest_ns, utc_ns)
    return Instant(
        utc_ns=utc_ns,
        earliest_ns=earliest_ns,
        latest_ns=latest_ns,
        sigma_ns=now.sigma_ns + grown,
        half_width_95_ns=min(now.half_width_95_ns + grown, max(utc_ns - earliest_ns, latest_ns - utc_ns)),
        half_widths_ns=tuple(one + grown for one in now.half_widths_ns),
        age_ns=age_ns,
        status=now.status,
        source=now.source,
        epoch=now.epoch,
        host_instance=now.host_instance,
    )
