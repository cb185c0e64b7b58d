"""What competes with the floor: a curve of theta beside the floor's line."""

import math
from typing import Final, Protocol

import numpy as np

from chronotick.clock.state import ClockState
from chronotick.forecast.types import Forecast
from chronotick.units import NS_PER_S

# A rule says that the floor's model of the clock is wrong, and so is its sigma: what it may say is bounded only so that
# nothing is without a bound. While a disciplined host is slewed, 10 of the floor's sigma were too few.
TRUSTED_CLIP_SIGMA: Final = 30.0
# An hour ahead of a cycle that it does not know the floor's line can be wrong by several times what it thinks.
CREDITED_CLIP_SIGMA: Final = 10.0
# Mean decimal logarithm of the odds from which on a fitted shape is credited.
CREDIT_LOG_ODDS: Final = 1.0


class Candidate(Protocol):
    """Anything that can say how theta leaves the floor's line: a model's forecast, a fitted cycle, a rule.

    `name` is its own in the gate ("chronos/one_hour"), `model` the name that is published. `span_s` is the history
    that it was made from, `end_raw_ns` the end of what it says. `trusted`: a rule has decided that the floor's line is
    wrong here, so the curve takes the floor's share of the weight where it stands (see `Gate.weights`). `log_odds`: of
    whoever is fitted to each fix, the mean decimal logarithm of the odds that the fixes gave its shape over all others
    (0 where nobody counts them); None of whoever only forecasts.
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

    @property
    def log_odds(self) -> float | None: ...

    def correction_s(self, state: ClockState, raw_ns: int) -> float:
        """Candidate's theta minus the floor's line at `raw_ns` >= `state.raw_ns`, s; continuous in `raw_ns`.

        At the state itself it is 0 for whoever only forecasts, and not for whoever filters the fixes by itself.
        `state` may be a later one than that at the origin.
        """
        ...

    def sigma_s(self, state: ClockState, raw_ns: int) -> float | None:
        """Standard deviation of the candidate's theta at `raw_ns`, s, as it believes; None of whoever does not know."""
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
        self.log_odds: float | None = None
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

    def sigma_s(self, state: ClockState, raw_ns: int) -> None:
        """See `Candidate`. Quantiles of a rate are none of its integral."""

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


class Levelled:
    """A fitted candidate's curve with its standing difference from the floor's line taken off.

    Whoever filters the fixes with other noise than the floor's also follows one-sided queues elsewhere: the two then
    differ by a constant, and no fix can say which is right, because the fixes have it too. What a candidate can be
    judged by, and heard on, is the rest.
    """

    def __init__(self, curve: Candidate, standing_s: float) -> None:
        self._curve = curve
        self._standing_s = standing_s
        self.name: str = curve.name
        self.model: str = curve.model
        self.role: str = curve.role
        self.epoch: int = curve.epoch
        self.origin_raw_ns: int = curve.origin_raw_ns
        self.end_raw_ns: int = curve.end_raw_ns
        self.span_s: float = curve.span_s
        self.trusted: bool = curve.trusted
        self.log_odds: float | None = curve.log_odds

    def correction_s(self, state: ClockState, raw_ns: int) -> float:
        """See `Candidate`."""
        return self._curve.correction_s(state, raw_ns) - self._standing_s

    def sigma_s(self, state: ClockState, raw_ns: int) -> float | None:
        """See `Candidate`."""
        return self._curve.sigma_s(state, raw_ns)


class Standing:
    """The standing difference of one candidate at the fixes: a running mean, halved every `half_life_s`."""

    # Below this many fixes the mean is shrunk towards 0: it may be part of what the candidate has to say.
    FEW: Final = 20.0

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._sum_s = self._count = 0.0
        self._last_ns: int | None = None

    def add(self, raw_ns: int, correction_s: float) -> float:
        """Count the correction at the state at `raw_ns`, s; returns the mean as it now is, s."""
        since_s = 0.0 if self._last_ns is None else max(raw_ns - self._last_ns, 0) / NS_PER_S
        fade = 0.5 ** (since_s / self._half_life_s)
        self._last_ns = raw_ns
        self._sum_s = self._sum_s * fade + correction_s
        self._count = self._count * fade + 1.0
        return self._sum_s / max(self._count, self.FEW)


def clipped_s(correction_s: float, sigma_s: float, clip_sigma: float) -> float:
    """A correction kept within `clip_sigma` of the floor's `sigma_s`; NaN says nothing."""
    if math.isnan(correction_s):
        return 0.0
    limit = clip_sigma * sigma_s
    return min(max(correction_s, -limit), limit)


def heard_s(candidate: Candidate, state: ClockState, raw_ns: int, sigma_s: float, clip_sigma: float) -> float:
    """A candidate's correction as it is heard and judged: clipped, a credited shape's and a rule's further out.

    Args:
        sigma_s: the floor's at `raw_ns`.
    """
    if candidate.trusted:
        clip_sigma = max(clip_sigma, TRUSTED_CLIP_SIGMA)
    elif candidate.log_odds is not None and candidate.log_odds >= CREDIT_LOG_ODDS:
        clip_sigma = max(clip_sigma, CREDITED_CLIP_SIGMA)
    return clipped_s(candidate.correction_s(state, raw_ns), sigma_s, clip_sigma)
