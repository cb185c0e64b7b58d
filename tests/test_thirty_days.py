"""Simulated days through the pipeline: the quick form of tests/bench/thirty_days.py."""

from types import ModuleType

import pytest

from tests.scripts import BENCH, module


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return module(BENCH / "thirty_days.py")


def test_theta_is_the_integral_of_the_rate(bench: ModuleType) -> None:
    """Between and across nodes, and after old nodes were dropped, a second's growth is that second's rate."""
    oscillator = bench.Oscillator(bench.random.Random(1))
    for t_s in (5.0, 15.9, 16.0, 5000.3, 400_000.7):
        grown_ns = oscillator.theta_ns(round((t_s + 1) * bench.S)) - oscillator.theta_ns(round(t_s * bench.S))
        assert grown_ns == pytest.approx(12e3, abs=400)
    assert len(oscillator._nodes) <= 8192


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_third_day_is_as_good_as_the_first_and_memory_stays(bench: ModuleType) -> None:
    """Three days: the error does not grow, truth stays inside the hard interval, and less than a megabyte is added."""
    said = bench.simulate(3, 1, lambda _: None, min_poll_s=1024.0, trace=True)
    assert said["hard_misses"] == 0
    assert said["last_over_first_day"] < 1.3
    assert said["mae_us_by_day"][-1] < 0.5 * said["hold_last_mae_us_by_day"][-1]
    assert said["traced_mb"]["last_day"] < said["traced_mb"]["day_2"] + 1.0
