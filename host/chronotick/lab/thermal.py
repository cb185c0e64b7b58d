"""A crystal that follows its temperature: the room's, and the processor's, whose sensor shows it earlier.

Everything advances from node to node in the closed form of a first-order lag; in between, temperatures and the rate are
straight lines, so that the phase is a parabola in each segment, as that of the walk is.
"""

import math
from typing import Final

import msgspec
import numpy as np

from chronotick.lab.nodes import CHUNK, refuse_beyond
from chronotick.lab.scenario import LoadConfig, ThermalConfig
from chronotick.units import PPM

# Temperature at which `ppm_per_c` and `ppm_per_c2` add nothing, degrees Celsius.
REFERENCE_C: Final = 22.0
# Nodes per shortest time constant.
NODES_PER_LAG: Final = 4
# A cycle has at least so many nodes, whatever the lags.
NODES_PER_CYCLE: Final = 64
# A spell is never shorter than this share of its mean.
LEAST_SPELL: Final = 0.1


class Climate(msgspec.Struct, frozen=True):
    """What sensors show at one instant.

    Attributes:
        temperature_c: of the processor.
        load: 0 to 1.
        crystal_c: of the crystal, which no machine has a sensor for.
    """

    temperature_c: float
    load: float
    crystal_c: float


class Spells:
    """Busy and idle in turn."""

    def __init__(self, config: LoadConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self._end_s = 0.0
        self._busy = bool(rng.random() < 0.5)
        self._load = config.idle

    def at(self, tau_s: float) -> float:
        """Load at `tau_s`; asked for in ascending order."""
        config = self._config
        while tau_s >= self._end_s:
            self._busy = not self._busy
            mean_s = config.busy_s if self._busy else config.idle_s
            share = max(1.0 + config.irregularity * self._rng.standard_normal(), LEAST_SPELL)
            self._end_s += mean_s * share
            self._load = self._rng.uniform(config.busy_least, 1.0) if self._busy else config.idle
        return self._load


class Thermal:
    """The part of an oscillator's rate that its temperature makes, and what the sensors say meanwhile."""

    def __init__(self, config: ThermalConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        lags_s = [config.crystal_s, config.cycle_s * NODES_PER_LAG / NODES_PER_CYCLE]
        if config.load is not None:
            lags_s.append(config.processor_s)
        self._step_s = min(lags_s) / NODES_PER_LAG
        self._spells = Spells(config.load, rng) if config.load is not None else None
        self._turns = float(rng.uniform())
        self._weather_c = config.weather_c * float(rng.standard_normal())
        self._load: list[float] = []
        self._processor_c: list[float] = []
        self._crystal_c: list[float] = []
        self._rate: list[float] = []
        self._phase_s: list[float] = []

    def _segment(self, tau_s: float) -> tuple[int, float]:
        """Index of the node at or before `tau_s`, and the share of the segment since."""
        i = int(tau_s / self._step_s)
        while i + 1 >= len(self._rate):
            refuse_beyond(len(self._rate))
            for _ in range(CHUNK):
                self._extend()
        return i, tau_s / self._step_s - i

    def _extend(self) -> None:
        config, step_s, tau_s = self._config, self._step_s, len(self._rate) * self._step_s
        fade = math.exp(-step_s / (config.cycle_s / 4))
        turn = math.tau * (tau_s / config.cycle_s + self._turns)
        room_c = config.room_c + config.cycle_c * math.sin(turn) + self._weather_c
        # Weather is an Ornstein-Uhlenbeck process: its next value is known in closed form, too.
        push = config.weather_c * math.sqrt(1.0 - fade**2) * float(self._rng.standard_normal())
        self._weather_c = fade * self._weather_c + push
        load = self._spells.at(tau_s) if self._spells is not None else 0.0
        if not self._rate:
            processor_c = room_c + config.heat_c * load
            crystal_c = room_c + config.crystal_share * config.heat_c * load
        else:
            processor_c = _lag(self._processor_c[-1], room_c + config.heat_c * load, step_s / config.processor_s)
            # What the crystal is heated to: the room, and its share of what the processor is above it.
            towards_c = room_c + config.crystal_share * (processor_c - room_c)
            crystal_c = _lag(self._crystal_c[-1], towards_c, step_s / config.crystal_s)
        above_c = crystal_c - REFERENCE_C
        rate = (config.ppm_per_c * above_c + config.ppm_per_c2 * above_c**2) * PPM
        self._phase_s.append(self._phase_s[-1] + (self._rate[-1] + rate) * step_s / 2 if self._rate else 0.0)
        self._load.append(load)
        self._processor_c.append(processor_c)
        self._crystal_c.append(crystal_c)
        self._rate.append(rate)

    def rate(self, tau_s: float) -> float:
        """Rate at `tau_s` >= 0, s/s."""
        i, share = self._segment(tau_s)
        return _between(self._rate, i, share)

    def phase_s(self, tau_s: float) -> float:
        """Integral of the rate from 0 to `tau_s` >= 0."""
        i, share = self._segment(tau_s)
        since_s = share * self._step_s
        return self._phase_s[i] + since_s * (self._rate[i] + _between(self._rate, i, share)) / 2

    def climate(self, tau_s: float) -> Climate:
        """What the sensors show at `tau_s` >= 0."""
        i, share = self._segment(tau_s)
        return Climate(
            temperature_c=_between(self._processor_c, i, share),
            load=self._load[i],
            crystal_c=_between(self._crystal_c, i, share),
        )


def _lag(value: float, towards: float, steps: float) -> float:
    """A first-order lag, `steps` time constants later."""
    return towards + (value - towards) * math.exp(-steps)


def _between(nodes: list[float], i: int, share: float) -> float:
    return nodes[i] + share * (nodes[i + 1] - nodes[i])
