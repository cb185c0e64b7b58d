"""The calibrated interval learns the width that errors show, and keeps floor and fused apart."""

import numpy as np
import pytest

from chronotick.fusion.interval import IntervalModel
from chronotick.fusion.rules import IntervalRules
from chronotick.wire.levels import AT_95

S = 10**9
H = 64.0
START = 1.5 * 1.959964


def learn(
    model: IntervalModel, errors: np.ndarray, *, fused: np.ndarray | None = None, spacing_s: float = H, v: float = 0.0
) -> list[bool]:
    """Feed errors at sigma 1 and return whether each lay in the floor's interval as it was issued."""
    covered = []
    for i, error in enumerate(errors):
        issued = model.issued(0)
        covered.append(abs(error) <= issued.floor[AT_95])
        model.score(
            0,
            round(i * spacing_s * S),
            floor_error_s=float(error),
            fused_error_s=None if fused is None else float(fused[i]),
            sigma_s=1.0,
            variance_s2=v,
            issued=issued,
        )
    return covered


def test_it_starts_wide() -> None:
    """Until twenty scores are there the interval is one and a half times the Gaussian one."""
    model = IntervalModel([H])
    learn(model, np.full(19, 0.01))
    assert model.multiplier(H, 0.0) == pytest.approx(START)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_coverage_is_what_it_says_however_wrong_sigma_is(scale: float) -> None:
    """With errors a fifth or three times of sigma 95 % of them come to lie inside, and the width follows the errors."""
    model = IntervalModel([H])
    covered = learn(model, scale * np.random.default_rng(3).standard_normal(1500))
    assert np.mean(covered[300:]) == pytest.approx(0.95, abs=0.02)
    assert model.multiplier(H, 0.0) == pytest.approx(1.96 * scale, rel=0.2)


def test_a_change_for_the_worse_is_followed() -> None:
    """When errors triple, coverage comes back."""
    rng = np.random.default_rng(4)
    model = IntervalModel([H])
    learn(model, rng.standard_normal(500))
    covered = learn(model, 3.0 * rng.standard_normal(600))
    assert np.mean(covered[300:]) > 0.9


def test_the_noise_of_targets_is_not_taken_for_error() -> None:
    """With targets as noisy as the forecasts the interval is that of the forecasts."""
    rng = np.random.default_rng(5)
    model = IntervalModel([H])
    learn(model, rng.standard_normal(800) + rng.standard_normal(800), v=1.0)
    assert model.multiplier(H, 0.0) == pytest.approx(1.96, rel=0.15)


def test_overlapping_scores_do_not_narrow_it() -> None:
    """Many small errors within two horizons leave most of the cautious start in place."""
    model = IntervalModel([H])
    learn(model, np.full(100, 0.01), spacing_s=H / 50)
    assert model.multiplier(H, 0.0) > 0.8 * START


def test_what_models_have_shown_does_not_narrow_the_floor() -> None:
    """A good fused record narrows the fused interval only; a floor that stands alone again has its own."""
    rng = np.random.default_rng(6)
    model = IntervalModel([H])
    floor = rng.standard_normal(600)
    learn(model, floor, fused=0.1 * floor)
    assert model.multiplier(H, 1.0) < 0.3
    assert model.multiplier(H, 0.0) > 1.7
    assert model.multiplier(H, 0.0) > model.multiplier(H, 0.5) > model.multiplier(H, 1.0)


def test_sigma_narrows_with_evidence_never_widens_and_never_without_weight() -> None:
    """Shrinking needs independent scores, stops above what they show, and is exactly 1 for the floor alone."""
    model = IntervalModel([H], IntervalRules())
    rng = np.random.default_rng(7)
    before = [model.shrink(H, 1.0)]
    for _ in range(3):
        learn(model, rng.standard_normal(100), fused=0.3 * rng.standard_normal(100))
        before.append(model.shrink(H, 1.0))
    assert before[0] == 1.0
    assert before[0] > before[1]
    assert before[-1] == pytest.approx(0.36, abs=0.06)
    assert model.shrink(H, 0.0) == 1.0
    worse = IntervalModel([H])
    learn(worse, rng.standard_normal(200), fused=5.0 * rng.standard_normal(200))
    assert worse.shrink(H, 1.0) == 1.0
