"""The oscillator: its phase is the integral of its rate, the same in any order, and time compression scales it."""

import math
import statistics

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronotick.errors import LabError
from chronotick.lab.oscillator import Oscillator
from chronotick.lab.presets import demo
from chronotick.lab.scenario import (
    LoadConfig,
    OscillatorConfig,
    SineConfig,
    StepConfig,
    ThermalConfig,
    WarmUpConfig,
)

PARTS = {
    "base": OscillatorConfig(base_ppm=-7.5),
    "sine": OscillatorConfig(base_ppm=0, sines=(SineConfig(amplitude_ppm=2, period_s=700, phase_turns=0.3),)),
    "two harmonics": OscillatorConfig(
        base_ppm=0, sines=(SineConfig(amplitude_ppm=2, period_s=700, second_harmonic=0.7),)
    ),
    "wandering": OscillatorConfig(
        base_ppm=0,
        sines=(SineConfig(amplitude_ppm=2, period_s=700, second_harmonic=0.4, wander_turns=0.2),),
    ),
    "walk": OscillatorConfig(base_ppm=0, walk_ppb_per_sqrt_s=5),
    "warm-up": OscillatorConfig(base_ppm=0, warm_up=WarmUpConfig(amplitude_ppm=3, time_constant_s=250)),
    "rate step": OscillatorConfig(base_ppm=0, steps=(StepConfig(at_s=800, rate_ppm=4),)),
    "room": OscillatorConfig(
        base_ppm=0, thermal=ThermalConfig(cycle_c=3, cycle_s=900, weather_c=1, crystal_s=60, ppm_per_c=0.3)
    ),
    "load": OscillatorConfig(
        base_ppm=0, thermal=ThermalConfig(load=LoadConfig(busy_s=200, idle_s=200), ppm_per_c=0.3, ppm_per_c2=0.02)
    ),
    "all": OscillatorConfig(
        time_compression=7,
        base_ppm=12,
        sines=(
            SineConfig(amplitude_ppm=1, period_s=900, wander_turns=0.05, second_harmonic=0.2),
            SineConfig(amplitude_ppm=0.3, period_s=5000),
        ),
        walk_ppb_per_sqrt_s=3,
        warm_up=WarmUpConfig(amplitude_ppm=-2, time_constant_s=600),
        steps=(StepConfig(at_s=1400, rate_ppm=-1),),
        thermal=ThermalConfig(cycle_c=3, cycle_s=900, load=LoadConfig(busy_s=300, idle_s=200)),
    ),
}


@pytest.mark.parametrize("config", PARTS.values(), ids=PARTS.keys())
def test_phase_is_the_integral_of_the_rate(config: OscillatorConfig) -> None:
    """Summing the rate in small steps gives the phase, up to the sum's own error."""
    oscillator = Oscillator(config, seed=3)
    step_s = 0.1 / config.time_compression
    total_s = 0.0
    for i in range(20_000):
        total_s += oscillator.rate((i + 0.5) * step_s) * step_s
        if i % 499 == 0:
            assert oscillator.phase_s((i + 1) * step_s) == pytest.approx(total_s, rel=1e-5, abs=2e-10)
    assert abs(total_s) > 1e-6


def test_an_offset_step_adds_to_the_phase_once() -> None:
    """A step of 3 ms at 10 s is there from 10 s on, and not before."""
    oscillator = Oscillator(OscillatorConfig(base_ppm=0, steps=(StepConfig(at_s=10, offset_ms=3),)), seed=1)
    assert [oscillator.phase_s(t) for t in (0, 9.999, 10, 11)] == [0, 0, 0.003, 0.003]


@given(st.lists(st.floats(min_value=0, max_value=5000), min_size=2, max_size=12), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_the_order_of_questions_does_not_matter(instants: list[float], seed: int) -> None:
    """Two oscillators asked for the same instants in opposite orders answer the same, bit for bit."""
    one, other = Oscillator(PARTS["all"], seed), Oscillator(PARTS["all"], seed)
    forwards = {t: one.phase_s(t) for t in instants}
    backwards = {t: other.phase_s(t) for t in reversed(instants)}
    assert forwards == backwards


def test_seeds_differ_and_parts_draw_apart() -> None:
    """Another seed is another walk; taking the cycle away leaves the walk as it was."""
    config = PARTS["all"]
    assert Oscillator(config, 1).phase_s(300) != Oscillator(config, 2).phase_s(300)
    walk = OscillatorConfig(base_ppm=0, walk_ppb_per_sqrt_s=3)
    both = msgspec.structs.replace(walk, sines=(SineConfig(amplitude_ppm=1, period_s=900),))
    alone = Oscillator(OscillatorConfig(base_ppm=0, sines=both.sines), 1)
    difference = Oscillator(both, 1).phase_s(300) - alone.phase_s(300)
    assert difference == pytest.approx(Oscillator(walk, 1).phase_s(300), rel=1e-9)


@pytest.mark.parametrize("part", ["base", "wandering", "warm-up", "rate step"])
def test_compression_runs_the_same_physics_faster(part: str) -> None:
    """60 times compressed, offsets are those of 60 times later, and rates 60 times larger."""
    real = Oscillator(PARTS[part], 5)
    fast = Oscillator(msgspec.structs.replace(PARTS[part], time_compression=60), 5)
    for t in (0.0, 3.3, 17.0, 40.0):
        assert fast.phase_s(t) == pytest.approx(real.phase_s(60 * t), rel=1e-12)
        assert fast.rate(t) == pytest.approx(60 * real.rate(60 * t), rel=1e-12)


@pytest.mark.parametrize("k", [1.0, 60.0])
def test_a_walk_has_the_strength_it_says(k: float) -> None:
    """The rate's change over 200 s is of 5 ppb sqrt(200), times k^1.5 when compressed (200 walks: within 15 %)."""
    config = OscillatorConfig(base_ppm=0, walk_ppb_per_sqrt_s=5, time_compression=k)
    changes = [Oscillator(config, seed).rate(200.0) for seed in range(200)]
    assert statistics.pstdev(changes) == pytest.approx(5e-9 * math.sqrt(200) * k**1.5, rel=0.15)
    assert abs(statistics.mean(changes)) < 0.3 * statistics.pstdev(changes)


def test_before_the_start_theta_is_a_line() -> None:
    """Instants before the start continue the start's rate backwards."""
    oscillator = Oscillator(PARTS["all"], 1)
    assert oscillator.phase_s(-2) == -2 * oscillator.rate(0)
    assert oscillator.phase_s(0) == 0


def test_an_absurd_instant_is_refused() -> None:
    """An instant of another boot is an error, not an endless loop."""
    with pytest.raises(LabError, match="absurdly far"):
        Oscillator(PARTS["walk"], 1).phase_s(1e9)


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_demo_makes_a_straight_line_fail(seed: int) -> None:
    """Over the demo's outage a line with the true rate errs by more than 150 us on average; rates stay in bounds."""
    scenario = demo()
    oscillator = Oscillator(scenario.oscillator, seed)
    outage = scenario.outages[0]
    start, rate = oscillator.phase_s(outage.start_s), oscillator.rate(outage.start_s)
    ahead = [h / 4 for h in range(int(4 * (outage.end_s - outage.start_s)))]
    errors = [abs(oscillator.phase_s(outage.start_s + h) - start - rate * h) for h in ahead]
    assert statistics.mean(errors) > 150e-6
    assert all(abs(oscillator.rate(t / 10)) < 60 * 50e-6 for t in range(1000))
