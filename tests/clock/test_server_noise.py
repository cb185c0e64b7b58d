"""Servers of unequal noise: told apart, and equals are not."""

import numpy as np
import pytest
from tests.scripts import BENCH, module

from chronotick.clock.floor import Floor
from chronotick.clock.server_noise import ServerNoise
from chronotick.clock.tuning import Tuning
from chronotick.ntp.fix import Fix

S = 10**9


def heard(sizes_s: dict[str, float], turns: int, seed: int = 1) -> ServerNoise:
    """Servers whose residuals are normal with these deviations, each heard so often."""
    rng, noise = np.random.default_rng(seed), ServerNoise()
    for _ in range(turns):
        for name, size_s in sizes_s.items():
            noise.add(name, size_s * float(rng.standard_normal()))
    return noise


def test_a_server_that_is_alone_has_factor_one() -> None:
    """Exactly one, so that nothing changes for whoever has one server."""
    noise = heard({"a": 1e-3}, 100)
    assert noise.factor("a") == 1.0


def test_few_fixes_have_no_factor() -> None:
    """Fifteen residuals are none, sixteen are."""
    sizes = {"a": 1e-3, "b": 1e-3, "c": 1e-5}
    assert heard(sizes, 15).factor("c") == 1.0
    assert heard(sizes, 16).factor("c") == 0.25
    assert heard(sizes, 16).factor("never heard") == 1.0


def test_factors_are_those_of_the_noise_less_the_doubt_and_bounded() -> None:
    """Three times the median's noise is a factor of 3 exp(-0.2); a thousand times is 8, a thousandth 1/4."""
    noise = heard({"a": 1e-4, "b": 1e-4, "c": 1e-4, "d": 3e-4, "e": 1e-1}, 200)
    assert noise.factor("d") == pytest.approx(3 * np.exp(-0.2), rel=0.3)
    assert noise.factor("e") == 8.0
    assert heard({"a": 1e-4, "b": 1e-4, "c": 1e-7}, 50).factor("c") == 0.25


def test_equal_servers_keep_one_scale_most_of_the_time() -> None:
    """What chance makes of equals stays within the doubt."""
    factors = [heard(dict.fromkeys("abcd", 1e-3), 64, seed).factor(name) for seed in range(20) for name in "abcd"]
    assert np.mean([one == 1.0 for one in factors]) > 0.8
    assert max(factors) < 1.5


def test_outliers_do_not_decide() -> None:
    """Equal servers of which one errs by a thousand times its usual size now and then remain equal."""
    rng, noise = np.random.default_rng(4), ServerNoise()
    for turn in range(200):
        noise.add("a", 1e-4 * float(rng.standard_normal()) * (1000.0 if turn % 40 == 7 else 1.0))
        noise.add("b", 1e-4 * float(rng.standard_normal()))
    assert 0.8 < noise.factor("a") / noise.factor("b") < 1.25


def test_zero_residuals_are_no_scale() -> None:
    """Servers that never err divide by nothing."""
    noise = heard({"a": 0.0, "b": 0.0}, 50)
    assert noise.factor("a") == 1.0


def test_a_near_server_is_followed_beside_far_ones() -> None:
    """A LAN server among two across an ocean: the line is within a few of its deviations, not of theirs."""
    rng, floor, errors = np.random.default_rng(5), Floor(Tuning()), []
    for i in range(900):
        name, size_s = (("near", 1e-5), ("far", 1e-3), ("farther", 2e-3))[i % 3]
        out, back = size_s * rng.exponential(size=2)
        theta_ns, delay_s = round((out - back) / 2 * S), 20 * size_s + out + back
        one = Fix(
            raw_ns=20 * i * S,
            theta_ns=theta_ns,
            delay_s=delay_s,
            root_distance_s=delay_s / 2,
            server=name,
            survivors=(name,),
            earliest_theta_ns=theta_ns - round(delay_s * S),
            latest_theta_ns=theta_ns + round(delay_s * S),
        )
        state = floor.update(one).state
        assert state is not None
        errors.append(abs(state.theta_at_ns(one.raw_ns)) / S)
    assert np.mean(errors[300:]) < 1e-5


def test_the_bench_shows_a_gain_where_servers_differ() -> None:
    """A short form of tests/bench/unequal_servers.py: a LAN server among far ones."""
    row = module(BENCH / "unequal_servers.py").run("a LAN and the Internet", 64.0, 1.0, range(1))
    assert row["ratio"] < 0.8
    assert row["mae_us"]["at_fixes"] < 0.1 * row["newest_fix_us"]
