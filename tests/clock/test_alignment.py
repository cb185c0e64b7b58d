"""Constant differences between servers: found, taken off towards the shortest paths, and never made up."""

import numpy as np
import pytest

from chronotick.clock.alignment import FORGOTTEN_AFTER, Alignment
from chronotick.clock.floor import Floor
from chronotick.clock.tuning import Tuning
from chronotick.ntp.fix import Fix

S = 10**9
THETA0 = 1_700_000_000 * S


def fix(at_s: float, server: str, error_s: float, delay_s: float) -> Fix:
    half_ns = round(delay_s / 2 * S)
    theta_ns = THETA0 + round(error_s * S)
    return Fix(
        raw_ns=round(at_s * S),
        theta_ns=theta_ns,
        delay_s=delay_s,
        root_distance_s=delay_s / 2,
        server=server,
        survivors=(),
        earliest_theta_ns=theta_ns - half_ns,
        latest_theta_ns=theta_ns + half_ns,
    )


def final_error_s(paths: dict[str, tuple[float, float]], rounds: int = 60, jitter_s: float = 1e-4) -> float:
    """A floor behind the alignment, with servers of (out, back) one-way delays on a perfect clock."""
    rng = np.random.default_rng(1)
    floor, alignment = Floor(Tuning()), Alignment()
    for turn in range(rounds):
        for number, (name, (out_s, back_s)) in enumerate(paths.items()):
            queued = rng.exponential(jitter_s, 2)
            there_s, here_s = out_s + queued[0], back_s + queued[1]
            one = fix(16 * turn + number, name, (there_s - here_s) / 2, there_s + here_s)
            shifted = one.theta_ns + alignment.shift_ns(one, floor.state)
            update = floor.update(fix(16 * turn + number, name, (shifted - THETA0) / S, there_s + here_s))
    assert update.state is not None
    return (update.state.theta_at_ns(update.state.raw_ns) - THETA0) / S


def test_short_paths_set_the_level() -> None:
    """Three servers that are 4 ms late and two that are right but nearer: the middle of what all claims share, 1 ms."""
    near, far = (0.012, 0.012), (0.010, 0.018)
    assert final_error_s({"a": far, "b": far, "c": far, "d": near, "e": near}) == pytest.approx(-1e-3, abs=2e-4)


def test_a_near_server_is_taken_at_its_word() -> None:
    """A LAN server beside three far ones with asymmetric paths: the error is near its own; the mean errs by 5.6 ms."""
    far = {"b": (0.040, 0.020), "c": (0.050, 0.030), "d": (0.030, 0.025)}
    assert abs(final_error_s({"a": (1e-4, 1e-4), **far}, jitter_s=1e-5)) < 3e-4


def test_opposite_asymmetries_of_equal_paths_cancel() -> None:
    """One path slow out, one slow back: the level lies between them."""
    assert abs(final_error_s({"a": (0.010, 0.014), "b": (0.014, 0.010)})) < 1e-4


def test_servers_that_do_not_differ_are_left_as_they_are() -> None:
    """Equal symmetric paths with noise: no shift beyond the standard error of a mean."""
    rng = np.random.default_rng(2)
    floor, alignment, shifts = Floor(Tuning()), Alignment(), []
    for turn in range(400):
        one = fix(16.0 * turn, "abcd"[turn % 4], rng.normal(0, 1e-4), 0.02)
        shifts.append(abs(alignment.shift_ns(one, floor.state)))
        floor.update(one)
    assert max(shifts[40:]) < 1e-4 * S / 3
    assert np.median(shifts[40:]) < 1e-4 * S / 20


def test_a_server_alone_is_never_shifted() -> None:
    """With nobody to differ from, the fix goes on as it is, to the nanosecond."""
    floor, alignment = Floor(Tuning()), Alignment()
    for turn in range(50):
        one = fix(16.0 * turn, "a", 1e-3 * (turn % 3), 0.02)
        assert alignment.shift_ns(one, floor.state) == 0
        floor.update(one)


def test_no_fix_leaves_its_own_claim() -> None:
    """Servers that contradict each other by a second: the shift stops at the root distance."""
    floor, alignment = Floor(Tuning()), Alignment()
    for turn in range(200):
        one = fix(16.0 * turn, "ab"[turn % 2], float(turn % 2), 0.01)
        assert abs(alignment.shift_ns(one, floor.state)) <= 0.005 * S
        floor.update(one)


def test_who_was_not_heard_for_long_no_longer_counts() -> None:
    """A server that has gone is forgotten after the fixes of others, and those left set the level alone."""
    floor, alignment = Floor(Tuning()), Alignment()
    for turn in range(100):
        for name, error_s in (("a", 0.0), ("b", 2e-3)):
            one = fix(16.0 * turn, name, error_s, 0.02)
            alignment.shift_ns(one, floor.state)
            floor.update(one)
    assert abs(alignment.shift_ns(fix(1600.0, "a", 0.0, 0.02), floor.state)) > 5e-4 * S
    for turn in range(FORGOTTEN_AFTER + 1):
        shift_ns = alignment.shift_ns(fix(1600.0 + turn, "a", 0.0, 0.02), floor.state)
    assert shift_ns == 0
