"""The quick form of tests/bench/poison.py: fuzzed steps, and the three answers that a broken model has."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[1] / "bench" / "poison.py"


@pytest.fixture(scope="module")
def poison() -> ModuleType:
    spec = importlib.util.spec_from_file_location("poison", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["poison"] = module
    spec.loader.exec_module(module)
    return module


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
