"""From a reading to the answer of a tool. Pure: no clock, no host."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from chronotick.client import Reading, Status
from chronotick.client.compare import Order, compare
from chronotick.client.instant import Instant
from chronotick.mcp import results
from chronotick.mcp.instants import to_rfc3339
from chronotick.units import NS_PER_S
from chronotick.wire.snapshot import MAX_NS, Z95


class Event(NamedTuple):
    """What is known of when an event was. Attributes as of `Instant`; raw_ns is None unless read on this machine."""

    utc_ns: int
    earliest_ns: int
    latest_ns: int
    half_width_95_ns: int
    raw_ns: int | None = None
    host_instance: int = 0
    epoch: int = 0


DAEMON_STATUS = {
    Status.SYNCHRONISED: "ready",
    Status.HOLDOVER: "holdover",
    Status.DISRUPTED: "disrupted",
    Status.UNKNOWN: "warming_up",
}
LEVEL_95 = 0.95
# The candidate that is made of measurements alone.
FLOOR = "floor"
NOTE = (
    "Calibrated interval: it holds true UTC with this probability. For an interval that holds it as long as the "
    "majority of the servers is right, use earliest_ns and latest_ns."
)


def event_fields(at: Reading | Instant) -> dict[str, Any]:
    """The fields of `EventInstant`. Its status is not UNKNOWN."""
    earliest, latest = at.earliest_ns, at.latest_ns
    return {
        "utc": to_rfc3339(at.utc_ns),
        "utc_ns": str(at.utc_ns),
        "earliest_ns": str(earliest),
        "latest_ns": str(latest),
        "earliest": to_rfc3339(earliest),
        "latest": to_rfc3339(latest),
        "hard_width_ns": str(latest - earliest),
        "sigma_ns": str(at.sigma_ns),
        "half_width_95_ns": str(at.half_width_95_ns),
        "age_ns": str(at.age_ns),
        "status": at.status.value,
        "epoch": at.epoch,
        "host_instance": str(at.host_instance),
    }


def time_reading(reading: Reading, level: float = LEVEL_95) -> results.TimeReading:
    """A reading as the tool `now` gives it. The reading's status is not UNKNOWN; level in (0, 1)."""
    low, high = reading.interval(level)
    return results.TimeReading(
        **event_fields(reading),
        interval=results.Interval(
            level=level, low_ns=str(low), high_ns=str(high), low=to_rfc3339(low), high=to_rfc3339(high)
        ),
        as_of=to_rfc3339(reading.as_of_ns),
        source=list(reading.source),
        # Only a snapshot's reading shows the raw clock that the host and all readers of this machine share.
        raw_ns=str(reading.raw_ns) if reading[2].host_pid else None,
    )


def comparison(a: Event, b: Event, *, verified: bool) -> results.ComparisonResult:
    """The order of two events."""
    found = compare(a, b)
    if found.order is Order.AMBIGUOUS and (first := _by_raw_clock(a, b)) is not None:
        found = found._replace(order=first, probability=float(first is Order.BEFORE))
    match found.order:
        case Order.BEFORE:
            verdict = "a was before b."
        case Order.AFTER:
            verdict = "a was after b."
        case _:
            verdict = f"Nobody can tell which came first; a was before b with probability {found.probability:.3f}."
    return results.ComparisonResult(
        order=found.order.value,
        probability=found.probability,
        gap_ns=str(found.gap_ns),
        verdict=verdict,
        verified=verified,
    )


def _by_raw_clock(a: Event, b: Event) -> Order | None:
    """The order of two readings of one machine's snapshot by the raw clock that they share, which needs no servers."""
    if a.raw_ns is None or b.raw_ns is None or a.host_instance != b.host_instance or a.raw_ns == b.raw_ns:
        return None
    return Order.BEFORE if a.raw_ns < b.raw_ns else Order.AFTER


def corrected(reading: Reading, system_ns: int, latency_ms: float, stats: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of `CorrectedTime`: the reading as one correction of the system clock.

    The published line is utc = raw + theta + rate * age. Seen from the system clock at `system_ns`, the same instant,
    that is an offset at the line's anchor and one drift since then, so that

        corrected_ns == system_ns + offset_correction_ns + round(drift_rate * (system_ns - prediction_time_ns))

    holds to the nanosecond, with each term once. A slew that is under way is part of the drift; one that is done, or an
    answer held at what had been said before, is part of the offset.
    """
    line = reading[2]
    age_ns = reading.raw_ns - line.raw_ns
    drift = line.rate + (line.slew_rate if reading.raw_ns < line.slew_until_raw_ns else 0.0)
    offset_ns = reading.utc_ns - system_ns - round(drift * age_ns)
    void_ns = line.void_raw_ns
    return {
        "corrected_time": reading.utc_ns / NS_PER_S,
        "corrected_time_ns": str(reading.utc_ns),
        "corrected_time_rfc3339": to_rfc3339(reading.utc_ns),
        "system_time": system_ns / NS_PER_S,
        "system_time_ns": str(system_ns),
        "offset_correction": offset_ns / NS_PER_S,
        "offset_correction_ns": str(offset_ns),
        "drift_rate": drift,
        "offset_uncertainty": line.half_width_95_ns(line.raw_ns) / NS_PER_S,
        "drift_uncertainty": Z95 * line.sigma_growth,
        "time_uncertainty": reading.half_width_95_ns / NS_PER_S,
        "confidence": LEVEL_95,
        "source": "+".join(reading.source),
        "prediction_time": (system_ns - age_ns) / NS_PER_S,
        "prediction_time_ns": str(system_ns - age_ns),
        "valid_until": None if void_ns == MAX_NS else (system_ns + void_ns - reading.raw_ns) / NS_PER_S,
        "daemon_status": DAEMON_STATUS[reading.status],
        "earliest_ns": str(reading.earliest_ns),
        "latest_ns": str(reading.latest_ns),
        "call_latency_ms": latency_ms,
        "detailed_stats": stats,
    }


def confidence_interval(reading: Reading, system_ns: int, level: float) -> results.ConfidenceInterval:
    """The calibrated interval at `level`, in (0, 1), of the time and of the correction."""
    low, high = reading.interval(level)
    return results.ConfidenceInterval(
        lower_bound=low / NS_PER_S,
        upper_bound=high / NS_PER_S,
        lower_bound_ns=str(low),
        upper_bound_ns=str(high),
        range=(high - low) / NS_PER_S,
        offset_lower=(low - system_ns) / NS_PER_S,
        offset_upper=(high - system_ns) / NS_PER_S,
    )


def future(reading: Reading, later: Instant, ahead_s: float) -> dict[str, Any]:
    """The fields that `FutureTime` adds, from now and from what will be known `ahead_s` later."""
    now_half = reading.half_width_95_ns
    half = max(now_half, later.half_width_95_ns)
    return {
        "future_timestamp": later.utc_ns / NS_PER_S,
        "future_timestamp_ns": str(later.utc_ns),
        "future_timestamp_rfc3339": to_rfc3339(later.utc_ns),
        "future_seconds": ahead_s,
        "future_uncertainty": half / NS_PER_S,
        "uncertainty_increase": (half - now_half) / NS_PER_S,
    }
