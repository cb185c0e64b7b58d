"""A model that gives points and no quantiles, through the whole path: the host makes its spread from its errors."""

import numpy as np
import pytest

from chronotick.forecast.request import Request
from tests.test_pipeline import ROLE, S, Simulation, oracle


@pytest.fixture(scope="module")
def asked() -> list[tuple[float, ...]]:
    """The levels of each question."""
    return []


@pytest.fixture(scope="module")
def points_only(asked: list[tuple[float, ...]]) -> Simulation:
    """Three hours with an oracle that offers the level 0.5 alone."""

    def answer(request: Request) -> np.ndarray:
        asked.append(request.levels)
        return oracle(request)

    simulation = Simulation(answer)
    due = simulation.pipeline.due
    simulation.pipeline.due = lambda now_ns, ready: due(now_ns, ready, {ROLE.plugin: (0.5,)})
    simulation.run(3 * 3600)
    return simulation


def test_it_is_asked_for_its_points(points_only: Simulation, asked: list[tuple[float, ...]]) -> None:
    """It is never asked for a level that it does not offer, and none of its answers is refused."""
    assert set(asked) == {(0.5,)}
    assert points_only.refusals == 0


def test_it_is_believed_like_any_other(points_only: Simulation) -> None:
    """A model that is right gets its weight by its errors, for which points are enough."""
    estimate = points_only.pipeline.estimate(points_only.raw_ns + 900 * S, points_only.raw_ns + 901 * S)
    assert estimate is not None
    assert dict(estimate.weights)["oracle"] > 0.5
    assert abs(points_only.error_s(900)) < 0.25 * abs(points_only.floor_error_s(900))


def test_its_interval_is_made_of_its_errors(points_only: Simulation) -> None:
    """The published spread is above 0, though the model's own quantiles would say that it is never wrong."""
    for ahead_s in (60, 900):
        at = points_only.raw_ns + ahead_s * S
        estimate = points_only.pipeline.estimate(at, at + S)
        assert estimate is not None
        assert estimate.sigma_s > 0
        assert abs(points_only.error_s(ahead_s)) < 4 * estimate.sigma_s
