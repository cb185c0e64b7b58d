"""The four tools of the earlier ChronoTick, by their exact names."""

import time

from chronotick.mcp import answers, arguments, results, status
from chronotick.mcp.access import HostAccess


def get_time(access: HostAccess, asked: arguments.GetTime) -> results.CorrectedTime:
    """The corrected time."""
    began = time.perf_counter()
    reading, system_ns = access.now()
    stats = access.sections() if asked.include_stats else None
    return results.CorrectedTime(**answers.corrected(reading, system_ns, _since_ms(began), stats))


def get_time_with_future_uncertainty(access: HostAccess, asked: arguments.GetFutureTime) -> results.FutureTime:
    """The corrected time, and what it will be worth later."""
    began = time.perf_counter()
    reading, system_ns = access.now()
    later = access.clock.future(asked.future_seconds)
    fields = answers.corrected(reading, system_ns, _since_ms(began), None)
    return results.FutureTime(**fields, **answers.future(reading, later, asked.future_seconds))


def get_time_with_confidence_interval(
    access: HostAccess, asked: arguments.GetTimeWithInterval
) -> results.TimeWithInterval:
    """The corrected time with a calibrated interval at a level."""
    began = time.perf_counter()
    reading, system_ns = access.now()
    stats = access.sections() if asked.include_stats else None
    return results.TimeWithInterval(
        **answers.corrected(reading, system_ns, _since_ms(began), stats),
        confidence_level=asked.confidence_level,
        confidence_interval=answers.confidence_interval(reading, system_ns, asked.confidence_level),
        quantiles_available=any(name != answers.FLOOR for name in reading.source),
        note=answers.NOTE,
    )


def get_daemon_status(access: HostAccess, asked: arguments.NoArguments) -> results.DaemonStatus:
    """The host's condition."""
    return status.daemon_status(access.sections(), status.adapter_stats(access))


def _since_ms(began: float) -> float:
    return (time.perf_counter() - began) * 1e3
