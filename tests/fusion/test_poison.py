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


@pytest.mark.parametrize("how", ["constant", "negated"])
def test_a_model_that_turns_is_silent_after_three_answers(how: str, poison: ModuleType) -> None:
    """It had all the weight; its third bad answer ends that, and what was served meanwhile was no worse."""
    one = poison.turn(how, 3, length_s=50.0)
    assert one.weight_before > 0.9
    assert 0 < one.answers <= 3
    assert one.ratios["0.1"] <= 1.02
