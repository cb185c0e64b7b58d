"""Cycles, ageing and the vote by realised errors on simulated clocks with known truth."""

import math
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest

from chronotick.candidates.curve import Curve
from chronotick.candidates.race import Odds, Race
from chronotick.candidates.rules import HorizonRules, RaceRules
from chronotick.candidates.shapes import AGEING, HARMONIC, HARMONIC_H, Shapes
from chronotick.clock.floor import FloorUpdate, Verdict
from chronotick.clock.tuning import Tuning

S = 10**9
# A coarse grid of the same shape, so that a day of fixes takes a moment.
QUICK = RaceRules(period_ratio=1.2, walks=(3e-9, 1e-7), wanders=(1e-10, 1e-9))


def curves_of(
    updates: list[FloorUpdate], shapes: Shapes, *, every: int = 1
) -> Iterator[tuple[FloorUpdate, dict[str, Curve]]]:
    """After each update, what was said."""
    for i, update in enumerate(updates):
        shapes.on_update(update)
        if i % every == 0 and update.state is not None:
            yield update, {one.name: one for one in shapes.curves(update.state)}


def raced(updates: list[FloorUpdate], rules: RaceRules) -> Race:
    """A race over a clock's measurements."""
    race = None
    for update in updates:
        if race is None and update.state is not None:
            race = Race(Tuning(), rules, update.state)
        for one in update.measurements if race is not None else ():
            race.take(one)
    assert race is not None
    return race


def errors(clock, shapes: Shapes, name: str, h_s: float, after_s: float) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Mean absolute error ahead of a candidate and of the floor, where the candidate spoke, s."""
    mine, floor = [], []
    for update, curves in curves_of(clock.updates, shapes, every=4):
        state = update.state
        at_ns = state.raw_ns + round(h_s * S)
        if name not in curves or state.raw_ns < after_s * S or at_ns > clock.t_s[-1] * S:
            continue
        line_s = (state.theta_at_ns(at_ns) - clock.true_ns(at_ns)) / S
        floor.append(abs(line_s))
        mine.append(abs(line_s + curves[name].correction_s(state, at_ns)))
    assert len(mine) > 20
    return float(np.mean(mine)), float(np.mean(floor))


@pytest.fixture(scope="module")
def cycling(clock: Callable):  # type: ignore[no-untyped-def]
    """1 ppm with a period of 2000 s, for seven hours."""
    return clock(lambda t: 3e-6 + 1e-6 * np.sin(2 * np.pi * t / 2000.0 + 1.0), hours=7)


@pytest.fixture(scope="module")
def warming(clock: Callable):  # type: ignore[no-untyped-def]
    """3 ppm of warm-up that die with a time constant of 3000 s, for seven hours."""
    return clock(lambda t: 5e-6 + 3e-6 * np.exp(-t / 3000.0), hours=7)


def test_a_cycle_is_found(cycling) -> None:  # type: ignore[no-untyped-def]
    """Ten minutes ahead of a cycle a third of the floor's error is left, and less between fixes."""
    for h_s, share in ((30.0, 0.8), (600.0, 0.35)):
        mine, floor = errors(cycling, Shapes(Tuning(), QUICK), HARMONIC, h_s, 7200)
        assert mine < share * floor, h_s


def test_period_and_amplitude_are_the_clocks(cycling) -> None:  # type: ignore[no-untyped-def]
    """The curve, less its own line, swings with the true period and by the true amplitude."""
    shapes = Shapes(Tuning(), RaceRules(period_ratio=1.03, least_period_s=1200.0, most_period_s=4000.0))
    *_, (update, curves) = curves_of(cycling.updates, shapes, every=200)
    state = update.state
    t = np.arange(0.0, 4000.0, 20.0)
    theta = np.array([curves[HARMONIC].correction_s(state, state.raw_ns + round(float(one) * S)) for one in t])
    rate = np.gradient(theta, t)
    found = np.abs(np.fft.rfft(rate - rate.mean(), 40_000))
    assert 20.0 * 40_000 / int(found.argmax()) == pytest.approx(2000.0, rel=0.06)
    assert (rate.max() - rate.min()) / 2 == pytest.approx(1e-6, rel=0.15)


