"""The filters against closed forms and a textbook filter."""

import math

import numpy as np
import pytest

from chronotick.candidates.filters import Filters
from chronotick.candidates.motion import Cycles, Decay, Motion, TunedCycles

TURNING = Cycles(np.array([600.0, 86_400.0]), 2)
TUNED = TunedCycles(np.array([600.0, 86_400.0]), 2, 1.2, np.zeros(2))
DYING = Decay(np.array([300.0, 20_000.0]))


@pytest.mark.parametrize("motion", [TURNING, TUNED, DYING], ids=["cycles", "tuned cycles", "decay"])
def test_the_offset_is_the_integral_of_the_rate(motion: Motion) -> None:
    """What theta gains equals the summed rate of the extra states as they move, in small steps."""
    rng = np.random.default_rng(1)
    start = rng.standard_normal((motion.size, 2))
    if motion is TUNED:
        start[-1] = 0.0
    states, h_s, steps = start.copy(), 777.0, 7770
    rates = []
    for _ in range(steps + 1):
        rates.append(states[:4:2].sum(axis=0))
        motion.step(h_s / steps, states).move(states)
    gained = (np.sum(rates, axis=0) - (rates[0] + rates[-1]) / 2) * h_s / steps
    assert (motion.offset_of(h_s) * start).sum(axis=0) == pytest.approx(gained, rel=1e-4, abs=1e-2)


@pytest.mark.parametrize("h_s", [16.0, 500.0])
def test_an_error_of_the_period_is_linear_in_what_it_does(h_s: float) -> None:
    """What one more state adds to theta and to the pairs is the difference to cycles that are a little faster."""
    rng, n = np.random.default_rng(5), 1e-6
    pairs = rng.standard_normal((4, 2))
    slow, fast = (Cycles(TUNED.period_s / rate, 2).turn(h_s) for rate in (1.0, 1.0 + n))
    moved = [pairs.copy(), pairs.copy()]
    for turn, states in zip((slow, fast), moved, strict=True):
        turn.move(states)
    states = np.concatenate((pairs, np.full((1, 2), n)))
    step = TUNED.step(h_s, states)
    gained = ((fast.gain - slow.gain) * pairs).sum(axis=0)
    assert step.gain[-1] * n == pytest.approx(gained, rel=1e-3)
    step.move(states)
    assert states[:-1] - moved[0] == pytest.approx(moved[1] - moved[0], rel=1e-3, abs=1e-12)


def test_a_cycle_finds_its_period_and_stays_near_the_one_it_was_given() -> None:
    """Begun 4 % off either way, it ends within 0.1 % of the truth and foretells ten times better than one that can not;
    begun 40 % off, it stays within its bound."""
    rng, true_s = np.random.default_rng(6), 1800.0
    given = np.array([true_s * 1.04, true_s / 1.04, true_s * 1.4])
    none = np.zeros(3)
    tuned = Filters(
        TunedCycles(given, 1, 1.2, none),
        none + 1e-10,
        np.zeros((3, 3)),
        np.array([[3e-7], [3e-7], [0.05]]) + none,
        1e-9,
    )
    fixed = Filters(Cycles(given, 1), none + 1e-10, none, np.full((2, 3), 3e-7), 1e-9)
    errors: dict[Filters, list[np.ndarray]] = {tuned: [], fixed: []}
    w, amplitude = 2 * np.pi / true_s, 3e-7
    for one in (tuned, fixed):
        one.start(0.0, 1e-12, 0.0, 1e-12)
    for i in range(1, 1200):
        for one in (tuned, fixed):
            one.predict(16.0)
        z = amplitude / w * (1 - math.cos(w * 16.0 * i))
        noise = 1e-6 * rng.standard_normal()
        for one in (tuned, fixed):
            one.update(z + noise, 1e-12)
            errors[one].append(one.ahead_s(600.0) - amplitude / w * (1 - math.cos(w * (16.0 * i + 600.0))))
    period = tuned.motion.period_s  # type: ignore[attr-defined]
    assert period[:2] == pytest.approx(true_s, rel=1e-3)
    assert given[2] / 1.2 <= period[2] <= given[2] * 1.2
    last = {one: np.abs(errors[one][-300:]).mean(axis=0) for one in errors}
    assert (last[tuned][:2] < 0.1 * last[fixed][:2]).all()


