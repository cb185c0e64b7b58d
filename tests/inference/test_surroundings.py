"""Collector, visualiser and the real-time loop."""

import threading
import time

import numpy as np
import pytest

from chronotick.inference import PredictionVisualizer, RealTimePredictor, SimulatedSource, SystemMetricsCollector


def wait_for_samples(collector: SystemMetricsCollector, count: int) -> None:
    end = time.monotonic() + 30
    while collector.get_metrics_summary()["samples"] < count:
        assert time.monotonic() < end, "nothing was collected"
        time.sleep(0.01)


def test_metrics_are_collected_in_the_background() -> None:
    """Fields of one length in order of time, shares within 0 to 100; the thread ends."""
    before = threading.active_count()
    with SystemMetricsCollector(0.02) as collector:
        wait_for_samples(collector, 3)
        recent = collector.get_recent_metrics(60)
    assert threading.active_count() == before
    assert len({len(values) for values in recent.values()}) == 1
    assert (np.diff(recent["timestamp"]) > 0).all()
    assert 0 <= recent["cpu_usage"].min() <= recent["cpu_usage"].max() <= 100
    summary = collector.get_metrics_summary()
    memory = summary["memory_usage"]
    assert memory["min"] - 1e-9 <= memory["mean"] <= memory["max"] + 1e-9


def test_only_the_window_asked_for_is_given() -> None:
    """A window of nothing is empty, and what was collected stays after the end."""
    collector = SystemMetricsCollector(0.01)
    assert collector.get_metrics_summary() == {"samples": 0} | dict.fromkeys(
        ("cpu_usage", "memory_usage", "temperature", "voltage", "cpu_frequency", "disk_io", "network_io")
    )
    with collector:
        wait_for_samples(collector, 2)
    assert len(collector.get_recent_metrics(0.0)["timestamp"]) == 0
    assert len(collector.get_recent_metrics(600)["timestamp"]) >= 2


def test_a_plot_shows_both_and_where_they_meet() -> None:
    """Marks at the corners of two crossing lines, the ends of the scale, no line wider than asked for."""
    t = np.arange(40.0)
    plot = PredictionVisualizer().plot_predictions(t, t * 1e-6, (39 - t) * 1e-6, width=40, height=10)
    lines = plot.splitlines()
    assert lines[0].lstrip().startswith("39.000 us |x")
    assert lines[0].endswith("o")
    assert lines[9].lstrip().startswith("0.000 us |o")
    assert "*" in PredictionVisualizer().plot_predictions(t, t, t)
    assert max(map(len, lines[:10])) <= 17 + 40


@pytest.mark.parametrize(("t", "a", "p"), [([], [], []), ([1.0], [1.0, 2.0], [1.0]), ([1.0], [np.nan], [np.nan])])
def test_nothing_is_drawn_of_nothing(t: list[float], a: list[float], p: list[float]) -> None:
    """No points, rows of different lengths, no numbers."""
    with pytest.raises(ValueError):
        PredictionVisualizer().plot_predictions(t, a, p)


def test_a_report_counts_errors_beside_holding() -> None:
    """Errors of 1, 2 and 3 us."""
    report = PredictionVisualizer().create_performance_report([1e-6, 2e-6, 3e-6], [0.0, 0.0, 0.0])
    assert (report["total_predictions"], report["hold_last_mae_us"]) == (3, 0.0)
    assert (report["mae_us"], report["max_us"]) == (pytest.approx(2.0), pytest.approx(3.0))
    assert report["rmse_us"] == pytest.approx(np.sqrt(14 / 3))
    assert "3 predictions: MAE 2.000 us" in report["text"]


def test_the_loop_predicts_and_compares() -> None:
    """It says that its source is simulated, and goes on when the source fails once."""
    source = SimulatedSource("thermal_cycle", seed=3)
    calls = 0

    def flaky() -> float:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise OSError("no clock")
        return source()

    loop = RealTimePredictor(prediction_interval=0.01, source=flaky)
    result = loop.start_prediction(1.0)
    assert (result["source"], result["source_errors"]) == ("given", 1)
    assert result["predictions"] > 10
    # A second of the scenario every 10 ms: rates are a hundred times those of any clock, so the first are not believed.
    assert 0 < result["mae_us"] < 200
    assert RealTimePredictor(prediction_interval=0.01).start_prediction(0.05)["source"] == "simulated server_load"


def test_the_loop_can_be_stopped() -> None:
    """From another thread, long before its time is over."""
    loop = RealTimePredictor(prediction_interval=0.01)
    threading.Timer(0.2, loop.stop_prediction).start()
    began = time.monotonic()
    loop.start_prediction(600)
    assert time.monotonic() - began < 60
