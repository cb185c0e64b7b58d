"""Credit: what the fixes say for a fitted shape, and what a rung below says for the one above."""

from collections.abc import Callable

import numpy as np
import pytest

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig
from chronotick.fusion import Gate, GateRules

S = 10**9
RAW0_NS = 1_000 * S
LADDER = (64.0, 256.0, 1024.0, 21_600.0)
NAME = "own/fit"
FLOOR_S = 1e-5 * np.random.default_rng(3).standard_normal(60)


@pytest.fixture
def gate() -> Gate:
    return Gate(LADDER, Tuning(), FusionConfig())


def feed(gate: Gate, floor_s: np.ndarray, mine_s: np.ndarray, rung: int = 0) -> None:
    """Scores of one rung, an eighth of its horizon apart."""
    for i, (floor, mine) in enumerate(zip(floor_s, mine_s, strict=True)):
        origin = RAW0_NS + round(i * max(LADDER[rung] / 8.0, 64.0) * S)
        now = origin + round((LADDER[rung] + 600.0) * S)
        gate.score(rung, origin, float(floor), {NAME: float(mine)}, variance_s2=0.0, noise_s=0.0, now_raw_ns=now)


def share(gate: Gate, candidate: object, rung: int) -> float:
    """The candidate's weight at a rung."""
    return gate.weights(LADDER[rung], [candidate], RAW0_NS).get(NAME, 0.0)  # type: ignore[list-item]


@pytest.mark.parametrize(("log_odds", "heard"), [(None, False), (0.0, False), (0.9, False), (1.0, True), (3.0, True)])
def test_a_shape_that_leads_by_ten_to_one_is_heard_before_it_is_scored(
    gate: Gate, own_line: Callable, log_odds: float | None, heard: bool
) -> None:
    """Nothing is scored yet: only what the fixes say for it gives it a voice, and the explanation says so."""
    one = own_line(1e-6, log_odds=log_odds)
    gate.admit(one)
    for rung in range(3):
        assert (share(gate, one, rung) > 0.9) is heard
    assert ("before it is scored" in gate.explain([one], RAW0_NS)[0].reason) is heard


def test_credit_ends_where_the_scores_show_a_loss(gate: Gate, own_line: Callable) -> None:
    """Four scores worse than the floor's and it is silent there, and at the unscored rungs above."""
    one = own_line(1e-6, log_odds=3.0)
    gate.admit(one)
    feed(gate, FLOOR_S[:6], 2.0 * FLOOR_S[:6])
    assert all(share(gate, one, rung) == 0.0 for rung in range(3))


def test_credit_ends_with_the_odds(gate: Gate, own_line: Callable) -> None:
    """Open on credit and not proved: when the fixes no longer lead it is silent; proved, it stays."""
    for count, stays in ((6, False), (60, True)):
        gate = Gate(LADDER, Tuning(), FusionConfig())
        gate.admit(own_line(1e-6, log_odds=2.0))
        noise = 1e-5 * np.random.default_rng(5).standard_normal(60)
        feed(gate, FLOOR_S[:count], 0.7 * FLOOR_S[:count] + 0.1 * noise[:count])
        assert gate.is_open(NAME, 0)
        gate.admit(own_line(1e-6, log_odds=0.0))
        feed(gate, FLOOR_S[:1], 0.7 * FLOOR_S[:1])
        assert gate.is_open(NAME, 0) is stays


def test_a_rung_that_speaks_against_it_silences_the_credit_above(gate: Gate, own_line: Callable) -> None:
    """Worse than the floor at a quarter of the horizon, a few good scores at the whole of it are luck."""
    gate.admit(own_line(1e-6, log_odds=3.0))
    mine_s = 0.7 * FLOOR_S + 0.1e-5 * np.random.default_rng(5).standard_normal(60)
    feed(gate, FLOOR_S[:5], mine_s[:5], rung=2)
    assert gate.is_open(NAME, 2)
    feed(gate, FLOOR_S[:20], 1.5 * FLOOR_S[:20], rung=1)
    feed(gate, FLOOR_S[5:6], mine_s[5:6], rung=2)
    assert not gate.is_open(NAME, 2)