def test_it_says_nothing_early_without_being_sure(clock: Callable) -> None:
    """In the first hour of a wandering clock no shape speaks; later both do."""
    wandering = clock(lambda t: 0 * t, hours=2.0, wander=1e-9)
    heard = {
        update.state.raw_ns / S: set(curves) for update, curves in curves_of(wandering.updates, Shapes(Tuning(), QUICK))
    }
    assert all(not said for at_s, said in heard.items() if at_s < 3600)
    assert any(said for at_s, said in heard.items() if at_s > 5000)


def test_a_warm_up_is_followed_and_silences_cycles(warming) -> None:  # type: ignore[no-untyped-def]
    """An hour ahead a warm-up's tail costs the floor twice what it costs its own shape; no cycle is seen in it."""
    mine, floor = errors(warming, Shapes(Tuning(), QUICK), AGEING, 3600.0, 4000)
    assert mine < 0.5 * floor
    said = [set(curves) for update, curves in curves_of(warming.updates, Shapes(Tuning(), QUICK), every=8)]
    assert len(said[10:]) > 30
    assert not any(HARMONIC in one for one in said[10:])


def test_a_warm_up_of_many_ppm_between_two_time_constants_is_no_cycle(clock: Callable) -> None:
    """5 ppm that die with 3500 s leave a fifth of the floor's error an hour ahead, and no cycle is heard."""
    warm = clock(lambda t: 5e-6 * np.exp(-t / 3500.0), hours=5, poll_s=32.0, wander=5e-10, seed=4)
    mine, floor = errors(warm, Shapes(Tuning(), QUICK), AGEING, 3600.0, 4000)
    assert mine < 0.35 * floor
    assert not any(HARMONIC in curves for _, curves in curves_of(warm.updates, Shapes(Tuning(), QUICK), every=8))


def test_the_vote_by_errors_knows_a_day(clock: Callable) -> None:
    """Six hours ahead through a daily cycle less than half the floor's error is left; at the fix it says nothing."""
    daily = clock(
        lambda t: 2e-6 + 5e-7 * np.sin(2 * np.pi * t / 86_400), hours=80, poll_s=512.0, queue_s=2e-4, wander=1e-11
    )
    mine, floor = errors(daily, Shapes(Tuning(), QUICK), HARMONIC_H, 6 * 3600.0, 50 * 3600)
    assert mine < 0.5 * floor
    shapes = Shapes(Tuning(), QUICK)
    *_, (update, curves) = curves_of(daily.updates, shapes, every=500)
    assert curves[HARMONIC_H].correction_s(update.state, update.state.raw_ns) == 0.0


def test_horizons_of_fewer_than_ten_polls_are_left_out(clock: Callable) -> None:
    """At polls of 20 minutes nobody is judged by an hour: the first knot is at six."""
    slow = clock(lambda t: 2e-6 + 0 * t, hours=60, poll_s=1200.0)
    rules = HorizonRules(horizons_s=(3600.0,))
    *_, (_, curves) = curves_of(slow.updates, Shapes(Tuning(), QUICK, rules))
    assert HARMONIC_H not in curves
    *_, (_, curves) = curves_of(slow.updates, Shapes(Tuning(), QUICK))
    assert HARMONIC_H in curves


