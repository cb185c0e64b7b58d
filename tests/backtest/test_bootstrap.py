"""Intervals of ratios that know that neighbouring errors are one error."""

import numpy as np
import pytest

from chronotick.backtest.bootstrap import ratio_interval


def correlated(rng: np.random.Generator, n: int, keep: float) -> np.ndarray:
    """An autoregression of unit variance."""
    x = rng.standard_normal(n) * np.sqrt(1 - keep * keep)
    for i in range(1, n):
        x[i] += keep * x[i - 1]
    return x


@pytest.mark.parametrize("keep", [0.0, 0.9])
def test_its_interval_covers_the_true_ratio_as_often_as_it_says(keep: float) -> None:
    """Over 150 series with a known ratio about 95 % of the intervals hold it, correlated errors or not."""
    held = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        found = ratio_interval(
            np.arange(1500.0), 0.8 * correlated(rng, 1500, keep), correlated(rng, 1500, keep), 40.0, seed=seed
        )
        held += found.low <= 0.8 <= found.high
    assert 0.88 <= held / 150 <= 0.99


def test_single_draws_would_be_too_sure_of_correlated_errors() -> None:
    """The same correlated series with blocks of one error has an interval less than half as wide."""
    rng = np.random.default_rng(1)
    a, b = correlated(rng, 3000, 0.95), correlated(rng, 3000, 0.95)
    t = np.arange(3000.0)
    blocks, single = ratio_interval(t, a, b, 100.0), ratio_interval(t, a, b, 0.5)
    assert blocks.ratio == single.ratio == pytest.approx(np.abs(a).mean() / np.abs(b).mean())
    assert single.high - single.low < 0.5 * (blocks.high - blocks.low)


def test_a_short_series_has_a_ratio_but_no_interval() -> None:
    """Where not even four blocks fit, and where there is nothing at all."""
    ones = np.ones(10)
    found = ratio_interval(np.arange(10.0), 2 * ones, ones, 4.0)
    assert found.ratio == 2.0
    assert np.isnan(found.low)
    assert np.isnan(ratio_interval(np.arange(10.0), np.full(10, np.nan), ones, 1.0).ratio)
