"""What the plugin says is what the library says, in the SDK's shapes."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.plugin_worker import Worker, as_lists, walks

pytestmark = pytest.mark.model

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def ask(worker: Worker, values: NDArray[np.float64], horizon: int = 16, **more: Any) -> NDArray[np.float64]:
    """The plugin's mean and quantiles as the library orders them, (k, horizon, 10)."""
    said = worker("forecast", key="tiny", values=as_lists(values), horizon=horizon, levels=LEVELS, **more)
    assert said["dtype"] == "float64"
    return np.concatenate((np.array(said["mean"])[:, None], np.array(said["quantiles"])), axis=1).transpose(0, 2, 1)


def library(
    worker: Worker, folder: str, values: NDArray[np.float64], horizon: int = 16, context: int = 512
) -> NDArray[np.float64]:
    """The library's own answer, compiled for more than is asked, (k, horizon, 10)."""
    return np.array(worker("direct", folder=folder, values=as_lists(values), horizon=horizon, context=context))


@pytest.mark.parametrize(("points", "horizon"), [(64, 16), (100, 128), (300, 200)])
def test_equals_library(worker: Worker, tiny: str, points: int, horizon: int) -> None:
    """A batch gets what the library gives, within one pass and beyond, though it is compiled for what is there only."""
    values = walks(3, points)
    theirs = library(worker, tiny, values, horizon)
    assert ask(worker, values, horizon) == pytest.approx(theirs, abs=2e-4 * np.ptp(values))


def test_gaps_equal_library(worker: Worker, tiny: str) -> None:
    """Gaps at the beginning, within and at the end are closed as the library does."""
    values = walks(3, 96)
    values[0, 20:30] = np.nan
    values[1, :50] = np.nan
    values[2, 90:] = np.nan
    assert ask(worker, values) == pytest.approx(library(worker, tiny, values), abs=2e-3 * np.nanmax(np.abs(values)))


def test_small_rates_keep_their_pattern(worker: Worker, tiny: str) -> None:
    """The library takes a window of 1e-9 for a constant one; the plugin scales it first."""
    values = walks(1, 64)
    plain, small = ask(worker, values), ask(worker, 1e-9 * values)
    assert small == pytest.approx(1e-9 * plain, abs=1e-13)
    assert not np.allclose(1e9 * library(worker, tiny, 1e-9 * values), plain, rtol=0.01), "there is no need to scale"


def test_quantiles_never_cross(worker: Worker, tiny: str) -> None:
    """Levels ascend, also with untrained weights."""
    assert (np.diff(ask(worker, walks(4, 64), 200)[:, :, 1:], axis=2) >= 0).all()


def test_levels_are_those_asked_for(worker: Worker, tiny: str) -> None:
    """A subset of levels gives the same rows as all of them, also when a level differs by rounding."""
    values = walks(1, 64)
    every = ask(worker, values)[0].T
    some = worker("forecast", key="tiny", values=as_lists(values), horizon=16, levels=[0.1 + 1e-12, 0.5, 0.9])
    assert np.array_equal(every[[1, 5, 9]], np.array(some["quantiles"])[0])


def test_a_row_of_a_batch_is_the_row_alone(worker: Worker, tiny: str) -> None:
    """Windows of one batch do not see each other, also when they are of different real length."""
    values = walks(4, 96)
    values[1, :60] = np.nan
    together = ask(worker, values)
    for i in range(4):
        assert together[i] == pytest.approx(ask(worker, values[i : i + 1])[0], rel=1e-3, abs=1e-3)


def test_a_large_batch_is_done_in_passes(worker: Worker, tiny: str) -> None:
    """64 windows of 4096 points exceed one pass; each gets the same answer as alone."""
    values = walks(64, 4096)
    together = ask(worker, values, 4)
    assert together[63] == pytest.approx(ask(worker, values[63:], 4)[0], rel=1e-3, abs=1e-2)


def test_same_question_same_answer(worker: Worker, tiny: str) -> None:
    """Equal requests get equal answers, bit for bit, whatever was asked in between."""
    values = walks(2, 64)
    first = ask(worker, values)
    ask(worker, walks(3, 200, seed=1), 300)
    assert np.array_equal(first, ask(worker, values))


def test_covariates_explain_what_follows_them(worker: Worker, tiny: str) -> None:
    """A series that is a covariate times three is forecast by the covariate's future."""
    worker("load", key="tiny", params={"path": tiny, "covariates": True})
    known = walks(4, 116, seed=2).reshape(2, 2, 116)
    values = 3 * known[:, 0, :100] - known[:, 1, :100] + 2.0
    said = ask(worker, values, covariates=known[:, :, :100].tolist(), future=known[:, :, 100:].tolist())
    truth = 3 * known[:, 0, 100:] - known[:, 1, 100:] + 2.0
    assert said[:, :, 5] == pytest.approx(truth, abs=0.02 * np.ptp(values))
    alone = ask(worker, values[1:], covariates=known[1:, :, :100].tolist(), future=known[1:, :, 100:].tolist())
    assert said[1] == pytest.approx(alone[0], abs=1e-3)


def test_covariates_without_a_future_are_held(worker: Worker, tiny: str) -> None:
    """The library's regression needs one, so the answer is that of a covariate that stays as it was last seen."""
    worker("load", key="tiny", params={"path": tiny, "covariates": True})
    known = walks(1, 100, seed=2)[None]
    values = 3 * known[:, 0] + 2.0
    said = ask(worker, values, covariates=known.tolist())
    held = np.full((1, 1, 16), known[0, 0, -1])
    assert np.array_equal(said, ask(worker, values, covariates=known.tolist(), future=held.tolist()))


def test_overhead(worker: Worker, tiny: str) -> None:
    """The plugin adds less than a millisecond of CPU to the library's own call; the bench has the exact figure."""
    took = worker("overhead", key="tiny", folder=tiny, points=64, horizon=16, rounds=15)
    assert took["plugin_cpu_ms"] < 1.5 * took["library_cpu_ms"] + 1.0
