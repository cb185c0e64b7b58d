"""Many simulated hosts with lying servers and asymmetric paths: no verdict that is called a proof is wrong."""

import runpy
from pathlib import Path
from typing import Any

import pytest

bench = runpy.run_path(str(Path(__file__).parents[1] / "bench" / "ordering.py"))


@pytest.fixture(scope="module")
def result() -> Any:
    """A small run of the experiment."""
    return bench["simulate"](pairs=6000, worlds=2, hosts=5, hours=0.5, seed=7)


def test_no_definite_verdict_is_wrong(result: Any) -> None:
    """BEFORE and AFTER agree with true time in every pair, and true time is never outside a hard interval."""
    assert result["definite"] > 1000
    assert result["wrong_definite"] == 0
    assert result["pairs_with_true_time_outside_a_hard_interval"] == 0


def test_other_ways_are_wrong_where_this_one_abstains(result: Any) -> None:
    """The pairs are hard: plain stamps order many of them wrongly, and admit none."""
    assert all(share > 0.05 for share in result["wrong_share"].values())
    assert 0.1 < result["ambiguous_share"] < 0.9


def test_the_further_apart_the_more_is_proven(result: Any) -> None:
    """Nothing at microseconds, everything at seconds."""
    shares = [share for _, share in result["definite_share_by_gap"].values()]
    assert shares[0] == 0
    assert shares[-1] > 0.99


def too_much(said: Any) -> float:
    """By how much the probabilities from 0.7 up exceed the share that came true."""
    rows = [row for edge, row in said["classes"].items() if float(edge) >= 0.7]
    pairs = sum(row["pairs"] for row in rows)
    return float(sum((row["said"] - row["came_true"]) * row["pairs"] for row in rows) / pairs)


def test_the_probability_does_not_claim_too_much(result: Any) -> None:
    """On asymmetric paths the calibrated intervals alone claim far too much; compare does not, and beats a coin."""
    alone, both = result["reliability"]["calibrated alone"], result["reliability"]["compare"]
    assert too_much(alone) > 0.1
    assert too_much(both) < 0.05
    assert both["log_loss"] < 0.65 < alone["log_loss"]
    assert both["brier"] < 0.21 < alone["brier"]


def test_the_probability_on_one_host_is_on_the_safe_side(result: Any) -> None:
    """What shifts both events of a host cancels: more comes true than is said."""
    for row in result["reliability"]["one host"]["classes"].values():
        if row["pairs"] >= 20:
            assert row["came_true"] > row["said"] - 0.1


def test_a_run_can_be_repeated(result: Any) -> None:
    """Equal arguments give equal results."""
    small = {"pairs": 200, "worlds": 1, "hosts": 3, "hours": 0.3, "seed": 3}
    assert bench["simulate"](**small) == bench["simulate"](**small)


def test_a_liar_that_is_believed_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The experiment can fail: with hard intervals a hundred times too narrow, wrong verdicts are counted."""
    machine = bench["Machine"]
    meet = machine.meet

    def overconfident(self: Any, event: Any) -> None:
        meet(self, event)
        known = event.known
        event.known = known._replace(
            earliest_ns=known.utc_ns - (known.utc_ns - known.earliest_ns) // 100,
            latest_ns=known.utc_ns + (known.latest_ns - known.utc_ns) // 100,
        )

    monkeypatch.setattr(machine, "meet", overconfident)
    assert bench["simulate"](pairs=2000, worlds=1, hosts=4, hours=0.4, seed=5)["wrong_definite"] > 0
