"""The machine's sensors, for models that take covariates: processor temperature, load and frequency.

Reading them can take milliseconds, and on some boards much longer, so it is done in a thread of its own. What a machine
does not have is None, and said once.
"""

import logging
from typing import Any, Final

import psutil

from chronotick.clock import timebase
from chronotick.window.covariates import NAMES, Sensed

log: logging.Logger = logging.getLogger("chronotick.host")

# Chips that measure the processor itself, the best one first; else whatever there is.
CHIPS: Final = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "acpitz")
# A sensor that says less or more than this is broken, degrees Celsius.
PLAUSIBLE_C: Final = (-40.0, 150.0)


class Sensors:
    """Reads what psutil knows of this machine. Not for several threads at once."""

    def __init__(self) -> None:
        self._times: tuple[float, float] | None = None
        self._told = False

    def read(self) -> Sensed:
        """One look. The load is that since the last look, and None at the first."""
        sensed = Sensed(
            raw_ns=timebase.raw_ns(),
            temperature_c=_temperature_c(),
            load=self._load(),
            frequency_ghz=_frequency_ghz(),
        )
        if not self._told and self._times is not None and sensed.load is not None:
            self._told = True
            missing = [name for name in NAMES if getattr(sensed, name) is None]
            log.info(
                "covariates: %s%s",
                ", ".join(name for name in NAMES if name not in missing),
                f"; this machine has no sensor for {', '.join(missing)}" if missing else "",
            )
        return sensed

    def _load(self) -> float | None:
        """Share of all processors' time that was not idle since the last call."""
        times = psutil.cpu_times()
        # guest times are counted in user and nice already.
        total = sum(value for name, value in times._asdict().items() if not name.startswith("guest"))
        idle = times.idle + getattr(times, "iowait", 0.0)
        before, self._times = self._times, (total, idle)
        if before is None or total <= before[0]:
            return None
        busy = 1.0 - float(idle - before[1]) / float(total - before[0])
        return min(max(busy, 0.0), 1.0)


def _temperature_c() -> float | None:
    """Mean over the sensors of the chip that is nearest to the processor."""
    # Not on every system: psutil leaves the function out where there is none.
    ask: Any = getattr(psutil, "sensors_temperatures", None)
    if ask is None:
        return None
    try:
        found: dict[str, list[Any]] = ask()
    except (OSError, RuntimeError):
        return None
    for chip in sorted(found, key=lambda name: CHIPS.index(name) if name in CHIPS else len(CHIPS)):
        values = [one.current for one in found[chip] if one.current is not None]
        values = [value for value in values if PLAUSIBLE_C[0] < value < PLAUSIBLE_C[1]]
        if values:
            return float(sum(values) / len(values))
    return None


def _frequency_ghz() -> float | None:
    try:
        frequency: Any = psutil.cpu_freq()
    except (OSError, RuntimeError, NotImplementedError, AttributeError):
        return None
    return float(frequency.current) / 1e3 if frequency is not None and frequency.current else None
