"""What the plugin says is what the library says, in the SDK's shapes."""

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.plugin_worker import Fault, Worker, as_lists, daily_and_weekly, walks

pytestmark = pytest.mark.model


def ask(worker: Worker, key: str, values: NDArray[np.float64], horizon: int = 16) -> NDArray[np.float64]:
    """The plugin's points, (k, horizon)."""
    return np.array(worker("forecast", key=key, values=as_lists(values), horizon=horizon))


def library(worker: Worker, folder: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The library's points for whole windows of one channel, (k, prediction length)."""
    return np.array(worker("direct", folder=folder, past=values[:, :, None].tolist()))[:, :, 0]


def test_equals_library(worker: Worker, tiny: str) -> None:
    """A batch of whole windows gets what the library gives when called directly, to single precision."""
    values = walks(3, 64)
    theirs = library(worker, tiny, values)
    assert ask(worker, "tiny", values) == pytest.approx(theirs, abs=2e-5 * np.ptp(values))


def test_small_rates_keep_their_pattern(worker: Worker, tiny: str) -> None:
    """The library's scale has a floor at which it answers rates of 1e-9 with pure noise; the plugin scales first."""
    values = walks(1, 64)
    plain = ask(worker, "tiny", values)
    small = ask(worker, "tiny", 1e-9 * values)
    assert small == pytest.approx(1e-9 * plain, abs=1e-9 * 1e-5 * np.ptp(values))
    assert np.ptp(library(worker, tiny, 1e-9 * values)) > 1e3 * np.ptp(small), "there is no need to scale"


def test_far_from_zero(worker: Worker, tiny: str) -> None:
    """A window at 1e6 is forecast as the same one at 0: single precision would have lost half of its digits."""
    values = walks(1, 64)
    assert ask(worker, "tiny", values + 1e6) - 1e6 == pytest.approx(ask(worker, "tiny", values), abs=1e-4)


def test_short_windows_are_padded_with_their_mean(worker: Worker, tiny: str) -> None:
    """A window of 40 points is the same as one of 64 that begins with 24 times the scaled mean."""
    values = walks(2, 40)
    mean, scale = values.mean(1, keepdims=True), values.std(1, keepdims=True)
    padded = np.concatenate((np.zeros((2, 24)), (values - mean) / scale), axis=1)
    theirs = mean + scale * library(worker, tiny, padded)
    assert ask(worker, "tiny", values) == pytest.approx(theirs, abs=2e-5 * np.ptp(values))


def test_a_gap_at_the_beginning_is_a_shorter_window(worker: Worker, tiny: str) -> None:
    """Points that are not there before the first known one change nothing."""
    values = walks(1, 64)
    values[0, :24] = np.nan
    assert np.array_equal(ask(worker, "tiny", values), ask(worker, "tiny", values[:, 24:]))


def test_gaps_are_closed_by_lines(worker: Worker, tiny: str) -> None:
    """A gap on a straight line is as if it were not there; a gap at the end holds the last value."""
    line = np.linspace(-1.0, 3.0, 64)[None]
    gaps = line.copy()
    gaps[0, 10:13] = np.nan
    # The scale is of the points that are there, so a little is left.
    assert ask(worker, "tiny", gaps) == pytest.approx(ask(worker, "tiny", line), abs=0.05)
    held = walks(1, 64)
    held[0, 60:] = held[0, 59]
    late = held.copy()
    late[0, 60:] = np.nan
    assert ask(worker, "tiny", late) == pytest.approx(ask(worker, "tiny", held), abs=0.15 * np.ptp(held))


def test_only_the_newest_points_are_read(worker: Worker, tiny: str) -> None:
    """A window longer than the model's 64 points is cut to its newest."""
    values = walks(1, 300)
    assert np.array_equal(ask(worker, "tiny", values), ask(worker, "tiny", values[:, -64:]))


def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(worker: Worker, tiny: str) -> None:
    """The model always forecasts its whole horizon; the answer is cut."""
    values = walks(1, 64)
    assert np.array_equal(ask(worker, "tiny", values)[:, :5], ask(worker, "tiny", values, horizon=5))


def test_a_row_of_a_batch_is_the_row_alone(worker: Worker, tiny: str) -> None:
    """Windows of one batch do not see each other."""
    values = walks(4, 48)
    together = ask(worker, "tiny", values)
    assert together[2] == pytest.approx(ask(worker, "tiny", values[2:3])[0], rel=1e-4, abs=1e-4)


def test_same_question_same_answer(worker: Worker, tiny: str) -> None:
    """Equal requests get equal answers, bit for bit, also from a model that was loaded anew."""
    values = walks(2, 64)
    first = ask(worker, "tiny", values)
    worker("load", key="again", params={"path": tiny}, seed=9)
    assert np.array_equal(first, ask(worker, "tiny", values))
    assert np.array_equal(first, ask(worker, "again", values))


def test_covariates_equal_library(worker: Worker, three_channels: str) -> None:
    """Weights that mix channels get the covariates and their future, scaled, as the library's other channels."""
    values, known = walks(2, 64), walks(4, 80, seed=1).reshape(2, 2, 80)
    past, future = known[:, :, :64], known[:, :, 64:]
    said = worker(
        "forecast", key="three", values=as_lists(values), horizon=16, covariates=past.tolist(), future=future.tolist()
    )
    mean, scale = values.mean(1, keepdims=True), values.std(1, keepdims=True)
    c_mean, c_scale = past.mean(2, keepdims=True), past.std(2, keepdims=True)
    channels = np.concatenate((((values - mean) / scale)[:, None], (past - c_mean) / c_scale), axis=1)
    ahead = np.concatenate((np.zeros((2, 1, 16)), (future - c_mean) / c_scale), axis=1)
    theirs = worker(
        "direct",
        folder=three_channels,
        past=channels.transpose(0, 2, 1).tolist(),
        future=ahead.transpose(0, 2, 1).tolist(),
    )
    assert np.array(said) == pytest.approx(mean + scale * np.array(theirs)[:, :, 0], abs=1e-4)
    without = ask(worker, "three", values)
    assert not np.allclose(without, np.array(said), atol=1e-3), "the covariates have no influence"


def test_wrong_number_of_covariates(worker: Worker, three_channels: str) -> None:
    """One covariate for weights that take two is refused."""
    with pytest.raises(Fault, match="1 covariates, but these weights take 2") as caught:
        worker("forecast", key="three", values=[[0.0, 1.0] * 32], horizon=4, covariates=[[[0.0, 1.0] * 32]])
    assert caught.value.code == "bad_window"


def test_genuine_weights_equal_library(worker: Worker, genuine: str) -> None:
    """The published weights forecast through the plugin as through the library."""
    worker("load", key="genuine", params={"path": genuine})
    values = daily_and_weekly(4, 512)
    theirs = library(worker, genuine, values)
    assert ask(worker, "genuine", values, horizon=96) == pytest.approx(theirs, abs=1e-4)


def test_genuine_weights_forecast(worker: Worker, genuine: str) -> None:
    """On daily + weekly cycles their mean absolute error is below half of the last value's."""
    values = daily_and_weekly(32, 512 + 96)
    worker("load", key="genuine", params={"path": genuine})
    points, future = ask(worker, "genuine", values[:, :512], horizon=96), values[:, 512:]
    assert np.abs(points - future).mean() < 0.5 * np.abs(values[:, 511:512] - future).mean()


def test_overhead(worker: Worker, tiny: str) -> None:
    """The plugin adds less than a millisecond of CPU to the library's own call; the bench has the exact figure."""
    took = worker("overhead", key="tiny", folder=tiny, points=64, horizon=16, rounds=15)
    assert took["plugin_cpu_ms"] < 1.5 * took["library_cpu_ms"] + 1.0


def test_a_window_whose_readable_part_is_all_gap_is_refused(worker: Worker, tiny: str) -> None:
    """The model reads 64 points; a longer window that ends in a gap of as many has nothing to tell it."""
    values = walks(1, 128)
    values[0, 64:] = np.nan
    with pytest.raises(Fault, match="all gap") as caught:
        ask(worker, "tiny", values)
    assert caught.value.code == "bad_window"
