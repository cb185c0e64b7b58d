"""What competes with the floor: a curve of theta beside the floor's line."""

from typing import Protocol

import numpy as np

from chronotick.clock.state import ClockState
from chronotick.forecast.types import Forecast
from chronotick.units import NS_PER_S


class Candidate(Protocol):
    """Anything that can say how theta leaves the floor's line: a model's forecast, a fitted cycle, a rule.

    `name` is its own in the gate ("chronos/one_hour"), `model` the name that is published. `span_s` is the history
    that it was made from, `end_raw_ns` the end of what it says. `trusted`: a rule has decided that the floor's line is
    wrong here, so the curve takes the floor's share of the weight where it stands (see `Gate.weights`).
    """

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def role(self) -> str: ...

    @property
    def epoch(self) -> int: ...

    @property
    def origin_raw_ns(self) -> int: ...

    @property
    def end_raw_ns(self) -> int: ...

    @property
    def span_s(self) -> float: ...

    @property
    def trusted(self) -> bool: ...

    def correction_s(self, state: ClockState, raw_ns: int) -> float:
        """Candidate's theta minus the floor's line at `raw_ns` >= `state.raw_ns`, s; continuous in `raw_ns`.

        At the state itself it is 0 for whoever only forecasts, and not for whoever filters the fixes by itself.
        `state` may be a later one than that at the origin.
        """
        ...


class ForecastCurve:
    """A forecast, integrated exactly: its rate is linear between the points, so theta is a parabola in each step."""

    def __init__(self, forecast: Forecast) -> None:
        self.forecast = forecast
        self.name: str = f"{forecast.model}/{forecast.role}"
        self.model: str = forecast.model
        self.role: str = forecast.role
        self.epoch: int = forecast.epoch
        self.origin_raw_ns: int = forecast.origin_raw_ns
        self.end_raw_ns: int = forecast.end_raw_ns
        self.span_s: float = forecast.span_s
        self.trusted: bool = False
        self._step_s = forecast.step_ns / NS_PER_S
        self._rate: list[float] = forecast.rate.tolist()
        steps = (forecast.rate[1:] + forecast.rate[:-1]) * (0.5 * self._step_s)
        self._integral: list[float] = np.r_[0.0, np.cumsum(steps)].tolist()

    def integral_s(self, from_raw_ns: int, to_raw_ns: int) -> float:
        """Integral of the rate between two instants of the forecast's span, s; without the anchor.

        Raises:
            ValueError: when an instant lies outside `origin_raw_ns .. end_raw_ns`.
        """
        return self._from_origin_s(to_raw_ns) - self._from_origin_s(from_raw_ns)

    def correction_s(self, state: ClockState, raw_ns: int) -> float:
        """See `Candidate`. Past its end the forecast says nothing and the floor's rate goes on."""
        start = min(max(state.raw_ns, self.origin_raw_ns), self.end_raw_ns)
        end = min(max(raw_ns, start), self.end_raw_ns)
        line_s = (self.forecast.anchor - state.rate) * ((end - start) / NS_PER_S)
        return self.integral_s(start, end) + line_s

    def _from_origin_s(self, raw_ns: int) -> float:
        if not self.origin_raw_ns <= raw_ns <= self.end_raw_ns:
            raise ValueError(f"{raw_ns} lies outside the forecast, {self.origin_raw_ns} to {self.end_raw_ns}")
        step, rest_ns = divmod(raw_ns - self.origin_raw_ns, self.forecast.step_ns)
        done = self._integral[step]
        if not rest_ns:
            return done
        share = rest_ns / self.forecast.step_ns
        first, second = self._rate[step], self._rate[step + 1]
        return done + self._step_s * share * (first + 0.5 * share * (second - first))


def clipped_s(correction_s: float, sigma_s: float, clip_sigma: float) -> float:
    """A correction kept within `clip_sigma` of the floor's `sigma_s`."""
    limit = clip_sigma * sigma_s
    return min(max(correction_s, -limit), limit)
