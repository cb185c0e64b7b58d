"""Load time, first and usual forecast, and memory of one plugin, with a host that does nothing else.

python tests/bench/plugin_figures.py NAME [--param KEY=VALUE ...] [--threads N] [--seconds S] [--json]

import_s     from the start of the process until the libraries are imported (it says so before it loads weights)
load_s       from then until warming up
first_ms     the first of the two forecasts of warming up: 256 points, 64 ahead
p50_ms, ...  the model alone, as the plugin says, and with the way to it and back, for batches of 512 points
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from chronotick.plugins.discovery import discover
from chronotick.sdk.tiny_host import TinyHost
from chronotick.wire.messages import ForecastOk, ForecastRequest, Series, Status

WINDOW, HORIZON = 512, 64
BATCHES = (1, 8, 64)
FEWEST = 5


def memory_mb(pid: int) -> dict[str, float]:
    """Resident size, its share of what processes share, and the highest resident size so far."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text() + Path(f"/proc/{pid}/status").read_text()
    found = dict(line.split(":", 1) for line in lines.splitlines() if line.startswith(("Rss:", "Pss:", "VmHWM:")))
    names = {"Rss": "rss_mb", "Pss": "pss_mb", "VmHWM": "peak_rss_mb"}
    return {names[key]: int(value.split()[0]) / 1024 for key, value in found.items()}


def start(host: TinyHost, params: dict[str, Any], threads: int) -> tuple[Status, dict[str, float]]:
    """Bring the plugin to READY; how long each part took."""
    began = time.monotonic()
    host.start()
    host.hello(180.0)
    host.welcome(params, threads=threads)
    at: dict[str, float] = {}
    while True:
        status = host.expect(Status, 180.0)
        at.setdefault(status.state, time.monotonic())
        if status.state == "loading" and status.detail.startswith("loading ") and " on " in status.detail:
            at.setdefault("imported", time.monotonic())
        if status.state in ("ready", "failed"):
            break
    if status.capabilities is None:
        raise SystemExit(f"{status.detail} {status.error.mend if status.error is not None else ''}")
    imported = at.get("imported", at["warming"])
    warming_ms = (at["ready"] - at["warming"]) * 1e3
    return status, {
        "import_s": imported - began,
        "load_s": at["warming"] - imported,
        "first_ms": max(warming_ms - status.capabilities.warm_ms, 0.0),
    }


def forecasts(host: TinyHost, status: Status, batch: int, seconds: float, fewest: int = FEWEST) -> dict[str, float]:
    """Quantiles of the time that forecasts of `batch` windows take, ms; at least `fewest` are made."""
    offered = status.capabilities
    assert offered is not None
    windows = np.random.default_rng(batch).standard_normal((batch, min(WINDOW, offered.context_max))).cumsum(axis=1)
    model: list[float] = []
    whole: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(model) < fewest:
        began = time.monotonic()
        request = ForecastRequest(
            id=batch * 100_000 + len(model),
            deadline_ns=time.monotonic_ns() + 120 * 10**9,
            series=Series(t0_ns=0, step_ns=64 * 10**9, values=windows),
            horizon=min(HORIZON, offered.horizon_max),
            levels=offered.levels,
        )
        host.send(request)
        answer = host.answer(request.id, 120.0)
        if not isinstance(answer, ForecastOk):
            raise SystemExit(f"{answer.code}: {answer.message}")
        whole.append((time.monotonic() - began) * 1e3)
        model.append(answer.infer_ms)
    p50, p99 = np.percentile(model, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99), "through_p50_ms": float(np.median(whole)), "made": len(model)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--param", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each batch size")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    manifest = discover().find(args.name)
    params = dict(one.split("=", 1) for one in args.param)
    environ = {**os.environ, **manifest.process.env, "HF_HUB_OFFLINE": "1"}
    environ |= {"OMP_NUM_THREADS": str(args.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    with TinyHost(manifest.argv, env=environ, cwd=str(manifest.folder)) as host:
        status, figures = start(host, params, args.threads)
        assert status.capabilities is not None
        assert host.process is not None
        said: dict[str, Any] = {
            "plugin": args.name,
            "model": status.capabilities.model_id,
            "parameters": status.capabilities.parameters,
            "threads": args.threads,
            **figures,
            "ready": memory_mb(host.process.pid),
        }
        for batch in BATCHES:
            if batch <= status.capabilities.batch_max:
                said[f"batch_{batch}"] = forecasts(host, status, batch, args.seconds)
        said["after"] = memory_mb(host.process.pid)
    if args.json:
        print(json.dumps(said))
        return
    for key, value in said.items():
        if isinstance(value, dict):
            value = "  ".join(f"{name} {one:.4g}" for name, one in value.items())
        print(f"{key:11}", f"{value:.4g}" if isinstance(value, float) else value)


if __name__ == "__main__":
    main()