def test_where_there_is_no_cycle_its_period_is_no_less_known_than_at_first() -> None:
    """Thousands of fixes of noise alone, and a period that may walk by half of itself: all stays finite and small."""
    rng, none = np.random.default_rng(8), np.zeros(2)
    filters = Filters(
        TunedCycles(np.array([400.0, 4000.0]), 3, 1.2, np.array([0.01, 0.01])),
        none + 1e-9,
        np.array([[5e-8]] * 6 + [[0.03]]) + none,
        np.array([[5e-7]] * 6 + [[0.05]]) + none,
        1e-9,
    )
    filters.start(0.0, 1e-8, 0.0, 1e-12)
    for _ in range(3000):
        filters.predict(64.0)
        filters.update(1e-6 * rng.standard_normal(), 1e-12)
    assert filters.lost() is None
    assert np.abs(filters.ahead_s(3600.0)).max() < 1e-2
    assert np.sqrt(filters._p[-1, -1]).max() <= 0.05 * (1 + 1e-12)


def test_a_phase_that_walks_takes_all_harmonics_along() -> None:
    """What a walk adds to the covariance is what turning many drawn states, the k-th pair by k times an angle, does."""
    rng, walk, h_s, draws = np.random.default_rng(9), 1e-3, 100.0, 200_000
    motion = TunedCycles(np.array([600.0]), 2, 1.2, np.array([walk]))
    mean, root = rng.standard_normal(4), 0.5 * rng.standard_normal((4, 4))
    states = np.tile(mean[:, None] + root @ rng.standard_normal((4, draws)), 2)
    # Each angle once either way: what is odd in it cancels.
    before, angle = np.cov(states), walk * math.sqrt(h_s) * np.outer([1, -1], rng.standard_normal(draws)).ravel()
    for k in (1, 2):
        a, b = states[2 * k - 2].copy(), states[2 * k - 1].copy()
        states[2 * k - 2] += k * angle * b
        states[2 * k - 1] -= k * angle * a
    added = np.zeros((5, 5, 1))
    added[:4, :4, 0] = root @ root.T
    motion.blur(h_s, np.append(mean, 0.0)[:, None], added)
    assert not added[4].any()
    assert not added[:, 4].any()
    assert added[:4, :4, 0] - root @ root.T == pytest.approx(np.cov(states) - before, rel=0.02, abs=1e-5)


def test_a_cycle_whose_phase_walks_keeps_its_shape_and_size() -> None:
    """Ten minutes ahead of two harmonics that one phase moves, a filter that knows so has less error than any that lets
    each part walk for itself, however far."""
    rng, period_s, step_s = np.random.default_rng(10), 3000.0, 32.0
    walks = np.array([1e-8, 3e-9, 1e-8, 3e-8, 1e-7, 3e-7]) / math.sqrt(period_s)
    phase_walk = np.array([0.45, 0, 0, 0, 0, 0]) / math.sqrt(period_s)
    none = np.zeros(6)
    filters = Filters(
        TunedCycles(none + period_s, 2, 1.2, phase_walk),
        none + 1e-10,
        np.concatenate((np.repeat([walks], 4, axis=0), [none])),
        np.array([[5e-7], [5e-7], [2e-7], [2e-7], [1e-3]]) + none,
        1e-9,
    )
    steps = 4000
    phase = np.cumsum(
        2 * np.pi * step_s / period_s + 0.45 * math.sqrt(step_s / period_s) * rng.standard_normal(steps + 20)
    )
    theta = np.cumsum(5e-7 * (np.sin(phase) + 0.4 * np.sin(2 * phase + 1.0))) * step_s
    filters.start(0.0, 1e-8, 0.0, 1e-12)
    errors = []
    for i in range(steps):
        filters.predict(step_s)
        filters.update(float(theta[i]) + 1e-5 * rng.standard_normal(), 1e-10)
        errors.append(np.abs(filters.ahead_s(600.0) - np.interp(i + 600.0 / step_s, np.arange(steps + 20), theta)))
    mean = np.mean(errors[500:], axis=0)
    assert mean[0] < 0.9 * mean[1:].min()


