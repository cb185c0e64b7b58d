"""What the plugin says is what the library says, in the SDK's shapes."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.plugin_worker import Fault, Worker, as_lists, walks

pytestmark = pytest.mark.model

LEVELS = [0.1, 0.5, 0.9]
# As the plugin draws its samples: so many side by side, at least and at most so many, seeds so far apart.
ROUND, LEAST, MOST = 32, 64, 256


@pytest.fixture(scope="module")
def far(worker: Worker, tiny: str) -> str:
    """The tiny model, five patches ahead, loaded as "far"."""
    worker("load", key="far", params={"path": tiny, "horizon_max": 40})
    return tiny


def ask(worker: Worker, values: NDArray[np.float64], horizon: int = 8, **more: Any) -> NDArray[np.float64]:
    """The plugin's quantiles (k, levels, horizon)."""
    more = {"key": "tiny", "levels": LEVELS, **more}
    return np.array(worker("forecast", values=as_lists(values), horizon=horizon, **more)["quantiles"])


def scaled(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Each series (last axis) in units of its own spread; its mean and deviation."""
    mean, scale = values.mean(-1, keepdims=True), values.std(-1, keepdims=True)
    return (values - mean) / scale, mean, scale


def library(worker: Worker, folder: str, values: NDArray[np.float64], horizon: int, **more: Any) -> dict[str, Any]:
    """The library's answer for windows (k, n) that are scaled as the plugin scales them."""
    series, mean, scale = scaled(values)
    said = worker("direct", folder=folder, values=series[:, None].tolist(), horizon=horizon, **more)
    back = {"mean": mean + scale * np.array(said["mean"])}
    if "quantiles" in said:
        back["quantiles"] = mean[:, None] + scale[:, None] * np.array(said["quantiles"])
    return back


def test_mean_equals_library(worker: Worker, tiny: str) -> None:
    """Within one patch the mean is the library's own forecast without samples, to single precision."""
    values = walks(3, 60)
    ours = worker("forecast", key="tiny", values=as_lists(values), horizon=8, levels=LEVELS)["mean"]
    assert np.array(ours) == pytest.approx(library(worker, tiny, values, 8)["mean"], abs=1e-5 * np.ptp(values))


def test_one_pass_has_the_librarys_distribution(worker: Worker, tiny: str) -> None:
    """Quantiles of 4096 samples from one pass are those of 4096 samples that the library draws one pass each."""
    values = walks(1, 64)
    worker("load", key="many", params={"path": tiny, "samples": 4096})
    ours = ask(worker, values, key="many")
    theirs = library(worker, tiny, values, 8, seeds=list(range(8)), side_by_side=512)["quantiles"]
    spread = theirs[:, 2] - theirs[:, 0]
    # Of the difference of two sample quantiles the deviation is 0.02 to 0.03 of the spread here.
    assert (np.abs(ours - theirs) / spread).max() < 0.12
    assert np.abs(ours - theirs).mean() < 0.03 * spread.mean()


def test_beyond_one_patch_equals_library(worker: Worker, far: str) -> None:
    """Longer forecasts are the library's paths: with the same seeds, the same quantiles."""
    values = walks(1, 64)
    seeds = list(range(MOST // ROUND))
    theirs = library(worker, far, values, 20, seeds=seeds)["quantiles"]
    assert ask(worker, values, 20, key="far") == pytest.approx(theirs, abs=1e-4 * np.ptp(values))


def test_a_short_deadline_costs_samples(worker: Worker, far: str) -> None:
    """Without time for more, the answer has the least samples that are worth one: the first ones of the full answer."""
    values = walks(1, 64)
    theirs = library(worker, far, values, 20, seeds=list(range(LEAST // ROUND)))["quantiles"]
    ours = ask(worker, values, 20, key="far", left_ms=0.0)
    assert ours == pytest.approx(theirs, abs=1e-4 * np.ptp(values))
    assert not np.array_equal(ours, ask(worker, values, 20, key="far"))


def test_a_fixed_number_of_samples_is_kept(worker: Worker, tiny: str) -> None:
    """`samples` overrules the deadline."""
    worker("load", key="fixed", params={"path": tiny, "horizon_max": 40, "samples": 96})
    values = walks(1, 64)
    theirs = library(worker, tiny, values, 20, seeds=[0, 1, 2])["quantiles"]
    for left_ms in (0.0, 1e9):
        ours = ask(worker, values, 20, key="fixed", left_ms=left_ms)
        assert ours == pytest.approx(theirs, abs=1e-4 * np.ptp(values))


@pytest.mark.parametrize("horizon", [8, 20])
def test_the_seed_decides(worker: Worker, far: str, horizon: int) -> None:
    """Equal requests get equal answers, bit for bit, whatever was asked in between; another seed draws others."""
    values = walks(2, 64)
    first = ask(worker, values, horizon, key="far", seed=5)
    ask(worker, walks(3, 30, seed=1), horizon, key="far")
    assert np.array_equal(first, ask(worker, values, horizon, key="far", seed=5))
    assert not np.array_equal(first, ask(worker, values, horizon, key="far", seed=6))


@pytest.mark.parametrize("horizon", [8, 20])
def test_a_row_of_a_batch_is_the_row_alone(worker: Worker, far: str, horizon: int) -> None:
    """Windows of one batch do not see each other, and each gets the draws that it would get alone."""
    values = walks(4, 48)
    together = ask(worker, values, horizon, key="far")
    alone = ask(worker, values[2:3], horizon, key="far")
    assert together[2] == pytest.approx(alone[0], abs=1e-4 * np.ptp(values))


def test_a_large_batch_is_done_in_passes(worker: Worker, tiny: str) -> None:
    """64 windows of 4096 points exceed one pass; the last gets the same answer as alone."""
    values = walks(64, 4096)
    assert ask(worker, values)[63] == pytest.approx(ask(worker, values[63:])[0], abs=1e-4 * np.ptp(values[63]))


def test_quantiles_never_cross(worker: Worker, tiny: str) -> None:
    """All levels ascend, and the answer is float64."""
    levels = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    said = worker("forecast", key="tiny", values=as_lists(walks(3, 64)), horizon=8, levels=levels)
    assert (np.diff(np.array(said["quantiles"]), axis=1) >= 0).all()
    assert said["dtype"] == "float64"


def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(worker: Worker, tiny: str) -> None:
    """Within a patch the draws do not hang on how much of it is asked for."""
    values = walks(1, 64)
    assert np.array_equal(ask(worker, values, 3), ask(worker, values, 8)[:, :, :3])


def test_small_rates_keep_their_pattern(worker: Worker, tiny: str) -> None:
    """The library's scaling has a floor at which rates of 1e-9 are all noise; the plugin scales first."""
    values = walks(1, 64)
    assert ask(worker, 1e-9 * values) == pytest.approx(1e-9 * ask(worker, values), abs=1e-9 * 1e-4 * np.ptp(values))


def test_a_gap_at_the_beginning_is_a_shorter_window(worker: Worker, tiny: str) -> None:
    """Whole patches of what is not there are padding, as the library pads."""
    values = walks(1, 64)
    values[0, :20] = np.nan
    shorter = ask(worker, values[:, 20:])
    # The model sees a patch of padding more; that has no weight in its scaling, and little in what it says.
    assert ask(worker, values) == pytest.approx(shorter, abs=0.2 * np.ptp(values[:, 20:]))
    values[0, :20] = 1e6 * values[0, 20]
    assert ask(worker, values) != pytest.approx(shorter, abs=0.2 * np.ptp(values[:, 20:]))


def test_gaps_are_closed_by_lines(worker: Worker, tiny: str) -> None:
    """The model sees a line, or the last value at the end, and its scaling is told that nothing is known there."""
    whole = walks(1, 64)
    gaps = whole.copy()
    gaps[0, 20:23] = np.nan
    gaps[0, 60:] = np.nan
    closed = whole.copy()
    closed[0, 19:24] = np.linspace(whole[0, 19], whole[0, 23], 5)
    closed[0, 60:] = whole[0, 59]
    mean, scale = np.nanmean(gaps), np.nanstd(gaps)
    series, known = ((closed - mean) / scale)[:, None].tolist(), np.isfinite(gaps)[:, None].tolist()
    theirs = mean + scale * np.array(worker("direct", folder=tiny, values=series, horizon=8, known=known)["mean"])
    ours = worker("forecast", key="tiny", values=as_lists(gaps), horizon=8, levels=LEVELS)["mean"]
    assert np.array(ours) == pytest.approx(theirs, abs=1e-5 * np.ptp(whole))
    assert np.array(ours) != pytest.approx(library(worker, tiny, whole, 8)["mean"], abs=1e-3 * np.ptp(whole))


def test_only_the_newest_points_are_read(worker: Worker, tiny: str) -> None:
    """A window longer than 4096 points is cut to its newest; one that has none there is refused."""
    values = walks(1, 5000)
    assert np.array_equal(ask(worker, values), ask(worker, values[:, -4096:]))
    values[0, 100:] = np.nan
    with pytest.raises(Fault, match="all gap") as caught:
        ask(worker, values)
    assert caught.value.code == "bad_window"


@pytest.mark.parametrize("horizon", [8, 20])
def test_covariates_equal_library(worker: Worker, far: str, horizon: int) -> None:
    """Covariates with a known future are the library's exogenous variables."""
    both = walks(3, 64 + horizon).reshape(1, 3, -1)
    series, mean, scale = scaled(both[:, :, :64])
    future = (both[:, 1:, 64:] - mean[:, 1:]) / scale[:, 1:]
    asked = {"values": series.tolist(), "horizon": horizon, "future": future.tolist()}
    ours = worker(
        "forecast",
        key="far",
        values=both[:, 0, :64].tolist(),
        horizon=horizon,
        levels=LEVELS,
        covariates=both[:, 1:, :64].tolist(),
        future=both[:, 1:, 64:].tolist(),
    )
    seeds = None if horizon == 8 else list(range(MOST // ROUND))
    theirs = worker("direct", folder=far, seeds=seeds, **asked)
    expected = mean[:, 0] + scale[:, 0] * np.array(theirs["mean"])
    assert np.array(ours["mean"]) == pytest.approx(expected, abs=1e-4 * np.ptp(both[:, 0]))


def test_covariates_matter(worker: Worker, far: str) -> None:
    """The model attends to the past of covariates, and beyond one patch to their future; gaps in them are allowed."""
    values, beside, future = walks(1, 64), walks(1, 64, seed=2)[:, None], walks(1, 20, seed=3)[:, None]
    alone = ask(worker, values, 20, key="far")
    past = ask(worker, values, 20, key="far", covariates=beside.tolist())
    known = ask(worker, values, 20, key="far", covariates=beside.tolist(), future=future.tolist())
    other = ask(worker, values, 20, key="far", covariates=beside.tolist(), future=(-future).tolist())
    assert not np.allclose(alone, past)
    assert not np.allclose(past, known)
    assert not np.allclose(known[:, :, 8:], other[:, :, 8:])
    beside[0, 0, :] = np.nan
    covariates = [as_lists(one) for one in beside]
    assert np.isfinite(ask(worker, values, 20, key="far", covariates=covariates)).all()


@pytest.mark.parametrize(("horizon", "layers"), [(8, 0), (8, 1), (20, 3)])
def test_it_gives_up_between_layers(worker: Worker, far: str, horizon: int, layers: int) -> None:
    """Once nobody waits, no further layer of the model is run; the next question is answered as ever."""
    values = walks(1, 64)
    before = ask(worker, values, horizon, key="far")
    with pytest.raises(Fault, match="Nobody waits") as caught:
        ask(worker, values, horizon, key="far", layers=layers)
    assert caught.value.code == "cancelled"
    assert np.array_equal(before, ask(worker, values, horizon, key="far"))


def test_overhead(worker: Worker, tiny: str) -> None:
    """The plugin takes no more CPU than the library does for as many samples; the README has the figures."""
    took = worker("overhead", key="tiny", folder=tiny, points=64, horizon=8, rounds=15)
    assert took["plugin_cpu_ms"] < took["library_cpu_ms"]