def test_who_has_proved_better_a_rung_below_needs_a_gain_and_no_proof(gate: Gate) -> None:
    """The same few scores open a rung only above one that is open; no odds are needed."""
    apart = Gate(LADDER, Tuning(), FusionConfig())
    few, noise = FLOOR_S[:9], 0.4e-5 * np.random.default_rng(8).standard_normal(9)
    feed(gate, FLOOR_S, 0.3 * FLOOR_S, rung=1)
    for one in (gate, apart):
        feed(one, few, 0.5 * few + noise, rung=2)
    assert gate.is_open(NAME, 2)
    assert not apart.is_open(NAME, 2)


@pytest.mark.parametrize(("log_odds", "after_h"), [(0.5, 30.0), (1.0, 12.0), (1.9, 12.0), (2.0, 3.0), (3.0, 3.0)])
def test_how_soon_a_shape_speaks_far_ahead_hangs_on_its_odds(
    gate: Gate, own_line: Callable, log_odds: float, after_h: float
) -> None:
    """Six hours ahead models wait for 30 h of context; a shape that leads by 10 to 1, 12 h, by 100 to 1, 3 h."""
    for span_h, heard in ((after_h - 0.1, False), (after_h + 0.1, True)):
        one = own_line(1e-6, log_odds=log_odds, span_s=span_h * 3600.0)
        gate.admit(one)
        assert gate.stands(one, 3, RAW0_NS) is heard


def test_no_fix_is_held_against_who_is_fitted_to_it(gate: Gate, own_line: Callable) -> None:
    """Fixes that speak against it shut a forecast; a filter has taken them in already, and is judged by its scores."""
    for log_odds, shut in ((None, True), (0.0, False)):
        gate = Gate(LADDER, Tuning(), FusionConfig())
        gate.admit(own_line(1e-6, log_odds=log_odds))
        feed(gate, FLOOR_S, 0.3 * FLOOR_S)
        for _ in range(5):
            gate.watch(0, NAME, 100.0, RAW0_NS)
        assert gate.is_open(NAME, 0) is not shut


def test_on_credit_some_of_the_gain_is_believed_at_once(own_line: Callable) -> None:
    """With t below 1 the gain gives a candidate half of the weight; with the credit's sureness nearly all of it."""
    noise = 1e-5 * np.random.default_rng(5).standard_normal(5)
    one = own_line(1e-6, log_odds=3.0)
    shares = []
    for sureness in (0.0, 0.8):
        gate = Gate(LADDER, Tuning(), FusionConfig(), GateRules(credit_sureness=sureness))
        gate.admit(one)
        feed(gate, FLOOR_S[:5], 0.4 * FLOOR_S[:5] + noise)
        shares.append(share(gate, one, 0))
        reason = gate.explain([one], RAW0_NS)[0].reason
        assert reason.startswith("The fixes speak for its shape, and it saves")
        assert reason.endswith("of the weight.")
    assert shares[0] == pytest.approx(0.5)
    assert shares[1] > 0.9


def test_credit_does_not_compete_with_a_rule(gate: Gate, own_line: Callable) -> None:
    """Where a rule has taken the floor's place a shape is heard on its record only."""
    rule, shape = own_line(1e-6, trusted=True, model="rule"), own_line(2e-6, log_odds=3.0)
    gate.admit(rule)
    gate.admit(shape)
    assert gate.weights(LADDER[0], [rule, shape], RAW0_NS) == {"floor": 0.0, rule.name: 1.0}
    feed(gate, FLOOR_S, 0.3 * FLOOR_S)
    assert gate.weights(LADDER[0], [rule, shape], RAW0_NS)[NAME] > 0.9
