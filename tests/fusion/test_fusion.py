"""The stage as one object: what it takes in, what it refuses, and that reading changes nothing."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from chronotick.clock.floor import FloorUpdate, Verdict
from chronotick.clock.measurement import Measurement
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig, RoleConfig
from chronotick.forecast import Refusal
from chronotick.fusion import Fusion

S = 10**9
RAW0_NS = 1_000 * S
THETA0_NS = 1_700_000_000 * S
ROLE = RoleConfig(name="test", plugin="chronos", step_s=64.0, horizon=64)


def updated(state: ClockState, theta_ns: int | None = None) -> FloorUpdate:
    """The update by one fix that left the floor in `state`."""
    measured = state.theta_ns if theta_ns is None else theta_ns
    one = Measurement(raw_ns=state.raw_ns, theta_ns=measured, variance=1e-12, server="a", delay_s=0.0)
    return FloorUpdate(state=state, verdict=Verdict.USED, measurements=(one,))


@pytest.fixture
def fusion() -> Fusion:
    return Fusion(Tuning(), FusionConfig(), [ROLE])


def train(fusion: Fusion, state: Callable, forecast: Callable, *, fixes: int = 100) -> ClockState:
    """A floor whose rate lags a bending clock, and forecasts that know the bend: they open at the short rungs."""
    bend = 2e-11
    now = state()
    for i in range(fixes):
        t = 64.0 * i
        theta_s = 0.5 * bend * t * t
        now = state(
            RAW0_NS + round(t * S), theta_ns=THETA0_NS + round(theta_s * S), rate=bend * (t - 300.0), noise_s=1e-8
        )
        fusion.on_update(updated(now))
        rate = bend * (t + 64.0 * np.arange(65))
        fusion.on_forecast(forecast(rate, origin_raw_ns=now.raw_ns))
    return now


def test_before_the_first_fix_there_is_no_estimate(fusion: Fusion, state: Callable) -> None:
    """None, not an error, and no explanation either; nor with a state that knows nothing."""
    assert fusion.estimate(0, 1) is None
    assert fusion.explain() == ()
    fusion.on_update(FloorUpdate(state=None, verdict=Verdict.REFUSED))
    fusion.restart(state(fixes=0))
    assert fusion.estimate(RAW0_NS, RAW0_NS + S) is None


def test_a_candidate_that_earned_it_is_used(fusion: Fusion, state: Callable, forecast: Callable) -> None:
    """Forecasts that know the bend open, get weight, and are counted as used when an answer rests on them."""
    now = train(fusion, state, forecast)
    raw = now.raw_ns + 64 * S
    fused = fusion.estimate(raw, raw + S)
    assert fused is not None
    assert dict(fused.weights)["chronos"] > 0.5
    bend_s = 2e-11 * 64.0 * (300.0 + 32.0)
    assert (fused.theta_ns - fused.floor_theta_ns) / S == pytest.approx(bend_s, rel=0.3)
    assert fusion.counts == msgspec.structs.replace(fusion.counts, made=100, used=1, refused=0)


def test_of_forecasts_that_overlap_only_the_time_between_them_is_news(
    fusion: Fusion, state: Callable, forecast: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each rung the shares with which fixes count add up to one a horizon; the fix before counts whole."""
    seen: dict[int, list[float]] = {}
    watch = fusion.gate.watch

    def record(rung: int, name: str, nats: float, now_raw_ns: int, share: float = 1.0) -> None:
        seen.setdefault(rung, []).append(share)
        watch(rung, name, nats, now_raw_ns, share)

    monkeypatch.setattr(fusion.gate, "watch", record)
    train(fusion, state, forecast)
    rung = fusion.horizons.index(600.0)
    late = seen[rung][10:]
    spacing_s = 64.0 * np.ceil(600.0 / 8 / 64.0)
    assert np.unique(late) == pytest.approx([spacing_s / 600.0])
    near = fusion.horizons.index(60.0)
    assert set(seen[near]) == {1.0}


def test_reading_changes_no_answer(fusion: Fusion, state: Callable, forecast: Callable) -> None:
    """A thousand reads later the same question has the same answer."""
    now = train(fusion, state, forecast, fixes=80)
    raw = now.raw_ns + 100 * S
    first = fusion.estimate(raw, raw + S)
    for i in range(1000):
        fusion.estimate(raw + i * S, raw + (i + 1) * S)
    assert fusion.estimate(raw, raw + S) == first


