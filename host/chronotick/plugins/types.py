"""What goes into and comes out of the plugin stage."""

from typing import Protocol, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from chronotick.plugins.states import State
from chronotick.wire.messages import Capabilities, ForecastOk


class Ask(Protocol):
    """A question to a model: k windows of n points on one grid. `forecast.request.Request` is one."""

    @property
    def t0_ns(self) -> int:
        """Raw clock of the first point."""

    @property
    def step_ns(self) -> int:
        """Grid step."""

    @property
    def values(self) -> NDArray[np.float64]:
        """float64, shape (k, n), oldest first, NaN in gaps."""

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """bool, shape (k, n), False in gaps; None where there are none."""

    @property
    def covariates(self) -> NDArray[np.float64] | None:
        """float64, shape (k, c, n): on the same grid, NaN in gaps, for a model that takes them; None for none."""

    @property
    def future(self) -> NDArray[np.float64] | None:
        """float64, shape (k, c, horizon): their known future; None where it is not known."""

    @property
    def horizon(self) -> int:
        """Points asked for."""

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels asked for, ascending in (0, 1)."""


class Answer(Struct, frozen=True, eq=False):
    """A forecast: shapes, finiteness and order of quantiles are checked.

    Attributes:
        quantiles: float64, shape (k, levels, horizon).
        mean: float64, shape (k, horizon), or None.
        model_id, revision: of the weights.
        queue_ms, infer_ms: in the plugin's queue and in the model, as the plugin says.
        total_ms: from asking to having, as the host measured.
    """

    quantiles: NDArray[np.float64]
    mean: NDArray[np.float64] | None
    model_id: str
    revision: str
    queue_ms: float
    infer_ms: float
    total_ms: float


class Refusal(Struct, frozen=True):
    """No forecast, and why. `code` is one of `chronotick.wire.codes`; `retryable`: asking again later can help."""

    code: str
    message: str
    retryable: bool


Reply: TypeAlias = ForecastOk | Refusal
"""How a request ends inside this stage, before it is an `Answer`."""


class PluginEvent(Struct, frozen=True):
    """A plugin has changed its state."""

    name: str
    previous: State
    state: State
    detail: str
    mono_ns: int


class PluginView(Struct, frozen=True, kw_only=True):
    """A plugin at one instant, for status.

    Attributes:
        since_mono_ns: when `state` was entered.
        detail: one sentence why, or how far loading is; mend: what a person can do, "" for nothing.
        progress: of loading, 0 to 1.
        pid: of the process; None for none, or not ours.
        restarts: starts after the first.
        capabilities: None before READY.
        p50_ms, p99_ms: of asking to having over the last 256 answers; None before the first.
        infer_p50_ms: of the inference alone.
        rss_bytes: resident size at the last heartbeat; 0 for not known.
        queue: requests in flight.
        served: good answers since the host started; refused: refusals by code; stray: answers that nobody waited for.
    """

    name: str
    version: str
    state: State
    since_mono_ns: int
    detail: str
    mend: str
    progress: float
    pid: int | None
    restarts: int
    capabilities: Capabilities | None
    python: str
    packages: dict[str, str]
    p50_ms: float | None
    p99_ms: float | None
    infer_p50_ms: float | None
    rss_bytes: int
    queue: int
    served: int
    refused: dict[str, int]
    stray: int


class Timing(Struct, frozen=True):
    """The supervisor's own clocks; those of one plugin are in its manifest's limits.

    Attributes:
        heartbeat_s: distance of pings, s.
        missed: unanswered pings that make a READY plugin SUSPECT.
        strikes: failures in a row (late, wrong or failed answers) that end in a restart.
        watch_s: how often a broken environment is looked at again, s.
        turn_s: a plugin that starts lets the next one start after this long at the latest, s.
    """

    heartbeat_s: float = 1.0
    missed: int = 3
    strikes: int = 5
    watch_s: float = 5.0
    turn_s: float = 60.0
