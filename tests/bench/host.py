"""What the host costs without models: time to ready, memory, CPU at one exchange per second.

    python tests/bench/host.py [--starts 5] [--seconds 30] [--json]

Baselines in the same run: a bare Python that imports numpy and pyzmq, which no host on these libraries can be below;
and the same host without its event log and saved state.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml

from chronotick.client.connection import Connection
from chronotick.lab.presets import lan
from chronotick.lab.spawn import spawned
from chronotick.wire import runtime_dir
from chronotick.wire.sockets import ipc_endpoint

NOTHING = {"event_log_mb": 0, "warm_start": False, "history_fixes": 0}
BARE = "import numpy, zmq, psutil, sys; print(psutil.Process().memory_info().rss, flush=True); sys.stdin.read()"


def bare() -> tuple[float, float]:
    """Seconds until a Python with numpy and pyzmq is there, and its resident size, MB."""
    begun = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        rss = int(process.stdout.readline())
        ready_s = time.monotonic() - begun
        process.kill()
    return ready_s, rss / 1e6


def start(config: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "chronotick.cli", "run", "--config", str(config)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_ready(directory: runtime_dir.RuntimeDir) -> dict[str, object]:
    connection = Connection(ipc_endpoint(directory.client), 30.0)
    try:
        while True:
            host = connection.request("status_query", sections=["host"])["sections"]["host"]
            if host["ready_s"] is not None:
                return dict(host)
            time.sleep(0.05)
    finally:
        connection.close()


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(20)


async def run(config: Path, directory: runtime_dir.RuntimeDir, seconds: float) -> tuple[float, float]:
    """CPU, % of a core, and resident size, MB, of a host that has run for ten seconds."""
    process = await asyncio.to_thread(start, config)
    try:
        await asyncio.to_thread(wait_ready, directory)
        await asyncio.sleep(10)
        measured = psutil.Process(process.pid)
        before, begun = measured.cpu_times(), time.monotonic()
        await asyncio.sleep(seconds)
        after, ended = measured.cpu_times(), time.monotonic()
        rss_mb = measured.memory_info().rss / 1e6
    finally:
        await asyncio.to_thread(stop, process)
    return 100 * ((after.user - before.user) + (after.system - before.system)) / (ended - begun), rss_mb


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    bares = [bare() for _ in range(args.starts)]
    with tempfile.TemporaryDirectory(prefix="ck-bench-") as folder:
        directory = runtime_dir.create(Path(folder) / "run")
        async with spawned(lan()) as lab:
            polls = {"min_poll_s": 4.0, "max_poll_s": 4.0, "warm_up_poll_s": 1.0}
            config = Path(folder) / "host.yaml"
            body = {
                # Four servers every four seconds: one exchange per second.
                "ntp": {"servers": list(lab.servers), **polls},
                "roles": [],
                "publish": {"runtime_dir": str(directory.path)},
            }
            config.write_text(yaml.safe_dump(body))
            ready = []
            for _ in range(args.starts):
                process = await asyncio.to_thread(start, config)
                ready.append(float(str((await asyncio.to_thread(wait_ready, directory))["ready_s"])))
                await asyncio.to_thread(stop, process)
            cpu, rss_mb = await run(config, directory, args.seconds)
            config.write_text(yaml.safe_dump(body | {"store": NOTHING}))
            cpu_without, _ = await run(config, directory, args.seconds)
    result = {
        "ready_s": round(statistics.median(ready), 3),
        "bare_ready_s": round(statistics.median(one for one, _ in bares), 3),
        "rss_mb": round(rss_mb, 1),
        "bare_rss_mb": round(statistics.median(one for _, one in bares), 1),
        "cpu_percent_at_1_hz": round(cpu, 2),
        "cpu_percent_without_store": round(cpu_without, 2),
        "starts": args.starts,
    }
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'':<34}{'host':>10}{'bare':>10}{'ratio':>8}{'goal':>10}")
    for label, mine, base, goal in (
        ("ready, s (median)", result["ready_s"], result["bare_ready_s"], "< 1"),
        ("resident, MB", result["rss_mb"], result["bare_rss_mb"], "< 60"),
    ):
        print(f"{label:<34}{mine:>10}{base:>10}{mine / base:>8.2f}{goal:>10}")
    cpu, without = result["cpu_percent_at_1_hz"], result["cpu_percent_without_store"]
    print(f"{'CPU at 1 exchange/s, % of a core':<34}{cpu:>10}{'-':>10}{'-':>8}{'< 2':>10}")
    print(f"{'  without log and saved state':<34}{without:>10}{'-':>10}{'-':>8}{'-':>10}")


if __name__ == "__main__":
    asyncio.run(main())
