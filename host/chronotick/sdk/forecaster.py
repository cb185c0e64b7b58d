"""What a plugin author implements, and what it is given."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from chronotick.wire.messages import Capabilities, Scalar

Progress: TypeAlias = Callable[[float, str], None]
"""Called with a fraction 0 to 1 and one line for people, as often as one likes."""


class Params(Struct, frozen=True, kw_only=True):
    """What the host wants loaded.

    Attributes:
        values: as configured. Known keys: repo, size, revision, path (a local folder, wins over repo), device.
        seed: for every source of randomness; equal requests get equal answers.
        threads: for computing; OMP_NUM_THREADS says the same before any library loads.
    """

    values: dict[str, Scalar]
    seed: int = 0
    threads: int = 1

    def text(self, key: str, default: str = "") -> str:
        """The value of a key as text; `default` where it is missing or empty."""
        return str(self.values.get(key, "")) or default


class Batch(Struct, frozen=True, kw_only=True, eq=False):
    """One request: k windows of n points on one grid.

    Attributes:
        values: float64, shape (k, n), oldest first, NaN where there is a gap; no window is all gap.
        horizon: points to forecast.
        levels: quantile levels wanted, strictly ascending, all of them in the capabilities.
        t0_ns: instant of the first point; step_ns: of the grid.
        covariates: float64, shape (k, c, n), or None; future: float64, shape (k, c, horizon), or None. In units of
            their own, such as degrees; NaN where there is a gap, and one may be all gap. The host knows no future.
        seed: as in `Params`.
        deadline_mono_ns: CLOCK_MONOTONIC of this machine after which nobody waits for the answer.
        cancelled: True once the answer is not wanted any more; a model that computes in steps asks between them and
            raises `sdk.errors.Cancelled`.
        warm_up: not a real request; the answer is checked and thrown away.
    """

    values: NDArray[np.float64]
    horizon: int
    levels: tuple[float, ...]
    t0_ns: int = 0
    step_ns: int = 1_000_000_000
    covariates: NDArray[np.float64] | None = None
    future: NDArray[np.float64] | None = None
    seed: int = 0
    deadline_mono_ns: int = 2**63 - 1
    cancelled: Callable[[], bool] = lambda: False
    warm_up: bool = False


class Quantiles(Struct, frozen=True, eq=False):
    """The answer.

    Attributes:
        values: float64, shape (k, levels, horizon), finite, not decreasing along the levels.
        mean: float64, shape (k, horizon), where the model has one.
    """

    values: NDArray[np.float64]
    mean: NDArray[np.float64] | None = None


class Forecaster(Protocol):
    """A model. Both methods run in the main thread, never at the same time. Raise what `sdk.errors` offers.

    Import model libraries inside `load`: the host hears from the process before that, and standard output is out of the
    way by then.
    """

    def load(self, params: Params, progress: Progress) -> Capabilities:
        """Load weights. Called once, before anything else."""
        ...

    def forecast(self, batch: Batch) -> Quantiles:
        """Forecast one batch, which lies within the capabilities."""
        ...


@runtime_checkable
class Unloadable(Protocol):
    """A model with something to put away at the end."""

    def unload(self) -> None:
        """Called once, after the last forecast of an orderly end."""
        ...