def test_a_cycle_that_nobody_can_measure_does_not_grow_without_end() -> None:
    """A month of polls slower than the cycle, and a phase that walks: known to a hundred times what was thought."""
    rng, none, sigma = np.random.default_rng(11), np.zeros(2), 5e-7 / np.repeat([1.0, 2.0, 3.0], 2)
    filters = Filters(
        TunedCycles(np.array([400.0, 480.0]), 3, 1.2, np.array([0.02, 0.02])),
        none + 1e-9,
        np.zeros((7, 2)),
        np.append(sigma, 0.05)[:, None] + none,
        1e-9,
    )
    filters.start(0.0, 1e-8, 0.0, 1e-12)
    for i in range(5000):
        filters.predict(512.0)
        if i % 100 == 0:
            filters.update(1e-4 * rng.standard_normal(), 1e-8)
    assert filters.lost() is None
    assert (np.sqrt(filters._p[[2, 4, 6], [2, 4, 6]]) <= 100.0 * sigma[::2, None] * (1 + 1e-9)).all()


def textbook(z: list[float], dt_s: float, r: float, period_s: float, wander: float, walk: float) -> tuple[float, ...]:
    """One Kalman filter in matrices, Joseph form."""
    w = 2 * math.pi / period_s
    c, s = math.cos(w * dt_s), math.sin(w * dt_s)
    f = np.array([[1, dt_s, s / w, (1 - c) / w], [0, 1, 0, 0], [0, 0, c, s], [0, 0, -s, c]])
    q = np.diag([1e-18 * dt_s + wander**2 * dt_s**3 / 3, wander**2 * dt_s, walk**2 * dt_s, walk**2 * dt_s])
    q[0, 1] = q[1, 0] = wander**2 * dt_s**2 / 2
    x, p, likelihood = np.zeros(4), np.diag([1e-8, 1e-10, 1e-13, 1e-13]), 0.0
    h = np.array([[1.0, 0, 0, 0]])
    for one in z:
        x, p = f @ x, f @ p @ f.T + q
        s2 = p[0, 0] + r
        e = one - x[0]
        likelihood += (
            math.lgamma(2.5) - math.lgamma(2) - 0.5 * math.log(4 * math.pi * s2) - 2.5 * math.log1p(e * e / s2 / 4)
        )
        k = p @ h.T / s2
        x = x + k[:, 0] * e
        a = np.eye(4) - k @ h
        p = a @ p @ a.T + k @ k.T * r
    return (*x, likelihood)


def test_a_filter_is_the_textbooks() -> None:
    """States and summed likelihood agree with matrices in Joseph form."""
    rng = np.random.default_rng(2)
    z = (1e-4 * np.sin(np.arange(60) / 5) + 1e-5 * rng.standard_normal(60)).tolist()
    period, wander, walk = np.array([500.0, 2000.0]), np.array([1e-9, 1e-8]), np.array([1e-10, 3e-9])
    filters = Filters(Cycles(period, 1), wander, walk, np.full((2, 2), math.sqrt(1e-13)), 1e-9)
    filters.start(0.0, 1e-8, 0.0, 1e-10)
    likelihood = np.zeros(2)
    for one in z:
        filters.predict(32.0)
        likelihood += filters.update(one, 1e-10, guarded=False)
    states, _ = filters.lines(np.array([True, True]))
    for i in range(2):
        *x, total = textbook(z, 32.0, 1e-10, float(period[i]), float(wander[i]), float(walk[i]))
        assert states[:, i] == pytest.approx(x, rel=1e-6)
        assert likelihood[i] == pytest.approx(total, rel=1e-9)


def test_an_outlier_moves_a_filter_by_a_bounded_amount() -> None:
    """Two hundred times as far off, it moves the offset no further: beyond 2.5 sigma all weigh the same."""
    moved = []
    for size in (0.0, 5e-5, 1e-2):
        filters = Filters(Decay(np.array([1e3])), np.array([1e-9]), np.zeros(1), np.full((1, 1), 1e-7), 1e-9)
        filters.start(0.0, 1e-12, 0.0, 1e-16)
        for z in [0.0] * 20 + [size]:
            filters.predict(16.0)
            filters.update(z, 1e-10)
        moved.append(float(filters.offset_s[0]))
    assert moved[0] == 0.0
    assert moved[1] == pytest.approx(moved[2], rel=1e-9)
    assert 0 < moved[1] < 1e-5


