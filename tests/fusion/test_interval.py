"""The calibrated interval learns the width that errors show, and keeps floor and fused apart."""

import math

import numpy as np
import pytest

from chronotick.fusion.interval import IntervalModel
from chronotick.fusion.rules import IntervalRules
from chronotick.wire.levels import LEVELS, Z

S = 10**9
H = 64.0


def scored(model: IntervalModel, at_s: float, error: float, *, v: float = 0.0, rung: int = 0) -> None:
    """One score of the floor at sigma 1; halves of its target disagree as much as its variance says."""
    model.score(
        rung,
        round(at_s * S),
        floor_error_s=error,
        fused_error_s=None,
        sigma_s=1.0,
        variance_s2=v,
        issued=model.issued(rung),
        disagreement=1.0,
    )
    model.settle()


def learn(
    model: IntervalModel, errors: np.ndarray, *, fused: np.ndarray | None = None, spacing_s: float = H, v: float = 0.0
) -> list[bool]:
    """Feed errors at sigma 1 and return whether each lay in the floor's interval as it was issued."""
    covered = []
    for i, error in enumerate(errors):
        issued = model.issued(0)
        covered.append(abs(error) <= model.multiplier(H, 0.0))
        model.score(
            0,
            round(i * spacing_s * S),
            floor_error_s=float(error),
            fused_error_s=None if fused is None else float(fused[i]),
            sigma_s=1.0,
            variance_s2=v,
            issued=issued,
        )
        model.settle()
    return covered


def test_it_starts_wide() -> None:
    """Before the first score every level above the half is wider than the normal one, the rare ones most."""
    factors = [one / z for one, z in zip(IntervalModel([H]).multipliers(H, 0.0), Z, strict=True)]
    assert factors[1] > 1.2
    assert factors[1:] == sorted(factors[1:])
    assert factors[-1] > 2.5


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
    """Many small errors within two horizons narrow it less than as many independent ones; rare levels stay wide."""
    overlapping, independent = IntervalModel([H]), IntervalModel([H])
    learn(overlapping, np.full(40, 0.01), spacing_s=H / 40)
    learn(independent, np.full(40, 0.01))
    assert overlapping.multiplier(H, 0.0) > 1.5 * independent.multiplier(H, 0.0)
    assert overlapping.multipliers(H, 0.0)[-1] > 1.2 * Z[-1]


def test_levels_never_cross_and_each_covers_what_it_says() -> None:
    """With heavy tails every level comes to hold its share, and none is narrower than the one below."""
    rng = np.random.default_rng(11)
    model = IntervalModel([H])
    inside = []
    for i, error in enumerate(rng.standard_t(3, 6000)):
        said = model.multipliers(H, 0.0)
        assert list(said) == sorted(said)
        inside.append(np.abs(error) <= np.array(said))
        scored(model, i * H, float(error))
    assert np.mean(inside[1000:], axis=0) == pytest.approx(LEVELS, abs=0.015)
    assert np.mean(inside[1000:], axis=0)[-1] == pytest.approx(LEVELS[-1], abs=0.001)


def test_a_burst_widens_at_once_and_is_forgotten() -> None:
    """Ten errors of three sigma widen the interval by a quarter at least; a hundred ordinary ones take that back."""
    rng = np.random.default_rng(12)
    model = IntervalModel([H])
    learn(model, rng.standard_normal(500))
    before = model.multiplier(H, 0.0)
    for i in range(10):
        scored(model, (500 + i) * H, 3.0)
    assert model.multiplier(H, 0.0) > 1.25 * before
    for i, error in enumerate(rng.standard_normal(100)):
        scored(model, (510 + i) * H, float(error))
    assert model.multiplier(H, 0.0) < 1.25 * before


def test_where_targets_are_noise_the_next_rung_speaks() -> None:
    """A rung whose targets are ten times noisier than its forecasts takes its width from the one above."""
    rng = np.random.default_rng(13)
    model = IntervalModel([H, 2 * H])
    for i in range(600):
        scored(model, i * H, 3.0 * float(rng.standard_normal()), rung=1)
        scored(model, i * H, 10.0 * float(rng.standard_normal()), v=100.0)
    assert model.multiplier(H, 0.0) == pytest.approx(model.multiplier(2 * H, 0.0), rel=0.1)
    assert model.multiplier(H, 0.0) == pytest.approx(3 * 1.96, rel=0.2)


def test_a_rung_with_half_noisy_targets_keeps_half_of_its_own() -> None:
    """Targets as noisy as the forecasts halve, in logarithms, what a far rung may narrow a near one by."""
    rng = np.random.default_rng(15)
    model = IntervalModel([H, 60 * H])
    for i in range(2000):
        scored(model, i * H, 0.2 * float(rng.standard_normal()), rung=1)
        scored(model, i * H, float(rng.standard_normal() + rng.standard_normal()), v=1.0)
    own, far = 1.96, model.multiplier(60 * H, 0.0)
    assert far < 0.3 * own
    assert model.multiplier(H, 0.0) == pytest.approx(math.sqrt(own * far), rel=0.25)


