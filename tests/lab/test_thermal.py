"""Temperature and load drive the rate through a lag, and the sensors show them."""

import numpy as np
import pytest

from chronotick.lab.oscillator import Oscillator
from chronotick.lab.presets import server_load, thermal_cycle
from chronotick.lab.scenario import LoadConfig, OscillatorConfig, ThermalConfig
from chronotick.lab.thermal import Climate


def climate(oscillator: Oscillator, t_s: float) -> Climate:
    found = oscillator.climate(t_s)
    assert found is not None
    return found


def test_without_a_thermal_part_there_are_no_sensors() -> None:
    """An oscillator whose rate does not follow a temperature has none to show."""
    assert Oscillator(OscillatorConfig(), 1).climate(5.0) is None


@pytest.mark.parametrize("scenario", [thermal_cycle(), server_load()], ids=lambda one: one.name)
def test_the_rate_is_the_temperature_of_the_crystal(scenario: object) -> None:
    """Rate minus base is ppm_per_c times the crystal's distance from 22 degrees, at every instant."""
    config = OscillatorConfig(thermal=scenario.oscillator.thermal)  # type: ignore[attr-defined]
    oscillator = Oscillator(config, 3)
    for t_s in np.linspace(0, 20_000, 77):
        above_c = climate(oscillator, t_s).crystal_c - 22.0
        expected = 1e-6 * (config.base_ppm + config.thermal.ppm_per_c * above_c)
        assert oscillator.rate(t_s) == pytest.approx(expected, rel=1e-9)


def test_the_sensor_is_earlier_than_the_crystal() -> None:
    """Over a day of loads the crystal's temperature fits the sensor's of some minutes before best."""
    oscillator = Oscillator(server_load().oscillator, 5)
    shown = [climate(oscillator, t_s) for t_s in np.arange(0.0, 86_400.0, 60.0)]
    sensor = np.array([one.temperature_c for one in shown])
    crystal = np.array([one.crystal_c for one in shown])
    fits = [np.corrcoef(sensor[: len(sensor) - lag], crystal[lag:])[0, 1] for lag in range(30)]
    assert 3 <= int(np.argmax(fits)) <= 12
    assert {one.load for one in shown} != {shown[0].load}


def test_load_lies_in_its_bounds_and_takes_its_turns() -> None:
    """Busy and idle spells have about the lengths asked for, and the loads asked for."""
    load = LoadConfig(busy_s=600, idle_s=1800, irregularity=0.2, idle=0.1, busy_least=0.6)
    oscillator = Oscillator(OscillatorConfig(thermal=ThermalConfig(load=load)), 2)
    seen = np.array([climate(oscillator, t_s).load for t_s in np.arange(0.0, 400_000.0, 20.0)])
    busy = seen > 0.1
    assert ((seen == 0.1) | ((seen >= 0.6) & (seen <= 1.0))).all()
    assert busy.mean() == pytest.approx(0.25, abs=0.03)


def test_compression_makes_the_sensors_faster_too() -> None:
    """Ten times faster physics shows after 100 s what the real one shows after 1000 s."""
    thermal = thermal_cycle().oscillator.thermal
    real, fast = (Oscillator(OscillatorConfig(thermal=thermal, time_compression=k), 4) for k in (1, 10))
    assert climate(fast, 100.0) == climate(real, 1000.0)
