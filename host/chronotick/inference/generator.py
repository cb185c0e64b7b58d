"""Simulated clocks in the surroundings of a real machine: load makes heat, and heat changes the oscillator's rate."""

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# Rate per degree, s/s/K: a cheap crystal some way from the top of its parabola.
RATE_PER_DEGREE: Final = 1e-8
# Base rate, s/s; random walk of the rate, s/s/sqrt(s); deviation of one measurement, s.
BASE_RATE: Final = 1e-6
WANDER: Final = 2e-10
NOISE_S: Final = 8e-6
# The crystal follows the temperature around it with this time constant, s.
THERMAL_LAG_S: Final = 120.0


class Scenario(msgspec.Struct, frozen=True, eq=False):
    """A simulated stretch of time, one point each second.

    Attributes:
        offset_s: float64, shape (n,), measured offset, s.
        truth_s: float64, shape (n,), the same without the noise of measuring.
        metrics: by name, float64, shape (n,): cpu_usage (%), temperature (degrees Celsius), memory_usage (%).
    """

    offset_s: Vector
    truth_s: Vector
    metrics: dict[str, Vector]


class ClockDataGenerator:
    """Makes offsets and the system metrics that go with them. The same seed makes the same data."""

    def __init__(self, seed: int = 42) -> None:
        self._rng = np.random.default_rng(seed)

    def generate_offset_sequence(self, length: int, temperature: Vector | None = None) -> Vector:
        """Measured offsets of a drifting clock.

        Args:
            length: points, >= 1, one each second.
            temperature: float64, shape (length,), degrees Celsius; steady where it is not given. It acts on the rate.

        Raises:
            ValueError: no length, or a temperature of another one.
        """
        return self._offsets(length, temperature)[0]

    def generate_realistic_scenario(self, name: str, duration_seconds: int) -> tuple[Vector, dict[str, Vector]]:
        """Measured offsets, s, and system metrics of `server_load`, `thermal_cycle` or `network_spike`.

        Raises:
            ValueError: there is no such scenario, or no duration.
        """
        scenario = self.simulate(name, duration_seconds)
        return scenario.offset_s, scenario.metrics

    def simulate(self, name: str, duration_seconds: int) -> Scenario:
        """The same, with the truth beside the measurements."""
        if name not in SCENARIOS:
            raise ValueError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
        _demand_length(duration_seconds)
        metrics = SCENARIOS[name](np.arange(float(duration_seconds)), self._rng)
        metrics["memory_usage"] = np.clip(40 + 0.02 * np.cumsum(self._rng.standard_normal(duration_seconds)), 5, 95)
        offset_s, truth_s = self._offsets(duration_seconds, metrics["temperature"])
        return Scenario(offset_s, truth_s, metrics)

    def _offsets(self, length: int, temperature: Vector | None) -> tuple[Vector, Vector]:
        _demand_length(length)
        if temperature is None:
            temperature = np.zeros(length)
        if temperature.shape != (length,):
            raise ValueError(f"the temperature has shape {temperature.shape}, and the offsets have ({length},)")
        warmth, followed = float(temperature[0]), np.empty(length)
        for i, one in enumerate(temperature.tolist()):
            warmth += (one - warmth) / THERMAL_LAG_S
            followed[i] = warmth
        rate = BASE_RATE + RATE_PER_DEGREE * (followed - followed[0])
        rate = rate + WANDER * np.cumsum(self._rng.standard_normal(length))
        truth_s = np.cumsum(rate)
        return truth_s + NOISE_S * self._rng.standard_normal(length), truth_s


def _server_load(t: Vector, rng: np.random.Generator) -> dict[str, Vector]:
    cpu = np.clip(30 + 40 * np.sin(2 * np.pi * t / 1800) + 2 * rng.standard_normal(len(t)), 0, 100)
    return {"cpu_usage": cpu, "temperature": 65 + 0.2 * cpu}


def _thermal_cycle(t: Vector, rng: np.random.Generator) -> dict[str, Vector]:
    cpu = np.clip(20 + 3 * rng.standard_normal(len(t)), 0, 100)
    return {"cpu_usage": cpu, "temperature": 50 + 20 * np.sin(2 * np.pi * t / 7200)}


def _network_spike(t: Vector, rng: np.random.Generator) -> dict[str, Vector]:
    spikes = (rng.random(len(t)) < 0.001) * rng.uniform(40, 80, len(t))
    cpu = np.clip(15 + 3 * rng.standard_normal(len(t)) + spikes, 0, 100)
    return {"cpu_usage": cpu, "temperature": 55 + 0.1 * cpu}


def _demand_length(length: int) -> None:
    if length < 1:
        raise ValueError(f"a sequence has at least one point, not {length}")


SCENARIOS: Final[dict[str, Callable[[Vector, np.random.Generator], dict[str, Vector]]]] = {
    "server_load": _server_load,
    "thermal_cycle": _thermal_cycle,
    "network_spike": _network_spike,
}
"""Names of the scenarios, and what makes their metrics."""
