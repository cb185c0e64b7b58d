"""The Toto plugin's worker and the weights that tests load."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.plugin_worker import Worker, python_of, running_worker


@pytest.fixture(scope="session")
def plugin_python() -> Path:
    """The interpreter of the plugin's environment."""
    return python_of("toto")


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """The worker in the plugin's environment."""
    with running_worker("toto") as one:
        yield one


@pytest.fixture(scope="session")
def tiny(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a self-made Toto, which is loaded as "tiny"."""
    folder = str(tmp_path_factory.mktemp("tiny"))
    worker("make_toto", folder=folder, seed=3)
    worker("load", key="tiny", params={"path": folder})
    return folder
