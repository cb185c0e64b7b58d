"""The loop of fine-tuning: it keeps the best, goes on where it was stopped, and makes nothing up."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from chronotick.sdk.tune import Job, Told, augmented, tune

POINTS, HORIZON = 32, 4
JOB = Job(steps=40, batch=8, lr=0.05, every=5, seed=3)


class Line:
    """Forecasts each window's last value times a number that it learns; the truth is the last value times 0.5."""

    def __init__(self) -> None:
        self.factor = np.array(2.0)

    def _gap(self, context: np.ndarray, future: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        last = context[:, -1:]
        return self.factor * last - future, last

    def step(self, context: np.ndarray, future: np.ndarray, lr: float, seed: int) -> float:
        gap, last = self._gap(context, future)
        self.factor = self.factor - lr * (gap * last).mean()
        return float((gap**2).mean())

    def loss(self, context: np.ndarray, future: np.ndarray) -> float:
        return float((self._gap(context, future)[0] ** 2).mean())

    def state(self) -> dict[str, np.ndarray]:
        return {"factor": self.factor}

    def restore(self, state: dict[str, Any]) -> None:
        self.factor = state["factor"]

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_text(repr(float(self.factor)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with windows of unit spread, a third of them held."""
    rng = np.random.default_rng(1)
    context = rng.standard_normal((90, POINTS)).astype(np.float32)
    future = 0.5 * np.repeat(context[:, -1:], HORIZON, 1)
    np.savez(tmp_path / "windows.npz", context=context, future=future, held=np.arange(90) >= 60)
    return tmp_path


def run(folder: Path, stop_after: int | None = None) -> tuple[bool, list[Told]]:
    told: list[Told] = []
    steps = iter(range(1000))
    stopped = (lambda: next(steps) >= stop_after) if stop_after is not None else (lambda: False)
    return tune(Line(), JOB, folder, told.append, stopped), told


def best(folder: Path) -> float:
    return float((folder / "best" / "model.safetensors").read_text())


def test_it_learns_and_keeps_the_best(folder: Path) -> None:
    """The loss on the held windows falls, and the weights kept are those of its smallest."""
    done, told = run(folder)
    assert done
    assert [one.step for one in told] == list(range(0, 41, 5))
    assert told[-1].held is not None
    assert told[0].held is not None
    assert told[-1].held < 0.1 * told[0].held
    assert told[-1].best == min(one.held for one in told if one.held is not None)
    assert told[-1].first == told[0].held
    assert abs(best(folder) - 0.5) < 0.6


def test_a_stopped_run_goes_on_as_if_it_had_not_been(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Stopped twice, the same weights, told from where it was; nothing but the last state is left."""
    whole = tmp_path_factory.mktemp("whole")
    (whole / "windows.npz").write_bytes((folder / "windows.npz").read_bytes())
    run(whole)
    assert run(folder, stop_after=7)[0] is False
    assert run(folder, stop_after=12)[0] is False
    done, told = run(folder)
    assert done
    assert told[0].step == 19
    assert best(folder) == best(whole)
    assert {path.name for path in folder.iterdir()} == {"windows.npz", "best", "state-40.npz", "progress.json"}


def test_a_run_that_is_done_does_nothing_more(folder: Path) -> None:
    """Asked again, it tells what it came to."""
    run(folder)
    before = (folder / "state-40.npz").read_bytes()
    done, told = run(folder)
    assert done
    assert [one.step for one in told] == [40]
    assert (folder / "state-40.npz").read_bytes() == before


def test_weights_that_only_get_worse_are_those_of_the_beginning(folder: Path) -> None:
    """A model that starts at the truth keeps it, whatever training does to it."""
    line = Line()
    line.factor = np.array(0.5)
    job = msgspec.structs.replace(JOB, lr=50.0)
    told: list[Told] = []
    assert tune(line, job, folder, told.append)
    assert told[-1].best_step == 0
    assert best(folder) == 0.5


def test_augmented_windows_are_scaled_and_their_futures_with_them() -> None:
    """Signs and cuts leave a window with mean 0 and deviation 1, and its future on the same scale."""
    rng = np.random.default_rng(5)
    context = rng.standard_normal((64, 128)).astype(np.float32)
    future = np.repeat(context[:, -1:], 8, 1)
    context_, future_ = augmented(context, future, rng)
    assert np.nanmean(context_, 1) == pytest.approx(np.zeros(64), abs=1e-5)
    assert np.nanstd(context_, 1) == pytest.approx(np.ones(64), abs=1e-4)
    np.testing.assert_allclose(future_[:, 0], context_[:, -1], rtol=1e-4, atol=1e-5)
    shorter = np.isnan(context_).any(1)
    assert 0 < shorter.sum() < 32
    assert np.isfinite(context_).sum(1).min() >= 8
    assert 10 < (np.sign(context_[~shorter][:, -1]) != np.sign(context[~shorter][:, -1])).sum() < 54
