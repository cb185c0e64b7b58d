"""The engine of the embedding interface."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from chronotick.config.schema import ClockConfig, Config, RoleConfig
from chronotick.forecast.request import LEVELS, Offered, Request
from chronotick.forecast.types import Refusal
from chronotick.inference import ChronoTickInferenceEngine, ClockDataGenerator, ModelComparator
from chronotick.units import NS_PER_S

DATA = ClockDataGenerator(9).simulate("server_load", 420)


def test_a_prediction_continues_the_series() -> None:
    """A minute ahead it is within a few microseconds of the truth, and the quantiles are ordered around it."""
    with ChronoTickInferenceEngine() as engine:
        ahead = engine.predict_fused(DATA.offset_s[:360], {"temperature": DATA.metrics["temperature"][:360]})
    assert ahead.ahead_s.tolist() == list(range(1, 61))
    error_us = 1e6 * np.abs(ahead.predictions - DATA.truth_s[360:420])
    held_us = 1e6 * np.abs(DATA.offset_s[359] - DATA.truth_s[360:420])
    assert error_us.mean() < held_us.mean() / 3
    assert (ahead.quantiles["0.05"] <= ahead.predictions).all()
    assert (ahead.predictions <= ahead.quantiles["0.95"]).all()
    assert (np.diff(ahead.uncertainty) >= 0).all()
    assert (ahead.source, ahead.weights) == ("floor", {"floor": 1.0})


def test_windows_that_slide_are_one_series() -> None:
    """Only what is new is taken in, and the answer is that of the whole."""
    with ChronoTickInferenceEngine() as sliding, ChronoTickInferenceEngine() as whole:
        for end in range(200, 401, 20):
            slid = sliding.predict_fused(DATA.offset_s[end - 200 : end])
        straight = whole.predict_fused(DATA.offset_s[:400])
        assert sliding.health_check()["points"] == whole.health_check()["points"]
    assert slid.predictions == pytest.approx(straight.predictions, abs=1e-9)


def test_another_series_begins_anew() -> None:
    """Offsets that do not continue the last ones are not mixed with them."""
    other = ClockDataGenerator(10).simulate("thermal_cycle", 200)
    with ChronoTickInferenceEngine() as engine, ChronoTickInferenceEngine() as fresh:
        engine.predict_fused(DATA.offset_s[:300])
        assert np.array_equal(
            engine.predict_fused(other.offset_s).predictions, fresh.predict_fused(other.offset_s).predictions
        )


@pytest.mark.parametrize(
    ("offsets", "metrics"),
    [([], None), ([1.0], None), ([[1.0, 2.0]], None), ([1.0, float("nan")], None), ([1.0, 2.0], {"cpu": [1.0]})],
)
def test_bad_input_is_refused(offsets: list[float], metrics: dict[str, list[float]] | None) -> None:
    """Too few, of another shape, not finite, or metrics of another length."""
    with ChronoTickInferenceEngine() as engine, pytest.raises(ValueError):
        engine.predict_short_term(offsets, metrics)


def test_it_may_be_asked_from_many_threads() -> None:
    """All get the answer to their own question."""
    with ChronoTickInferenceEngine() as engine, ThreadPoolExecutor(8) as pool:
        rows = [np.arange(50) * 1e-6 * k for k in range(1, 9)]
        last = [one.predictions[0] for one in pool.map(engine.predict_short_term, rows)]
        stats = engine.get_performance_stats()
    assert last == pytest.approx([50e-6 * k for k in range(1, 9)], abs=2e-6)
    assert (stats["total_predictions"], stats["model_questions"]) == (8, 0)


def test_a_model_that_can_not_be_had_degrades_it(tmp_path: Path) -> None:
    """The floor answers, and the health check says which model is missing and why."""
    config = tmp_path / "config.yaml"
    config.write_text("short_term: {enabled: true, model_name: no_such_model}\n")
    with ChronoTickInferenceEngine(config) as engine:
        assert engine.initialize_models() is False
        assert engine.predict_short_term(DATA.offset_s[:100]).source == "floor"
        health = engine.health_check()
    assert (health["status"], health["models"]) == ("degraded", {"no_such_model": "not ready"})
    assert "no_such_model" in health["last_error"]


def test_metrics_reach_the_models_that_take_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role with covariates is asked with temperature, load and frequency of its own grid, in the host's units."""
    role = RoleConfig(name="short_term", plugin="oracle", step_s=1.0, context=100, horizon=5, use_covariates=True)
    engine = ChronoTickInferenceEngine(Config(roles=(role,), clock=ClockConfig(warm_up_s=60.0)))
    seen: list[Request] = []

    class Oracle:
        def __init__(self) -> None:
            self.ready = frozenset({"oracle"})
            self.offered: Offered = {"oracle": LEVELS}

        def ask(self, request: Request) -> Refusal:
            seen.append(request)
            return Refusal("oracle", request.roles, "busy", "Only looking.")

    monkeypatch.setattr(engine, "_models", Oracle())
    t = np.arange(200.0)
    engine.predict_short_term(t * 1e-6, {"temperature": 20 + t, "cpu_usage": t / 2, "cpu_frequency": 2000 + t})
    window = seen[-1].windows[0]
    given = window.covariates
    assert given is not None
    # The window ends at the last fix that the floor has used: averages of several seconds.
    at = (window.origin_raw_ns - 1_000 * NS_PER_S) / NS_PER_S + np.arange(-99, 1)
    assert given.names == ("temperature_c", "load", "frequency_ghz")
    assert given.values[0] == pytest.approx(20 + at, abs=0.6)
    assert given.values[1] == pytest.approx(at / 200, abs=0.004)
    assert given.values[2] == pytest.approx(2 + at / 1000, abs=0.001)


@pytest.mark.model
def test_a_file_of_the_first_chronotick_runs_its_models(first_config: Path, chronos: None) -> None:
    """Both roles are asked in one real process; each answers by its own horizon."""
    # The floor takes averages of eight seconds, the 402nd point ends one, and the shorter role reaches five seconds.
    data = ClockDataGenerator(4).simulate("server_load", 402)
    with ChronoTickInferenceEngine(first_config) as engine:
        assert engine.initialize_models()
        assert engine.health_check()["status"] == "healthy"
        short = engine.predict_short_term(data.offset_s)
        long = engine.predict_long_term(data.offset_s)
        stats = engine.get_performance_stats()
    assert (len(short.predictions), len(long.predictions)) == (5, 60)
    assert short.source == long.source == "chronos"
    assert stats["model_questions"] > 1
    assert stats["model_refusals"] == 0
    assert 1e6 * np.abs(long.predictions - data.truth_s[-1]).max() < 1e3


def test_comparison_stands_beside_its_baselines() -> None:
    """On each scenario the floor alone beats holding the last offset against the truth."""
    found = ModelComparator(seed=1, predictions=40).compare_models(["server_load", "network_spike"], {"floor": None})
    for methods in found.values():
        assert set(methods) == {"floor", "hold_last", "linear"}
        assert methods["floor"]["mae_us"] < methods["hold_last"]["mae_us"]
