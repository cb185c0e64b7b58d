"""Instants as agents write and read them: nanoseconds in strings, and RFC 3339."""

import re
from datetime import UTC, datetime

from chronotick.errors import OutOfRange
from chronotick.units import NS_PER_S
from chronotick.wire.snapshot import MAX_NS, MIN_NS

# RFC 3339 section 5.6, with up to nine digits of a second.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)  # fmt: skip
_NANOSECONDS = re.compile(r"-?\d{1,19}", re.ASCII)
EXPECTED = (
    "expected RFC 3339 with a zone, such as 2026-07-28T12:00:00.000000001Z, or whole nanoseconds since 1970 "
    "in a string"
)  # fmt: skip


def to_rfc3339(utc_ns: int) -> str:
    """UTC nanoseconds, an int64, as RFC 3339 with nine digits."""
    seconds, nanoseconds = divmod(utc_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def from_text(text: str) -> int:
    """UTC nanoseconds that a text stands for.

    Raises:
        OutOfRange: neither RFC 3339 with a zone nor whole nanoseconds, or not within the int64 range, 1678 to 2261.
    """
    if _NANOSECONDS.fullmatch(text):
        return within_int64(int(text))
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise OutOfRange(f"{text[:64]!r} is no instant; {EXPECTED}.")
    date, time, fraction, zone = found.groups()
    try:
        whole = datetime.fromisoformat(f"{date}T{time}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError as error:
        raise OutOfRange(f"{text[:64]!r} is no instant ({error}); {EXPECTED}.") from error
    return within_int64(round(whole.timestamp()) * NS_PER_S + int((fraction or "").ljust(9, "0")))


def within_int64(ns: int) -> int:
    """A count of nanoseconds as it was given.

    Raises:
        OutOfRange: it does not fit the int64 that clocks count in.
    """
    if not MIN_NS <= ns <= MAX_NS:
        raise OutOfRange(f"{ns} ns is more than a clock can count.")
    return ns
