"""One process in the plugin's environment answers for all tests here: importing torch takes seconds, or a minute."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path(__file__).parents[2] / "plugins" / "chronos"
PYTHON = PLUGIN / ".venv" / "bin" / "python"
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


class Fault(Exception):
    """What the plugin raised."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said["message"])
        self.code: str = said["code"]
        self.message: str = said["message"]
        self.mend: str = said["mend"] or ""
        self.retryable: bool = said["retryable"]


class Worker:
    """`plugins/chronos/tests/worker.py`, asked by name."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the worker in the plugin's environment died; its standard error says why"
        answer = json.loads(line)
        if "fault" in answer:
            raise Fault(answer["fault"])
        assert "crash" not in answer, answer["crash"]
        return answer["ok"]


def worker_environ() -> dict[str, str]:
    """As the host starts a plugin: one quiet thread, and here nothing is fetched."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


@pytest.fixture(scope="session")
def plugin_python() -> Path:
    """The interpreter of the plugin's environment."""
    if not PYTHON.exists():
        pytest.skip("the chronos plugin's environment is not built (chronotick plugins sync chronos)")
    return PYTHON


@pytest.fixture(scope="session")
def worker(plugin_python: Path) -> Iterator[Worker]:
    """The worker; ends with its standard input."""
    process = subprocess.Popen(
        [plugin_python, PLUGIN / "tests" / "worker.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=worker_environ(),
    )
    with process:
        try:
            yield Worker(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="session")
def bolt(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a self-made Chronos-Bolt, which is loaded as "bolt"."""
    folder = str(tmp_path_factory.mktemp("bolt"))
    worker("make_bolt", folder=folder, seed=3)
    worker("load", key="bolt", params={"path": folder})
    return folder


@pytest.fixture(scope="session")
def chronos2(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a self-made Chronos-2, which is loaded as "chronos2"."""
    folder = str(tmp_path_factory.mktemp("chronos2"))
    worker("make_chronos2", folder=folder, seed=4)
    worker("load", key="chronos2", params={"path": folder})
    return folder


@pytest.fixture(scope="session")
def genuine() -> str:
    """Folder of a published, trained Chronos-Bolt."""
    data = os.environ.get("CHRONOTICK_TEST_DATA")
    if not data:
        pytest.skip("CHRONOTICK_TEST_DATA is not set")
    return str(Path(data) / "weights" / "chronos-bolt-350k")
