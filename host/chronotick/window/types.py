"""What a model sees: measurements only, on a role's grid."""

import msgspec
import numpy as np
from numpy.typing import NDArray


class Covariates(msgspec.Struct, frozen=True, eq=False):
    """Covariates on a window's grid.

    Attributes:
        names: of the rows, some of `window.covariates.NAMES` in their order; none that was not seen in the window.
        values: float64, shape (c, n), oldest first, in the sensors' units; NaN where a sensor was silent.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]


class Window(msgspec.Struct, frozen=True, eq=False):
    """The smoothed rate of the oscillator on a regular grid that ends at `origin_raw_ns`.

    Attributes:
        role: name of the role whose grid this is.
        epoch: `ClockState.epoch` at the origin.
        origin_raw_ns: raw clock of the last point; the window's future starts here.
        t0_raw_ns: raw clock of the first point; `t0_raw_ns + (n - 1) * step_ns == origin_raw_ns`.
        step_ns: grid step.
        rate: float64, shape (n,), s/s, oldest first; NaN where no fix lies near (gap).
        series_rate: the smoother's rate at the origin, s/s: what the forecast's first step starts from.
        floor_rate: the floor's rate at the origin, s/s: what the correction is anchored on.
        span_s: seconds of real history in the window.
        covariates: temperature and load on the same grid; None where they are not asked for, or there are none.
    """

    role: str
    epoch: int
    origin_raw_ns: int
    t0_raw_ns: int
    step_ns: int
    rate: NDArray[np.float64]
    series_rate: float
    floor_rate: float
    span_s: float
    covariates: Covariates | None = None


class NotReady(msgspec.Struct, frozen=True):
    """There is no window yet, and why, in one sentence."""

    role: str
    reason: str
