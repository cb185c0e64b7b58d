"""What is measured beside the clock (temperature, load, frequency), kept by the raw clock and put on a window's grid.

An oscillator's rate follows its temperature, and that follows the load. Sensors are read about once a second; what is
kept are means over a quarter of the shortest grid step that asks for them, so that days of them stay small.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.config.schema import RoleConfig
from chronotick.units import NS_PER_S, s_to_ns
from chronotick.window.presets import history_span_s
from chronotick.window.types import Covariates, Window

NAMES: Final = ("temperature_c", "load", "frequency_ghz")
"""The covariates there can be, in the order in which models get them."""

# Cells of the store per grid step of the role with the shortest one.
_CELLS_PER_STEP: Final = 4


class Sensed(msgspec.Struct, frozen=True):
    """One look at the sensors; None where the machine has none.

    Attributes:
        raw_ns: raw clock when it was taken.
        temperature_c: of the processor, degrees Celsius.
        load: share of all processors that was busy since the last look, 0 to 1.
        frequency_ghz: mean of the processors' clock frequencies.
    """

    raw_ns: int
    temperature_c: float | None = None
    load: float | None = None
    frequency_ghz: float | None = None


class CovariateLog:
    """What the sensors said, newest `span_s`.

    Args:
        span_s: older than this before the newest is forgotten, s.
        cell_s: readings are averaged over cells of this length, s.
        wanted: whether any role uses covariates; if none does, nobody needs to read sensors.
    """

    def __init__(self, *, span_s: float, cell_s: float, wanted: bool = True) -> None:
        if not span_s >= cell_s > 0:
            raise ValueError(f"cells of {cell_s} s in a span of {span_s} s")
        self.wanted: bool = wanted
        self._cell_ns = s_to_ns(cell_s)
        self._size = int(span_s / cell_s) + 2
        # A ring: the cell with number c, counted from raw clock 0, lies at c modulo the size.
        self._number = np.full(self._size, -1, np.int64)
        self._sum = np.zeros((len(NAMES), self._size))
        self._count = np.zeros((len(NAMES), self._size))

    @classmethod
    def of(cls, roles: Sequence[RoleConfig]) -> "CovariateLog":
        """One that is long and fine enough for the roles that use covariates."""
        users = [role for role in roles if role.use_covariates]
        if not users:
            return cls(span_s=1.0, cell_s=1.0, wanted=False)
        step_s = min(role.step_s for role in users)
        return cls(span_s=history_span_s(users, least_s=step_s), cell_s=step_s / _CELLS_PER_STEP)

    def take(self, sensed: Sensed) -> None:
        """Take in one reading. What is not finite, and what is older than the span, is not taken."""
        number = sensed.raw_ns // self._cell_ns
        at = number % self._size
        if self._number[at] > number:
            return
        if self._number[at] < number:
            self._number[at] = number
            self._sum[:, at] = self._count[:, at] = 0.0
        for row, name in enumerate(NAMES):
            value = getattr(sensed, name)
            if value is not None and np.isfinite(value):
                self._sum[row, at] += value
                self._count[row, at] += 1

    def beside(self, window: Window, role: RoleConfig) -> Window:
        """The window with the covariates of its grid, where its role uses them and there are any."""
        if not role.use_covariates:
            return window
        found = self.on_grid(window.t0_raw_ns, window.step_ns, len(window.rate))
        return msgspec.structs.replace(window, covariates=found)

    def on_grid(self, t0_raw_ns: int, step_ns: int, n: int) -> Covariates | None:
        """Means around each grid point, half a step to each side; the last point, the origin, has only its past.

        Returns:
            None where no sensor said anything in that time.
        """
        centre_ns = self._number * self._cell_ns + self._cell_ns // 2
        place = (centre_ns - t0_raw_ns + step_ns // 2) // step_ns
        origin_ns = t0_raw_ns + (n - 1) * step_ns
        inside = (self._number >= 0) & (place >= 0) & (place < n) & (centre_ns <= origin_ns)
        where = place[inside]
        total = np.array([np.bincount(where, row[inside], n) for row in self._sum])
        count = np.array([np.bincount(where, row[inside], n) for row in self._count])
        seen: NDArray[np.bool_] = count.sum(axis=1) > 0
        if not seen.any():
            return None
        values = np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
        return Covariates(tuple(name for name, there in zip(NAMES, seen, strict=True) if there), values[seen])

    @property
    def cell_s(self) -> float:
        """Length of the cells, s."""
        return self._cell_ns / NS_PER_S