def test_a_step_keeps_the_cycle(clock: Callable) -> None:
    """After theta has stepped the harmonic candidate speaks on at once, of the new theta."""
    # Between two fixes: one on the simulated ramp would be the first of the new theta, and of neither.
    stepped = clock(
        lambda t: 1e-6 * np.sin(2 * np.pi * t / 2000.0), hours=6, step_at_s=4.5 * 3600 + 16, step_s=0.05, poll_s=32.0
    )
    shapes = Shapes(Tuning(), QUICK)
    after = []
    for update, curves in curves_of(stepped.updates, shapes):
        if update.verdict is Verdict.STEPPED:
            assert HARMONIC in curves
        if update.state.epoch > 0 and update.state.fixes == 20:
            at_ns = update.state.raw_ns + 600 * S
            line_s = (update.state.theta_at_ns(at_ns) - stepped.true_ns(at_ns)) / S
            after = [line_s, line_s + curves[HARMONIC].correction_s(update.state, at_ns)]
    assert abs(after[1]) < 0.5 * abs(after[0])


def test_a_new_time_base_starts_from_nothing(cycling) -> None:  # type: ignore[no-untyped-def]
    """When the epoch changes without a step, all that was learned is dropped."""
    shapes = Shapes(Tuning(), QUICK)
    for update in cycling.updates[:300]:
        shapes.on_update(update)
    assert shapes.curves(cycling.updates[299].state)
    later = cycling.updates[300]
    restarted = msgspec.structs.replace(later, state=msgspec.structs.replace(later.state, epoch=later.state.epoch + 1))
    shapes.on_update(restarted)
    assert shapes.curves(restarted.state) == ()


def test_the_correction_is_continuous_and_belongs_to_later_states_too(cycling) -> None:  # type: ignore[no-untyped-def]
    """A curve says the same theta beside the state that it was made at and beside the next one."""
    shapes = Shapes(Tuning(), QUICK)
    for update in cycling.updates[:300]:
        shapes.on_update(update)
    first, second = cycling.updates[299].state, cycling.updates[300].state
    for curve in shapes.curves(first):
        for h_s in (0.0, 60.0, 3599.0, 3601.0, 7200.0, 1e5):
            at_ns = second.raw_ns + round(h_s * S)
            values = [state.theta_at_ns(at_ns) + curve.correction_s(state, at_ns) * S for state in (first, second)]
            # harmonic_h hangs on the floor's line, wherever that is; the line's share of the others too.
            if curve.name != HARMONIC_H:
                assert math.isclose(values[0], values[1], abs_tol=1e3 + 0.05 * h_s)
        steps = [curve.correction_s(first, first.raw_ns + round(h_s * S)) for h_s in np.arange(3590.0, 3610.0)]
        assert np.abs(np.diff(steps)).max() < 1e-5


def test_the_constants_follow_a_compression_of_time() -> None:
    """A lab that runs sixty times faster has the same shapes: everything scales."""
    real, fast = RaceRules(), RaceRules().compressed(60.0)
    assert fast.amplitude == pytest.approx(60 * real.amplitude)
    assert fast.most_period_s == pytest.approx(real.most_period_s / 60)
    assert fast.wanders[0] == pytest.approx(real.wanders[0] * 60**1.5)
    assert fast.walks == tuple(60 * one for one in real.walks)
    assert Tuning().compressed(6.0).compressed(10.0).compression == 60.0


def test_the_fixes_give_a_cycle_its_odds(cycling, warming) -> None:  # type: ignore[no-untyped-def]
    """A cycle that is there leads by far more than ten to one; of a warm-up the decay does, and no cycle."""
    for clock, name, other in ((cycling, HARMONIC, AGEING), (warming, AGEING, HARMONIC)):
        *_, (_, curves) = curves_of(clock.updates, Shapes(Tuning(), QUICK), every=50)
        assert curves[name].log_odds > 1.5
        assert other not in curves or curves[other].log_odds < 0.0
        assert HARMONIC_H not in curves or curves[HARMONIC_H].log_odds == 0.0


def test_odds_of_a_moment_are_no_odds() -> None:
    """The mean of the logarithms counts: none before eight fixes; an hour of 1e5 after a day of 1/10 is not 10."""
    odds = Odds(7200.0)
    for i in range(8):
        assert odds.mean == 0.0
        odds.add(i * 64 * S, 1.0)
    assert odds.mean == Odds.MOST
    odds = Odds(7200.0)
    for i in range(1350):
        odds.add(i * 64 * S, 1 / 11)
    assert odds.mean == pytest.approx(-1.0)
    for i in range(1350, 1350 + 56):
        odds.add(i * 64 * S, 1.0 - 1e-5)
    assert odds.mean < 0.5


