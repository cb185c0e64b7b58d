"""Scaling and closing gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chronotick.sdk.scaling import fill_gaps, standardise


def test_mean_and_deviation_are_of_what_is_there() -> None:
    """Each window has mean 0 and deviation 1 over its points, and its gaps stay."""
    windows = np.random.default_rng(1).standard_normal((3, 50)) * [[1e-9], [1.0], [1e6]] + [[0.0], [1e4], [-1e9]]
    windows[1, 10:20] = np.nan
    values = standardise(windows).values
    assert np.isnan(values).sum() == 10
    assert np.nanmean(values, axis=1) == pytest.approx(np.zeros(3), abs=1e-6)
    assert np.nanstd(values, axis=1) == pytest.approx(np.ones(3), rel=1e-6)


@given(arrays(np.float64, (2, 12), elements=st.floats(-1e9, 1e9)))
def test_undo_is_the_inverse(windows: np.ndarray) -> None:
    """Scaled and scaled back is the window again, also with an axis of levels in between."""
    scaled = standardise(windows)
    near = 1e-12 * np.abs(windows).max() + 1e-300
    assert scaled.undo(scaled.values) == pytest.approx(windows, abs=near)
    levels = np.stack((scaled.values, scaled.values), axis=1)
    assert scaled.undo(levels)[:, 1] == pytest.approx(windows, abs=near)


def test_a_constant_window_is_zeros() -> None:
    """There is nothing to scale, and nothing to divide by."""
    scaled = standardise(np.full((1, 9), 3.25e-6))
    assert np.abs(scaled.values).max() < 1e-12
    assert scaled.scale == 1.0


def test_gaps_are_closed() -> None:
    """By lines within, by the last value at the end, and not at all at the beginning."""
    nan = np.nan
    windows = np.array([[nan, nan, 1.0, nan, nan, 4.0, nan, nan], [0.0, 1, 2, 3, 4, 5, 6, 7]])
    before = windows.copy()
    expected = np.array([[nan, nan, 1.0, 2.0, 3.0, 4.0, 4.0, 4.0], [0.0, 1, 2, 3, 4, 5, 6, 7]])
    assert np.array_equal(fill_gaps(windows), expected, equal_nan=True)
    assert np.array_equal(windows, before, equal_nan=True)
