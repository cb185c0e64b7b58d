"""What scores say holds for the sigma that they were said with: what sigma does by itself is not done twice."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.fusion.test_fusion import updated

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig
from chronotick.fusion import Fusion
from chronotick.fusion.interval import IntervalModel
from chronotick.fusion.rules import IntervalRules
from chronotick.wire.levels import LEVELS, Z

S = 10**9
H = 64.0
AT_90, AT_99, AT_999 = (LEVELS.index(level) for level in (0.9, 0.99, 0.999))


def learned(size: float, *, scores: int = 1500) -> IntervalModel:
    """Independent errors of this size in sigma, sigma 1, until the widths are theirs."""
    rng = np.random.default_rng(21)
    model = IntervalModel([H])
    model.settle([1.0])
    for i in range(scores):
        score(model, i, size * float(rng.standard_normal()), 1.0)
    return model


def score(model: IntervalModel, i: int, error: float, sigma: float) -> None:
    model.score(
        0,
        round(i * H * S),
        floor_error_s=error,
        fused_error_s=None,
        sigma_s=sigma,
        variance_s2=0.0,
        issued=model.issued(0),
    )
    model.settle([sigma])


def widths(model: IntervalModel, sigma: float) -> np.ndarray:
    """Half widths at `LEVELS` where the floor says `sigma`, over the normal ones of sigma 1."""
    model.settle([sigma])
    return sigma * np.array(model.multipliers(H, 0.0)) / np.array(Z)


def test_a_fall_of_sigma_takes_back_what_it_was_narrowed_by() -> None:
    """Errors a tenth of sigma, then a tenth of that sigma: rare levels lose half of it, in logarithms, others less."""
    model = learned(0.1)
    before, after = widths(model, 1.0), widths(model, 0.1)
    assert before == pytest.approx(0.1, rel=0.25)
    assert after[AT_90] == pytest.approx(0.1 * 10.0**0.1 * before[AT_90], rel=0.02)
    for level in (AT_99, AT_999):
        assert after[level] == pytest.approx(0.1 * np.sqrt(10.0) * before[level], rel=0.02)


def test_a_narrow_sigma_is_never_widened_for_having_fallen() -> None:
    """However far it falls, the most that is taken back is the narrowing; and a sigma that was right stays right."""
    far, right = learned(0.1), learned(1.0)
    assert widths(far, 1e-6)[AT_999] == pytest.approx(1e-6, rel=0.5)
    assert widths(right, 0.1)[AT_999] == pytest.approx(0.1 * widths(right, 1.0)[AT_999], rel=0.2)


def test_a_rise_of_sigma_takes_over_what_it_was_widened_by() -> None:
    """Errors of three sigma, then three times that sigma: the widths stay; a rise beyond that is followed."""
    model = learned(3.0)
    before = widths(model, 1.0)
    assert before == pytest.approx(3.0, rel=0.25)
    assert widths(model, 3.0) == pytest.approx(before, rel=0.2)
    assert widths(model, 6.0) == pytest.approx(2.0 * widths(model, 3.0))


def test_the_same_holds_for_what_the_fused_answer_believes_of_itself() -> None:
    """Fused errors of three of its own sigma, then three times that sigma: its widths stay, and the floor's as well."""
    rng = np.random.default_rng(23)
    model = IntervalModel([H])
    for i in range(1500):
        model.settle([1.0], [0.1])
        model.score(
            0,
            round(i * H * S),
            floor_error_s=float(rng.standard_normal()),
            fused_error_s=0.3 * float(rng.standard_normal()),
            sigma_s=1.0,
            fused_sigma_s=0.1,
            variance_s2=0.0,
            issued=model.issued(0),
        )
    model.settle([1.0], [0.1])
    before = model.multipliers(H, 1.0, 0.1)[AT_90]
    assert before == pytest.approx(0.3 * Z[AT_90], rel=0.2)
    model.settle([1.0], [0.3])
    assert model.multipliers(H, 1.0, 0.3)[AT_90] == pytest.approx(before, rel=0.2)
    assert model.multipliers(H, 0.0)[AT_90] == pytest.approx(Z[AT_90], rel=0.2)


def test_the_sigma_that_scores_are_held_against_is_followed() -> None:
    """Scores at the new sigma make it the usual one: then widths are again what errors show in it."""
    model = learned(0.1)
    rng = np.random.default_rng(22)
    at_once = widths(model, 0.1)[AT_99]
    for i in range(1500, 3000):
        score(model, i, 0.01 * float(rng.standard_normal()), 0.1)
    assert widths(model, 0.1)[AT_99] < 0.5 * at_once


def test_each_level_says_how_much_of_a_fall_counts() -> None:
    """One share for each level, none smaller than that of a more frequent one."""
    shares = IntervalRules().fallen_shares
    assert len(shares) == len(LEVELS)
    assert list(shares) == sorted(shares)


def test_the_floor_tells_its_sigma_at_each_fix(state: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every rung what it says of that horizon now, also before anything is scored."""
    fusion = Fusion(Tuning(), FusionConfig(), [])
    told: list[list[float]] = []
    monkeypatch.setattr(fusion.intervals, "settle", lambda floor_s, fused_s: told.append(floor_s))
    for i in range(2):
        now = state(1_000 * S + 60 * i * S)
        fusion.on_update(updated(now))
    assert len(told) == 2
    assert told[-1] == [now.sigma_s(now.raw_ns + round(h * S)) for h in fusion.horizons]
