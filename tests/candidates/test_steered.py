"""The rule for clocks that somebody disciplines."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from chronotick.candidates.steered import Steered, SteeredRules
from chronotick.clock.floor import Verdict
from chronotick.clock.tuning import Tuning

S = 10**9
TAU_S = SteeredRules().tau_s


def discipline(t: np.ndarray, seed: int = 1) -> np.ndarray:
    """What a daemon does to a wandering clock: every ten minutes it takes off what theta has become, and the rate."""
    rng = np.random.default_rng(seed)
    dt = float(t[1] - t[0])
    rate, theta, f, given = np.empty(len(t)), 0.0, 0.0, 0.0
    for i in range(len(t)):
        f += 3e-9 * np.sqrt(dt) * rng.standard_normal()
        if i % round(600 / dt) == 0:
            given = f + theta / 1200 + 2e-8 * rng.standard_normal()
        rate[i] = f - given
        theta += rate[i] * dt
    return rate


@pytest.fixture(scope="module")
def steered(clock: Callable):  # type: ignore[no-untyped-def]
    return clock(discipline, hours=6, poll_s=32.0, queue_s=5e-6)


def follow(clock, rule: Steered) -> list[tuple[float, bool]]:  # type: ignore[no-untyped-def]
    seen = []
    for update in clock.updates:
        rule.on_update(update)
        seen.append((update.state.raw_ns / S, rule.steered))
    return seen


def test_a_disciplined_clock_is_recognised(steered) -> None:  # type: ignore[no-untyped-def]
    """Not within the first hour and a half, and nearly always after two and a half."""
    seen = follow(steered, Steered(Tuning()))
    assert not any(found for at_s, found in seen if at_s < 5400)
    assert np.mean([found for at_s, found in seen if at_s > 9000]) > 0.8


def test_an_hour_ahead_the_dying_trend_is_far_better_than_the_line(steered) -> None:  # type: ignore[no-untyped-def]
    """Less than half the floor's error at an hour, and no worse at a minute."""
    rule, mine, floor = Steered(Tuning()), {60: [], 3600: []}, {60: [], 3600: []}
    for update in steered.updates:
        rule.on_update(update)
        curve = rule.curve(update.state)
        for h_s in mine:
            at_ns = update.state.raw_ns + h_s * S
            if curve is not None and at_ns < steered.t_s[-1] * S:
                line_s = (update.state.theta_at_ns(at_ns) - steered.true_ns(at_ns)) / S
                floor[h_s].append(abs(line_s))
                mine[h_s].append(abs(line_s + curve.correction_s(update.state, at_ns)))
    assert np.mean(mine[3600]) < 0.5 * np.mean(floor[3600])
    assert np.mean(mine[60]) < 1.02 * np.mean(floor[60])


def test_the_curve_is_the_formula(steered) -> None:  # type: ignore[no-untyped-def]
    """theta + f tau (1 - exp(-h/tau)) up to ten tau, theta alone from twenty on; it takes the floor's place."""
    rule = Steered(Tuning())
    follow(steered, rule)
    state = steered.updates[-1].state
    curve = rule.curve(state)
    assert curve is not None
    assert curve.trusted
    for h_s in (0.0, 60.0, 600.0, 3000.0):
        gained_s = state.rate * h_s + curve.correction_s(state, state.raw_ns + round(h_s * S))
        assert gained_s == pytest.approx(state.rate * TAU_S * (1 - np.exp(-h_s / TAU_S)), abs=1e-12)
    far_s = 25 * TAU_S
    assert state.rate * far_s + curve.correction_s(state, state.raw_ns + round(far_s * S)) == pytest.approx(
        0, abs=1e-12
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "rate",
    [
        lambda t: 4e-6 + 1e-6 * np.sin(2 * np.pi * t / 1800),
        lambda t: 2e-7 + 5e-8 * np.sin(2 * np.pi * t / 86_400),
        lambda t: -1e-6 + 3e-6 * np.exp(-t / 3000),
    ],
    ids=["cycling", "nearly right", "warming up through zero"],
)
def test_free_running_clocks_raise_no_alarm(rate, seed: int, clock: Callable) -> None:  # type: ignore[no-untyped-def]
    """Whatever they do, it does not swing around zero."""
    free = clock(rate, hours=6, seed=seed, wander=1e-10)
    assert not any(found for _, found in follow(free, Steered(Tuning())))


def test_a_step_is_part_of_a_discipline_and_a_new_time_base_is_not(steered) -> None:  # type: ignore[no-untyped-def]
    """What was seen of the rate outlives a step of theta; after another change of epoch the watch begins anew."""
    last = steered.updates[-1]
    epoch = msgspec.structs.replace(last.state, epoch=last.state.epoch + 1)
    for verdict, still in ((Verdict.STEPPED, True), (Verdict.USED, False)):
        rule = Steered(Tuning())
        follow(steered, rule)
        assert rule.steered
        rule.on_update(msgspec.structs.replace(last, state=epoch, verdict=verdict))
        assert rule.steered is still


def test_a_walk_around_zero_is_not_steered(clock: Callable) -> None:
    """Its rate swings around zero and crosses it often enough, but does not come back: the variance ratio tells."""
    unasked = SteeredRules(begin_ratio=9.0, end_ratio=9.0)

    def walk(t: np.ndarray) -> np.ndarray:
        steps = np.random.default_rng(17).standard_normal(len(t))
        rate = 1e-9 * np.sqrt(t[1] - t[0]) * np.cumsum(steps)
        return rate - rate.mean()

    walking = clock(walk, hours=8, poll_s=32.0, queue_s=5e-5)
    assert any(found for _, found in follow(walking, Steered(Tuning(), unasked)))
    assert not any(found for _, found in follow(walking, Steered(Tuning())))
