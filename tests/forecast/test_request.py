"""Batching and scaling."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from chronotick.forecast import LEVELS, batch

S = 10**9


def test_each_window_is_scaled_by_its_own_mean_and_deviation(role: Callable, window: Callable) -> None:
    """Models see zero mean and unit deviation, gaps stay gaps, and the scaling can be undone exactly."""
    one = window()
    (request,) = batch([(role(), one)])
    assert np.nanmean(request.values) == pytest.approx(0.0, abs=1e-9)
    assert np.nanstd(request.values) == pytest.approx(1.0)
    assert (request.mask[0] == np.isfinite(one.rate)).all()
    np.testing.assert_allclose(request.mean[0] + request.scale[0] * request.values[0], one.rate, rtol=1e-12)
    assert request.t0_ns + (request.values.shape[1] - 1) * request.step_ns == one.origin_raw_ns


def test_a_constant_window_is_scaled_to_zeros(role: Callable, window: Callable) -> None:
    """No division by a deviation of zero."""
    flat = msgspec.structs.replace(window(), rate=np.full(32, 12e-6))
    (request,) = batch([(role(), flat)])
    assert (np.abs(request.values) < 1e-6).all()
    assert request.scale[0] > 0


def test_equal_grids_share_a_request_and_others_do_not(role: Callable, window: Callable) -> None:
    """Two roles of one shape and origin go in one batch; another horizon, plugin, length or origin goes apart."""
    asks = [
        (role("a"), window("a")),
        (role("b", deadline_s=3.0), window("b", seed=1)),
        (role("c", horizon=9), window("c")),
        (role("d", plugin="ttm"), window("d")),
        (role("e"), window("e", n=31)),
        (role("f"), window("f", origin_raw_ns=10_001 * S)),
    ]
    requests = batch(asks)
    assert [request.roles for request in requests] == [("a", "b"), ("c",), ("d",), ("e",), ("f",)]
    assert requests[0].values.shape == (2, 32)
    assert requests[0].deadline_s == 3.0
    np.testing.assert_allclose(requests[0].values[1], batch([asks[1]])[0].values[0])


@pytest.mark.parametrize(
    ("offered", "asked"),
    [
        ((0.01, 0.1, 0.25, 0.5, 0.9, 0.99), (0.1, 0.5, 0.9)),
        ((0.1 + 1e-8, 0.5), (0.1, 0.5)),
        ((0.5,), (0.5,)),
        ((0.25, 0.75), (0.25, 0.75)),
    ],
)
def test_a_model_is_asked_for_levels_that_it_has(
    role: Callable, window: Callable, offered: tuple[float, ...], asked: tuple[float, ...]
) -> None:
    """Of the usual levels those that the model offers, or its own where none is; plugins differ."""
    plain, other = batch([(role("a"), window("a")), (role("b", plugin="ttm"), window("b"))], offered={"ttm": offered})
    assert plain.levels == LEVELS
    assert other.levels == asked
