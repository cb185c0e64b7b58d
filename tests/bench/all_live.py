"""What all five models cost while they forecast at the pace of the earlier system, and what is left when they rest.

    python tests/bench/all_live.py [--seconds 60] [--models NAME ...] [--stand-ins] [--keep FOLDER] [--rest] [--json]

Each model is asked twice: 100 points of one second for the next 5 s, every second; and 300 points for the next 60 s,
every 30 s. The host is a real one on simulated servers. Weights: the checkpoint in the chronos package; TTM-R2 with
CHRONOTICK_TEST_DATA; for the others random numbers in the published dimensions, which cost what published ones cost and
forecast nothing. `--stand-ins` takes tiny random ones for all but chronos instead.

PSS counts memory that processes share once. CPU is in percent of one core, over `--seconds` from the moment that all
were READY and had answered. The baseline in the same run is the same host without any model. `--rest` goes on with
`unload_after_s: 10` and `reload_after_s: 20` until every model that has no weight was let go of, and came back.
"""

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml
from host import start, stop, wait_ready
from models import ENTRIES, weights_of

from chronotick.client.connection import Connection
from chronotick.lab.presets import DEMO_COMPRESSION, lan
from chronotick.lab.spawn import spawned
from chronotick.plugins.discovery import discover
from chronotick.plugins.stand_in import SHAPES, kept_stand_in, make_stand_in
from chronotick.wire import runtime_dir
from chronotick.wire.sockets import ipc_endpoint

MODELS = ("chronos", "timesfm", "ttm", "toto", "time_moe")
SIZES = {"chronos": "embedded", "timesfm": "200m", "ttm": "r2-512-96", "toto": "base", "time_moe": "50m"}
READY_S = 400.0
UNLOAD_S, RELOAD_S = 10.0, 20.0


def folder_of(model: str, stand_ins: bool, folder: Path) -> tuple[str, dict[str, Any]]:
    """Path of the model's weights for the configuration, and further parameters."""
    manifest = discover().find(model)
    if stand_ins and model in SHAPES:
        return str(make_stand_in(manifest, kept_stand_in(manifest))), SHAPES[model].params
    entry = next(one for one in ENTRIES if (one.plugin, one.size) == (model, SIZES[model]))
    if (folder / model / "model" / "model.safetensors").is_file():
        return str(folder / model / "model"), entry.params
    if not (path := weights_of(entry, manifest, folder / model)):
        raise SystemExit(f"{model}: CHRONOTICK_TEST_DATA is not set; take --stand-ins.")
    return path, entry.params


def roles(models: list[str], stand_ins: bool) -> list[dict[str, Any]]:
    """Both questions for each model; a tiny stand-in is asked for as much as it has."""
    made = []
    for model in models:
        most = SHAPES[model].horizon if stand_ins and model in SHAPES else 60
        common = {"plugin": model, "step_s": 1.0, "min_context": 20, "deadline_s": 5.0}
        # A fix comes each half second: a little less than a second makes it every second one.
        made.append(common | {"name": f"short_{model}", "context": 100, "horizon": 5, "interval_s": 0.9})
        made.append(common | {"name": f"long_{model}", "context": 300, "horizon": min(60, most), "interval_s": 30.0})
    return made


def usage(pid: int) -> tuple[float, float]:
    """PSS in MB, and seconds of CPU so far."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    return process.memory_full_info().pss / 1e6, times.user + times.system


class Live:
    """One host at work."""

    def __init__(self, body: dict[str, Any], directory: runtime_dir.RuntimeDir, file: Path) -> None:
        file.write_text(yaml.safe_dump(body))
        self._directory, self._file = directory, file
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Live":
        self.process = start(self._file)
        wait_ready(self._directory)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        stop(self.process)

    def rows(self) -> dict[str, dict[str, Any]]:
        """The status of each plugin."""
        connection = Connection(ipc_endpoint(self._directory.client), 10.0)
        try:
            said = connection.request("status_query", sections=["plugins"])["sections"]["plugins"]
        finally:
            connection.close()
        return {row["name"]: row for row in said}

    def until(self, holds: Callable[[dict[str, dict[str, Any]]], bool], patience_s: float) -> float:
        """Seconds until it held."""
        began = time.monotonic()
        while not holds(rows := self.rows()):
            if time.monotonic() - began > patience_s:
                raise SystemExit(
                    f"not within {patience_s:.0f} s: { {n: (r['state'], r['detail']) for n, r in rows.items()} }"
                )
            time.sleep(0.5)
        return time.monotonic() - began

    def pids(self) -> dict[str, int]:
        """The host's process and those of its plugins."""
        assert self.process is not None
        return {"host": self.process.pid} | {name: row["pid"] for name, row in self.rows().items() if row["pid"]}


def over(live: Live, seconds: float) -> dict[str, dict[str, float]]:
    """PSS and CPU of each process over so many seconds, and what each model did meanwhile."""
    pids, rows = live.pids(), live.rows()
    before, began = {name: usage(pid)[1] for name, pid in pids.items()}, time.monotonic()
    time.sleep(seconds)
    past_s, later = time.monotonic() - began, live.rows()
    said: dict[str, dict[str, float]] = {}
    for name, pid in pids.items():
        pss_mb, cpu_s = usage(pid)
        said[name] = {"pss_mb": pss_mb, "cpu_percent": 100 * (cpu_s - before[name]) / past_s}
        if name in rows:
            said[name]["forecasts"] = later[name]["served"] - rows[name]["served"]
            said[name]["refused"] = sum(later[name]["refused"].values()) - sum(rows[name]["refused"].values())
            said[name]["p50_ms"], said[name]["p99_ms"] = later[name]["p50_ms"], later[name]["p99_ms"]
    return said