def test_only_the_lost_filters_go() -> None:
    """A filter that overflows is dropped, and its neighbour goes on as before."""
    filters = Filters(Cycles(np.array([600.0, 700.0]), 1), np.array([1e153, 1e-9]), np.zeros(2), np.ones((2, 2)), 1e-9)
    filters.start(0.0, 1e-8, 0.0, 1e-10)
    with np.errstate(all="ignore"):
        filters.predict(1e6)
    lost = filters.lost()
    assert lost is not None
    assert lost.tolist() == [True, False]
    filters.keep(~lost)
    assert len(filters) == 1
    assert filters.lost() is None
    filters.predict(64.0)
    assert np.isfinite(filters.ahead_s(60.0)).all()


@pytest.mark.parametrize("fixes", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_numbers_stay_finite(fixes: int) -> None:
    """With 20 ns of noise and loose and stiff members alike the covariance stays one, and the line is found."""
    rng = np.random.default_rng(3)
    period = np.repeat([400.0, 3000.0, 60_000.0], 2)
    filters = Filters(
        Cycles(period, 1),
        np.tile([1e-11, 1e-7], 3),
        np.tile([3e-9, 1e-6], 3) / np.sqrt(period),
        np.full((2, 6), 5e-7),
        1e-9,
    )
    filters.start(0.0, 1e-8, 0.0, 1e-8)
    noise = 2e-8 * rng.standard_normal(25_000)
    for i in range(fixes):
        filters.predict(16.0)
        filters.update(noise[i % len(noise)], 4e-16)
        if i % 1_000 == 0:
            assert filters.lost() is None
    assert filters.lost() is None
    assert np.abs(filters.offset_s).max() < 1e-7
    states, _ = filters.lines(np.ones(6, bool))
    assert np.abs(states[1:]).max() < 1e-6


@pytest.mark.parametrize("kind", ["line", "cycles", "tuned cycles", "walking period", "decay"])
def test_the_spread_ahead_is_what_small_steps_would_make_of_it(kind: str) -> None:
    """Mean and variance at three horizons at once are those of filters that go there in steps of a second: to 2 %, and
    to a factor of 1.7 where phase or period walk: the one counts in the mean over all phases, the other as if what it
    adds grew in a straight line."""
    none = np.zeros(2)
    period = np.array([900.0, 7200.0])
    motion: Motion = {
        "line": Cycles(np.ones(2), 0),
        "cycles": Cycles(period, 2),
        "tuned cycles": TunedCycles(period, 1, 1.2, none + 0.2 / np.sqrt(period)),
        "walking period": TunedCycles(period, 1, 1.2, none),
        "decay": Decay(np.array([300.0, 20_000.0])),
    }[kind]
    # What is known of them at first leaves the walks room to show.
    sigma = np.full((motion.size, 2), 3e-9)
    walk = np.full((motion.size, 2), 1e-9)
    if motion.bounded:
        walk[:-1] = 1e-11
        sigma[-1], walk[-1] = (0.05, 1e-2) if kind == "walking period" else (1e-3, 1e-5)
    filters = Filters(motion, np.array([1e-10, 1e-9]), walk, sigma, 1e-9)
    filters.start(1e-6, 1e-12, 2e-9, 1e-17)
    filters.extra[: min(motion.size, 2)] = 2e-7
    if kind == "walking period":
        filters._p[-1, -1] = 1e-12
    before = filters.extra.copy()
    h_s = np.array([0.0, 300.0, 1500.0])
    said, variance = filters.spread(h_s)
    assert (filters.extra == before).all()
    slow = filters.some(np.ones(2, bool))
    for i, h in enumerate(h_s):
        for _ in range(round(h - (h_s[i - 1] if i else 0.0))):
            slow.predict(1.0)
        assert said[i] == pytest.approx(slow.offset_s, rel=1e-6)
        if not motion.bounded:
            assert np.sqrt(variance[i]) == pytest.approx(np.sqrt(slow._p[0, 0]), rel=0.02)
        else:
            ratio = np.sqrt(variance[i] / slow._p[0, 0])
            assert (ratio > 0.75).all(), h
            assert (ratio < 1.7).all(), h
