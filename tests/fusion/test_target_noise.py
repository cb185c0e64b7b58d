"""What of a target's variance is counted is learned, as far as it can be."""

import numpy as np
import pytest

from chronotick.fusion.interval import IntervalModel
from chronotick.fusion.rules import IntervalRules
from chronotick.fusion.target_noise import TargetNoise

RULES = IntervalRules()
S, H = 10**9, 64.0


def taught(forecast: float, target: float, *, variance: float = 1.0, scores: int = 4000) -> TargetNoise:
    """Scores at sigma 1 whose forecasts and targets err by these multiples of what is said of them."""
    rng = np.random.default_rng(1)
    noise = TargetNoise(RULES)
    for i in range(scores):
        error = forecast * rng.standard_normal() + target * np.sqrt(variance) * rng.standard_normal()
        noise.add(float(error), 1.0, variance, float(target * rng.standard_normal()) ** 2, float(min(i, RULES.memory)))
    return noise


def test_it_begins_with_a_guess() -> None:
    """Before any score the share is the configured one."""
    assert TargetNoise(RULES).share == RULES.noise_share


@pytest.mark.parametrize(("forecast", "target"), [(1.0, 0.7), (0.7, 1.0), (0.6, 0.6), (2.0, 2.0)])
def test_the_share_is_the_ratio_of_what_is_wrong_with_both(forecast: float, target: float) -> None:
    """However wrong sigma and v are, the share is the targets' factor over the forecasts'."""
    assert taught(forecast, target).share == pytest.approx((target / forecast) ** 2, rel=0.3)


def test_where_targets_are_all_noise_the_guess_stands() -> None:
    """With targets thirty times noisier than forecasts nothing can be learned from the rest."""
    assert taught(0.2, 1.0, variance=1000.0).share == pytest.approx(RULES.noise_share, rel=0.15)


def test_one_wild_error_is_no_law() -> None:
    """An error of a thousand sigma, and a wild pair of halves, hardly move what was learned."""
    noise = taught(1.0, 0.9)
    before = noise.share
    noise.add(1000.0, 1.0, 1.0, 1e6, 500.0)
    assert noise.share == pytest.approx(before, rel=0.15)


def test_without_variance_there_is_nothing_to_learn() -> None:
    """Targets that are exact for days leave the share as it is, and finite."""
    noise = TargetNoise(RULES)
    for _ in range(20_000):
        noise.add(1.0, 1.0, 1e-20, 1.0, 500.0)
    assert 0.3 <= noise.share <= 3.0


@pytest.mark.parametrize("target", [0.5, 1.0, 1.4])
def test_the_width_is_the_forecasts_however_noisy_targets_are_said_to_be(target: float) -> None:
    """Forecasts err as sigma says; targets by half, all and more of what is said: 95 % come to the same width."""
    rng = np.random.default_rng(2)
    model = IntervalModel([H])
    found = []
    for i in range(4000):
        error = float(rng.standard_normal() + target * rng.standard_normal())
        model.score(
            0,
            round(i * H * S),
            floor_error_s=error,
            fused_error_s=None,
            sigma_s=1.0,
            variance_s2=1.0,
            issued=model.issued(0),
            disagreement=float(target * rng.standard_normal()) ** 2,
        )
        model.settle()
        found.append(model.multiplier(H, 0.0))
    assert np.mean(found[1000:]) == pytest.approx(1.96, rel=0.1)