def show(title: str, said: dict[str, dict[str, float]]) -> None:
    """A table for people."""
    print(f"{title:<12}{'PSS MB':>9}{'CPU %':>8}{'forecasts':>11}{'refused':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for name, row in said.items():
        print(f"  {name:<10}{row['pss_mb']:9.0f}{row['cpu_percent']:8.1f}", end="")
        if "forecasts" in row:
            print(f"{row['forecasts']:11.0f}{row['refused']:9.0f}{row['p50_ms']:9.1f}{row['p99_ms']:9.1f}", end="")
        print()
    print(f"  {'all':<10}{total(said, 'pss_mb'):9.0f}{total(said, 'cpu_percent'):8.1f}", flush=True)


def total(said: dict[str, dict[str, float]], key: str) -> float:
    return sum(row[key] for row in said.values())


def rest(live: Live, models: list[str]) -> dict[str, Any]:
    """Wait until models without weight have been let go of, and until they are back."""
    ready_mb = 0.0
    gone: dict[str, str] = {}
    back: dict[str, float] = {}
    least_mb, began = float("inf"), time.monotonic()
    while len(back) < len(models) and time.monotonic() - began < READY_S:
        rows = live.rows()
        resting = {name: row["detail"] for name, row in rows.items() if row["state"] == "STOPPED" and name in models}
        for name in gone.keys() - back.keys() - resting.keys():
            if rows[name]["state"] == "READY":
                back[name] = time.monotonic() - began
        gone |= {name: detail for name, detail in resting.items() if name not in gone}
        pss_mb = sum(usage(pid)[0] for pid in live.pids().values() if psutil.pid_exists(pid))
        if resting:
            least_mb = min(least_mb, pss_mb)
        else:
            ready_mb = max(ready_mb, pss_mb)
        time.sleep(1.0)
    return {"ready_mb": ready_mb, "least_mb": least_mb, "let_go": gone, "back_after_s": back}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--stand-ins", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder for the weights that are made, for another run")
    parser.add_argument("--rest", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result: dict[str, Any] = {"cores": os.cpu_count(), "load_1min": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="ck-bench-") as name:
        folder = Path(name)
        weights = {model: folder_of(model, args.stand_ins, args.keep or folder) for model in args.models}
        directory = runtime_dir.create(folder / "run")
        async with spawned(lan()) as lab:
            body: dict[str, Any] = {
                "ntp": {
                    # A model is asked about the time since a new fix, so fixes must come faster than questions.
                    "servers": list(lab.servers), "min_poll_s": 0.5, "max_poll_s": 0.5, "warm_up_poll_s": 0.5,
                },
                # A real oscillator's fixes are thinned to what it can show, one in many seconds; one whose physics are
                # faster, as in the demo, has a fix for each second.
                "clock": {"warm_up_s": 10.0, "time_compression": DEMO_COMPRESSION},
                "publish": {"runtime_dir": str(directory.path)},
            }  # fmt: skip
            plugins = [
                {"name": model, "path": path.replace("embedded", ""), "params": params}
                for model, (path, params) in weights.items()
            ]
            full = body | {"roles": roles(args.models, args.stand_ins), "plugins": plugins}
            file = folder / "host.yaml"

            def alone() -> dict[str, dict[str, float]]:
                with Live(body | {"roles": [], "plugins": []}, directory, file) as live:
                    time.sleep(10.0)
                    return over(live, min(args.seconds, 20.0))

            def together() -> dict[str, dict[str, float]]:
                with Live(full, directory, file) as live:
                    result["ready_after_s"] = live.until(
                        lambda rows: all(row["state"] == "READY" and row["served"] for row in rows.values()), READY_S
                    )
                    return over(live, args.seconds)

            def resting() -> dict[str, Any]:
                used = [one | {"unload_after_s": UNLOAD_S, "reload_after_s": RELOAD_S} for one in plugins]
                with Live(full | {"plugins": used}, directory, file) as live:
                    return rest(live, args.models)

            result["without"] = await asyncio.to_thread(alone)
            result["all"] = await asyncio.to_thread(together)
            if args.rest:
                result["rest"] = await asyncio.to_thread(resting)
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(f"all had answered {result['ready_after_s']:.0f} s after the host's start")
    show("no models", result["without"])
    show("all live", result["all"])
    if args.rest:
        said = result["rest"]
        print(f"PSS {said['ready_mb']:.0f} MB at most, {said['least_mb']:.0f} MB at the least, with models at rest")
        for model, why in said["let_go"].items():
            later = f"after {said['back_after_s'][model]:.0f} s" if model in said["back_after_s"] else "not yet"
            print(f"  {model:<10}{why}; READY again {later}")
        for model in sorted(set(args.models) - said["let_go"].keys()):
            print(f"  {model:<10}stayed")


if __name__ == "__main__":
    asyncio.run(main())
