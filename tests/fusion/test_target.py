"""The target: from fixes after the origin only. Each way to get it wrong has a test that shows the harm."""

from collections.abc import Callable

import numpy as np
import pytest

from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig
from chronotick.fusion import Gate
from chronotick.fusion.target import disagreement, future_target, ready_raw_ns
from chronotick.window import History
from chronotick.window.smooth import smooth

S = 10**9
RAW0_NS, THETA0_NS = 1_000 * S, 1_700_000_000 * S
TUNING = Tuning()


def store(times_s: np.ndarray, theta_s: np.ndarray, noise_s: float) -> History:
    history = History(span_s=1e6)
    for t, x in zip(times_s, theta_s, strict=True):
        history.append(RAW0_NS + round(t * S), THETA0_NS + round(x * S), noise_s**2, 1)
    return history


def at(t_s: float) -> int:
    return RAW0_NS + round(t_s * S)


def aim(history: History, origin: ClockState, target_s: float) -> tuple[float, float]:
    """Offset and variance of the target, which must be known."""
    ready = ready_raw_ns(history, at(target_s), TUNING)
    assert ready is not None
    target = future_target(history, origin, at(target_s), ready, origin.wander, TUNING)
    assert target is not None
    return target.offset_s, target.variance_s2


def test_neither_the_origin_s_fix_nor_any_before_it_is_in_the_target(state: Callable) -> None:
    """Whatever they measured, the target is the same, bit for bit: it shares no noise with any forecast."""
    t = np.arange(0.0, 3000.0, 16.0)
    rng = np.random.default_rng(1)
    x = 1e-6 * rng.standard_normal(len(t))
    changed = np.where(t <= 1008.0, x + 1.0, x)
    origin = state(at(1008.0))
    assert aim(store(t, x, 1e-6), origin, 1072.0) == aim(store(t, changed, 1e-6), origin, 1072.0)
    moved_after = np.where(t == 1024.0, x + 1e-6, x)
    assert aim(store(t, x, 1e-6), origin, 1072.0) != aim(store(t, moved_after, 1e-6), origin, 1072.0)


def test_a_target_between_fixes_that_include_the_origin_s_would_reward_following_noise(state: Callable) -> None:
    """Trap (a). A candidate that jumps to the origin's fix beats the floor on an interpolated target, where truth says
    the opposite; on the future-only target it loses as it should.
    """
    rng = np.random.default_rng(2)
    t = np.arange(0.0, 3000.0, 64.0)
    interpolated, future, truth = [], [], []
    for _ in range(200):
        noise = 1e-6 * rng.standard_normal(len(t))
        history = store(t, noise, 1e-6)
        i = 10
        jump, h = 0.7 * noise[i], 20.0
        y_inside = noise[i] + (noise[i + 1] - noise[i]) * h / 64.0
        y_future, _ = aim(history, state(at(t[i]), wander=1e-11), t[i] + h)
        for losses, y in ((interpolated, y_inside), (future, y_future), (truth, 0.0)):
            losses.append(y**2 - (y - jump) ** 2)
    assert np.mean(truth) < 0
    assert np.mean(interpolated) > 0
    assert np.mean(future) < 0


def test_raw_fixes_on_a_noisy_path_never_show_a_gain_that_smoothed_ones_do(state: Callable) -> None:
    """Trap (b). The floor is 100 us off and the candidate 20, path noise is 0.7 ms: only smoothed targets open it."""
    rng = np.random.default_rng(3)
    t = np.arange(0.0, 60_000.0, 16.0)
    history = store(t, 7e-4 * rng.standard_normal(len(t)), 7e-4)
    raw = history.between(0, at(1e6)).theta_ns
    gates = {how: Gate((512.0,), TUNING, FusionConfig()) for how in ("raw", "smoothed")}
    for i in range(0, len(t) - 100, 4):
        origin = state(at(t[i]), theta_ns=THETA0_NS + 100_000, wander=1e-11)
        y, v = aim(history, origin, t[i] + 512.0)
        y_raw = float(raw[i + 32] - origin.theta_ns) / S
        for how, target_s, variance_s2 in (("raw", y_raw, 0.0), ("smoothed", y, v)):
            error_s = {"m": target_s + 80e-6}
            gates[how].score(
                0, origin.raw_ns, target_s, error_s, variance_s2=variance_s2, noise_s=7e-4, now_raw_ns=origin.raw_ns
            )
    assert not gates["raw"].is_open("m", 0)
    assert gates["smoothed"].is_open("m", 0)


