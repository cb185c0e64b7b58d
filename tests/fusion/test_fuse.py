"""The fused answer: the floor bit for bit without candidates, and never further from it than the clip with them."""

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig
from chronotick.fusion import ForecastCurve, Gate
from chronotick.fusion.candidate import heard_s
from chronotick.fusion.fuse import fuse, mix
from chronotick.fusion.interval import IntervalModel

S = 10**9
RAW0_NS = 1_000 * S
LADDER = (64.0, 256.0, 1024.0, 4096.0)
CLIP = 3.0


def gate_with(*names: str, share: float = 0.3) -> Gate:
    """A gate in which these candidates are open at all rungs."""
    gate = Gate(LADDER, Tuning(), FusionConfig())
    floor = 1e-5 * np.random.default_rng(1).standard_normal(200)
    for rung, horizon_s in enumerate(LADDER):
        for i, error in enumerate(floor):
            origin = RAW0_NS + round(i * horizon_s * S)
            errors = {name: share * float(error) for name in names}
            gate.score(rung, origin, float(error), errors, variance_s2=0.0, noise_s=0.0, now_raw_ns=origin)
        assert all(gate.is_open(name, rung) for name in names)
    return gate


@pytest.fixture(scope="module")
def open_gate() -> Gate:
    return gate_with("chronos/test", "own/fit")


@given(
    st.integers(0, 10**13),
    st.integers(1, 10**12),
    st.floats(-1e-4, 1e-4),
    st.integers(-(2**62), 2**62),
    st.floats(1e-16, 1e-6),
)
def test_without_an_open_candidate_the_answer_is_the_floor_s_bit_for_bit(
    state: Callable, forecast: Callable, age_ns: int, length_ns: int, rate: float, theta_ns: int, v0: float
) -> None:
    """Theta, rate and sigma are the state's own, with no candidates and with closed ones."""
    now = state(rate=rate, theta_ns=theta_ns, variance=(v0, 0.0, 1e-18, 1e-22))
    gate, intervals = Gate(LADDER, Tuning(), FusionConfig()), IntervalModel(LADDER)
    raw = now.raw_ns + age_ns
    for candidates in ([], [ForecastCurve(forecast(np.full(65, 1e-3)))]):
        fused = fuse(now, candidates, gate, intervals, raw, raw + length_ns, CLIP)
        assert fused.theta_ns == fused.floor_theta_ns == now.theta_at_ns(raw)
        assert fused.rate == now.rate
        assert fused.sigma_s == fused.floor_sigma_s == now.sigma_s(raw)
        assert fused.sigma_growth >= 0.0
        assert fused.weights == (("floor", 1.0),)


def test_an_open_candidate_moves_the_answer_by_its_weight(state: Callable, forecast: Callable, open_gate: Gate) -> None:
    """The correction is the candidate's times its weight; the rate is the slope to the end of the line."""
    now = state(variance=(1e-6, 0.0, 0.0, 0.0))
    curve = ForecastCurve(forecast(np.full(65, 1e-7)))
    intervals = IntervalModel(LADDER)
    raw, until = now.raw_ns + 256 * S, now.raw_ns + 356 * S
    fused = fuse(now, [curve], open_gate, intervals, raw, until, CLIP)
    weight = dict(fused.weights)["chronos"]
    assert weight > 0.9
    assert sum(dict(fused.weights).values()) == pytest.approx(1.0)
    assert (fused.theta_ns - fused.floor_theta_ns) / S == pytest.approx(weight * 256e-7, abs=2e-9)
    then = fuse(now, [curve], open_gate, intervals, until, until + S, CLIP)
    assert fused.rate * 100.0 == pytest.approx((then.theta_ns - fused.theta_ns) / S, abs=2e-9)


@given(st.floats(-1e3, 1e3), st.integers(0, 10**13))
def test_no_curve_moves_the_answer_beyond_the_clip(
    state: Callable, forecast: Callable, open_gate: Gate, rate: float, age_ns: int
) -> None:
    """Even a candidate of full weight is heard within three sigma of the floor, at any age."""
    now = state()
    curve = ForecastCurve(forecast(np.full(65, rate)))
    raw = now.raw_ns + age_ns
    fused = fuse(now, [curve], open_gate, IntervalModel(LADDER), raw, raw + S, CLIP)
    assert abs(fused.theta_ns - fused.floor_theta_ns) / S <= CLIP * fused.floor_sigma_s + 1e-9
    assert fused.sigma_s <= fused.floor_sigma_s


def test_at_the_last_fix_the_answer_is_continuous(state: Callable, forecast: Callable, open_gate: Gate) -> None:
    """A moment after the fix the fused theta is the floor's to a fraction of a nanosecond."""
    curve = ForecastCurve(forecast(np.full(65, 1e-7)))
    now = state()
    fused = fuse(now, [curve], open_gate, IntervalModel(LADDER), now.raw_ns, now.raw_ns + S, CLIP)
    assert fused.theta_ns == fused.floor_theta_ns
    assert fused.rate == pytest.approx(now.rate + 1e-7, rel=0.1)


def test_two_roles_of_one_model_are_published_together(state: Callable, forecast: Callable) -> None:
    """The gate tells them apart, the published weights do not."""
    gate = gate_with("chronos/a")
    floor = 1e-5 * np.random.default_rng(1).standard_normal(200)
    for i, error in enumerate(floor):
        errors = {"chronos/b": 0.3 * float(error)}
        gate.score(1, RAW0_NS + i * 256 * S, float(error), errors, variance_s2=0.0, noise_s=0.0, now_raw_ns=RAW0_NS)
    curves = [ForecastCurve(forecast(np.zeros(65), role=role)) for role in ("a", "b")]
    now = state()
    raw = now.raw_ns + 256 * S
    fused = fuse(now, curves, gate, IntervalModel(LADDER), raw, raw + S, CLIP)
    assert [name for name, _ in fused.weights] == ["floor", "chronos"]
    assert sum(dict(fused.weights).values()) == pytest.approx(1.0)


