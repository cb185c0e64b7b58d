"""A plugin's `tests/worker.py`, run in the plugin's own environment and asked by name from these tests.

One process answers for all tests of a plugin: importing its libraries takes seconds, or a minute.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chronotick.cli.test import ALL_MODELS
from chronotick.plugins.environment import check_environment, sdk_version
from chronotick.plugins.manifest import load_manifest

PLUGINS = Path(__file__).parents[1] / "plugins"


class Fault(Exception):
    """What the plugin raised."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said["message"])
        self.code: str = said["code"]
        self.message: str = said["message"]
        self.mend: str = said["mend"] or ""
        self.retryable: bool = said["retryable"]


class Worker:
    """Questions and answers, a line each."""

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

    def refusal(self, **params: object) -> Fault:
        """What loading with these parameters raises; it must say how to mend it."""
        with pytest.raises(Fault) as caught:
            self("load", key="refused", params=params)
        assert caught.value.mend
        return caught.value


def worker_environ() -> dict[str, str]:
    """As the host starts a plugin: one quiet thread, and here nothing is fetched."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def python_of(plugin: str) -> Path:
    """The interpreter of a plugin's environment; skips where that is not sound, unless all must be."""
    manifest = load_manifest(PLUGINS / plugin / "plugin.toml")
    if problem := check_environment(manifest, sdk_version()):
        if os.environ.get(ALL_MODELS):
            pytest.fail(str(problem))
        pytest.skip(str(problem))
    return manifest.python


@contextmanager
def running_worker(plugin: str) -> Iterator[Worker]:
    """The worker of a plugin; ends with its standard input."""
    process = subprocess.Popen(
        [python_of(plugin), PLUGINS / plugin / "tests" / "worker.py"],
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


def as_lists(values: NDArray[np.float64]) -> list[list[float | None]]:
    """Rows for JSON, with None for NaN."""
    return [[None if np.isnan(v) else float(v) for v in row] for row in values]


def walks(k: int, n: int, seed: int = 0) -> NDArray[np.float64]:
    """k random walks of n points."""
    return np.random.default_rng(seed).standard_normal((k, n)).cumsum(1)


def daily_and_weekly(k: int, n: int) -> NDArray[np.float64]:
    """k hourly series with a daily and a weekly cycle of random phase, and noise."""
    rng = np.random.default_rng(8)
    t = np.arange(n)
    day, week = rng.uniform(0, 24, (k, 1)), rng.uniform(0, 168, (k, 1))
    values = 10 * np.sin(2 * np.pi * (t + day) / 24) + 5 * np.sin(2 * np.pi * (t + week) / 168)
    return values + rng.standard_normal(values.shape)
