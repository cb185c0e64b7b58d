"""Intervals on recorded clocks: the quick form of tests/bench/calibration_recorded.py."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests import scripts

BENCH = scripts.BENCH / "calibration_recorded.py"


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The bench; it imports the one with the traces' names."""
    before = sys.modules.get("candidates")
    scripts.module(BENCH.with_name("candidates.py"))
    yield scripts.module(BENCH)
    sys.modules.pop("calibration_recorded")
    if before is None:
        sys.modules.pop("candidates")
    else:
        sys.modules["candidates"] = before


def test_what_overlaps_is_one_witness(bench: ModuleType) -> None:
    """Ten copies of each of 100 independent looks have the standard error of 100, not of 1000."""
    rng = np.random.default_rng(3)
    inside = np.repeat(rng.random(100) < 0.8, 10)
    at_s = np.arange(1000.0)
    share = inside.mean()
    assert bench.standard_error(at_s, inside, 10.0) == pytest.approx(math.sqrt(share * (1 - share) / 99), rel=1e-9)


def test_three_blocks_have_no_standard_error(bench: ModuleType) -> None:
    """A trace of three blocks says nothing about its own spread, and a miss in it is not held against anybody."""
    at_s = np.arange(30.0)
    assert bench.standard_error(at_s, at_s < 20, 10.0) is None
    assert bench.mark(0.9, 2 / 3, None) == "?"


@pytest.mark.parametrize(("share", "error", "expected"), [(0.92, 0.0, " "), (0.87, 0.02, "?"), (0.85, 0.01, "!")])
def test_a_miss_is_marked_when_chance_does_not_explain_it(
    bench: ModuleType, share: float, error: float, expected: str
) -> None:
    """Two points are free; beyond them 1.96 standard errors decide."""
    assert bench.mark(0.9, share, error) == expected


def test_errors_that_come_in_runs_are_told_from_independent_ones(bench: ModuleType) -> None:
    """Each error 16 times over: the variance of means of 16 is 16 times that of independent ones; of new ones, once."""
    rng = np.random.default_rng(4)
    runs = bench.variance_ratios(np.repeat(rng.standard_normal(400), 16))
    assert runs["16"] == pytest.approx(16.0, rel=0.1)
    assert bench.variance_ratios(rng.standard_normal(6400)) == pytest.approx({"4": 1.0, "16": 1.0, "64": 1.0}, abs=0.3)
    assert "64" not in bench.variance_ratios(rng.standard_normal(100))


def test_it_prints_coverage_and_score_of_each_method(tmp_path: Path) -> None:
    """On a steady clock with known noise all levels lie in order, scores are positive, and blocks are counted."""
    row = scripts.figures_of_steady(BENCH, tmp_path, 12_000.0, "--processes", "1")
    assert row["truth"] == "apart"
    minute = row["horizons"]["60s"]
    for method in ("chronotick", "floor", "kalman"):
        shares = list(minute[method]["coverage"].values())
        assert shares == sorted(shares)
        assert shares[-1] > 0.5
        assert min(minute[method]["interval_score_us"].values()) > 0
    assert minute["blocks"] == pytest.approx(6, abs=1)