def test_a_line_needs_a_length(state: Callable) -> None:
    """Until must be after the anchor."""
    now = state()
    with pytest.raises(ValueError, match="two instants"):
        fuse(now, [], Gate(LADDER, Tuning(), FusionConfig()), IntervalModel(LADDER), now.raw_ns, now.raw_ns, CLIP)


def test_before_the_state_what_was_said_at_it_holds(state: Callable, forecast: Callable, open_gate: Gate) -> None:
    """Asked about an instant just before the last fix, forecasts have nothing to say."""
    now = msgspec.structs.replace(state(), raw_ns=RAW0_NS + 100 * S)
    curve = ForecastCurve(forecast(np.full(65, 1e-7)))
    fused = fuse(now, [curve], open_gate, IntervalModel(LADDER), RAW0_NS, RAW0_NS + S, CLIP)
    assert fused.theta_ns == now.theta_at_ns(RAW0_NS)


@given(st.floats(-2e-5, 2e-5), st.floats(-1e-8, 1e-8))
def test_who_filters_by_itself_is_heard_at_the_fix_and_continuously_after_it(
    state: Callable, own_line: Callable, open_gate: Gate, offset_s: float, slope: float
) -> None:
    """Its correction at the state counts with the first rung's weight, holds before it, and moves on without a jump."""
    now = state()
    own = own_line(offset_s, slope)
    weight = open_gate.weights(0.0, [own], now.raw_ns)[own.name]
    assert weight > 0.9
    intervals = IntervalModel(LADDER)
    before, at, after = (
        fuse(now, [own], open_gate, intervals, raw, raw + S, CLIP)
        for raw in (now.raw_ns - S, now.raw_ns, now.raw_ns + 10**6)
    )
    assert (at.theta_ns - at.floor_theta_ns) / S == pytest.approx(weight * offset_s, abs=1e-9)
    assert before.theta_ns - before.floor_theta_ns == at.theta_ns - at.floor_theta_ns
    assert abs(after.theta_ns - at.theta_ns) <= 1
    assert sum(dict(at.weights).values()) == pytest.approx(1.0)


def test_the_fused_calibration_counts_at_the_fix_only_for_who_has_left_the_floor_there(
    state: Callable, forecast: Callable, own_line: Callable, open_gate: Gate
) -> None:
    """A forecast's error at the fix is the floor's, and so is its interval; a filter's own is its own."""
    now = state()
    at = {}
    for one in (ForecastCurve(forecast(np.full(65, 1e-9))), own_line(1e-6)):
        at[one.model] = [
            mix(now, [one], open_gate, now.raw_ns + round(h * S), CLIP).departed for h in (0.0, 32.0, 64.0)
        ]
    assert at["chronos"][0] == 0.0
    assert at["chronos"][1] == pytest.approx(0.5 * at["chronos"][2])
    assert at["own"][0] == at["own"][1] == at["own"][2] > 0.9


def test_who_knows_how_far_it_errs_says_so_by_its_weight(state: Callable, own_line: Callable, open_gate: Gate) -> None:
    """The answer's sigma is the floor's where nobody knows another, and the weighted sum where somebody does."""
    now = state()
    at_ns = now.raw_ns + 64 * S
    floor_s = now.sigma_s(at_ns)
    assert mix(now, [], open_gate, at_ns, CLIP).ratio == 1.0
    assert mix(now, [own_line(1e-6)], open_gate, at_ns, CLIP).ratio == pytest.approx(1.0)
    mixed = mix(now, [own_line(1e-6, believed_s=0.1 * floor_s)], open_gate, at_ns, CLIP)
    assert mixed.share > 0.9
    assert mixed.ratio == pytest.approx(1.0 - 0.9 * mixed.share)
    for nonsense in (math.nan, math.inf, 0.0, -1e-6):
        assert mix(now, [own_line(1e-6, believed_s=nonsense)], open_gate, at_ns, CLIP).ratio == pytest.approx(1.0)


def test_a_rule_s_curve_is_heard_further_out_than_the_clip(state: Callable, own_line: Callable) -> None:
    """The rule says that the floor's model is wrong, sigma and all; thirty sigma bound it too."""
    now = state()
    gate = Gate(LADDER, Tuning(), FusionConfig())
    sigma_s = now.sigma_s(now.raw_ns)
    for said, heard in ((5.0, 5.0), (50.0, 30.0)):
        rule = own_line(said * sigma_s, trusted=True)
        gate.admit(rule)
        assert mix(now, [rule], gate, now.raw_ns, CLIP).correction_s == pytest.approx(heard * sigma_s)


def test_a_credited_shape_is_heard_further_out_than_the_clip(state: Callable, own_line: Callable) -> None:
    """A cycle that the fixes speak for can be ten sigma off the floor's line; any other stays in the clip."""
    now = state()
    sigma_s = now.sigma_s(now.raw_ns)
    for log_odds, said, heard in ((1.0, 8.0, 8.0), (1.0, 50.0, 10.0), (0.9, 8.0, CLIP), (None, 8.0, CLIP)):
        one = own_line(said * sigma_s, log_odds=log_odds)
        assert heard_s(one, now, now.raw_ns, sigma_s, CLIP) == pytest.approx(heard * sigma_s)
