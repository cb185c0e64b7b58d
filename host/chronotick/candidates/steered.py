"""A clock that somebody disciplines: its rate is pulled back to zero again and again, so a trend does not last.

Extrapolating the floor's rate is then wrong, and theta is better held. The rule looks at the filtered rate f of the
last three hours, once a minute or so: it swings around zero (its mean is small beside its deviation) and crosses zero
many times. A random walk that happens to lie around zero does so too, but it has no way back: over 32 minutes it moves
eight times as far, in variance, as over 4, where a disciplined rate moves hardly further. That ratio, over its value
for a random walk, is Lo and MacKinlay's variance ratio (1988): 0.05 to 0.25 on recorded disciplined hosts, 0.4 to 1.6
on simulated walks that were taken for one before it was asked for. What follows is a trend that dies away,

    theta + f tau (1 - exp(-h/tau)),   tau = 300 s,

and far ahead (beyond 10 tau) the offset alone. No free-running oscillator was seen to do that: its rate is parts
per million off zero, a hundred times more than it wanders. On CLOCK_MONOTONIC_RAW it means that a hypervisor or a
driver steers the time base, which the operator should know.
"""

import math
from collections import deque
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.candidates.curve import Curve
from chronotick.clock.floor import FloorUpdate, Verdict
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.units import ns_to_s, s_to_ns

STEERED: Final = "steered"


class SteeredRules(msgspec.Struct, frozen=True):
    """Constants of the rule, for real oscillators.

    Attributes:
        step_s, span_s, least_span_s: the rate is looked at so often, over so long, and not before so long.
        begin, end: mean over deviation of the rate below which the rule begins to hold, and above which it ends.
        crossings: of zero that are asked for.
        near_steps, far_steps: the variance ratio is of the rate's moves over so many steps.
        begin_ratio, end_ratio: variance ratio below which the rule begins to hold, and above which it ends.
        tau_s: the trend dies away with this time constant.
        hold_from, hold_at: from so many tau on the trend fades, and at so many nothing of it is left.
        young_fixes: the rate is not looked at before so many fixes of an epoch.
        reach_s: the curve says something so far ahead.
    """

    step_s: float = 64.0
    span_s: float = 10_800.0
    least_span_s: float = 5400.0
    begin: float = 0.25
    end: float = 0.35
    crossings: int = 6
    near_steps: int = 4
    far_steps: int = 32
    begin_ratio: float = 0.3
    end_ratio: float = 0.4
    tau_s: float = 300.0
    hold_from: float = 10.0
    hold_at: float = 20.0
    young_fixes: int = 8
    reach_s: float = 172_800.0

    def compressed(self, k: float) -> "SteeredRules":
        """The same physics, `k` times faster (see `clock/tuning.py`)."""
        return msgspec.structs.replace(
            self,
            step_s=self.step_s / k,
            span_s=self.span_s / k,
            least_span_s=self.least_span_s / k,
            tau_s=self.tau_s / k,
            reach_s=self.reach_s / k,
        )


class Steered:
    """Watches the floor's rate.

    Attributes:
        steered: whether the rule holds now.
    """

    def __init__(self, tuning: Tuning, rules: SteeredRules | None = None) -> None:
        self._rules = (rules or SteeredRules()).compressed(tuning.compression)
        self._steps = round(self._rules.span_s / self._rules.step_s)
        self._rates: deque[float] = deque(maxlen=self._steps)
        self._next_raw_ns: int | None = None
        self._epoch: int | None = None
        self.steered: bool = False

    def on_update(self, update: FloorUpdate) -> None:
        """The floor has met a fix: look at its rate, at the steps that have passed."""
        state = update.state
        if state is None:
            return
        if state.epoch != self._epoch:
            # A step of theta is what a discipline does too; only a disturbed time base is another clock.
            if update.verdict is not Verdict.STEPPED:
                self._rates.clear()
                self.steered = False
            self._epoch, self._next_raw_ns = state.epoch, None
        if state.fixes < self._rules.young_fixes:
            return
        if self._next_raw_ns is None:
            self._next_raw_ns = state.raw_ns
        step_ns = s_to_ns(self._rules.step_s)
        looked = 0
        while self._next_raw_ns <= state.raw_ns and looked < self._steps:
            self._rates.append(state.rate)
            self._next_raw_ns += step_ns
            looked += 1
        if looked:
            self._next_raw_ns = max(self._next_raw_ns, state.raw_ns)
            self._decide()

    def curve(self, state: ClockState) -> Curve | None:
        """The dying trend, in the floor's place; None while the clock runs free."""
        if not self.steered:
            return None
        return Curve(
            STEERED,
            origin_raw_ns=state.raw_ns,
            epoch=state.epoch,
            span_s=len(self._rates) * self._rules.step_s,
            reach_s=self._rules.reach_s,
            correction=_DyingTrend(state, self._rules),
            trusted=True,
        )

    def _decide(self) -> None:
        if len(self._rates) < self._rules.least_span_s / self._rules.step_s:
            self.steered = False
            return
        rates, rules = np.array(self._rates), self._rules
        limit, ratio = (rules.end, rules.end_ratio) if self.steered else (rules.begin, rules.begin_ratio)
        around_zero = abs(float(rates.mean())) < limit * float(rates.std())
        crossings = int(np.count_nonzero(np.signbit(rates[1:]) != np.signbit(rates[:-1])))
        self.steered = (
            around_zero
            and crossings >= rules.crossings
            and _moved2(rates, rules.far_steps) * rules.near_steps
            < ratio * _moved2(rates, rules.near_steps) * rules.far_steps
        )


def _moved2(rates: NDArray[np.float64], steps: int) -> float:
    """Mean squared move of the rate over so many steps."""
    return float(np.mean((rates[steps:] - rates[:-steps]) ** 2))


class _DyingTrend:
    """The floor's trend at one state, dying away. An object, not a closure, so that it can be stored."""

    def __init__(self, state: ClockState, rules: SteeredRules) -> None:
        self._raw_ns = state.raw_ns
        self._rate = state.rate
        self._rules = rules

    def __call__(self, later: ClockState, at_raw_ns: int) -> float:
        gained_s = self._gain_s(ns_to_s(at_raw_ns - self._raw_ns)) - self._gain_s(ns_to_s(later.raw_ns - self._raw_ns))
        return gained_s - later.rate * later.ahead_s(at_raw_ns)

    def sigma_s(self, later: ClockState, at_raw_ns: int, correction_s: float) -> None:
        """A rule does not know how far it errs."""

    def _gain_s(self, h_s: float) -> float:
        rules = self._rules
        left = (rules.hold_at * rules.tau_s - h_s) / ((rules.hold_at - rules.hold_from) * rules.tau_s)
        return -self._rate * rules.tau_s * math.expm1(-h_s / rules.tau_s) * min(max(left, 0.0), 1.0)
