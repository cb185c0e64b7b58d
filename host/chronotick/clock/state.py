"""What the clock stage hands on: the floor's belief about the local oscillator at one instant."""

import math

import msgspec

from chronotick.units import s_to_ns


class ClockState(msgspec.Struct, frozen=True):
    """The floor after its last update: a line, and how fast its uncertainty grows.

    The mixture's forecast h seconds after `raw_ns` is `theta + rate * h` with variance
    `v0 + v1 h + v2 h^2 + v3 h^3`: within the filters (offset, covariance, rate, wander) plus between them.

    Attributes:
        raw_ns: raw clock of the last fix used.
        theta_ns: UTC minus raw at `raw_ns`, whole nanoseconds.
        rate: growth of theta, s/s. Positive: the raw clock is slow.
        variance: (v0, v1, v2, v3) in s^2, s, 1, 1/s; so that `sigma_s(h)` is their polynomial's root.
        widen: factor >= 1 on sigma for few fixes (small-sample), 1 in the long run.
        fixes: number of fixes used since the last (re)start. 0: nothing is known.
        noise_s: standard deviation of the noise of one fix at the fastest path, as learned.
        wander: process noise as learned, s/s/sqrt(s).
        restarts: number of re-starts after real steps since the host started.
        epoch: grows by one at each re-start or discontinuity: forecasts of another epoch are void.
        rest_s: what rounding `theta_ns` to whole nanoseconds has left out, s; for those who compare clocks that are
            better than a nanosecond.
    """

    raw_ns: int
    theta_ns: int
    rate: float
    variance: tuple[float, float, float, float]
    widen: float
    fixes: int
    noise_s: float
    wander: float
    restarts: int
    epoch: int
    rest_s: float = 0.0

    def ahead_s(self, raw_ns: int) -> float:
        """Seconds from the state to `raw_ns`; negative before it."""
        return (raw_ns - self.raw_ns) * 1e-9

    def theta_at_ns(self, raw_ns: int) -> int:
        """The line's theta at `raw_ns`, whole nanoseconds."""
        return self.theta_ns + s_to_ns(self.rate * self.ahead_s(raw_ns))

    def offset_s(self, raw_ns: int, reference_ns: int) -> float:
        """The line's theta at `raw_ns` minus `reference_ns`, s, not rounded."""
        return (self.theta_ns - reference_ns) * 1e-9 + self.rest_s + self.rate * self.ahead_s(raw_ns)

    def sigma_s(self, raw_ns: int) -> float:
        """Standard deviation of theta at `raw_ns`, seconds, small-sample factor included."""
        h = max(self.ahead_s(raw_ns), 0.0)
        v0, v1, v2, v3 = self.variance
        return self.widen * math.sqrt(max(v0 + h * (v1 + h * (v2 + h * v3)), 0.0))
