"""Intervals on simulated clocks: the quick form of tests/bench/calibration.py and tests/bench/hold_over.py."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clocks() -> Iterator[ModuleType]:
    """The simulated clocks, under the name by which the benches import them."""
    yield load("clocks")
    for name in ("clocks", "calibration", "hold_over"):
        sys.modules.pop(name, None)


def test_figures_are_those_of_the_rows(clocks: ModuleType) -> None:
    """Coverage counts what lies inside, and the interval score is width plus 2/alpha of what lies outside."""
    bench = load("calibration")
    one = [[0.5, 1.0, 2.0, 2.0, 2.0, 2.0], [1.5, 1.0, 2.0, 2.0, 2.0, 2.0]]
    rows = np.array([[row] * 3 for row in one])
    said = bench.Said({"60s": rows}, {"60s": np.array([0.0, 20_000.0])})
    made = bench.report([said])["60s"]
    assert made["points"] == 2
    assert made["floor"]["coverage"]["50"] == 0.5
    assert made["floor"]["coverage"]["99.9"] == 1.0
    # Both widths are 2; the second point lies 0.5 outside at 50 %, which costs 2/0.5 * 0.5 = 2.
    assert made["floor"]["interval_score_us"]["50"] == pytest.approx((2 + 4) / 2 * 1e6)
    # At 90 % one of two blocks is inside, or both: here both.
    assert made["chance_at_90"] == 0.0
    assert bench.block_error(said.origin_s["60s"], np.array([True, False]), 10_800.0) == pytest.approx(0.5)
    assert "chronotick" in "\n".join(bench.lines({"60s": made}))


def test_each_kind_is_counted_apart(clocks: ModuleType) -> None:
    """Two clocks of one kind are pooled, point by point; another has its own line."""
    bench = load("calibration")
    inside, outside = [[[0.5, *[1.0] * 5]] * 3], [[[2.0, *[1.0] * 5]] * 3]
    said = [
        bench.Said({"60s": np.array(rows)}, {"60s": np.zeros(len(rows))}) for rows in (inside * 3, outside, outside)
    ]
    made = bench.report(said, ["walk", "walk", "sine"])
    assert made["60s"]["by_kind"]["walk"]["99"] == pytest.approx(0.75)
    assert made["60s"]["by_kind"]["sine"]["99.9"] == 0.0
    assert [line.split()[:2] for line in bench.lines(made)[-2:]] == [["walk", "75.00"], ["sine", "0.00"]]


def test_a_short_run_is_covered_where_readers_ask(clocks: ModuleType) -> None:
    """An hour after the start the widest level of a wandering clock holds, between fixes and a minute ahead."""
    rows = load("calibration").run("walk", 5, 0.07).rows
    for name in ("serve", "60s"):
        size, half = rows[name][:, 0, 0], rows[name][:, 0, 1:]
        assert len(size) > 15
        assert (np.diff(half, axis=1) >= 0).all()
        # One stretch of minutes that is missed is a tenth of so short a run.
        assert np.mean(size <= half[:, -1]) > 0.85


def test_the_first_scores_do_not_narrow_what_sigma_has_given_up_since(clocks: ModuleType) -> None:
    """From the tenth minute to the thirtieth: 90 % hold 88.7 on these clocks, and 76.8 where no fall counts."""
    bench = load("calibration")
    rows = [bench.run("ageing", seed, 0.5 / 24, (16.0,), 600.0).rows["serve"][:, 0] for seed in range(40, 48)]
    inside = [np.mean(one[:, 0] <= one[:, 1 + bench.AT_90]) for one in rows]
    assert np.mean(inside) > 0.83


def test_an_outage_stays_inside_and_far_below_the_safe_rule(clocks: ModuleType) -> None:
    """After two hours with servers an hour without: neither interval is left, and 99.9 % is narrower than 50 ppm."""
    bench = load("hold_over")
    one = bench.run("quiet", 3, 0.09, 3600.0)
    assert one["outside"]["hard"] == 0
    assert one["outside"]["learned"] == 0
    assert one["width_ms"]["learned"] < 0.2 * one["width_ms"]["50 ppm"]
    assert bench.summary([one])["1 ppm"]["width_ms"] == one["width_ms"]["1 ppm"]