def test_a_target_that_reads_fixes_before_the_origin_shares_its_error(state: Callable) -> None:
    """Trap (c). A fixed-lag target's error goes with the floor's at the origin; a future-only one's does not."""
    rng = np.random.default_rng(4)
    t = np.arange(0.0, 3200.0, 64.0)
    floor, lagged, future = [], [], []
    i, h = 30, 20.0
    for _ in range(150):
        noise = 1e-6 * rng.standard_normal(len(t))
        history = store(t, noise, 1e-6)
        variance = np.full(i + 1, 1e-12)
        line = smooth(t[: i + 1], noise[: i + 1], variance, wander=1e-10, white_fm=1e-9, rate=0.0, rate_variance=1e-10)
        floor.append(float(line.offset_s[-1]))
        cut = slice(i - 12, i + 8)
        knots = np.insert(t[cut], 13, t[i] + h)
        values, noises = np.insert(noise[cut], 13, 0.0), np.insert(np.full(20, 1e-12), 13, np.inf)
        both = smooth(knots, values, noises, wander=1e-10, white_fm=1e-9, rate=0.0, rate_variance=1e-10)
        lagged.append(float(both.offset_s[13]))
        future.append(aim(history, state(at(t[i]), wander=1e-10), t[i] + h)[0])
    assert np.corrcoef(floor, lagged)[0, 1] > 0.4
    assert abs(np.corrcoef(floor, future)[0, 1]) < 0.2


def test_the_variance_is_what_it_says(state: Callable) -> None:
    """Errors of targets over their stated deviation have unit variance, and are far below one fix's noise."""
    rng = np.random.default_rng(5)
    t = np.arange(0.0, 3000.0, 16.0)
    scores, errors = [], []
    for _ in range(200):
        y, v = aim(store(t, 1e-5 * rng.standard_normal(len(t)), 1e-5), state(at(1008.0), wander=1e-11), 1500.0)
        scores.append(y / np.sqrt(v))
        errors.append(y)
    assert np.mean(np.square(scores)) == pytest.approx(1.0, abs=0.35)
    assert np.std(errors) < 0.4e-5


def test_it_is_relative_to_the_floor_s_line(state: Callable) -> None:
    """With exact fixes the target is the truth minus the line, whatever offset and rate the floor had."""
    t = np.arange(0.0, 3000.0, 16.0)
    history = store(t, 3e-6 * t, 1e-9)
    origin = state(at(1008.0), theta_ns=THETA0_NS + 3_024_000 + 500, rate=2e-6, wander=1e-9)
    y, _ = aim(history, origin, 1500.0)
    assert y == pytest.approx(1e-6 * 492.0 - 500e-9, abs=5e-9)


def test_it_is_known_after_six_fixes_and_the_lag() -> None:
    """Both are asked for: quick polls wait for the lag, slow ones for the sixth fix."""
    quick = store(np.arange(0.0, 1500.0, 1.0), np.zeros(1500), 1e-6)
    assert ready_raw_ns(quick, at(100.0), TUNING) == at(700.0)
    assert ready_raw_ns(quick, at(900.5), TUNING) is None
    slow = store(np.arange(0.0, 9000.0, 256.0), np.zeros(36), 1e-6)
    assert ready_raw_ns(slow, at(0.0), TUNING) == at(6 * 256.0)


def test_a_target_before_the_first_fix_after_the_origin_is_read_backwards(state: Callable) -> None:
    """When the horizon is shorter than the poll the line is extended back from the fixes after it."""
    t = np.arange(0.0, 9000.0, 256.0)
    origin = state(at(2560.0), wander=1e-10)
    y, v = aim(store(t, 1e-6 * (t - 2560.0), 1e-8), origin, 2576.0)
    assert y == pytest.approx(16e-6, abs=1e-6)
    assert v > 1e-16


def test_halves_of_the_fixes_show_what_is_wrong_with_their_variance(state: Callable) -> None:
    """Fixes twice as good as they say disagree a quarter as much as their variance says; right ones as much."""
    rng = np.random.default_rng(6)
    t = np.arange(0.0, 3000.0, 16.0)
    for factor in (0.5, 1.0):
        found = []
        for _ in range(300):
            history = store(t, factor * 1e-5 * rng.standard_normal(len(t)), 1e-5)
            ready = ready_raw_ns(history, at(1500.0), TUNING)
            assert ready is not None
            one = disagreement(history, state(at(1008.0), wander=1e-11), at(1500.0), ready, 1e-11, TUNING)
            assert one is not None
            found.append(one)
        assert np.mean(found) == pytest.approx(factor**2, rel=0.25)


def test_few_fixes_have_no_halves(state: Callable) -> None:
    """With five fixes after the origin there is no telling how noisy they are."""
    history = store(np.arange(0.0, 500.0, 100.0), np.zeros(5), 1e-6)
    assert disagreement(history, state(at(0.0)), at(250.0), at(400.0), 1e-11, TUNING) is None


def test_halves_that_float64_can_not_tell_from_exact_say_nothing(state: Callable) -> None:
    """Three fixes of 12 ns and then some of a millisecond, of a clock known to 1e-4: rounding leaves no variance."""
    t = [90.05959988, 210.11968183, 330.18788695, 450.26156378, 570.32876897, 690.3915689]
    noise = [1.17732339e-8, 1.17732414e-8, 1.17732566e-8, 1.27905323e-3, 1.27759857e-3, 1.47619681e-3]
    history = History(span_s=1e6)
    for at_s, sigma in zip(t, noise, strict=True):
        for _ in range(2):
            history.append(at(at_s), THETA0_NS, sigma**2, 1)
    wander = 4.7526563713935266e-11
    origin = state(at(-30.0), variance=(1e-8, 5.931217617606645e-19, 1e-8, 2.809483975817723e-17))
    assert disagreement(history, origin, at(0.0), at(691.0), wander, TUNING) is None
