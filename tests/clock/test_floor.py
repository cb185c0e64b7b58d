"""The floor on simulated clocks, steps, outliers, gaps and nonsense."""

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronotick.clock.bank import Bank
from chronotick.clock.discontinuity import Kind
from chronotick.clock.excess import DelayFloor
from chronotick.clock.floor import Floor, FloorUpdate, Verdict
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.ntp.fix import Fix

S = 10**9


def feed(floor: Floor, fixes: list[Fix]) -> list[FloorUpdate]:
    return [floor.update(fix) for fix in fixes]


def ahead_errors_s(updates: list[FloorUpdate], run, skip: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """Error of the floor, its sigma, and the error of holding the last fix, all at the next fix's instant, s."""
    rows = []
    for i in range(skip, len(updates) - 1):
        state, at, truth = updates[i].state, run.fixes[i + 1].raw_ns, int(run.truth_ns[i + 1])
        assert state is not None
        rows.append((state.theta_at_ns(at) - truth, state.sigma_s(at) * S, run.fixes[i].theta_ns - truth))
    error, sigma, held = np.array(rows, dtype=float).T / S
    return error, sigma, held


CLOCKS = {
    "LAN, random walk": {"fixes": 600, "poll_s": 16.0, "servers": 4, "wander": 1e-9},
    "LAN, one server, minutely": {"fixes": 600, "poll_s": 64.0, "queue_s": 50e-6, "wander": 3e-10},
    "Internet, random walk": {
        "fixes": 600,
        "poll_s": 64.0,
        "servers": 4,
        "base_delay_s": 20e-3,
        "queue_s": 2e-3,
        "wander": 3e-10,
    },
    "thermal cycle": {
        "fixes": 600,
        "poll_s": 16.0,
        "servers": 2,
        "base_delay_s": 1e-3,
        "queue_s": 1e-4,
        "sine": (1e-6, 1200.0),
    },
    "quick polls": {"fixes": 3000, "poll_s": 1.0, "servers": 2, "wander": 1e-9, "stamp_s": 5e-6},
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_floor_is_far_better_than_the_last_fix_and_knows_how_wrong_it_is(clock: str, simulate: Callable) -> None:
    run = simulate(seed=5, **CLOCKS[clock])
    error, sigma, held = ahead_errors_s(feed(Floor(Tuning()), run.fixes), run, skip=200)
    assert np.abs(error).mean() < 0.5 * np.abs(held).mean()
    assert 0.8 <= np.mean(np.abs(error) < 1.96 * sigma) <= 1.0
    assert sigma.mean() < 5.0 * np.abs(error).mean()


@pytest.mark.parametrize("queue_s", [5e-6, 50e-6])
def test_the_floor_works_on_compressed_physics_with_twenty_fixes_a_second(queue_s: float, simulate: Callable) -> None:
    run = simulate(
        seed=1,
        fixes=1200,
        poll_s=0.25,
        servers=5,
        base_delay_s=300e-6,
        queue_s=queue_s,
        sine=(60e-6, 30.0),
        wander=1e-9 * 60**1.5,
    )
    updates = feed(Floor(Tuning().compressed(60)), run.fixes)
    error, sigma, held = ahead_errors_s(updates, run, skip=200)
    assert {update.verdict for update in updates} == {Verdict.USED}
    assert np.abs(error).mean() < 0.5 * np.abs(held).mean()
    assert np.mean(np.abs(error) < 1.96 * sigma) >= 0.8


def test_a_thousand_cold_starts_have_a_valid_interval_from_the_second_fix_on(simulate: Callable) -> None:
    rng = np.random.default_rng(7)
    covered: dict[int, list[bool]] = {n: [] for n in range(1, 7)}
    for seed in range(1000):
        base_s = 10.0 ** rng.uniform(-3.7, -1.3)
        run = simulate(
            seed=seed,
            fixes=7,
            poll_s=float(rng.choice([2.0, 64.0])),
            servers=int(rng.integers(1, 5)),
            base_delay_s=base_s,
            queue_s=base_s * rng.uniform(0.01, 0.2),
            rate=rng.uniform(-50e-6, 50e-6),
        )
        floor = Floor(Tuning())
        for n, (fix, after) in enumerate(zip(run.fixes, run.fixes[1:], strict=False), start=1):
            state = floor.update(fix).state
            assert state is not None
            truth = int(run.truth_ns[n])
            covered[n].append(abs(state.theta_at_ns(after.raw_ns) - truth) <= 1.96 * S * state.sigma_s(after.raw_ns))
    assert {n: np.mean(hits) >= 0.95 for n, hits in covered.items()} == dict.fromkeys(covered, True)


def test_a_lucky_beginning_is_not_believed_once_the_noise_shows(fix: Callable) -> None:
    """Five fixes on one line by chance, 40 ppm off, and three that scatter by 0.2 ms: the spread is theirs again."""
    lucky_s = [(2.0 * i, 80e-6 * i) for i in range(5)]
    later_s = [(10.0, -150e-6), (12.0, 200e-6), (14.0, -100e-6)]
    fixes = [fix(round(t_s * S) + S, round(theta_s * S), root_distance_s=0.01) for t_s, theta_s in lucky_s + later_s]
    states = [update.state for update in feed(Floor(Tuning()), fixes)]
    before, after = states[4], states[-1]
    assert before is not None
    assert after is not None
    # Until it shows nobody can know; then the line through the first ones is one that chance made.
    assert before.sigma_s(fixes[4].raw_ns) < 1e-6
    assert after.sigma_s(fixes[-1].raw_ns) > 50e-6
    assert abs(after.theta_at_ns(fixes[-1].raw_ns)) < 2 * S * after.sigma_s(fixes[-1].raw_ns)


def test_a_young_clock_is_not_left_to_the_rate_of_its_first_seconds(simulate: Callable) -> None:
    """Four servers a second each: eight fixes say little of a rate, and averages of eight seconds come too late."""
    worst = []
    for seed in range(30):
        run = simulate(seed=seed, fixes=60, poll_s=1.0, servers=4)
        floor, errors_s = Floor(Tuning()), []
        for one, truth_ns in zip(run.fixes, run.truth_ns.tolist(), strict=True):
            state = floor.update(one).state
            assert state is not None
            errors_s.append(abs(state.theta_at_ns(one.raw_ns) - truth_ns) * 1e-9)
        # From the fourth second to the fifteenth; queues of 20 us each way.
        worst.append(max(errors_s[16:]))
    assert np.median(worst) < 10e-6


@pytest.fixture
def read_again(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many fixes an epoch was read again, each time."""
    counts: list[int] = []
    original = Floor._read_again

    def counted(floor: Floor, noise_s: float) -> Bank:
        counts.append(len(floor._read))
        return original(floor, noise_s)

    monkeypatch.setattr(Floor, "_read_again", counted)
    return counts


def test_a_noisy_beginning_is_not_read_again_at_once(fix: Callable, read_again: list[int]) -> None:
    """A scale that was too large has made nobody sure: the first fixes are read once with it, and go on from there."""
    noisy_s = [0.0, 2e-4, -2e-4, 2e-4, -2e-4, 0.0, 1e-6]
    feed(Floor(Tuning()), [fix(2 * i * S + S, round(one * S), root_distance_s=0.01) for i, one in enumerate(noisy_s)])
    assert len(read_again) == 1


def test_an_epoch_is_read_again_whenever_it_has_doubled(simulate: Callable, read_again: list[int]) -> None:
    floor = Floor(Tuning())
    feed(floor, simulate(seed=1, fixes=600, poll_s=16.0).fixes)
    assert [count for count in read_again if count >= 8] == [8, 16, 32]


def test_after_a_step_the_network_is_known_and_nothing_is_read_again(simulate: Callable, read_again: list[int]) -> None:
    run = simulate(seed=1, fixes=160, poll_s=16.0)
    floor = Floor(Tuning())
    feed(floor, run.fixes[:80])
    read_again.clear()
    after = [msgspec.structs.replace(one, theta_ns=one.theta_ns + S) for one in run.fixes[80:]]
    assert feed(floor, after)[-1].state.epoch == 1
    assert read_again == []


def test_a_first_fix_that_queued_for_long_makes_no_rate(simulate: Callable) -> None:
    """30 ms off, and its server is not heard again among the first eight: its delay is the least, no queue shows."""
    worst_s = []
    for seed in range(20):
        run = simulate(seed=seed, fixes=40, poll_s=16.0, servers=5)
        first = run.fixes[0]
        queued = msgspec.structs.replace(
            first, theta_ns=first.theta_ns + 30 * S // 1000, delay_s=first.delay_s + 0.06, root_distance_s=0.1
        )
        heard = [i for i in range(40) if i not in (3, 5)]
        updates = feed(Floor(Tuning()), [queued, *(run.fixes[i] for i in heard[1:])])
        errors_s = [
            abs(update.state.theta_at_ns(run.fixes[i].raw_ns) - int(run.truth_ns[i])) / S
            for update, i in zip(updates, heard, strict=True)
        ]
        assert {update.state.epoch for update in updates} == {0}
        worst_s.append(max(errors_s[8:]))
    assert max(worst_s) < 1e-3


def test_what_is_learned_of_the_network_mends_what_was_read_before(
    simulate: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five servers with queues of a millisecond, in the second minute; beside a floor that is never read again."""

    def errors_s() -> list[float]:
        all_s = []
        for seed in range(30):
            run = simulate(seed=seed, fixes=60, poll_s=16.0, servers=5, base_delay_s=0.02, queue_s=1e-3)
            updates = feed(Floor(Tuning()), run.fixes)
            error, _, _ = ahead_errors_s(updates, run, 32)
            all_s.append(float(np.abs(error).mean()))
        return all_s

    again_s = errors_s()
    monkeypatch.setattr("chronotick.clock.floor.READ_AGAIN_AT", frozenset({0}))
    assert np.mean(again_s) < 0.85 * np.mean(errors_s())


def test_the_least_of_few_delays_is_doubted(fix: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second server's first fix has no excess by definition: it counts as noisier than if that were known."""

    def variance_s2() -> float:
        rng = np.random.default_rng(3)
        known = [fix(16 * i * S + S, round(rng.normal(0, 1e-4) * S), delay_s=0.01) for i in range(40)]
        return feed(Floor(Tuning()), [*known, fix(700 * S, 0, server="b", delay_s=0.01)])[-1].measurements[0].variance

    doubted_s2 = variance_s2()
    monkeypatch.setattr(DelayFloor, "doubt", lambda _, server: 0.0)
    assert doubted_s2 > 1.1 * variance_s2()


def test_fixes_that_are_read_again_stand_on_the_level_of_then(simulate: Callable) -> None:
    """Half of the servers are 4 ms off, which is known only after sixteen fixes."""
    run = simulate(seed=2, fixes=32, poll_s=16.0, servers=4)
    off_ns = {"s0": 4 * 10**6, "s1": 4 * 10**6}
    floor, state = Floor(Tuning()), None
    for i, one in enumerate(run.fixes):
        levels_ns = {name: -off for name, off in off_ns.items()} if i >= 16 else {}
        theta_ns = one.theta_ns + off_ns.get(one.server, 0) + levels_ns.get(one.server, 0)
        state = floor.update(msgspec.structs.replace(one, theta_ns=theta_ns), levels_ns).state
    assert state is not None
    assert abs(state.theta_at_ns(run.fixes[-1].raw_ns) - int(run.truth_ns[-1])) < 20_000


def test_the_interval_narrows_to_far_below_the_root_distance(simulate: Callable) -> None:
    run = simulate(seed=3, fixes=40, poll_s=16.0)
    states = [update.state for update in feed(Floor(Tuning()), run.fixes)]
    assert all(state is not None for state in states)
    first, second, last = (states[i].sigma_s(run.fixes[i].raw_ns) for i in (0, 1, -1))  # type: ignore[union-attr]
    assert first == pytest.approx(run.fixes[0].root_distance_s, rel=1e-3)
    assert last < 0.2 * second


def test_the_first_fix_is_known_to_its_root_distance_and_the_rate_to_its_prior(fix: Callable) -> None:
    state = Floor(Tuning()).update(fix(10 * S, 5 * S, root_distance_s=0.01)).state
    assert state is not None
    assert (state.raw_ns, state.theta_ns, state.rate, state.fixes, state.epoch) == (10 * S, 5 * S, 0.0, 1, 0)
    assert state.sigma_s(10 * S) == pytest.approx(0.01)
    assert state.sigma_s(1010 * S) == pytest.approx(math.hypot(0.01, 0.1), rel=1e-3)


def test_nothing_is_known_before_the_first_fix() -> None:
    assert Floor(Tuning()).state is None
    assert Floor(Tuning()).restart(0, Kind.SUSPEND) is None


@pytest.mark.parametrize("size_s", [-1.0, -3e-3, 3e-3, 3600.0])
def test_a_step_is_accepted_once_it_has_repeated(size_s: float, simulate: Callable) -> None:
    run = simulate(seed=2, fixes=240, poll_s=16.0, servers=4, wander=1e-10)
    step = round(size_s * S)
    fixes = [
        fix if i < 120 else msgspec.structs.replace(fix, theta_ns=fix.theta_ns + step)
        for i, fix in enumerate(run.fixes)
    ]
    updates = feed(Floor(Tuning()), fixes)
    verdicts = [update.verdict for update in updates]
    stepped = verdicts.index(Verdict.STEPPED)
    assert verdicts[:120] == [Verdict.USED] * 120
    assert verdicts[120:stepped] == [Verdict.SUSPECT] * 3
    assert verdicts[stepped + 1 :] == [Verdict.USED] * (239 - stepped)
    assert len(updates[stepped].measurements) == 4
    state = updates[-1].state
    assert state is not None
    assert (state.epoch, state.restarts) == (1, 1)
    assert abs(state.theta_ns - (int(run.truth_ns[-1]) + step)) < 20_000


def test_while_a_step_is_in_doubt_the_spread_holds_both_levels(simulate: Callable) -> None:
    run = simulate(seed=2, fixes=124, poll_s=16.0, servers=4)
    updates = feed(
        Floor(Tuning()),
        [f if i < 120 else msgspec.structs.replace(f, theta_ns=f.theta_ns + S) for i, f in enumerate(run.fixes[:122])],
    )
    alone, repeated = updates[120].state, updates[121].state
    assert alone is not None
    assert repeated is not None
    assert alone.sigma_s(alone.raw_ns) < 1e-3
    assert repeated.sigma_s(repeated.raw_ns) == pytest.approx(1.0, rel=0.05)
    assert repeated.theta_ns == updates[119].state.theta_ns  # type: ignore[union-attr]


@pytest.mark.parametrize("size_s", [-10.0, -1e-3, 1e-3, 10.0])
def test_an_isolated_outlier_changes_nothing_lasting(size_s: float, simulate: Callable) -> None:
    run = simulate(seed=4, fixes=300, poll_s=16.0, servers=4, wander=1e-10)
    spoilt = list(run.fixes)
    for i in range(100, 300, 20):
        spoilt[i] = msgspec.structs.replace(spoilt[i], theta_ns=spoilt[i].theta_ns + round(size_s * S))
    clean, dirty = feed(Floor(Tuning()), run.fixes), feed(Floor(Tuning()), spoilt)
    verdicts = [update.verdict for update in dirty]
    assert Verdict.STEPPED not in verdicts
    assert all(verdicts[i] is Verdict.SUSPECT for i in range(100, 300, 20))
    error, _, _ = ahead_errors_s(dirty, run, skip=99)
    error_clean, _, _ = ahead_errors_s(clean, run, skip=99)
    assert np.abs(error).mean() < 1.2 * np.abs(error_clean).mean()


def test_a_step_within_the_noise_is_followed_without_a_restart(simulate: Callable) -> None:
    run = simulate(seed=6, fixes=400, poll_s=16.0, servers=4, wander=1e-10)
    sigma_ns = 15_000
    fixes = [
        f if i < 200 else msgspec.structs.replace(f, theta_ns=f.theta_ns + 5 * sigma_ns)
        for i, f in enumerate(run.fixes)
    ]
    updates = feed(Floor(Tuning()), fixes)
    state = updates[-1].state
    assert state is not None
    assert state.epoch == 0
    assert abs(state.theta_ns - int(run.truth_ns[-1]) - 5 * sigma_ns) < sigma_ns


def test_noise_that_grows_a_hundredfold_is_used_in_the_end_not_rejected_for_ever(simulate: Callable) -> None:
    quiet = simulate(seed=8, fixes=200, poll_s=16.0, servers=4, queue_s=5e-6)
    rng = np.random.default_rng(8)
    loud = [
        msgspec.structs.replace(f, theta_ns=f.theta_ns + round(5e6 * rng.choice([-1, 1]) * rng.uniform(0.2, 1.0)))
        for f in quiet.fixes[100:]
    ]
    verdicts = [update.verdict for update in feed(Floor(Tuning()), quiet.fixes[:100] + loud)]
    assert verdicts[-60:].count(Verdict.USED) >= 50


def test_a_queue_excuses_half_its_delay(simulate: Callable) -> None:
    run = simulate(seed=9, fixes=300, poll_s=16.0, servers=1)
    queued = [
        msgspec.structs.replace(f, theta_ns=f.theta_ns + 50_000_000, delay_s=f.delay_s + 0.1) if 200 <= i < 220 else f
        for i, f in enumerate(run.fixes)
    ]
    updates = feed(Floor(Tuning()), queued)
    assert {update.verdict for update in updates} == {Verdict.USED}
    error, _, held = ahead_errors_s(updates, run, skip=199)
    assert np.abs(error[:20]).max() < 0.05 * np.abs(held[1:20]).max()


def test_the_same_fixes_give_the_same_state_to_the_bit(simulate: Callable) -> None:
    run = simulate(seed=10, fixes=200, poll_s=16.0, servers=3)
    assert feed(Floor(Tuning()), run.fixes) == feed(Floor(Tuning()), run.fixes)


@settings(max_examples=15, deadline=None)
@given(theta=st.integers(-(10**19), 10**19), raw=st.integers(0, 10**18), seed=st.integers(0, 100))
def test_shifting_both_time_scales_shifts_the_state_to_the_bit(theta: int, raw: int, seed: int) -> None:
    fixes = _plain_fixes(seed)
    moved = [msgspec.structs.replace(f, raw_ns=f.raw_ns + raw, theta_ns=f.theta_ns + theta) for f in fixes]
    for one, other in zip(feed(Floor(Tuning()), fixes), feed(Floor(Tuning()), moved), strict=True):
        assert one.state is not None
        assert other.state == msgspec.structs.replace(
            one.state, raw_ns=one.state.raw_ns + raw, theta_ns=one.state.theta_ns + theta
        )


@settings(max_examples=10, deadline=None)
@given(k=st.sampled_from([2, 4, 16, 60]), seed=st.integers(0, 100))
def test_compressed_physics_on_compressed_time_give_the_same_offsets(k: int, seed: int) -> None:
    fixes = _plain_fixes(seed)
    quick = [msgspec.structs.replace(f, raw_ns=f.raw_ns // k) for f in fixes]
    slow_state = feed(Floor(Tuning()), fixes)[-1].state
    quick_state = feed(Floor(Tuning().compressed(k)), quick)[-1].state
    assert slow_state is not None
    assert quick_state is not None
    sigma_s = slow_state.sigma_s(slow_state.raw_ns)
    assert abs(quick_state.theta_ns - slow_state.theta_ns) <= 1 + 1e-3 * sigma_s * S
    assert quick_state.rate == pytest.approx(k * slow_state.rate, abs=1e-9)
    assert quick_state.wander == pytest.approx(k**1.5 * slow_state.wander, rel=1e-3)
    assert quick_state.sigma_s(quick_state.raw_ns) == pytest.approx(sigma_s, rel=1e-3)


def _plain_fixes(seed: int) -> list[Fix]:
    """Thirty fixes at multiples of 16 s whose nanoseconds divide by all compressions tried."""
    rng = np.random.default_rng(seed)
    return [
        Fix(
            raw_ns=i * 16 * S,
            theta_ns=round(200_000 * i + 1e5 * rng.standard_normal()),
            delay_s=1e-3 * (1 + rng.exponential()),
            root_distance_s=1e-2,
            server="a",
            survivors=("a",),
            earliest_theta_ns=-S,
            latest_theta_ns=S,
        )
        for i in range(30)
    ]


def test_a_clock_that_is_years_away_loses_no_nanosecond(fix: Callable) -> None:
    theta, rate = 50 * 365 * 86_400 * S + 123_456_789, 40e-6
    floor = Floor(Tuning())
    for i in range(400):
        raw = 7 * 365 * 86_400 * S + i * 3600 * S
        state = floor.update(fix(raw, theta + round(rate * i * 3600 * S), delay_s=1e-4)).state
    assert state is not None
    assert abs(state.theta_ns - (theta + round(rate * 399 * 3600 * S))) <= 2
    assert state.rate == pytest.approx(rate, abs=1e-14)


@pytest.mark.parametrize(
    "change",
    [
        {"delay_s": math.nan},
        {"delay_s": math.inf},
        {"delay_s": -1e-3},
        {"root_distance_s": math.nan},
    ],
)
def test_a_fix_with_nonsense_in_it_is_refused(change: dict[str, float], simulate: Callable) -> None:
    run = simulate(seed=11, fixes=20)
    floor = Floor(Tuning())
    before = feed(floor, run.fixes[:-1])[-1].state
    update = floor.update(msgspec.structs.replace(run.fixes[-1], **change))
    assert (update.verdict, update.state, update.measurements) == (Verdict.REFUSED, before, ())


@pytest.mark.parametrize("theta", [-(10**21), 10**21])
def test_absurd_offsets_leave_a_finite_state(theta: int, simulate: Callable) -> None:
    run = simulate(seed=11, fixes=60)
    wild = [msgspec.structs.replace(f, theta_ns=theta * (-1) ** i) if i > 3 else f for i, f in enumerate(run.fixes)]
    for update in feed(Floor(Tuning()), wild):
        assert update.state is not None
        assert all(map(math.isfinite, (*update.state.variance, update.state.rate, update.state.noise_s)))


def test_a_fix_that_arrives_late_is_used_at_its_own_instant(simulate: Callable) -> None:
    run = simulate(seed=12, fixes=200, poll_s=16.0, servers=8, rate=50e-6)
    swapped = list(run.fixes)
    for i in range(20, 200, 2):
        swapped[i - 1], swapped[i] = swapped[i], swapped[i - 1]
    ordered, late = feed(Floor(Tuning()), run.fixes), feed(Floor(Tuning()), swapped)
    assert {update.verdict for update in late} == {Verdict.USED}
    one, other = ordered[-1].state, late[-1].state
    assert one is not None
    assert other is not None
    assert one.raw_ns == other.raw_ns
    assert abs(one.theta_ns - other.theta_ns) < 0.4 * S * one.sigma_s(one.raw_ns)


def test_a_fix_that_is_far_too_late_is_refused(simulate: Callable) -> None:
    run = simulate(seed=12, fixes=20, poll_s=16.0)
    floor = Floor(Tuning())
    feed(floor, run.fixes)
    assert floor.update(run.fixes[3]).verdict is Verdict.REFUSED


def test_several_servers_at_one_instant_are_all_used(fix: Callable) -> None:
    floor = Floor(Tuning())
    updates = [floor.update(fix(i // 4 * 16 * S, 1000 * (i % 4), server=f"s{i % 4}")) for i in range(80)]
    assert {update.verdict for update in updates} == {Verdict.USED}
    assert updates[-1].state is not None
    assert updates[-1].state.fixes == 80


def test_each_used_fix_comes_back_with_a_variance_that_grows_with_its_queue(simulate: Callable) -> None:
    run = simulate(seed=13, fixes=300, poll_s=16.0, queue_s=50e-6)
    used = [update.measurements[0] for update in feed(Floor(Tuning()), run.fixes)][200:]
    by_excess = sorted(used, key=lambda one: one.delay_s)
    assert by_excess[0].variance < by_excess[-1].variance
    assert all(one.variance > 0 for one in used)
    assert [one.raw_ns for one in used] == [f.raw_ns for f in run.fixes[200:]]


def settled(simulate: Callable) -> tuple[Floor, ClockState, list[Fix]]:
    run = simulate(seed=14, fixes=240, poll_s=16.0, servers=4, rate=30e-6)
    floor = Floor(Tuning())
    state = feed(floor, run.fixes[:200])[-1].state
    assert state is not None
    return floor, state, run.fixes[200:]


def test_after_sleep_the_rate_stays_and_the_offset_is_unknown(simulate: Callable) -> None:
    floor, before, later = settled(simulate)
    state = floor.restart(later[0].raw_ns - 1, Kind.SUSPEND)
    assert state is not None
    assert (state.epoch, state.fixes, state.restarts) == (before.epoch + 1, 0, 0)
    assert state.rate == before.rate
    assert state.sigma_s(state.raw_ns) > 1e5
    slept = [msgspec.structs.replace(f, theta_ns=f.theta_ns + 3600 * S) for f in later]
    updates = feed(floor, slept)
    first, last = updates[0].state, updates[-1].state
    assert first is not None
    assert last is not None
    assert first.theta_ns == slept[0].theta_ns
    # A weighted mean of 108 equal numbers.
    assert first.rate == pytest.approx(before.rate, rel=1e-14)
    assert math.sqrt(first.variance[2]) == pytest.approx(0.1 * Tuning().rate_prior)
    assert last.epoch == before.epoch + 1
    assert abs(last.theta_ns - slept[-1].theta_ns) < 100_000


def test_after_a_change_of_the_time_base_nothing_is_kept(simulate: Callable) -> None:
    floor, before, later = settled(simulate)
    state = floor.restart(later[0].raw_ns - 1, Kind.TIME_BASE)
    assert state is not None
    assert (state.rate, state.epoch) == (0.0, before.epoch + 1)
    first = floor.update(later[0]).state
    assert first is not None
    assert math.sqrt(first.variance[2]) == pytest.approx(Tuning().rate_prior)


def test_a_fix_from_before_a_restart_is_refused(simulate: Callable) -> None:
    floor, _, later = settled(simulate)
    floor.restart(later[0].raw_ns + 1, Kind.SUSPEND)
    assert floor.update(later[0]).verdict is Verdict.REFUSED
    assert floor.update(later[1]).verdict is Verdict.USED


def test_after_a_long_gap_the_next_fix_is_taken_and_the_spread_in_between_is_honest(simulate: Callable) -> None:
    floor, before, later = settled(simulate)
    day = 86_400 * S
    assert before.sigma_s(before.raw_ns + day) > 10 * before.sigma_s(before.raw_ns)
    moved = msgspec.structs.replace(
        later[0], raw_ns=later[0].raw_ns + day, theta_ns=later[0].theta_ns + round(30e-6 * day)
    )
    assert floor.update(moved).verdict is Verdict.USED
