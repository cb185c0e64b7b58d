"""The TTM plugin's worker and the weights that tests load."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.plugin_worker import Worker, python_of, running_worker


@pytest.fixture(scope="session")
def plugin_python() -> Path:
    """The interpreter of the plugin's environment."""
    return python_of("ttm")


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """The worker in the plugin's environment."""
    with running_worker("ttm") as one:
        yield one


@pytest.fixture(scope="session")
def tiny(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a self-made TTM (64 points in, 16 out), which is loaded as "tiny"."""
    folder = str(tmp_path_factory.mktemp("tiny"))
    worker("make_ttm", folder=folder, seed=3)
    worker("load", key="tiny", params={"path": folder})
    return folder


@pytest.fixture(scope="session")
def three_channels(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a self-made TTM with two covariates, which is loaded as "three"."""
    folder = str(tmp_path_factory.mktemp("three"))
    worker("make_ttm", folder=folder, seed=4, channels=3)
    worker("load", key="three", params={"path": folder})
    return folder


@pytest.fixture(scope="session")
def genuine() -> str:
    """Folder of the published TTM-R2 512-96."""
    data = os.environ.get("CHRONOTICK_TEST_DATA")
    if not data:
        pytest.skip("CHRONOTICK_TEST_DATA is not set")
    return str(Path(data) / "weights" / "ttm-r2-512-96-original")
