"""The scale of the noise, and the delay above the minimum."""

import numpy as np
import pytest

from chronotick.clock.excess import DelayFloor
from chronotick.clock.noise import NoiseScale


def test_the_scale_is_that_of_the_noise_whatever_the_drift_and_the_spacing() -> None:
    rng = np.random.default_rng(1)
    scale, raw_ns, found = NoiseScale(), 0, []
    for _ in range(2000):
        raw_ns += int(rng.uniform(1e9, 30e9))
        scale.add(raw_ns, round(10**18 + 20e-6 * raw_ns + 5000 * rng.standard_normal()))
        found.append(scale.sigma_s(0.0))
    assert np.median(found[100:]) == pytest.approx(5e-6, rel=0.1)


def test_outliers_hardly_move_the_scale() -> None:
    rng = np.random.default_rng(2)
    scale = NoiseScale()
    for i in range(64):
        scale.add(i * 10**9, round(1000 * rng.standard_normal()) + (10**9 if i % 10 == 0 else 0))
    assert scale.sigma_s(0.0) < 5e-6


def test_there_is_no_scale_before_three_residuals() -> None:
    scale = NoiseScale()
    for i in range(4):
        scale.add(i * 10**9, i % 2 * 1000)
        assert not scale.known
        assert scale.sigma_s(0.25) == 0.25
    scale.add(4 * 10**9, 0)
    assert scale.known


def test_the_scale_falls_below_twenty_nanoseconds_only_with_half_the_window_and_never_below_a_tenth() -> None:
    scale = NoiseScale()
    for i in range(33):
        scale.add(i * 10**9, 0)
        assert scale.sigma_s(0.0) == 20e-9
    scale.add(33 * 10**9, 0)
    assert scale.sigma_s(0.0) == 1e-10


def test_the_scale_resolves_parts_of_a_nanosecond_where_fixes_do() -> None:
    rng = np.random.default_rng(6)
    scale = NoiseScale()
    for i in range(100):
        scale.add(i * 10**9, 1000 * i, 0.3e-9 * float(rng.standard_normal()))
    assert scale.sigma_s(0.0) == pytest.approx(0.3e-9, rel=0.3)


def test_no_residual_spans_an_interruption() -> None:
    scale = NoiseScale()
    for i in range(40):
        if i % 2 == 0:
            scale.interrupt()
        scale.add(i * 10**9, i * 10**9)
    assert not scale.known


def test_only_the_last_sixty_four_residuals_count() -> None:
    scale = NoiseScale()
    for i in range(200):
        scale.add(i * 10**9, (i % 2) * 10**6)
    for i in range(200, 266):
        scale.add(i * 10**9, 0)
    assert scale.sigma_s(0.0) == 1e-10


def test_fixes_of_one_instant_are_no_residual() -> None:
    scale = NoiseScale()
    for _ in range(10):
        scale.add(5, 1000)
    assert not scale.known


def test_the_excess_is_the_delay_above_the_servers_own_minimum() -> None:
    delays = DelayFloor()
    assert delays.excess_s("a", 0.010) == 0.0
    assert delays.excess_s("a", 0.012) == pytest.approx(0.002, rel=1e-2)
    assert delays.excess_s("b", 0.050) == 0.0
    assert delays.excess_s("a", 0.009) == 0.0


def test_a_longer_path_is_believed_in_the_end() -> None:
    delays = DelayFloor()
    delays.excess_s("a", 0.010)
    assert delays.excess_s("a", 0.011) > 0.0009
    for _ in range(1000):
        last = delays.excess_s("a", 0.011)
    assert last == 0.0
