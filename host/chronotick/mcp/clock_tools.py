"""Tools that answer at once: now, compare, stamp, verify, convert_past."""

from chronotick.client.stamped import Stamped, stamped
from chronotick.errors import OutOfRange
from chronotick.mcp import answers, arguments, results
from chronotick.mcp.access import HostAccess
from chronotick.mcp.answers import Event
from chronotick.mcp.instants import from_text, within_int64
from chronotick.wire.token import read


def now(access: HostAccess, asked: arguments.Now) -> results.TimeReading:
    """What time it is."""
    width_ns = None if asked.max_width_ms is None else round(asked.max_width_ms * 1e6)
    reading, _ = access.now(max_width_ns=width_ns)
    return answers.time_reading(reading, asked.level)


def compare(access: HostAccess, asked: arguments.Compare) -> results.ComparisonResult:
    """Which of two events came first."""
    verified = isinstance(asked.a, str) and isinstance(asked.b, str)
    return answers.comparison(event(access, asked.a), event(access, asked.b), verified=verified)


def stamp(access: HostAccess, asked: arguments.Stamp) -> results.StampedInstant:
    """A token that this payload existed now."""
    token = access.clock.stamp(asked.payload)
    return _stamped(stamped(read(token), token))


def verify(access: HostAccess, asked: arguments.Verify) -> results.StampedInstant:
    """What a token says, once the host has confirmed it."""
    return _stamped(access.clock.verify(asked.token, asked.payload))


def convert_past(access: HostAccess, asked: arguments.ConvertPast) -> results.EventInstant:
    """When a past stamp of this machine was taken."""
    if asked.raw_ns is not None:
        found = access.clock.convert(raw_ns=within_int64(int(asked.raw_ns)))
    else:
        found = access.clock.convert(realtime_ns=from_text(asked.system_time or ""))
    return results.EventInstant(**answers.event_fields(found))


def event(access: HostAccess, given: arguments.EventTime | str) -> Event:
    """The event that an argument stands for.

    Raises:
        TokenRefused: a token that this host has not made.
        OutOfRange: an object whose estimate lies outside its own bounds.
    """
    if isinstance(given, str):
        instant = access.clock.verify(given).instant
        return Event(
            instant.utc_ns,
            instant.earliest_ns,
            instant.latest_ns,
            instant.half_width_95_ns,
            host_instance=instant.host_instance,
            epoch=instant.epoch,
        )
    made = Event(
        within_int64(int(given.utc_ns)),
        within_int64(int(given.earliest_ns)),
        within_int64(int(given.latest_ns)),
        within_int64(int(given.half_width_95_ns)),
        None if given.raw_ns is None else int(given.raw_ns),
        int(given.host_instance or 0),
        given.epoch,
    )
    if not made.earliest_ns <= made.utc_ns <= made.latest_ns or made.half_width_95_ns < 0:
        raise OutOfRange(
            "This is no time that a tool has given: its estimate lies outside its own bounds.",
            mend="Hand on the whole object of now, stamp, verify or convert_past, unchanged.",
        )
    return made


def _stamped(found: Stamped) -> results.StampedInstant:
    return results.StampedInstant(
        **answers.event_fields(found.instant),
        token=found.token,
        payload_sha256=found.payload_sha256,
        host=found.host,
    )
