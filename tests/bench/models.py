"""Each model and published size: start, speed, memory, and the plain library call in the same environment beside ours.

    python tests/bench/models.py [--models NAME ...] [--sizes SIZE ...] [--threads 1 2] [--seconds S] [--quick] [--json]
    python tests/bench/models.py --saved FILE ...

Where no published weights are at hand, models of the published dimensions with random numbers are made by the plugins'
own libraries: speed and memory are facts then, and nothing is said about accuracy. Those are marked `random`. Genuine
are the checkpoint in the chronos package and, with CHRONOTICK_TEST_DATA set, TTM-R2.

import_s, load_s, first_ms      as in plugin_figures.py, which measures the plugin's process
p50, p99                        of a forecast in the model, ms; with a window of 512 points, 64 ahead
through                         p50 with the way to the process and back
library, ours                   medians of the library's own call and of the plugin's, in another process
goal                            through <= 1.05 x library + 0.3 ms, for batches of one
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from msgspec import Struct
from plugin_figures import BATCHES, FEWEST, HORIZON, WINDOW, forecasts, memory_mb, start

from chronotick.plugins.child_environ import child_environ
from chronotick.plugins.discovery import discover
from chronotick.plugins.environment import check_environment, sdk_version
from chronotick.plugins.manifest import Manifest
from chronotick.sdk.tiny_host import TinyHost
from chronotick.wire.launch import Launch
from chronotick.wire.messages import Status

# Longest that one batch size may take, s: then fewer forecasts are made, and below FEW it is left out.
PATIENCE_S, QUICK_PATIENCE_S = 60.0, 12.0
FEW = 2
TURNS = 5


class Entry(Struct, frozen=True):
    """A model in a published size.

    Attributes:
        make: question to the plugin's worker that makes it with random numbers; None where genuine weights are meant.
        path: of genuine weights: "embedded", or below CHRONOTICK_TEST_DATA.
        params: for the plugin, beside the folder.
        quick: measured by --quick, too.
    """

    plugin: str
    size: str
    make: dict[str, Any] | None = None
    path: str = ""
    params: dict[str, Any] = {}
    quick: bool = False


ENTRIES = (
    Entry("chronos", "embedded", path="embedded", quick=True),
    *(Entry("chronos", f"bolt-{s}", {"do": "make_bolt", "size": s}) for s in ("tiny", "mini")),
    Entry("chronos", "bolt-small", {"do": "make_bolt", "size": "small"}, quick=True),
    Entry("chronos", "bolt-base", {"do": "make_bolt", "size": "base"}),
    Entry("chronos", "chronos-2", {"do": "make_chronos2", "size": "120m"}),
    Entry("timesfm", "200m", {"do": "make_timesfm", "size": "200m"}, quick=True),
    Entry("ttm", "r2-512-96", path="weights/ttm-r2-512-96-original", quick=True),
    Entry("toto", "base", {"do": "make_toto", "size": "base"}, quick=True),
    Entry("time_moe", "50m", {"do": "make_time_moe", "size": "50m"}, quick=True),
    Entry("time_moe", "200m", {"do": "make_time_moe", "size": "200m"}),
)


class Worker:
    """The plugin's `tests/worker.py`, in its environment."""

    def __init__(self, manifest: Manifest, threads: int) -> None:
        environ = child_environ(os.environ, manifest, Launch(endpoint=""), threads) | {"HF_HUB_OFFLINE": "1"}
        words = [str(manifest.python), str(manifest.folder / "tests" / "worker.py")]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environ
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        """One question; the worker's complaint ends the bench."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"crash": "the worker has died"}')
        if "ok" not in answer:
            raise SystemExit(f"{do}: {answer}")
        return answer["ok"]

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def measure(
    entry: Entry,
    manifest: Manifest,
    folder: str,
    threads: int,
    seconds: float,
    batches: tuple[int, ...],
    patience_s: float,
) -> Any:
    """All figures of one model with so many threads."""
    params = entry.params | {"path": folder}
    environ = child_environ(os.environ, manifest, Launch(endpoint=""), threads) | {"HF_HUB_OFFLINE": "1"}
    said: dict[str, Any] = {"plugin": entry.plugin, "size": entry.size, "random": entry.make is not None}
    with TinyHost(manifest.argv, env=environ, cwd=str(manifest.folder)) as host:
        status, figures = start(host, params, threads)
        offered = status.capabilities
        assert offered is not None
        assert host.process is not None
        said |= {"threads": threads, "parameters": offered.parameters, **figures}
        said["load_1min"] = os.getloadavg()[0]
        said["batches"] = {}
        one_s, before = 0.0, 1
        for batch in sorted({min(batch, offered.batch_max) for batch in batches}):
            # What one will take if time grows with the batch, and how often it is then made.
            expected_s = one_s * batch / before
            if FEW * expected_s > patience_s:
                break
            fewest = FEWEST if FEWEST * expected_s <= patience_s else FEW
            said["batches"][batch] = made = forecasts(host, status, batch, seconds, fewest)
            one_s, before = made["through_p50_ms"] / 1e3, batch
        said |= memory_mb(host.process.pid)
        said |= beside(entry, manifest, host, status, folder, threads, patience_s)
    goal_ms = 1.05 * said["library_ms"] + 0.3
    return said | {"goal_ms": goal_ms, "met": said["through_ms"] <= goal_ms}


def beside(
    entry: Entry, manifest: Manifest, host: TinyHost, status: Status, folder: str, threads: int, patience_s: float
) -> dict[str, float]:
    """Medians of the plugin's process and, in its environment, of the library's own call, taken in turn."""
    offered = status.capabilities
    assert offered is not None
    place = str(manifest.folder / "src/chronotick_chronos/weights") if folder == "embedded" else folder
    points, horizon = min(WINDOW, offered.context_max), min(HORIZON, offered.horizon_max)
    if entry.plugin == "ttm":
        points, horizon = 512, 96
    through, library, ours = [], [], []
    with Worker(manifest, threads) as worker:
        worker.ask("load", key="bench", params=entry.params | {"path": folder})
        began = time.monotonic()
        while len(ours) < TURNS and (not ours or time.monotonic() - began < patience_s):
            # Some to wake it first: the other side's first calls are not counted either.
            forecasts(host, status, 1, 0.0)
            through.append(forecasts(host, status, 1, 0.0)["through_p50_ms"])
            one = worker.ask(
                "overhead", key="bench", folder=place, points=points, horizon=horizon, rounds=FEWEST if len(ours) else 1
            )
            library.append(one["library_ms"])
            ours.append(one["plugin_ms"])
    return {"library_ms": median(library), "ours_ms": median(ours), "through_ms": median(through)}


def weights_of(entry: Entry, manifest: Manifest, folder: Path) -> str:
    """Folder of the weights, made if need be; "" where the genuine ones are not at hand."""
    if entry.make is None:
        if entry.path == "embedded":
            return "embedded"
        data = os.environ.get("CHRONOTICK_TEST_DATA", "")
        return str(Path(data) / entry.path) if data else ""
    with Worker(manifest, 1) as worker:
        worker.ask(folder=str(folder / "model"), seed=3, **entry.make)
    return str(folder / "model")


def show(said: dict[str, Any]) -> None:
    """One model for people."""
    random = ", random" if said["random"] else ""
    print(f"{said['plugin']} {said['size']}{random}, {said['parameters'] / 1e6:.1f} M, {said['threads']} thread(s)")
    print(
        f"  import {said['import_s']:.1f} s  load {said['load_s']:.2f} s  first {said['first_ms']:.0f} ms  "
        f"RSS {said['rss_mb']:.0f}  PSS {said['pss_mb']:.0f}  peak {said['peak_rss_mb']:.0f} MB"
    )
    for batch, one in said["batches"].items():
        print(f"  batch {batch:3}  p50 {one['p50_ms']:9.2f}  p99 {one['p99_ms']:9.2f}  ({one['made']} made)")
    print(
        f"  library {said['library_ms']:.2f}  ours {said['ours_ms']:.2f}  through {said['through_ms']:.2f} ms; "
        f"goal {said['goal_ms']:.2f} ms: {'met' if said['met'] else 'MISSED'}",
        flush=True,
    )


def markdown(results: list[dict[str, Any]]) -> None:
    """All of them as a table for docs/models.md."""
    print(
        "| model | M | threads | import s | load s | first ms | batch of 1 | of 8 | of 64 (or the most) | RSS | PSS "
        "| library | through | goal | load |"
    )
    print("|---|" + "---:|" * 14)
    for said in sorted(results, key=lambda one: (one["plugin"], one["parameters"], one["threads"])):
        made = [f"{one['p50_ms']:.4g} / {one['p99_ms']:.4g}" for one in said["batches"].values()]
        sizes = [int(size) for size in said["batches"]]
        if sizes[-1] not in BATCHES:
            made[-1] += f" ({sizes[-1]})"
        made += ["-"] * (len(BATCHES) - len(made))
        random = " *" if said["random"] else ""
        cells = [
            f"{said['plugin']} {said['size']}{random}", f"{said['parameters'] / 1e6:.1f}", said["threads"],
            f"{said['import_s']:.1f}", f"{said['load_s']:.2f}", f"{said['first_ms']:.0f}", *made,
            f"{said['rss_mb']:.0f}", f"{said['pss_mb']:.0f}", f"{said['library_ms']:.4g}", f"{said['through_ms']:.4g}",
            f"{said['goal_ms']:.4g} {'met' if said['met'] else 'missed'}", f"{said['load_1min']:.0f}",
        ]  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[], help="plugins (default: all whose environment is sound)")
    parser.add_argument("--sizes", nargs="+", default=[], help="of these plugins (default: all)")
    parser.add_argument("--threads", nargs="+", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each batch size, at least")
    parser.add_argument(
        "--quick", action="store_true", help="one size of each, one thread, batches of 1 and 8, 2 s each"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--saved", nargs="+", type=Path, help="no measuring: what --json printed earlier, as one table")
    args = parser.parse_args()
    if args.saved:
        markdown([one for file in args.saved for one in json.loads(file.read_text())["results"]])
        return
    seconds = 2.0 if args.quick else args.seconds
    batches = BATCHES[:2] if args.quick else BATCHES
    patience_s = QUICK_PATIENCE_S if args.quick else PATIENCE_S
    found, results = discover(), []
    for entry in ENTRIES:
        if (args.models and entry.plugin not in args.models) or (args.sizes and entry.size not in args.sizes):
            continue
        if args.quick and not entry.quick:
            continue
        manifest = found.find(entry.plugin)
        if problem := check_environment(manifest, sdk_version()):
            print(f"{entry.plugin} {entry.size}: left out. {problem}")
            continue
        with tempfile.TemporaryDirectory(prefix="ck-bench-") as folder:
            if not (path := weights_of(entry, manifest, Path(folder))):
                print(f"{entry.plugin} {entry.size}: left out. CHRONOTICK_TEST_DATA is not set.")
                continue
            for threads in args.threads or ((1,) if args.quick else (1, 2)):
                said = measure(entry, manifest, path, threads, seconds, batches, patience_s)
                results.append(said)
                if not args.json:
                    show(said)
    if args.json:
        print(json.dumps({"load_1min": os.getloadavg()[0], "cores": os.cpu_count(), "results": results}))


if __name__ == "__main__":
    main()
