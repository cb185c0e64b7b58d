"""The Chronos plugin's worker and the weights that tests load."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.plugin_worker import Worker, python_of, running_worker

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


@pytest.fixture(scope="session")
def plugin_python() -> Path:
    """The interpreter of the plugin's environment."""
    return python_of("chronos")


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """The worker in the plugin's environment."""
    with running_worker("chronos") as one:
        yield one


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
