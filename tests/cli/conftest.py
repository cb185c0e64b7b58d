"""One real host on lab servers for all tests of commands, and commands run in this process or on a terminal."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from chronotick.cli.main import main
from chronotick.client import Status
from chronotick.lab.demo import setting
from chronotick.lab.lab import Ready
from chronotick.lab.presets import adapted, lan
from chronotick.wire import runtime_dir
from tests.system.conftest import Host, lab, until


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def servers() -> Iterator[Ready]:
    with lab(adapted(lan(), servers=4, falsetickers=1)) as ready:
        yield ready


@pytest.fixture(scope="session")
def live_host(servers: Ready, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Synchronised, with the echo model READY and some forecasts scored."""
    folder = tmp_path_factory.mktemp("host")
    run = Path(f"/tmp/ck-cli-{os.getpid()}-{time.monotonic_ns()}")
    config = setting.demo_config(servers.servers, ("echo",), runtime_dir.create(run).path, folder / "host.log")
    # The model is asked after two seconds and scored after two more, instead of ten and ten.
    role = msgspec.structs.replace(config.roles[0], step_s=0.25, min_context=8, interval_s=0.25)
    quick = msgspec.structs.replace(config.clock, time_compression=300.0)
    config = msgspec.structs.replace(config, roles=(role,), clock=quick)
    host = Host(config, folder)
    host.start()
    try:
        with host.clock() as clock:
            until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        until(lambda: host.plugin("echo").get("state") == "READY", "the model is ready")
        yield host
    finally:
        host.stop()
        shutil.rmtree(run)


@pytest.fixture
def scored_host(live_host: Host) -> Host:
    """The same, when forecasts have been scored."""

    def scored() -> bool:
        return any(one["n_eff"] > 0 for one in live_host.sections()["forecasts"]["candidates"])

    until(scored, "forecasts have been scored")
    return live_host


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs a command in this process."""

    def command(*words: str) -> Done:
        capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as end:
            # How argparse ends for --help and for a wrong command line.
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return command


@pytest.fixture
def ask(run: Callable[..., Done], live_host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Runs a command that finds the live host."""
    monkeypatch.setenv("CHRONOTICK_RUNTIME_DIR", str(live_host.directory.path))
    return run


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No directory of a host that happens to run here, and no width."""
    for name in ("CHRONOTICK_RUNTIME_DIR", "RUNTIME_DIRECTORY", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
