"""The host's status as plain maps, by section: what `chronotick status --json` prints and events carry."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
import psutil

from chronotick.fusion.types import Status
from chronotick.ntp.select import Selection, Verdict
from chronotick.ntp.view import ServerView
from chronotick.pipeline import Pipeline
from chronotick.plugins.types import PluginView
from chronotick.wire.snapshot import Record

MB = 1e6


class HostMeter:
    """What this process costs."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()
        # Looked up once: it is a file of the environment, which may be built anew under a running host.
        self._version = version("chronotick")

    def section(self, *, instance: int, uptime_s: float, ready_s: float | None) -> dict[str, Any]:
        """The `host` section. CPU is the mean since the section was last made, % of one core."""
        return {
            "version": self._version,
            "pid": os.getpid(),
            "instance": f"{instance:016x}",
            "uptime_s": round(uptime_s, 3),
            "ready_s": None if ready_s is None else round(ready_s, 3),
            "rss_mb": round(self._process.memory_info().rss / MB, 1),
            "cpu_percent": self._process.cpu_percent(),
        }


def clock_section(
    pipeline: Pipeline, record: Record, status: Status, raw_ns: int, realtime_ns: int, sentence: str
) -> dict[str, Any]:
    """The `clock` section: what is published now, and what stands behind it."""
    body: dict[str, Any] = {
        "status": str(status),
        "sentence": sentence,
        "epoch": record.epoch,
        "warm_up": warm_up(pipeline),
    }
    state = pipeline.state
    if status is Status.UNKNOWN or state is None:
        return body
    utc_ns = record.utc_ns(raw_ns)
    return body | {
        "utc_ns": str(utc_ns),
        "half_width_95_us": record.half_width_95_ns(raw_ns) / 1e3,
        "sigma_us": record.sigma_ns(raw_ns) / 1e3,
        "hard_width_us": (record.latest_ns(raw_ns) - record.earliest_ns(raw_ns)) / 1e3,
        "system_offset_us": (utc_ns - realtime_ns) / 1e3,
        "rate_ppm": state.rate * 1e6,
        "age_s": (raw_ns - record.fix_raw_ns) / 1e9,
        "fixes": state.fixes,
        "restarts": state.restarts,
        "noise_us": state.noise_s * 1e6,
        "source": list(record.source),
    }


def warm_up(pipeline: Pipeline) -> dict[str, float]:
    """How much of the history that models wait for has been seen: progress 0 to 1, and seconds remaining."""
    wanted_s = pipeline.tuning.warm_up_s
    seen_s = 0.0
    if len(pipeline.history):
        seen_s = (pipeline.history.last_raw_ns - pipeline.history.first_raw_ns) / 1e9
    remaining_s = max(wanted_s - seen_s, 0.0)
    # A warm-up of 0 s is over before it begins.
    progress = 1.0 - remaining_s / wanted_s if remaining_s else 1.0
    return {"progress": round(progress, 3), "remaining_s": round(remaining_s, 1)}


def sources_section(views: Sequence[ServerView], selection: Selection | None) -> dict[str, Any]:
    """The `sources` section: a row per server, and the vote."""
    standings: dict[str, str] = {}
    if selection is not None:
        # A standing is told by the server's identity, which ends in its address where that is not its name.
        standings = {identity: standing.value for identity, standing in selection.standings}
    servers = []
    for view in views:
        row = msgspec.to_builtins(view)
        row["refused"] = dict(row["refused"])
        identity = next((one for one in standings if one == view.name or one.startswith(f"{view.name} (")), "")
        row["standing"] = standings.get(identity, "unheard")
        if not view.reach and view.reason is not None:
            # Why it is not heard says more than that it is not.
            row["standing"] = view.reason.value
        servers.append(row)
    return {
        "servers": servers,
        "verdict": None if selection is None else selection.verdict.value,
        "agreed": selection is not None and selection.verdict is Verdict.AGREED,
    }


def plugins_section(views: Sequence[PluginView], weights: dict[str, float]) -> list[dict[str, Any]]:
    """The `plugins` section: a row per model, with its weight in what is published now."""
    rows = []
    for view in views:
        capabilities = view.capabilities
        rows.append(
            {
                "name": view.name,
                "version": view.version,
                "state": str(view.state),
                "detail": ". ".join(part for part in (view.detail, view.mend) if part),
                "progress": view.progress,
                "pid": view.pid,
                "restarts": view.restarts,
                "model_id": capabilities.model_id if capabilities else "",
                "revision": capabilities.revision if capabilities else "",
                "device": capabilities.device if capabilities else "",
                "p50_ms": view.p50_ms,
                "p99_ms": view.p99_ms,
                "infer_p50_ms": view.infer_p50_ms,
                "rss_mb": round(view.rss_bytes / MB, 1),
                "served": view.served,
                "refused": view.refused,
                "weight": weights.get(view.name, 0.0),
            }
        )
    return rows


def forecasts_section(pipeline: Pipeline) -> dict[str, Any]:
    """The `forecasts` section: counts, what each role waits for, and why each candidate has its weight."""
    counts = pipeline.fusion.counts
    return {
        "made": counts.made,
        "used": counts.used,
        "refused": counts.refused,
        "waiting": {role: why.reason for role, why in pipeline.not_ready.items()},
        "candidates": [msgspec.to_builtins(one) for one in pipeline.fusion.explain()],
    }


def explanation(
    said: str, weights: Mapping[str, float], candidates: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Sentences from servers to published time, and the numbers behind them.

    Args:
        said: the sentence on the time's worth.
        weights: of what is published.
        candidates: of the forecasts section.
    """
    chain = (said, *(f"{one['candidate']} at {one['horizon_s']:g} s: {one['reason']}" for one in candidates))
    return chain, {"weights": dict(weights), "candidates": list(candidates)}


def sentence(status: Status, selection: Selection | None, views: Sequence[ServerView], age_s: float) -> str:
    """One sentence on the time's worth and on what it hangs."""
    answering = sum(view.reach != 0 for view in views)
    servers = f"{answering} of {len(views)} servers answer"
    divided = selection is not None and selection.verdict is not Verdict.AGREED and answering > 0
    if divided and selection is not None:
        servers += f", and no majority agrees ({selection.verdict.value.replace('_', ' ')})"
    match status:
        case Status.SYNCHRONISED:
            survivors = 0 if selection is None else len(selection.survivors)
            return f"{servers}." if divided else f"{servers}, {survivors} agree."
        case Status.HOLDOVER:
            return f"No fix for {age_s:.0f} s ({servers}); the interval grows."
        case Status.DISRUPTED:
            return f"The time base was disturbed; measuring anew ({servers})."
        case Status.UNKNOWN:
            if answering == 0:
                return "No server answers; asking again, less and less often."
            return f"{servers}." if divided else f"Measuring ({servers})."
