"""Durations and instants as people type them: `250us`, `1ms`, `90`, `10m`; `2026-01-31T12:00:00Z`."""

import argparse
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

UNITS_NS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "": 10**9,
    "m": 60 * 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86_400 * 10**9,
}
"""Nanoseconds in each unit; a bare number is seconds. Both characters that print as the Greek mu are taken."""

MAX_NS: Final = 2**62
_FORM: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zµμ]*)")


def duration_ns(text: str) -> int:
    """A duration of at least 1 ns, in whole ns; for `argparse`.

    Raises:
        ArgumentTypeError: no duration, or one that is zero, negative or longer than a century.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None or match[2] not in UNITS_NS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration: a number and ns, us, ms, s, m, h or d is expected, e.g. 250us, 1ms or 10m"
        )
    ns = round(Decimal(match[1]) * UNITS_NS[match[2]])
    if not 1 <= ns <= MAX_NS:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range: 1ns to {MAX_NS // UNITS_NS['d']}d are possible")
    return ns


def duration_s(text: str) -> float:
    """The same in seconds, for waits and intervals."""
    return duration_ns(text) / 1e9


def waiting_s(text: str) -> float:
    """A duration that may also be 0: do not wait at all."""
    return 0.0 if text.strip() in ("0", "0s") else duration_s(text)


def instant(text: str) -> tuple[str, int]:
    """A moment: `("ago", ns)` for a duration before now, `("utc", ns)` for RFC 3339 or Unix nanoseconds.

    Raises:
        ArgumentTypeError: neither.
    """
    stripped = text.strip()
    if re.fullmatch(r"\d{16,19}", stripped):
        return "utc", int(stripped)
    if re.match(r"\d{4}-\d\d-\d\d", stripped):
        return "utc", _rfc3339_ns(stripped)
    try:
        return "ago", duration_ns(stripped)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no instant: RFC 3339 (2026-01-31T12:00:00Z), nanoseconds since 1970 or a duration before "
            "now (10m) is expected"
        ) from None


def _rfc3339_ns(text: str) -> int:
    # datetime keeps microseconds only, so the fraction is taken out and added again.
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)?", text)
    try:
        if match is None:
            raise ValueError
        day, clock, fraction, zone = match.groups()
        zone = "+00:00" if zone is None or zone in "Zz" else zone
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no instant: RFC 3339 is expected, e.g. 2026-01-31T12:00:00.25Z"
        ) from None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + int((fraction or "").ljust(9, "0"))
