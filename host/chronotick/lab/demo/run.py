"""The demo from start to end: lab, host, watcher, view."""

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from chronotick.client.connection import Connection
from chronotick.errors import ClockError, LabError
from chronotick.lab.demo import setting, summary, view
from chronotick.lab.demo.score import score
from chronotick.lab.demo.usage import Usage
from chronotick.lab.demo.watch import Watcher
from chronotick.lab.presets import adapted, demo
from chronotick.lab.spawn import spawned
from chronotick.lab.truth import Truth
from chronotick.wire import runtime_dir as directories
from chronotick.wire.sockets import ipc_endpoint

HOST_READY_S = 20.0
STOP_S = 10.0
LOOK_S = 0.5
PLAIN_S = 5.0


async def demonstrate(
    seconds: float,
    models: Sequence[str],
    *,
    seed: int | None,
    live: bool,
    weights: Mapping[str, setting.Weights] | None = None,
) -> dict[str, Any]:
    """Run the demo for `seconds` with these models; returns `summary.document`.

    Args:
        live: draw the live view on standard error; otherwise a line every five seconds.
        weights: folders that models load in place of their own.

    Raises:
        LabError: the lab or the host could not start.
    """
    scenario = adapted(demo(seconds), seed=seed)
    with tempfile.TemporaryDirectory(prefix="chronotick-demo-") as folder:
        directory = directories.create(Path(folder) / "run")
        log = Path(folder) / "host.log"
        async with spawned(scenario) as lab:
            file = Path(folder) / "demo.yaml"
            setting.write(setting.demo_config(lab.servers, models, directory.path, log, weights), file)
            made = [model for model, one in (weights or {}).items() if one.made]
            began = time.monotonic()
            host = _start(file, Path(folder) / "host.err")
            try:
                await _ready(host, directory, Path(folder) / "host.err")
                watcher = Watcher(directory, lab.truth())
                watcher.start()
                try:
                    return await _show(watcher, directory, lab.truth(), seconds, began, live, made)
                finally:
                    watcher.stop()
            finally:
                _stop(host)


def _start(file: Path, errors: Path) -> "subprocess.Popen[bytes]":
    with errors.open("wb") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "chronotick.cli", "run", "--config", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=sink,
            # Ctrl-C is for the demo, which then stops the host in order.
            start_new_session=True,
        )


async def _ready(host: "subprocess.Popen[bytes]", directory: directories.RuntimeDir, errors: Path) -> None:
    deadline = time.monotonic() + HOST_READY_S
    while not await asyncio.to_thread(directory.client.exists):
        if host.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"The host did not start: {_last_line(errors)}")
        await asyncio.sleep(0.02)


def _last_line(file: Path) -> str:
    lines = file.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing."


def _stop(host: "subprocess.Popen[bytes]") -> None:
    if host.poll() is None:
        host.send_signal(signal.SIGTERM)
    try:
        host.wait(STOP_S)
    except subprocess.TimeoutExpired:
        host.kill()
        host.wait()


async def _show(
    watcher: Watcher,
    directory: directories.RuntimeDir,
    truth: Truth,
    seconds: float,
    began: float,
    live: bool,
    made: Sequence[str],
) -> dict[str, Any]:
    console = Console(stderr=True)
    connection = Connection(ipc_endpoint(directory.client), 2.0)
    status: dict[str, Any] | None = None
    first_forecast_s: float | None = None
    trusted: dict[str, dict[str, float]] = {}
    said, usage = 0.0, Usage()
    told: dict[str, int] = {}
    try:
        with (
            Live(console=console, refresh_per_second=4, transient=True, auto_refresh=False)
            if live
            else _Quiet() as screen
        ):
            while (elapsed := time.monotonic() - began) < seconds:
                try:
                    status = await asyncio.to_thread(_status, connection)
                except ClockError as error:
                    console.print(f"chronotick: {error}", highlight=False)
                if status is not None and first_forecast_s is None and status["forecasts"]["made"]:
                    first_forecast_s = round(elapsed, 1)
                if status is not None:
                    summary.note_trust(trusted, status["forecasts"]["candidates"])
                    usage.look(status["plugins"])
                scored = await asyncio.to_thread(score, tuple(watcher.samples))
                outage = truth.outage(time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW))
                if isinstance(screen, Live):
                    screen.update(
                        view.live(
                            status,
                            scored,
                            elapsed_s=elapsed,
                            seconds=seconds,
                            outage=outage,
                            paths=watcher.paths,
                            made=made,
                        ),
                        refresh=True,
                    )
                else:
                    for model, path in watcher.paths.items():
                        if news := path[told.get(model, 0) :]:
                            told[model] = told.get(model, 0) + len(news)
                            console.print(f"{elapsed:5.0f} s  {model}: {', '.join(news)}", highlight=False)
                if not isinstance(screen, Live) and elapsed - said >= PLAIN_S:
                    said = elapsed
                    console.print(view.line(status, scored, elapsed, seconds, outage), highlight=False, soft_wrap=True)
                await asyncio.sleep(LOOK_S)
    finally:
        connection.close()
    watcher.stop()
    return summary.document(
        score(watcher.samples),
        status,
        first_forecast_s,
        trusted,
        watcher.unknown,
        usage={row["name"]: usage.of(row["pid"]) for row in (status or {}).get("plugins", [])},
        paths=watcher.paths,
        made=made,
    )


def _status(connection: Connection) -> dict[str, Any]:
    sections: dict[str, Any] = connection.request("status_query")["sections"]
    return sections


class _Quiet:
    """In place of a live view."""

    def __enter__(self) -> "_Quiet":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to take down."""