def test_forecasts_of_another_epoch_or_of_the_past_are_refused(
    fusion: Fusion, state: Callable, forecast: Callable
) -> None:
    """They are counted and nothing else happens."""
    fusion.on_update(updated(state(RAW0_NS + 10_000 * S)))
    assert not fusion.on_forecast(forecast(np.zeros(65), epoch=2, origin_raw_ns=RAW0_NS + 10_000 * S))
    assert not fusion.on_forecast(forecast(np.zeros(65), origin_raw_ns=RAW0_NS))
    assert (fusion.counts.made, fusion.counts.refused) == (0, 2)


def test_a_new_epoch_silences_every_forecast_at_once(fusion: Fusion, state: Callable, forecast: Callable) -> None:
    """After a discontinuity the floor stands alone until new forecasts come; what was learned stays."""
    now = train(fusion, state, forecast)
    fusion.on_update(updated(state(now.raw_ns + 64 * S, epoch=2)))
    raw = now.raw_ns + 128 * S
    fused = fusion.estimate(raw, raw + S)
    assert fused is not None
    assert fused.weights == (("floor", 1.0),)
    assert any(one.open for one in fusion.explain())


def test_a_restart_without_a_fix_silences_them_too(fusion: Fusion, state: Callable, forecast: Callable) -> None:
    """The pipeline hands over what the floor says after a suspend."""
    now = train(fusion, state, forecast)
    fusion.restart(msgspec.structs.replace(now, fixes=0, epoch=2))
    assert fusion.estimate(now.raw_ns + S, now.raw_ns + 2 * S) is None


def test_bad_answers_cost_weight_and_are_counted(fusion: Fusion, state: Callable, forecast: Callable) -> None:
    """Three in a row and the model is silent, although its last good forecast is still about the future."""
    now = train(fusion, state, forecast)
    raw = now.raw_ns + 64 * S
    weights = []
    for _ in range(4):
        fused = fusion.estimate(raw, raw + S)
        assert fused is not None
        weights.append(dict(fused.weights).get("chronos", 0.0))
        fusion.on_bad(Refusal(model="chronos", roles=("test",), code="bad_output", reason="NaN."))
    assert weights[0] > weights[1] > weights[2] > weights[3] == 0.0
    assert fusion.counts.refused == 4


def test_switched_off_it_is_the_floor(state: Callable, forecast: Callable) -> None:
    """`fusion.enabled: false` leaves the floor, whatever the models say."""
    off = Fusion(Tuning(), FusionConfig(enabled=False), [ROLE])
    now = train(off, state, forecast)
    raw = now.raw_ns + 64 * S
    fused = off.estimate(raw, raw + S)
    assert fused is not None
    assert fused.theta_ns == fused.floor_theta_ns
    assert fused.weights == (("floor", 1.0),)


def test_a_held_fix_changes_nothing(fusion: Fusion, state: Callable, forecast: Callable) -> None:
    """When the floor holds a fix back, so does fusion."""
    now = train(fusion, state, forecast, fixes=80)
    raw = now.raw_ns + 64 * S
    first = fusion.estimate(raw, raw + S)
    fusion.on_update(FloorUpdate(state=now, verdict=Verdict.HELD))
    assert fusion.estimate(raw, raw + S) == first


def test_without_roles_the_floor_s_interval_is_calibrated(state: Callable) -> None:
    """A floor that claims ten times its error gets an interval that fits, with no model anywhere."""
    fusion = Fusion(Tuning(), FusionConfig(), [])
    rng = np.random.default_rng(1)
    now = state()
    for i in range(500):
        truth_ns = THETA0_NS
        floor_ns = truth_ns + round(1e3 * rng.standard_normal())
        now = state(RAW0_NS + 16 * i * S, theta_ns=floor_ns, noise_s=1e-7)
        fusion.on_update(updated(now, truth_ns + round(100 * rng.standard_normal())))
    raw = now.raw_ns + 75 * S
    fused = fusion.estimate(raw, raw + S)
    assert fused is not None
    assert fused.floor_sigma_s == pytest.approx(1e-5, rel=0.01)
    # 2 us is what fits, and 20 us what the floor claims.
    assert 1.6e-6 < fused.half_width_95_s < 4e-6
    assert fused.sigma_s == fused.floor_sigma_s


