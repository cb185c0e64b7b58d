"""The machine's sensors: what psutil says becomes a reading, and what it does not have is None, said once."""

import logging
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from chronotick.ops.sensors import Sensors


class Times:
    """psutil.cpu_times of a machine, one look after the other."""

    def __init__(self, *looks: tuple[float, float]) -> None:
        self._looks = iter(looks)

    def __call__(self) -> Any:
        busy, idle = next(self._looks)
        fields = {"user": busy, "idle": idle, "iowait": 1.0, "guest": busy}
        return SimpleNamespace(**fields, _asdict=lambda: fields)


def degrees(*values: float) -> list[Any]:
    return [SimpleNamespace(current=value) for value in values]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with all sensors, that is busy a quarter of the time."""
    chips = {"nvme": degrees(35.0), "coretemp": degrees(50.0, 60.0, -273.0), "acpitz": degrees(20.0)}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: chips, raising=False)
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(current=2500.0))
    monkeypatch.setattr(psutil, "cpu_times", Times((10, 10), (11, 13), (12, 16)))
    return monkeypatch


def test_a_reading_is_the_processors(machine: pytest.MonkeyPatch) -> None:
    """The processor's chip is taken, broken sensors are not, guests are not counted twice, GHz are GHz."""
    sensors = Sensors()
    first, second = sensors.read(), sensors.read()
    assert first.load is None
    assert (second.temperature_c, second.load, second.frequency_ghz) == (55.0, 0.25, 2.5)
    assert first.raw_ns < second.raw_ns


def test_missing_sensors_are_said_once(machine: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """No thermometer (a virtual machine) and a frequency that can not be read: None, and one line in the log."""

    def fail() -> Any:
        raise OSError("no such file")

    machine.delattr(psutil, "sensors_temperatures")
    machine.setattr(psutil, "cpu_freq", fail)
    caplog.set_level(logging.INFO, "chronotick.host")
    sensors = Sensors()
    for _ in range(3):
        sensed = sensors.read()
    assert (sensed.temperature_c, sensed.load, sensed.frequency_ghz) == (None, 0.25, None)
    assert [record.getMessage() for record in caplog.records] == [
        "covariates: load; this machine has no sensor for temperature_c, frequency_ghz"
    ]


def test_this_machine_can_be_read() -> None:
    """Whatever sensors there are here: the load is a share, and the rest is plausible or None."""
    sensors = Sensors()
    sensors.read()
    sensed = sensors.read()
    assert sensed.load is None or 0 <= sensed.load <= 1
    assert sensed.temperature_c is None or -40 < sensed.temperature_c < 150
    assert sensed.frequency_ghz is None or 0 < sensed.frequency_ghz < 20
