"""A real host process on a lab, for tests that see the whole."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chronotick.client import Clock, Status
from chronotick.client.connection import Connection
from chronotick.config.schema import Config
from chronotick.errors import ClockError
from chronotick.lab.demo import setting
from chronotick.lab.lab import Ready
from chronotick.lab.presets import lan
from chronotick.lab.scenario import Scenario
from chronotick.lab.spawn import spawned
from chronotick.wire import runtime_dir
from chronotick.wire.sockets import ipc_endpoint

PATIENCE_S = 30.0
FAKES = Path(__file__).resolve().parents[1] / "fakes"


def until(said: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition; fail with `what` when it does not come true."""
    deadline = time.monotonic() + patience_s
    while not said():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {patience_s:.0f} s: {what}")
        time.sleep(0.02)


class Host:
    """A `chronotick run` process and its runtime directory."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.directory = runtime_dir.RuntimeDir(Path(config.publish.runtime_dir))
        self.file = folder / "host.yaml"
        self.errors = folder / "host.err"
        setting.write(config, self.file)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.errors.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chronotick.cli", "run", "--config", str(self.file)],
                stdin=subprocess.DEVNULL,
                stderr=sink,
                env={**os.environ, "CHRONOTICK_PLUGIN_PATH": str(FAKES)},
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)

    def clock(self) -> Clock:
        return Clock(self.directory.path, fall_back=False)

    def status(self, clock: Clock) -> Status | None:
        try:
            return clock.now(allow_unknown=True).status
        except ClockError:
            return None

    def sections(self) -> dict[str, Any]:
        """The host's status, by section."""
        connection = Connection(ipc_endpoint(self.directory.client), 5.0)
        try:
            sections: dict[str, Any] = connection.request("status_query")["sections"]
        finally:
            connection.close()
        return sections

    def plugin(self, name: str) -> dict[str, Any]:
        """One plugin's row of the status; empty while there is none."""
        try:
            rows = self.sections().get("plugins", [])
        except ClockError:
            return {}
        return next((row for row in rows if row["name"] == name), {})

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "chronotick.cli", *words],
            env={**os.environ, "CHRONOTICK_RUNTIME_DIR": str(self.directory.path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@contextmanager
def lab(scenario: Scenario) -> Iterator[Ready]:
    """A lab process, from code that is not asynchronous."""
    ready: list[Ready] = []
    failed: list[BaseException] = []
    begun, end = threading.Event(), threading.Event()

    async def serve() -> None:
        async with spawned(scenario) as one:
            ready.append(one)
            begun.set()
            await asyncio.to_thread(end.wait)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001
            failed.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        begun.wait(PATIENCE_S)
        if failed:
            raise failed[0]
        yield ready[0]
    finally:
        end.set()
        thread.join()


@pytest.fixture(scope="module")
def lan_lab() -> Iterator[Ready]:
    with lab(lan()) as ready:
        yield ready


@pytest.fixture
def make_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Host]]:
    """Makes hosts with demo-like polls on given servers; ends them afterwards."""
    hosts: list[Host] = []
    # Sockets have short paths; pytest's own folders can be too deep.
    run = Path(f"/tmp/ck-test-{os.getpid()}-{time.monotonic_ns()}")

    def make(servers: tuple[str, ...], models: tuple[str, ...] = (), **changes: object) -> Host:
        directory = runtime_dir.create(run)
        config = setting.demo_config(servers, models, directory.path, tmp_path / "host.log")
        config = msgspec.structs.replace(config, **changes)
        host = Host(config, tmp_path)
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        if host.process is not None and host.process.poll() is None:
            host.process.kill()
            host.process.wait()
    if run.exists():
        shutil.rmtree(run)
