"""A host's plugin stage with real echo plugins, in a runtime directory of its own."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from msgspec import Struct
from numpy.typing import NDArray

from chronotick.config.schema import PluginConfig
from chronotick.plugins.backoff import BackoffPolicy
from chronotick.plugins.manifest import Manifest, load_manifest
from chronotick.plugins.states import State
from chronotick.plugins.supervisor import Supervisor
from chronotick.plugins.types import Answer, PluginEvent, PluginView, Refusal, Timing
from chronotick.wire.runtime_dir import RuntimeDir

ECHO = Path(__file__).resolve().parents[1] / "fakes/echo_plugin/launch.py"
# Generous: it bounds a test that would hang, and is never waited for.
PATIENCE_S = 40.0
QUICK = Timing(heartbeat_s=0.1, missed=100, strikes=3, watch_s=0.1, turn_s=5.0)
IMPATIENT = BackoffPolicy(first_s=0.05, most_s=0.1, deaths=3, window_s=600.0)


class Question(Struct, frozen=True):
    """A small ask."""

    values: NDArray[np.float64]
    horizon: int = 4
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    t0_ns: int = 0
    step_ns: int = 1_000_000_000
    mask: NDArray[np.bool_] | None = None
    covariates: NDArray[np.float64] | None = None
    future: NDArray[np.float64] | None = None


def question(points: int = 64, series: int = 1, **fields: Any) -> Question:
    return Question(np.tile(np.arange(points, dtype=np.float64), (series, 1)), **fields)


class Host:
    """A supervisor at work, and all that it has told."""

    def __init__(self, supervisor: Supervisor, events: list[PluginEvent], changed: asyncio.Condition) -> None:
        self.supervisor = supervisor
        self.events = events
        self._changed = changed

    async def reaches(self, name: str, *states: State, times: int = 1) -> PluginView:
        """Wait until a plugin has entered one of these states (for the nth time)."""

        def entered() -> bool:
            return sum(e.name == name and e.state in states for e in self.events) >= times

        try:
            async with asyncio.timeout(PATIENCE_S), self._changed:
                await self._changed.wait_for(entered)
        except TimeoutError:
            pytest.fail(f"{name} did not reach {states}: {self.path(name)}; {self.view(name)}")
        return self.view(name)

    async def ask(self, name: str, within_s: float = 5.0, **fields: Any) -> Answer | Refusal:
        deadline_ns = time.monotonic_ns() + int(within_s * 1e9)
        return await self.supervisor.forecast(name, question(**fields), deadline_ns)

    def view(self, name: str) -> PluginView:
        return next(view for view in self.supervisor.views() if view.name == name)

    def path(self, name: str) -> list[State]:
        """States that a plugin went through."""
        return [event.state for event in self.events if event.name == name]


HostFactory = Callable[..., Any]


@pytest.fixture
def runtime() -> Iterator[RuntimeDir]:
    """A runtime directory whose socket paths are short enough."""
    with tempfile.TemporaryDirectory(prefix="ck") as folder:
        os.chmod(folder, 0o700)
        yield RuntimeDir(Path(folder))


@pytest.fixture
def echo(tmp_path: Path) -> Callable[..., Manifest]:
    """Makes the manifest of an echo plugin with these faults."""

    def make(name: str = "echo", *faults: str, claims: str = "", limits: str = "", argv: str = "") -> Manifest:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        words = ["{python}", "-I", str(ECHO), "--name", name]
        for fault in faults:
            words += ["--fault", fault]
        (folder / "plugin.toml").write_text(
            f"""schema = 1
name = "{name}"
version = "0.1.0"
licence = "Apache-2.0"
protocol = [1]
[process]
argv = {argv or str(words).replace("'", '"')}
[environment]
kind = "host"
[limits]
start_timeout_s = 30
hang_s = 0.5
shutdown_s = 3
queue = 4
{limits}
[claims]
{claims}
"""
        )
        return load_manifest(folder / "plugin.toml")

    return make


@pytest.fixture
def host(runtime: RuntimeDir) -> HostFactory:
    """Runs a supervisor with these manifests for the length of an `async with`."""

    @asynccontextmanager
    async def run(*manifests: Manifest, configs: tuple[PluginConfig, ...] = (), **options: Any) -> AsyncIterator[Host]:
        changed, events = asyncio.Condition(), list[PluginEvent]()
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()

        async def notify() -> None:
            async with changed:
                changed.notify_all()

        def on_event(event: PluginEvent) -> None:
            events.append(event)
            task = loop.create_task(notify())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        known = {config.name for config in configs}
        configs += tuple(PluginConfig(name=m.name) for m in manifests if m.name not in known)
        options = {"timing": QUICK, "backoff": IMPATIENT, "seed": 1, "width": 4} | options
        with runtime.lock() as lock:
            supervisor = Supervisor(manifests, configs, runtime, lock, on_event, **options)
            running = loop.create_task(supervisor.run())
            try:
                yield Host(supervisor, events, changed)
            finally:
                await supervisor.stop()
                await running
                await asyncio.gather(*tasks)

    return run


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """Every test of this folder ends with the file descriptors and child processes that it began with."""
    before, family = open_files(), psutil.Process().children(recursive=True)
    yield
    # Other folders' fixtures may keep processes for the whole session.
    assert [child.name() for child in psutil.Process().children(recursive=True) if child not in family] == []
    assert open_files() == before


def open_files() -> dict[int, str]:
    """Descriptor to what it is, for this process."""
    found = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:
            continue  # the listing's own
    return found


def run_async(test: Awaitable[None]) -> None:
    """Run a coroutine to its end, with a bound."""

    async def bounded() -> None:
        async with asyncio.timeout(100):
            await test

    asyncio.run(bounded())