def test_a_standing_difference_is_taken_off_who_filters_by_itself(state: Callable, own_line: Callable) -> None:
    """A curve always 5 us beside the floor says, after a while, what the floor says; one that comes and goes speaks."""
    fusion = Fusion(Tuning(), FusionConfig(), [])
    for i in range(200):
        now = state(RAW0_NS + 64 * i * S)
        swing_s = 5e-6 * (1 if i // 10 % 2 else -1)
        curves = [own_line(5e-6, model="always"), own_line(swing_s, model="swings")]
        fusion.on_update(updated(now), [msgspec.structs.replace(one, origin_raw_ns=now.raw_ns) for one in curves])
    alone = fusion.alone(now.raw_ns)
    assert abs(alone["always/fit"] - now.theta_ns) < 5
    assert alone["swings/fit"] - now.theta_ns == pytest.approx(5000, abs=700)
    assert (fusion.counts.made, fusion.counts.refused) == (0, 0)


def stepping(state: Callable, *, steps: bool) -> Fusion:
    """An exact floor for four hours, and each hour a step of 1 ms, or none."""
    fusion = Fusion(Tuning(), FusionConfig(), [])
    for i in range(900):
        epoch = i // 225 if steps else 0
        now = state(RAW0_NS + 16 * i * S, theta_ns=THETA0_NS + epoch * S // 1000, noise_s=1e-7, epoch=1 + epoch)
        fusion.on_update(updated(now))
    return fusion


def test_what_a_step_made_wrong_counts_against_the_intervals(state: Callable) -> None:
    """Who asked before it about an instant after it was told something wrong; who asked about one before it was not."""
    calm, stepped = stepping(state, steps=False), stepping(state, steps=True)
    # Three steps in 900 fixes: nothing to the middle of all errors a minute ahead, much to the rarest.
    half, *_, rare = calm.intervals.multipliers(60.0, 0.0)
    half_since, *_, rare_since = stepped.intervals.multipliers(60.0, 0.0)
    assert half_since < 3.0 * half
    assert rare_since > 5.0 * rare
    # An hour ahead every answer was wrong.
    assert stepped.intervals.multipliers(3600.0, 0.0)[0] > 10.0 * calm.intervals.multipliers(3600.0, 0.0)[0]
    # It is no habit of the oscillator's: hours without servers are none the wider for it.
    raw = RAW0_NS + 900 * 16 * S + 6 * 3600 * S
    fused = stepped.estimate(raw, raw + S)
    assert fused is not None
    assert fused.half_widths_s[-1] < 1e-6


def test_no_candidate_is_to_blame_for_a_step(fusion: Fusion, state: Callable, forecast: Callable) -> None:
    """What it had said of instants after the step was as wrong as what the floor had said: that says nothing of it."""
    now = train(fusion, state, forecast)
    before = {one.horizon_s: one.gain for one in fusion.explain() if one.open}
    assert before
    for i in range(1, 31):
        later = state(now.raw_ns + 64 * i * S, theta_ns=now.theta_ns + S // 1000, noise_s=1e-8, epoch=2)
        fusion.on_update(updated(later))
    after = {one.horizon_s: one.gain for one in fusion.explain()}
    for horizon_s, gain in before.items():
        assert after[horizon_s] == pytest.approx(gain, abs=0.02)


def test_only_a_settled_floor_fills_the_library(state: Callable) -> None:
    """What the floor said in the first half hour, when its rate was hardly known, is no habit of the clock."""
    fusion = Fusion(Tuning(), FusionConfig(), [])
    for i in range(240):
        now = state(RAW0_NS + 60 * i * S, rate=1e-5 if i < 20 else 0.0, noise_s=1e-7)
        fusion.on_update(updated(now, THETA0_NS))
    raw = now.raw_ns + 3600 * S
    fused = fusion.estimate(raw, raw + S)
    assert fused is not None
    # An hour at 10 ppm is 36 ms, which the first twenty lines would have put into it.
    assert fused.half_widths_s[-1] < 1e-3


def test_intervals_hear_what_the_answer_believed_of_itself(
    state: Callable, own_line: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stands in the floor's place and believes to err by 3 us is held to that: at the fix and when it is scored."""
    fusion = Fusion(Tuning(), FusionConfig(), [])
    settled: list[tuple[list[float], list[float]]] = []
    scored: list[tuple[float, float]] = []
    settle, score = fusion.intervals.settle, fusion.intervals.score

    def settling(floor_s: list[float], fused_s: list[float]) -> None:
        settled.append((floor_s, fused_s))
        settle(floor_s, fused_s)

    def scoring(*args: object, **kwargs: object) -> None:
        scored.append((kwargs["sigma_s"], kwargs["fused_sigma_s"]))
        score(*args, **kwargs)

    monkeypatch.setattr(fusion.intervals, "settle", settling)
    monkeypatch.setattr(fusion.intervals, "score", scoring)
    for i in range(60):
        now = state(RAW0_NS + 64 * i * S)
        rule = own_line(0.0, slope=1e-9, trusted=True, origin_raw_ns=now.raw_ns, believed_s=3e-6)
        fusion.on_update(updated(now), [rule])
    assert len(scored) > 50
    for floor_s, fused_s in [*scored[20:], *zip(*settled[-1], strict=True)]:
        assert floor_s != pytest.approx(3e-6)
        assert fused_s == pytest.approx(3e-6)