def test_the_fused_interval_is_never_wider_than_the_floor_s() -> None:
    """Whatever the fused answer has shown, no level of it is wider than the floor's own."""
    rng = np.random.default_rng(14)
    model = IntervalModel([H])
    floor = rng.standard_normal(300)
    learn(model, floor, fused=2.0 * floor)
    for share in (0.3, 1.0):
        pairs = zip(model.multipliers(H, share), model.multipliers(H, 0.0), strict=True)
        assert all(fused <= alone for fused, alone in pairs)


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


def test_a_fused_record_goes_on_from_the_floor_s() -> None:
    """Who begins to speak after 600 scores is not doubted as if the clock were new: rare levels stay as wide."""
    rng = np.random.default_rng(16)
    model, new = IntervalModel([H]), IntervalModel([H])
    learn(model, rng.standard_normal(600))
    floor = model.multipliers(H, 0.0)
    for one, at in ((model, 600), (new, 0)):
        for i in range(5):
            error = float(rng.standard_normal())
            one.score(
                0,
                round((at + i) * H * S),
                floor_error_s=error,
                fused_error_s=0.5 * error,
                sigma_s=1.0,
                variance_s2=0.0,
                issued=one.issued(0),
            )
        one.settle()
    assert model.multipliers(H, 1.0)[-1] <= floor[-1]
    assert model.multipliers(H, 1.0)[1] < floor[1]
    assert new.multipliers(H, 1.0)[-1] > 1.3 * floor[-1]


def test_the_fused_width_follows_what_the_answer_believes_at_once() -> None:
    """A cycle is learned: the answer's sigma falls to a twentieth of the floor's, and its errors with it. Widths are
    right from the first score after that; by errors alone it takes hundreds of scores."""
    rng = np.random.default_rng(18)
    covered: dict[bool, list[bool]] = {True: [], False: []}
    width: dict[bool, list[float]] = {True: [], False: []}
    for told in covered:
        model = IntervalModel([H])
        for i in range(700):
            ratio = 1.0 if i < 400 else 0.05
            fused = ratio * float(rng.standard_normal())
            model.settle([1.0], [ratio if told else 1.0])
            half = model.multipliers(H, 1.0, ratio if told else 1.0)[1]
            if i >= 400:
                covered[told].append(abs(fused) <= half)
                width[told].append(half)
            model.score(
                0,
                round(i * H * S),
                floor_error_s=float(rng.standard_normal()),
                fused_error_s=fused,
                sigma_s=1.0,
                fused_sigma_s=ratio if told else None,
                variance_s2=0.0,
                issued=model.issued(0),
            )
    assert np.mean(covered[True]) == pytest.approx(0.9, abs=0.04)
    assert max(width[True]) < 0.05 * Z[1] * 1.5
    assert np.mean(covered[False][:100]) > 0.97
    assert np.mean(width[False][:100]) > 2.0 * np.mean(width[True][:100])


def test_sigma_narrows_by_what_the_answer_believes_and_has_shown() -> None:
    """Believed a tenth and shown to be half of that again is a twentieth; and it never widens the floor's."""
    model = IntervalModel([H])
    rng = np.random.default_rng(19)
    for i in range(600):
        model.score(
            0,
            round(i * H * S),
            floor_error_s=float(rng.standard_normal()),
            fused_error_s=0.05 * float(rng.standard_normal()),
            sigma_s=1.0,
            fused_sigma_s=0.1,
            variance_s2=0.0,
            issued=model.issued(0),
        )
    assert model.shrink(H, 1.0, 0.1) == pytest.approx(0.055, abs=0.01)
    assert model.shrink(H, 1.0, 5.0) == 1.0
    assert model.shrink(H, 0.0, 0.1) == 1.0


@pytest.mark.parametrize(("size", "begins"), [(0.2, 1.0), (3.0, 3.0)])
def test_a_fused_record_takes_over_what_was_too_narrow_and_not_what_was_too_wide(size: float, begins: float) -> None:
    """The floor errs by a fifth of its sigma, or by three of it; who begins to speak is as wide as its own at least."""
    rng = np.random.default_rng(20)
    model = IntervalModel([H])
    learn(model, size * rng.standard_normal(600))
    for i in range(600, 603):
        model.score(
            0,
            round(i * H * S),
            floor_error_s=size * float(rng.standard_normal()),
            fused_error_s=0.0,
            sigma_s=1.0,
            fused_sigma_s=0.1,
            # Targets far noisier than the forecast: three scores say next to nothing.
            variance_s2=100.0,
            issued=model.issued(0),
        )
    model.settle([1.0], [0.1])
    fused = model._fused[0].issued(math.log(0.1))
    assert math.exp(fused[1]) > 0.75 * begins * Z[1]
