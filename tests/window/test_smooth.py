"""The smoother against the exact posterior, and the averaging before it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chronotick.window.smooth import bin_fixes, smooth


def posterior(
    t: NDArray[np.float64], z: NDArray[np.float64], r: NDArray[np.float64], *, wander: float, white_fm: float, c0: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Offset, rate and offset variance by solving the whole Gaussian system at once, in information form."""
    n = len(t)
    precision = np.zeros((2 * n, 2 * n))
    right = np.zeros(2 * n)
    precision[0, 0] += 1.0
    precision[1, 1] += 1.0 / c0
    for i in range(n):
        if np.isfinite(r[i]):
            precision[2 * i, 2 * i] += 1.0 / r[i]
            right[2 * i] += z[i] / r[i]
        if i:
            d = t[i] - t[i - 1]
            q, w = wander**2, white_fm**2
            noise = np.array([[w * d + q * d**3 / 3, q * d**2 / 2], [q * d**2 / 2, q * d]])
            step = np.hstack([-np.array([[1.0, d], [0.0, 1.0]]), np.eye(2)])
            at = slice(2 * i - 2, 2 * i + 2)
            precision[at, at] += step.T @ np.linalg.solve(noise, step)
    covariance = np.linalg.inv(precision)
    mean = covariance @ right
    return mean[::2], mean[1::2], np.diag(covariance)[::2]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(3, 25))
def test_the_smoother_gives_the_exact_posterior(seed: int, n: int) -> None:
    """Offset, rate and variance equal those of the whole system solved at once, unmeasured knots included."""
    rng = np.random.default_rng(seed)
    t = np.cumsum(rng.uniform(0.5, 2.0, n))
    z = 0.3 * np.sin(t / 4) + 0.1 * rng.standard_normal(n)
    r = rng.uniform(0.05, 0.5, n)
    r[rng.integers(1, n)] = np.inf
    line = smooth(t, z, r, wander=0.2, white_fm=0.1, rate=0.0, rate_variance=0.5)
    offset, rate, variance = posterior(t, z, r, wander=0.2, white_fm=0.1, c0=0.5)
    np.testing.assert_allclose(line.offset_s, offset, atol=1e-9)
    np.testing.assert_allclose(line.rate, rate, atol=1e-9)
    np.testing.assert_allclose(line.variance_s2, variance, atol=1e-9)


def test_the_scale_of_real_clocks_is_no_problem() -> None:
    """With nanoseconds of noise and a prior of a second the line is finite and follows the fixes within their noise."""
    t = np.arange(0.0, 3600.0, 16.0)
    rng = np.random.default_rng(1)
    z = 2e-7 * t + 1e-8 * rng.standard_normal(len(t))
    line = smooth(t, z, np.full(len(t), 1e-16), wander=1e-11, white_fm=1e-9, rate=0.0, rate_variance=1e-8)
    assert np.abs(line.offset_s - 2e-7 * t).max() < 3e-8
    assert np.abs(line.rate - 2e-7).max() < 2e-9
    assert (line.variance_s2 >= 0).all()


def test_an_outlier_moves_the_line_by_little() -> None:
    """One fix a thousand times its deviation off changes the line by a few deviations at most."""
    t = np.arange(60.0)
    z = np.zeros(60)
    r = np.full(60, 1e-12)
    z[30] = 1e-3
    line = smooth(t, z, r, wander=1e-9, white_fm=1e-9, rate=0.0, rate_variance=1e-8)
    assert np.abs(line.offset_s).max() < 3e-6


def test_two_fixes_at_one_instant_are_one_knot_more() -> None:
    """No distance between knots is no division by zero."""
    t = np.array([0.0, 1.0, 1.0, 2.0])
    line = smooth(t, t * 1e-6, np.full(4, 1e-12), wander=0.0, white_fm=0.0, rate=0.0, rate_variance=1e-8)
    np.testing.assert_allclose(line.offset_s, t * 1e-6, atol=1e-9)


@given(
    st.floats(-1e-4, 1e-4),
    st.floats(-1.0, 1.0),
    st.floats(0.1, 100.0),
    st.lists(st.floats(0.0, 1000.0), min_size=2, max_size=60),
)
def test_averaging_keeps_a_line_a_line(rate: float, offset: float, width_s: float, times: list[float]) -> None:
    """Averages of points of a straight line lie on it, at most one per width, and no information is lost."""
    t = np.array(sorted(times))
    variance = np.linspace(1.0, 3.0, len(t))
    bt, bz, br = bin_fixes(t, offset + rate * t, variance, width_s)
    np.testing.assert_allclose(bz, offset + rate * bt, atol=1e-12)
    assert len(np.unique(np.floor(t / width_s))) == len(bt) or len(bt) == len(t)
    assert np.sum(1 / br) == pytest.approx(np.sum(1 / variance))
