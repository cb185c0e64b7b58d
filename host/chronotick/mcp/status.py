"""The host's status sections as the tools and resources tell them."""

import os
import time
from importlib.metadata import version
from typing import Any

from mcp_types.version import KNOWN_PROTOCOL_VERSIONS

from chronotick.client import Status
from chronotick.mcp import results
from chronotick.mcp.access import HostAccess
from chronotick.mcp.answers import DAEMON_STATUS


def host_status(sections: dict[str, Any]) -> results.HostStatus:
    """The whole condition."""
    clock = sections["clock"]
    return results.HostStatus(
        status=clock["status"],
        sentence=clock["sentence"],
        ready=clock["status"] != Status.UNKNOWN,
        sections=sections,
    )


def daemon_status(sections: dict[str, Any], adapter: results.AdapterStats) -> results.DaemonStatus:
    """The condition under the names of the earlier ChronoTick."""
    clock, host = sections["clock"], sections["host"]
    status = Status(clock["status"])
    progress, left_s = warm_up(sections)
    return results.DaemonStatus(
        status=DAEMON_STATUS[status],
        status_sentence=clock["sentence"],
        warmup_progress=progress,
        warmup_remaining_seconds=left_s,
        total_corrections=clock.get("fixes", 0),
        success_rate=success_rate(sections["sources"]["servers"]),
        average_latency_ms=adapter.average_call_ms,
        memory_usage_mb=host["rss_mb"],
        cpu_affinity=_affinity(host["pid"]),
        uptime_seconds=host["uptime_s"],
        last_error=last_error(sections),
        mcp_server=adapter,
    )


def adapter_stats(access: HostAccess) -> results.AdapterStats:
    """This process."""
    return results.AdapterStats(
        version=version("chronotick"),
        sdk_version=version("mcp"),
        protocol_versions=list(KNOWN_PROTOCOL_VERSIONS),
        pid=os.getpid(),
        uptime_seconds=time.monotonic() - access.begun_s,
        calls=access.calls,
        failures=access.failures,
        average_call_ms=access.mean_call_ms,
    )


def warm_up(sections: dict[str, Any]) -> tuple[float, float]:
    """Progress, 0..1, and seconds left of the warm-up: how much has been seen of the history that models wait for."""
    seen = sections["clock"]["warm_up"]
    return float(seen["progress"]), float(seen["remaining_s"])


def first_time(sections: dict[str, Any]) -> float:
    """How far the way to a first time is, 0..1: the share of a majority of servers that has answered; 1 with a time."""
    if sections["clock"]["status"] != Status.UNKNOWN:
        return 1.0
    servers: list[dict[str, Any]] = sections["sources"]["servers"]
    answered = sum(row["accepted"] > 0 for row in servers)
    # Answers alone are no time: they have to agree.
    return min(float(answered) / (len(servers) // 2 + 1), 0.99)


def success_rate(servers: list[dict[str, Any]]) -> float | None:
    """Share of the exchanges with all servers that gave a sample; None before any."""
    accepted = sum(row["accepted"] for row in servers)
    asked = accepted + sum(sum(row["refused"].values()) for row in servers)
    return accepted / asked if asked else None


def last_error(sections: dict[str, Any]) -> str | None:
    """What hinders the host at present: its own sentence when it has no good time, else a model that is down."""
    if sections["clock"]["status"] != Status.SYNCHRONISED:
        return str(sections["clock"]["sentence"])
    broken = [f"{row['name']}: {row['detail']}" for row in sections["plugins"] if row["detail"] and not _fine(row)]
    return "; ".join(broken) or None


def _fine(plugin: dict[str, Any]) -> bool:
    return plugin["state"] in ("READY", "STARTING", "CONNECTED", "LOADING")


def _affinity(pid: int) -> list[int] | None:
    try:
        return sorted(os.sched_getaffinity(pid))
    except OSError:
        # Another user's process, or the host is in another process namespace.
        return None
