"""What the plugin says is what the library says, in the SDK's shapes."""

from typing import Any

import numpy as np
import pytest
from tests.plugin_worker import Fault, Worker, as_lists, walks

from .conftest import LEVELS

pytestmark = pytest.mark.model

CHRONOS2_LEVELS = [0.01, *LEVELS, 0.99]


def both(
    worker: Worker, key: str, folder: str, values: np.ndarray[Any, Any], horizon: int, levels: list[float]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The plugin's quantiles, and the library's brought to the same shape and order."""
    ours = worker("forecast", key=key, values=as_lists(values), horizon=horizon, levels=levels)
    theirs = worker("direct", folder=folder, values=as_lists(values), horizon=horizon, levels=levels)
    return np.array(ours["quantiles"]), np.sort(np.array(theirs), axis=2).transpose(0, 2, 1)


def test_bolt_equals_library(worker: Worker, bolt: str) -> None:
    """A batch with gaps gets, to the bit, what the library gives when called directly."""
    values = walks(3, 64)
    values[0, 10:20] = np.nan
    values[1, :40] = np.nan
    ours, theirs = both(worker, "bolt", bolt, values, 16, LEVELS)
    assert ours.shape == (3, len(LEVELS), 16)
    assert np.array_equal(theirs, ours)


def test_chronos2_equals_library(worker: Worker, chronos2: str) -> None:
    """Chronos-2 takes lists and gives lists; the plugin's answer has the SDK's shape and the library's numbers."""
    values = walks(2, 100)
    values[1, :30] = np.nan
    ours, theirs = both(worker, "chronos2", chronos2, values, 20, CHRONOS2_LEVELS)
    assert ours.shape == (2, len(CHRONOS2_LEVELS), 20)
    assert np.array_equal(theirs, ours)


def test_chronos2_with_covariates_equals_library(worker: Worker, chronos2: str) -> None:
    """Their past and their future go where the library wants them, to the bit."""
    values, beside = as_lists(walks(2, 100)), walks(4, 120, seed=9).reshape(2, 2, 120)
    given = {"covariates": beside[:, :, :100].tolist(), "future": beside[:, :, 100:].tolist()}
    asked = {"values": values, "horizon": 20, "levels": CHRONOS2_LEVELS}
    ours = worker("forecast", key="chronos2", **asked, **given)["quantiles"]
    theirs = np.sort(np.array(worker("direct", folder=chronos2, **asked, **given)), axis=2).transpose(0, 2, 1)
    assert np.array_equal(np.array(ours), theirs)


def test_a_row_of_a_batch_is_the_row_alone(worker: Worker, bolt: str) -> None:
    """Windows of one batch do not see each other."""
    values = walks(4, 48)
    together = worker("forecast", key="bolt", values=as_lists(values), horizon=8, levels=LEVELS)["quantiles"]
    alone = worker("forecast", key="bolt", values=as_lists(values[2:3]), horizon=8, levels=LEVELS)["quantiles"]
    assert together[2] == pytest.approx(np.array(alone[0]), rel=1e-4, abs=1e-4)


def test_levels_are_those_asked_for(worker: Worker, bolt: str) -> None:
    """A subset of levels gives the same rows as all of them, also when a level differs by rounding."""
    values = as_lists(walks(1, 64))
    every = worker("forecast", key="bolt", values=values, horizon=16, levels=LEVELS)["quantiles"]
    some = worker("forecast", key="bolt", values=values, horizon=16, levels=[0.1 + 1e-12, 0.5, 0.9])["quantiles"]
    assert [every[0][0], every[0][4], every[0][8]] == some[0]


def test_quantiles_never_cross(worker: Worker, bolt: str) -> None:
    """Untrained weights cross their quantiles; the plugin's answer ascends all the same and is float64."""
    raw = np.array(worker("direct", folder=bolt, values=as_lists(walks(2, 64)), horizon=16, levels=LEVELS))
    answer = worker("forecast", key="bolt", values=as_lists(walks(2, 64)), horizon=16, levels=LEVELS)
    assert (np.diff(raw, axis=2) < 0).any(), "these weights do not cross and show nothing"
    assert (np.diff(np.array(answer["quantiles"]), axis=1) >= 0).all()
    assert answer["dtype"] == "float64"


def test_only_the_newest_points_are_read(worker: Worker, bolt: str) -> None:
    """A window longer than the model's context of 64 is cut to its newest points."""
    values = walks(1, 300)
    longer = worker("forecast", key="bolt", values=as_lists(values), horizon=16, levels=LEVELS)
    cut = worker("forecast", key="bolt", values=as_lists(values[:, -64:]), horizon=16, levels=LEVELS)
    assert longer == cut


def test_nothing_to_read(worker: Worker, bolt: str) -> None:
    """A window whose newest 64 points are gap is refused: the model would answer for a series of nothing."""
    values = walks(2, 100)
    values[1, -64:] = np.nan
    with pytest.raises(Fault, match="all gap") as caught:
        worker("forecast", key="bolt", values=as_lists(values), horizon=4, levels=[0.5])
    assert caught.value.code == "bad_window"


def test_same_question_same_answer(worker: Worker, bolt: str) -> None:
    """Equal requests get equal answers, bit for bit, also from a model that was loaded anew."""
    values = as_lists(walks(2, 64))
    first = worker("forecast", key="bolt", values=values, horizon=16, levels=LEVELS)
    worker("load", key="again", params={"path": bolt}, seed=9)
    assert first == worker("forecast", key="bolt", values=values, horizon=16, levels=LEVELS)
    assert first == worker("forecast", key="again", values=values, horizon=16, levels=LEVELS)


def test_genuine_checkpoint_equals_library(worker: Worker, genuine: str) -> None:
    """The published weights forecast through the plugin as through the library."""
    worker("load", key="genuine", params={"path": genuine})
    ours, theirs = both(worker, "genuine", genuine, walks(2, 200, seed=5), 64, LEVELS)
    assert np.array_equal(theirs, ours)


def test_genuine_checkpoint_forecasts(worker: Worker, genuine: str) -> None:
    """On daily + weekly cycles its mean absolute error is below half of the last value's."""
    rng = np.random.default_rng(8)
    t = np.arange(512 + 64)
    day, week = rng.uniform(0, 24, (32, 1)), rng.uniform(0, 168, (32, 1))
    values = 10 * np.sin(2 * np.pi * (t + day) / 24) + 5 * np.sin(2 * np.pi * (t + week) / 168)
    values += rng.standard_normal(values.shape)
    worker("load", key="genuine", params={"path": genuine})
    answer = worker("forecast", key="genuine", values=as_lists(values[:, :512]), horizon=64, levels=LEVELS)
    median = np.array(answer["quantiles"])[:, 4]
    future = values[:, 512:]
    assert np.abs(median - future).mean() < 0.5 * np.abs(values[:, 511:512] - future).mean()


@pytest.mark.parametrize("kind", ["bolt", "chronos2"])
def test_overhead(worker: Worker, kind: str, request: pytest.FixtureRequest) -> None:
    """The plugin adds less than a millisecond of CPU to the library's own call; the bench has the exact figure."""
    folder = request.getfixturevalue(kind)
    took = worker("overhead", key=kind, folder=folder, points=64, horizon=16, rounds=15)
    assert took["plugin_cpu_ms"] < 1.5 * took["library_cpu_ms"] + 1.0


def test_a_missing_tensor_is_refused(worker: Worker, bolt: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The library would leave a missing tensor random and say nothing."""
    folder = str(tmp_path_factory.mktemp("holes"))
    worker("make_bolt", folder=folder, seed=3, drop=["output_patch_embedding."])
    with pytest.raises(Fault, match=r"lack 6 tensors, output_patch_embedding") as caught:
        worker("load", key="holes", params={"path": folder})
    assert caught.value.code == "weights_mismatch"
