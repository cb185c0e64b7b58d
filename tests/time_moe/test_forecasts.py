"""What the plugin says is what the library says, in the SDK's shapes."""

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.plugin_worker import Fault, Worker, as_lists, walks

pytestmark = pytest.mark.model

# What is left of the tiny model's 128 positions for the window.
CONTEXT = 96


def ask(worker: Worker, values: NDArray[np.float64], horizon: int = 8) -> NDArray[np.float64]:
    """The plugin's points (k, horizon)."""
    return np.array(worker("forecast", key="tiny", values=as_lists(values), horizon=horizon)["points"])


def library(worker: Worker, folder: str, values: NDArray[np.float64], horizon: int = 8) -> NDArray[np.float64]:
    """The library's points for windows that are scaled as the plugin scales them."""
    mean, scale = values.mean(1, keepdims=True), values.std(1, keepdims=True)
    said = worker("direct", folder=folder, values=((values - mean) / scale).tolist(), horizon=horizon)
    return mean + scale * np.array(said)


@pytest.mark.parametrize("horizon", [1, 5, 8, 23, 32])
def test_equals_library(worker: Worker, tiny: str, horizon: int) -> None:
    """A batch gets what the library gives when called directly, in one step of the model or in several."""
    values = walks(3, 64)
    theirs = library(worker, tiny, values, horizon)
    assert ask(worker, values, horizon) == pytest.approx(theirs, abs=2e-5 * np.ptp(values))


def test_the_model_looks_at_its_window(worker: Worker, tiny: str) -> None:
    """These weights do not say the same of everything, or the tests here would show nothing."""
    values = walks(2, 64)
    assert np.ptp(ask(worker, values)[0]) > 0.01
    assert not np.allclose(ask(worker, values)[0], ask(worker, values)[1])


def test_it_gives_points_as_float64(worker: Worker, tiny: str) -> None:
    """One level, in the SDK's dtype."""
    assert worker("forecast", key="tiny", values=as_lists(walks(1, 64)), horizon=8)["dtype"] == "float64"


def test_a_row_of_a_batch_is_the_row_alone(worker: Worker, tiny: str) -> None:
    """Windows of one batch do not see each other, also where experts are shared and the lengths differ."""
    values = walks(5, 64)
    values[1, :30] = np.nan
    values[3, :30] = np.nan
    together = ask(worker, values, 20)
    for i in range(5):
        assert together[i] == pytest.approx(ask(worker, values[i : i + 1], 20)[0], abs=1e-4 * np.nanmax(np.abs(values)))


def test_a_gap_at_the_beginning_is_a_shorter_window(worker: Worker, tiny: str) -> None:
    """Points that are not there before the first known one change nothing."""
    values = walks(1, 64)
    values[0, :24] = np.nan
    assert np.array_equal(ask(worker, values), ask(worker, values[:, 24:]))


def test_gaps_are_closed_by_lines(worker: Worker, tiny: str) -> None:
    """The model sees a line, or the last value at the end; what is not known has no part in the scaling."""
    whole = walks(1, 64)
    gaps = whole.copy()
    gaps[0, 20:23] = np.nan
    gaps[0, 60:] = np.nan
    closed = whole.copy()
    closed[0, 19:24] = np.linspace(whole[0, 19], whole[0, 23], 5)
    closed[0, 60:] = whole[0, 59]
    mean, scale = np.nanmean(gaps), np.nanstd(gaps)
    theirs = mean + scale * np.array(
        worker("direct", folder=tiny, values=((closed - mean) / scale).tolist(), horizon=8)
    )
    assert ask(worker, gaps) == pytest.approx(theirs, abs=2e-5 * np.ptp(whole))
    assert ask(worker, gaps) != pytest.approx(ask(worker, whole), abs=1e-3 * np.ptp(whole))


def test_only_the_newest_points_are_read(worker: Worker, tiny: str) -> None:
    """Window and forecast share the model's positions; a window that has nothing among the newest is refused."""
    values = walks(1, 300)
    assert np.array_equal(ask(worker, values), ask(worker, values[:, -CONTEXT:]))
    values[0, 100:] = np.nan
    with pytest.raises(Fault, match="all gap") as caught:
        ask(worker, values)
    assert caught.value.code == "bad_window"


def test_small_rates_keep_their_pattern(worker: Worker, tiny: str) -> None:
    """The library does not scale; the plugin does, in double precision."""
    values = walks(1, 64)
    plain = ask(worker, values)
    assert ask(worker, 1e-9 * values) == pytest.approx(1e-9 * plain, abs=1e-9 * 1e-4 * np.ptp(values))
    assert ask(worker, values + 1e6) - 1e6 == pytest.approx(plain, abs=1e-4)


def test_same_question_same_answer(worker: Worker, tiny: str) -> None:
    """Equal requests get equal answers, bit for bit, whatever was asked in between."""
    values = walks(2, 64)
    first = ask(worker, values, 23)
    ask(worker, walks(3, 30, seed=1), 11)
    assert np.array_equal(first, ask(worker, values, 23))


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_it_gives_up_between_layers(worker: Worker, tiny: str, layers: int) -> None:
    """Once nobody waits, no further layer is run, in the first step or a later one; the next question is answered."""
    values = walks(1, 64)
    before = ask(worker, values, 20)
    with pytest.raises(Fault, match="Nobody waits") as caught:
        worker("forecast", key="tiny", values=as_lists(values), horizon=20, layers=layers)
    assert caught.value.code == "cancelled"
    assert np.array_equal(before, ask(worker, values, 20))


@pytest.mark.parametrize(("horizon", "steps"), [(8, 1), (16, 2), (15, 5)])
def test_steps_of_a_horizon(worker: Worker, tiny: str, horizon: int, steps: int) -> None:
    """Each step takes the longest of the model's heads (1, 4, 8 points) that fits: 15 points are 8 + 4 + 1 + 1 + 1."""
    said = worker("forecast", key="tiny", values=as_lists(walks(1, 64)), horizon=horizon)
    assert said["layers"] == 2 * steps


def test_overhead(worker: Worker, tiny: str) -> None:
    """The plugin adds less than two milliseconds of CPU to the library's own call; the README has the figures."""
    took = worker("overhead", key="tiny", folder=tiny, points=64, horizon=8, rounds=15)
    assert took["plugin_cpu_ms"] < 1.5 * took["library_cpu_ms"] + 2.0
