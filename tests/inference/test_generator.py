"""The simulated clocks of the embedding interface."""

import numpy as np
import pytest

from chronotick.inference import SCENARIOS, ClockDataGenerator
from chronotick.inference.generator import NOISE_S, RATE_PER_DEGREE


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_makes_the_same_data(name: str) -> None:
    """And another seed other data; all of one length, finite, and shares within 0 to 100."""
    one, metrics = ClockDataGenerator(3).generate_realistic_scenario(name, 400)
    same, _ = ClockDataGenerator(3).generate_realistic_scenario(name, 400)
    other, _ = ClockDataGenerator(4).generate_realistic_scenario(name, 400)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert {len(one), *(len(values) for values in metrics.values())} == {400}
    assert np.isfinite(one).all()
    assert 0 <= metrics["cpu_usage"].min() <= metrics["cpu_usage"].max() <= 100


def test_server_load_follows_its_formulas() -> None:
    """CPU swings by 40 around 30 with 1800 s, clipped, and warms by 0.2 degrees per percent from 65."""
    _, metrics = ClockDataGenerator(1).generate_realistic_scenario("server_load", 1800)
    cpu = metrics["cpu_usage"]
    wanted = np.clip(30 + 40 * np.sin(2 * np.pi * np.arange(1800) / 1800), 0, 100)
    assert np.abs(cpu - wanted).mean() < 2.0
    assert metrics["temperature"] == pytest.approx(65 + 0.2 * cpu)


def test_thermal_cycle_and_spikes_follow_theirs() -> None:
    """20 degrees around 50 in two hours; spikes of 40 to 80 percent about once in a thousand seconds."""
    _, thermal = ClockDataGenerator(1).generate_realistic_scenario("thermal_cycle", 7200)
    assert (thermal["temperature"].min(), thermal["temperature"].max()) == pytest.approx((30, 70), abs=0.01)
    _, network = ClockDataGenerator(1).generate_realistic_scenario("network_spike", 50_000)
    spikes = network["cpu_usage"] > 40
    assert 20 < spikes.sum() < 90


def test_temperature_acts_on_the_rate_and_on_the_offset_only_through_it() -> None:
    """A step of ten degrees bends the offset and does not move it: the rate ends higher by the coefficient."""
    step = np.where(np.arange(4000) < 2000, 20.0, 30.0)
    warm = ClockDataGenerator(5).generate_offset_sequence(4000, step)
    level = ClockDataGenerator(5).generate_offset_sequence(4000, np.full(4000, 20.0))
    moved = warm - level
    assert np.abs(moved[:2000]).max() == 0.0
    assert abs(moved[2001]) < 1e-8
    assert moved[-1] - moved[-1001] == pytest.approx(1000 * 10 * RATE_PER_DEGREE, rel=0.01)


def test_the_noise_is_that_of_measuring() -> None:
    """Measured minus true has the stated deviation."""
    scenario = ClockDataGenerator(2).simulate("server_load", 5000)
    assert np.std(scenario.offset_s - scenario.truth_s) == pytest.approx(NOISE_S, rel=0.05)


@pytest.mark.parametrize(("name", "seconds"), [("no_such", 10), ("server_load", 0)])
def test_what_can_not_be_made_is_refused(name: str, seconds: int) -> None:
    """An unknown scenario, and no time at all."""
    with pytest.raises(ValueError):
        ClockDataGenerator().generate_realistic_scenario(name, seconds)


def test_a_temperature_of_another_length_is_refused() -> None:
    """With both shapes."""
    with pytest.raises(ValueError, match=r"\(3,\)"):
        ClockDataGenerator().generate_offset_sequence(10, np.zeros(3))
