"""The window: aligned, causal, masked, and refused with a reason."""

from collections.abc import Callable

import numpy as np
import pytest

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import RoleConfig
from chronotick.window import History, NotReady, Window, build
from chronotick.window.presets import history_span_s, hold_over, long_term, one_hour, short_term, ten_minutes

S = 10**9
BASE_RAW_NS = 5_000 * S
ROLE = RoleConfig(name="test", plugin="p", step_s=64.0, context=128, min_context=16, horizon=16)
PERIOD_S, AMPLITUDE = 3600.0, 1e-6
W = 2 * np.pi / PERIOD_S


def theta(t: np.ndarray) -> np.ndarray:
    return AMPLITUDE / W * (1 - np.cos(W * t))


def rate(t: np.ndarray) -> np.ndarray:
    return AMPLITUDE * np.sin(W * t)


def ready(window: Window | NotReady) -> Window:
    assert isinstance(window, Window), window
    return window


def test_point_i_of_the_window_is_the_rate_at_its_instant(clock: Callable, state: Callable) -> None:
    """On a clock with a known cycle each point matches the true rate there, and not that one step earlier or later."""
    t = np.arange(0.0, 9000.0, 16.0)
    history = clock(t, theta, noise_s=1e-8)
    window = ready(build(history, state(history.last_raw_ns, wander=1e-8), ROLE, Tuning()))
    at = (window.t0_raw_ns - BASE_RAW_NS) / S + np.arange(len(window.rate)) * window.step_ns / S
    assert at[-1] == t[-1]
    error = [np.abs(window.rate - rate(at + shift))[:-2].max() for shift in (-64.0, 0.0, 64.0)]
    assert error[1] < 0.02 * AMPLITUDE
    assert min(error[0], error[2]) > 0.1 * AMPLITUDE


def test_the_reference_line_does_not_matter(clock: Callable, state: Callable) -> None:
    """The window is the same whatever line the floor happens to hold: it is made of fixes."""
    history = clock(np.arange(0.0, 9000.0, 16.0), theta, noise_s=1e-7)
    at = history.last_raw_ns
    plain = ready(build(history, state(at), ROLE, Tuning()))
    moved = ready(build(history, state(at, rate=3e-6, theta_ns=1_700_000_000 * S + 10**6), ROLE, Tuning()))
    np.testing.assert_allclose(moved.rate, plain.rate, atol=2e-10)
    assert moved.floor_rate == 3e-6


def test_nothing_after_the_origin_is_read(clock: Callable, state: Callable) -> None:
    """A window at an earlier origin is bit for bit the same whether or not later fixes are there."""
    t = np.arange(0.0, 9000.0, 16.0)
    origin = BASE_RAW_NS + 8000 * S
    whole = clock(t, theta, noise_s=1e-7)
    part = clock(t[t <= 8000.0], theta, noise_s=1e-7)
    with_later = ready(build(whole, state(origin), ROLE, Tuning(), origin_raw_ns=origin))
    without = ready(build(part, state(origin), ROLE, Tuning(), origin_raw_ns=origin))
    assert with_later.rate.tobytes() == without.rate.tobytes()
    assert with_later.origin_raw_ns == origin


def test_gaps_and_missing_history_are_nan(clock: Callable, state: Callable) -> None:
    """Points further than a step from any fix are NaN, the others are not; the length is always the context."""
    t = np.arange(0.0, 6400.0, 16.0)
    t = t[(t < 3000.0) | (t > 4000.0)]
    history = clock(t, theta, noise_s=1e-8)
    window = ready(build(history, state(history.last_raw_ns), ROLE, Tuning()))
    at = (window.t0_raw_ns - BASE_RAW_NS) / S + np.arange(128) * 64.0
    distance = np.abs(at[:, None] - t[None, :]).min(axis=1)
    assert len(window.rate) == 128
    assert (np.isnan(window.rate) == (distance > 64.0)).all()
    assert window.span_s == pytest.approx(t[-1])


def test_polls_slower_than_the_grid_are_not_gaps_within_reason(clock: Callable, state: Callable) -> None:
    """With fixes every 100 s a 64 s grid has no gap; with fixes every 1000 s it is mostly gaps."""
    for poll_s, share in ((100.0, 1.0), (1000.0, 0.6)):
        history = clock(np.arange(0.0, 9000.0, poll_s), theta, noise_s=1e-8)
        window = build(history, state(history.last_raw_ns), ROLE, Tuning())
        points = np.isfinite(ready(window).rate).mean()
        assert points == share if share == 1.0 else points < share


@pytest.mark.parametrize(
    ("seconds", "epoch", "reason"),
    [(100.0, 1, "warming up"), (600.0, 1, "of 16 points"), (9000.0, 2, "no fixes yet")],
)
def test_a_window_that_can_not_be_says_why(
    seconds: float, epoch: int, reason: str, clock: Callable, state: Callable
) -> None:
    """Warm-up, too little history, and a new epoch each give their sentence."""
    history = clock(np.arange(0.0, seconds, 16.0), theta)
    answer = build(history, state(history.last_raw_ns, epoch=epoch), ROLE, Tuning())
    assert isinstance(answer, NotReady)
    assert reason in answer.reason


def test_an_empty_history_is_not_ready(state: Callable) -> None:
    """Nothing measured, nothing shown."""
    assert isinstance(build(History(span_s=1.0), state(0), ROLE, Tuning()), NotReady)


def test_dense_fixes_give_the_same_window_as_their_averages(clock: Callable, state: Callable) -> None:
    """Fixes each second, averaged four to a step before smoothing, still show the true rate."""
    history = clock(np.arange(0.0, 9000.0, 1.0), theta, noise_s=1e-7)
    window = ready(build(history, state(history.last_raw_ns, wander=1e-8), ROLE, Tuning()))
    at = (window.t0_raw_ns - BASE_RAW_NS) / S + np.arange(128) * 64.0
    assert np.abs(window.rate - rate(at))[:-2].max() < 0.02 * AMPLITUDE


def test_the_presets_are_roles_and_the_history_is_long_enough_for_the_longest() -> None:
    """Every preset can be built, and the history spans the context of the longest with some lead."""
    roles = [preset("p") for preset in (ten_minutes, one_hour, hold_over, short_term, long_term)]
    assert [(role.step_s, role.context, role.horizon) for role in roles][-2:] == [(1.0, 100, 5), (1.0, 300, 60)]
    assert history_span_s(roles, least_s=10.0) > 512 * 900.0
    assert history_span_s([], least_s=10.0) == 10.0
