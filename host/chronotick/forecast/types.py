"""What a model said about one window, in the units of the clock."""

import msgspec
import numpy as np
from numpy.typing import NDArray


class Forecast(msgspec.Struct, frozen=True, eq=False):
    """A candidate's curve of the oscillator's rate after `origin_raw_ns`.

    The curve is linear between the points (origin, `rate[0]`), (origin + step, `rate[1]`), ... where `rate[0]` is the
    smoother's own rate at the origin. `candidate theta(t) = floor theta(a) + integral from a to t of
    (rate + anchor)`, with a the floor's last fix and `anchor = floor_rate - rate[0]` fixed at the origin, so that the
    forecast stands on the floor's own line.

    Attributes:
        model: candidate's name, e.g. `chronos`.
        role: role that asked.
        epoch: `ClockState.epoch` at the origin; a forecast of another epoch is void.
        origin_raw_ns: raw clock of the last measurement that the model saw.
        step_ns: grid step.
        rate: float64, shape (horizon + 1,), s/s. Median forecast, with the starting point before it.
        low, high: float64, shape (horizon + 1,), s/s: the 10 % and 90 % quantiles, equal to `rate` where the model
            gives points only.
        anchor: added to `rate` when it is integrated, s/s.
        span_s: seconds of real history that the model saw.
        infer_ms: what the inference took.
    """

    model: str
    role: str
    epoch: int
    origin_raw_ns: int
    step_ns: int
    rate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    anchor: float
    span_s: float
    infer_ms: float

    @property
    def end_raw_ns(self) -> int:
        """Raw clock of the last point forecast."""
        return self.origin_raw_ns + (len(self.rate) - 1) * self.step_ns


class Refusal(msgspec.Struct, frozen=True):
    """An answer, or the lack of one, that is no forecast.

    Attributes:
        model: whose.
        roles: what for.
        code: one of the wire's error codes, mostly `bad_output`.
        reason: one sentence.
    """

    model: str
    roles: tuple[str, ...]
    code: str
    reason: str
