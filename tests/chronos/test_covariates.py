"""Covariates: taken out of a series and put back for Bolt, given to Chronos-2, which attends to them by itself."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.plugin_worker import Worker, as_lists, walks

from .conftest import LEVELS

PLUGIN = Path(__file__).parents[2] / "plugins" / "chronos"


@pytest.fixture(scope="module")
def regression() -> Iterator[ModuleType]:
    """The plugin's regression.py, which needs numpy and the SDK alone."""
    spec = importlib.util.spec_from_file_location("regression", PLUGIN / "src/chronotick_chronos/regression.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["regression"] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["regression"]


def heated(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A temperature that jumps now and then, shape (n,), and what follows it with a lag of six steps, with noise."""
    rng = np.random.default_rng(seed)
    temperature = 20.0 + 10.0 * (np.cumsum(rng.random(n) < 0.05) % 2)
    rate, value = np.empty(n), temperature[0]
    for i, now in enumerate(temperature):
        value += (1 - np.exp(-1 / 6)) * (now - value)
        rate[i] = 0.5 * value
    return temperature, rate + 0.2 * rng.standard_normal(n)


def test_a_lag_is_found_and_goes_on(regression: ModuleType) -> None:
    """What temperature explains is taken out, and with its future put back: the lag of the time to come."""
    temperature, rate = heated(300)
    part = regression.explain(rate[:240], temperature[None, :240])
    assert part is not None
    assert np.std(part.rest) < 1.2 * 0.2
    ahead = part.ahead(part.scaled(temperature[None, 240:]))
    assert np.abs(ahead - rate[240:]).mean() < 0.3
    assert np.std(rate[240:]) > 1.0


def test_noise_explains_nothing(regression: ModuleType) -> None:
    """A covariate that has nothing to do with the series is not used, nor one that never changes, nor gaps alone."""
    _, rate = heated(240)
    rng = np.random.default_rng(7)
    for covariate in (rng.standard_normal(240), np.full(240, 3.0), np.full(240, np.nan)):
        assert regression.explain(rate, covariate[None]) is None


def test_gaps_and_a_late_thermometer_are_borne(regression: ModuleType) -> None:
    """Gaps in both, and a sensor that begins late, leave a fit; the rest keeps the series' gaps."""
    temperature, rate = heated(240)
    rate[:30], rate[100:110], temperature[:60], temperature[150:153] = np.nan, np.nan, np.nan, np.nan
    part = regression.explain(rate, np.stack([np.full(240, 2.5), temperature]))
    assert part is not None
    assert part.places.tolist() == [1]
    np.testing.assert_array_equal(np.isnan(part.rest), np.isnan(rate))
    assert np.isfinite(part.ahead(part.covariates[:, -5:])).all()


def test_an_unsure_covariate_widens_by_what_it_is_worth(regression: ModuleType) -> None:
    """A spread of one deviation in a covariate is in the end worth the sum of its weights."""
    temperature, rate = heated(240)
    part = regression.explain(rate, temperature[None])
    assert part is not None
    spread = part.spread(np.ones((1, 600)))
    assert spread[-1] == pytest.approx(abs(part.weights.sum()), rel=1e-3)
    assert spread[0] < spread[-1]


@pytest.mark.model
def test_temperature_helps_the_embedded_checkpoint(worker: Worker) -> None:
    """Just after the processor got hot, the model with its temperature forecasts the rise; without, it does not."""
    worker("load", key="embedded", params={})
    values, known, truth, coming = [], [], [], []
    for seed in range(16):
        temperature, rate = heated(400, seed)
        # Three steps after the last jump that leaves 32 points to come.
        origin = int(np.flatnonzero(np.diff(temperature[:366]))[-1]) + 4
        window = rate[origin - 240 : origin]
        values.append((window - window.mean()) / window.std())
        truth.append((rate[origin : origin + 32] - window.mean()) / window.std())
        known.append([temperature[origin - 240 : origin].tolist()])
        coming.append([temperature[origin : origin + 32].tolist()])

    def error(**covariates: object) -> float:
        said = worker(
            "forecast", key="embedded", values=as_lists(np.array(values)), horizon=32, levels=LEVELS, **covariates
        )
        quantiles = np.array(said["quantiles"])
        assert (np.diff(quantiles, axis=1) >= 0).all()
        return float(np.abs(np.cumsum(quantiles[:, 4, :8] - np.array(truth)[:, :8], axis=1)).mean())

    without, with_them, told = error(), error(covariates=known), error(covariates=known, future=coming)
    assert told < 1.1 * with_them
    assert with_them < 0.7 * without


@pytest.mark.model
def test_chronos2_attends_to_covariates(worker: Worker, chronos2: str) -> None:
    """Its answer depends on the past of a covariate and on its future, and gaps in one are allowed."""
    values, beside = walks(2, 100), walks(4, 100, seed=5).reshape(2, 2, 100)
    beside[0, 0, :20] = np.nan

    def ask(**covariates: object) -> np.ndarray:
        said = worker("forecast", key="chronos2", values=as_lists(values), horizon=8, levels=LEVELS, **covariates)
        return np.array(said["quantiles"])

    lists = [as_lists(one) for one in beside]
    alone, past = ask(), ask(covariates=lists)
    assert np.isfinite(past).all()
    assert not np.allclose(alone, past)
    future = walks(4, 8, seed=6).reshape(2, 2, 8)
    one, other = ask(covariates=lists, future=future.tolist()), ask(covariates=lists, future=(-future).tolist())
    assert not np.allclose(one, other)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_bench_prints_both(worker: Worker) -> None:
    """Six hours of a server under load, through host and plugin process: errors of the floor, without and with."""
    bench = Path(__file__).parents[1] / "bench" / "covariates.py"
    words = [sys.executable, bench, "--seeds", "1", "--hours", "6", "--scenarios", "server_load", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    without, with_them = json.loads(done.stdout)["rows"]
    assert (without["covariates"], with_them["covariates"]) == (False, True)
    assert without["mae_us"]["floor"] == with_them["mae_us"]["floor"]
    assert with_them["mae_us"]["short"][0] < 0.9 * without["mae_us"]["short"][0]
