"""A reading asked for over ZeroMQ, brought to this process's own raw clock."""

import time
from typing import Any, NamedTuple

from chronotick.client.connection import Connection
from chronotick.client.instant import Instant, told
from chronotick.errors import ClockError
from chronotick.wire.levels import LEVELS, normal_widths
from chronotick.wire.snapshot import MAX_NS, Record, Status

# The local raw clock is believed to this share while the answer travels; no oscillator is that wrong.
_RATE_BOUND = 1e-3


def ask(connection: Connection) -> Record:
    """Ask the host for the time: a record anchored at the instant of return.

    The host read its clock some time between question and answer, so half the round trip is added to its time, all of
    it to the hard interval, and half of it to the calibrated ones. The host's raw clock is never used: it may be
    another machine's.

    Raises:
        HostAbsent: nobody answers in time.
        ClockError: the host answers with an error, or with what makes no sense.
    """
    asked = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    answer = connection.request("now")
    answered = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    try:
        return record_of(answer, asked, answered)
    except (KeyError, TypeError, ValueError) as error:
        raise _nonsense(error) from error


class Told(NamedTuple):
    """What a host said of an instant, its own raw clock there, and how long question and answer took."""

    instant: Instant
    raw_ns: int
    travel_ns: int


def ask_instant(connection: Connection, verb: str, **fields: object) -> Told:
    """Ask the host about another instant than now, with `forecast_at` or `convert`.

    Raises:
        HostAbsent, OutOfRange, ClockUnknown: nobody answers; the host can not say.
        ClockError: the host answers with another error, or with what makes no sense.
    """
    asked = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    answer = connection.request(verb, **fields)
    travel = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - asked
    try:
        return Told(told(answer), answer["raw_ns"], travel)
    except (KeyError, TypeError, ValueError) as error:
        raise _nonsense(error) from error


def _nonsense(error: Exception) -> ClockError:
    return ClockError(
        f"The host's answer makes no sense ({error!r}).",
        mend="Install the same ChronoTick version for host and client.",
    )


def record_of(answer: dict[str, Any], asked_raw_ns: int, answered_raw_ns: int) -> Record:
    """The record that an answer of type `reading` stands for, at the local raw instant at which it came in.

    Raises:
        KeyError, TypeError, ValueError: the answer is not a reading.
    """
    travel = answered_raw_ns - asked_raw_ns
    half = travel / 2
    utc = answer["utc_ns"]
    spread = max(utc - answer["low_95_ns"], answer["high_95_ns"] - utc)
    return Record(
        raw_ns=answered_raw_ns,
        theta_ns=utc + travel // 2 - answered_raw_ns,
        rate=0.0,
        slew_rate=0.0,
        slew_until_raw_ns=answered_raw_ns,
        sigma_s=(answer["sigma_ns"] + half) * 1e-9,
        sigma_growth=0.0,
        half_widths_s=normal_widths((spread + half) * 1e-9),
        half_growths=(0.0,) * len(LEVELS),
        earliest_theta_ns=answer["earliest_ns"] - answered_raw_ns,
        latest_theta_ns=answer["latest_ns"] + travel + int(travel * _RATE_BOUND) + 1 - answered_raw_ns,
        bound_growth=_RATE_BOUND,
        stale_raw_ns=MAX_NS,
        void_raw_ns=MAX_NS,
        fix_raw_ns=answered_raw_ns - travel - answer["age_ns"],
        suspended_ns=0,
        epoch=answer["epoch"],
        sequence=answer["sequence"],
        host_instance=answer["host_instance"],
        host_pid=0,
        status=Status(answer["status"]),
        source=tuple(answer["source"]),
    )