def test_a_load_that_comes_and_goes_is_a_cycle_of_more_than_one_harmonic(clock: Callable) -> None:
    """Half an hour on and half an hour off, smoothed by a thermal mass: nearly the whole vote is theirs."""
    switched = clock(lambda t: 3e-6 + 1e-6 * np.tanh(3.0 * np.sin(2 * np.pi * t / 3600.0)), hours=7)
    race = raced(switched.updates, QUICK)
    assert race.share["cycle of two"] + race.share["cycle of three"] > 0.9


def test_a_period_that_drifts_is_followed(clock: Callable) -> None:
    """Half an hour ahead of a cycle that slows from 1800 to 2450 s within seven hours there is less error than where
    a period is thought to stay."""
    drifting = clock(lambda t: 3e-6 + 1e-6 * np.sin(2 * np.pi * t / (1800.0 + 600.0 * t / 50_400.0)), hours=7)
    stays = msgspec.structs.replace(QUICK, period_walks=(0.0,) * 4)
    loose, stiff = (errors(drifting, Shapes(Tuning(), rules), HARMONIC, 1800.0, 9000)[0] for rules in (QUICK, stays))
    assert loose < 0.8 * stiff


def test_a_phase_that_walks_is_expected(clock: Callable) -> None:
    """Ten minutes ahead of a cycle of two harmonics whose phase walks there is less error than where only its parts are
    thought to walk."""
    rng, period_s, step_s = np.random.default_rng(12), 2400.0, 8.0
    walk = np.cumsum(0.45 * math.sqrt(step_s / period_s) * rng.standard_normal(6000))

    def rate(t: np.ndarray) -> np.ndarray:
        turned = 2 * np.pi * t / period_s + np.interp(t, step_s * np.arange(6000), walk)
        return 3e-6 + 1e-6 * (np.sin(turned) + 0.4 * np.sin(2 * turned + 1.0))

    wandering = clock(rate, hours=10)
    some = RaceRules(least_period_s=1000.0, most_period_s=6000.0, wanders=(1e-10, 1e-9))
    none = msgspec.structs.replace(some, phase_walks=(0.0,) * 4)
    knows, does_not = (errors(wandering, Shapes(Tuning(), one), HARMONIC, 600.0, 9000)[0] for one in (some, none))
    assert knows < 0.95 * does_not


@pytest.mark.parametrize("h_s", [30.0, 600.0])
def test_a_cycle_knows_how_far_it_errs(cycling, h_s: float) -> None:  # type: ignore[no-untyped-def]
    """Its errors are of the size that it believes, ten minutes ahead far below what the floor believes of its own; the
    vote by errors says nothing of it."""
    of_it, of_floor = [], []
    for update, curves in curves_of(cycling.updates, Shapes(Tuning(), QUICK), every=4):
        state = update.state
        at_ns = state.raw_ns + round(h_s * S)
        if HARMONIC not in curves or state.raw_ns < 7200 * S or at_ns > cycling.t_s[-1] * S:
            continue
        curve = curves[HARMONIC]
        error_s = (state.theta_at_ns(at_ns) - cycling.true_ns(at_ns)) / S + curve.correction_s(state, at_ns)
        sigma_s = curve.sigma_s(state, at_ns)
        assert sigma_s is not None
        of_it.append(error_s / sigma_s)
        of_floor.append(sigma_s / state.sigma_s(at_ns))
        if HARMONIC_H in curves:
            assert curves[HARMONIC_H].sigma_s(state, at_ns) is None
    assert len(of_it) > 50
    assert 0.5 < float(np.sqrt(np.mean(np.square(of_it)))) < 1.6
    if h_s == 600.0:
        assert float(np.median(of_floor)) < 0.4
