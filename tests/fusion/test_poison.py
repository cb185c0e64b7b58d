"""The quick form of tests/bench/poison.py: fuzzed steps, and the three answers that a broken model has."""

from types import ModuleType

import pytest
from tests.scripts import BENCH, module


@pytest.fixture(scope="module")
def poison() -> ModuleType:
    return module(BENCH / "poison.py")


def test_no_poison_moves_the_answer_outside_the_hard_interval(poison: ModuleType) -> None:
    """NaN, infinity, 1e308 and plausible drifts, with any weight: within the clip, and published inside the bound."""
    found = poison.fuzz(3000, seed=1)
    assert (found.steps, found.outside, found.beyond_clip) == (3000, 0, 0)


@pytest.mark.parametrize("how", ["nan", "silent", "1e9", "constant", "negated", "reversed"])
def test_a_model_that_turns_loses_weight_within_three_fixes(how: str, poison: ModuleType) -> None:
    """It had much of the weight; less is left when its first bad answers have come, and what was served is no worse."""
    one = poison.turn(how, 3, length_s=55.0)
    assert one.before > 0.5
    assert one.less <= 3
    assert one.ratios["0.1"] <= 1.02


@pytest.mark.parametrize("how", ["nan", "silent", "1e9", "900 sigma"])
def test_no_answer_at_all_is_silence_after_three(how: str, poison: ModuleType) -> None:
    """Half of the weight is left after the first, a quarter after the second, and nothing after the third."""
    one = poison.turn(how, 4, length_s=52.0)
    # Four fixes come to each answer.
    assert (one.less, one.silent) == (0, 8)
    assert one.half <= 4


def test_fixes_alone_tell_what_leaves_the_truth_by_its_own_noise(poison: ModuleType) -> None:
    """A line that leaves by a standard deviation with each fix has lost half in three, and is shut soon after; one that
    creeps by a twentieth is not told from noise in four times as many."""
    half, shut = poison.fixes_alone(1.0, tries=100)
    assert half <= 3
    assert shut <= 5
    half, _ = poison.fixes_alone(0.05, tries=100)
    assert half > 12
