"""Reliability and the Allan deviation, against what is known."""

import numpy as np
import pytest

from chronotick.backtest.allan import allan_deviation
from chronotick.backtest.reliability import chance_band, pit
from chronotick.backtest.score import LEVELS, OURS, Column, Z


def column(scale: float) -> Column:
    """Normal errors of deviation 1 us, and intervals made for `scale` of it."""
    errors = np.random.default_rng(3).standard_normal(20_000) * 1e-6
    widths = [tuple(scale * z * 1e-6 for z in Z)] * len(errors)
    return Column(origin_s=list(range(len(errors))), error_s={OURS: errors.tolist()}, half_width_s={OURS: widths})


def test_honest_intervals_have_a_flat_pit() -> None:
    """Half of the truths fall below the median, and each level's share outside it."""
    values = pit(column(1.0))
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert np.mean(values < quantile) == pytest.approx(quantile, abs=0.01)


def test_wide_intervals_have_a_hump_and_narrow_ones_two_peaks() -> None:
    """The share in the middle half tells them apart."""
    middle = {scale: np.mean(np.abs(pit(column(scale)) - 0.5) < 0.25) for scale in (2.0, 1.0, 0.5)}
    assert middle[2.0] > 0.75 > middle[1.0] > 0.45 > 0.3 > middle[0.5]


def test_the_band_of_chance_is_that_of_the_binomial() -> None:
    """Wilson's band holds the level, shrinks with witnesses, and covers about 95 % of simulated coverages."""
    low, high = chance_band(0.95, 200)
    assert low < 0.95 < high
    shares = np.random.default_rng(1).binomial(200, 0.95, 4000) / 200
    assert np.mean((shares >= low) & (shares <= high)) == pytest.approx(0.95, abs=0.03)
    assert len(LEVELS) == len(Z)


def test_allan_deviation_of_white_frequency_noise_falls_with_the_root() -> None:
    """White FM of 1e-9 per root second: 1e-9/sqrt(tau); a constant rate adds nothing."""
    rng = np.random.default_rng(7)
    t = np.arange(0.0, 60_000.0, 1.0)
    x = 5e-6 * t + 1e-9 * np.cumsum(rng.standard_normal(len(t)))
    tau, deviation = allan_deviation(t, x)
    near = tau <= 1000
    assert deviation[near] == pytest.approx(1e-9 / np.sqrt(tau[near]), rel=0.15)


def test_allan_deviation_is_that_of_its_definition() -> None:
    """The same as the double loop over the definition, on a handful of points."""
    x = np.random.default_rng(2).standard_normal(41)
    tau, deviation = allan_deviation(np.arange(41.0), x)
    for one, got in zip(tau.astype(int), deviation, strict=True):
        terms = [(x[i + 2 * one] - 2 * x[i + one] + x[i]) ** 2 for i in range(40 - 2 * one)]
        assert got == pytest.approx(np.sqrt(np.mean(terms) / 2) / one)


def test_too_short_a_trace_has_no_allan_deviation() -> None:
    """Nothing is said from too few points."""
    tau, deviation = allan_deviation(np.arange(5.0), np.zeros(5))
    assert (len(tau), len(deviation)) == (0, 0)
