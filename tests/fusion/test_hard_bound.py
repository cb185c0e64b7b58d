"""The hard interval in simulated worlds with an honest majority: the quick form of tests/bench/hard_bound.py."""

import functools
from types import ModuleType
from typing import Any

import pytest
from tests.scripts import BENCH, module


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return module(BENCH / "hard_bound.py")


@functools.cache
def simulate(bench: ModuleType, family: str) -> dict[str, Any]:
    said: dict[str, Any] = bench.simulate(family, 3, 0.12, 7, lambda _: None)
    return said


@pytest.mark.parametrize("family", ["steady", "asymmetric", "tails", "edge", "changing", "steps", "turns"])
def test_truth_is_inside_wherever_a_majority_is_honest(bench: ModuleType, family: str) -> None:
    """No published hard interval misses the truth; averaging what the servers say does."""
    said = simulate(bench, family)
    assert said["published"]["chronotick"] > 300
    assert said["missed"]["chronotick"] == 0


def test_the_worlds_are_hard(bench: ModuleType) -> None:
    """In the same worlds RFC 5905's root distance and the average miss: the zero above is not for want of trying."""
    said = [simulate(bench, family) for family in ("steady", "tails", "turns")]
    assert sum(one["missed"]["rfc5905"] for one in said) > 50
    assert sum(one["missed"]["average"] for one in said) > 50


def test_liars_may_change_from_one_moment_to_the_next(bench: ModuleType) -> None:
    """Where each vote by itself misses the truth, what the votes of a round allow together holds it."""
    said = bench.simulate("at_once", 4, 0.3, 1, lambda _: None)
    assert said["published"]["chronotick"] > 300
    assert said["missed"]["each_vote"] > 10
    assert said["missed"]["chronotick"] == 0
    assert said["width_p50_ms"] < 1.6 * said["each_vote_width_p50_ms"]


def test_without_an_honest_majority_there_is_no_time(bench: ModuleType) -> None:
    """Where no majority agrees nothing is published, and every vote says why."""
    said = simulate(bench, "split")
    assert said["published"]["chronotick"] == 0
    assert set(said["verdicts"]) <= {"waiting", "no_majority"}
    assert said["verdicts"]["no_majority"] > 50
