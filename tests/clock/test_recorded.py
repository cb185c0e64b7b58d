"""The floor on recorded packets of a network simulator, against what the prototype reached on them."""

import os
from pathlib import Path
from types import ModuleType

import pytest
from tests.scripts import BENCH, module

DATA = os.environ.get("CHRONOTICK_TEST_DATA")

pytestmark = pytest.mark.skipif(DATA is None, reason="CHRONOTICK_TEST_DATA names no folder with recorded traces")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return module(BENCH / "floor_clknetsim.py")


@pytest.mark.parametrize("name", ["lan_p6", "inet_p6", "thermal_p6"])
def test_the_floor_serves_within_a_tenth_of_the_study_and_far_below_chronyd(name: str, bench: ModuleType) -> None:
    row = bench.serve(Path(DATA or "") / "data", name)
    assert row["floor"]["mae"] <= 1.1 * row["study_mae"]
    assert row["floor"]["mae"] < 0.6 * row["chronyd"]["mae"]
    assert row["floor"]["mae"] < 0.2 * row["last_sample"]["mae"]
    assert 0.85 <= row["coverage_95"] <= 1.0
    assert row["epochs"] == 1
