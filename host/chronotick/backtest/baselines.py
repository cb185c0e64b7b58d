"""What anyone could do with the same fixes: each takes fixes one by one and says theta ahead of the last one."""

import math
from collections import deque
from collections.abc import Mapping
from statistics import median
from types import MappingProxyType
from typing import Final, Protocol

from chronotick.ntp.fix import Fix
from chronotick.units import ns_to_s


class Baseline(Protocol):
    """Takes fixes, oldest first; `at` says theta minus `reference_ns` in s at a raw instant not before the last."""

    def take(self, fix: Fix) -> None: ...

    def at_s(self, raw_ns: int, reference_ns: int) -> float: ...


class DoNothing:
    """The clock as it was first measured, never corrected again."""

    def __init__(self) -> None:
        self._first: Fix | None = None

    def take(self, fix: Fix) -> None:
        """Only the first counts."""
        self._first = self._first or fix

    def at_s(self, raw_ns: int, reference_ns: int) -> float:
        """The first fix's theta."""
        assert self._first is not None
        return ns_to_s(self._first.theta_ns - reference_ns)


class HoldLast:
    """The last sample, held."""

    def take(self, fix: Fix) -> None:
        """Remember it."""
        self._last = fix

    def at_s(self, raw_ns: int, reference_ns: int) -> float:
        """The last fix's theta."""
        return ns_to_s(self._last.theta_ns - reference_ns)


class Linear:
    """A least-squares line through the last `count` fixes."""

    def __init__(self, count: int = 16) -> None:
        self._fixes: deque[Fix] = deque(maxlen=count)

    def take(self, fix: Fix) -> None:
        """Remember it, and forget the oldest."""
        self._fixes.append(fix)

    def at_s(self, raw_ns: int, reference_ns: int) -> float:
        """The line at `raw_ns`; level while it has one point."""
        t = [ns_to_s(fix.raw_ns - raw_ns) for fix in self._fixes]
        z = [ns_to_s(fix.theta_ns - reference_ns) for fix in self._fixes]
        n = len(t)
        mean_t, mean_z = sum(t) / n, sum(z) / n
        spread = sum((one - mean_t) ** 2 for one in t)
        if spread <= 0:
            return mean_z
        slope = sum((a - mean_t) * (b - mean_z) for a, b in zip(t, z, strict=True)) / spread
        return mean_z - slope * mean_t


class Holt:
    """Double exponential smoothing (Holt 1957) with usual gains; for uneven spacing both gains follow the distance
    to the fix before, in units of the usual one (as Wright 1986 does)."""

    LEVEL: Final = 0.3
    TREND: Final = 0.05
    _USUAL_GAIN: Final = 0.05

    def __init__(self) -> None:
        self._last: tuple[int, int, float, float] | None = None
        self._usual_s = 0.0

    def take(self, fix: Fix) -> None:
        """One step."""
        if self._last is None:
            self._last = (fix.raw_ns, fix.theta_ns, 0.0, 0.0)
            return
        raw_ns, reference_ns, level_s, rate = self._last
        dt_s = ns_to_s(fix.raw_ns - raw_ns)
        if dt_s <= 0:
            return
        self._usual_s += (dt_s - self._usual_s) * (self._USUAL_GAIN if self._usual_s else 1.0)
        ahead_s = level_s + rate * dt_s
        miss_s = ns_to_s(fix.theta_ns - reference_ns) - ahead_s
        level_gain, trend_gain = (1.0 - (1.0 - gain) ** (dt_s / self._usual_s) for gain in (self.LEVEL, self.TREND))
        self._last = (fix.raw_ns, reference_ns, ahead_s + level_gain * miss_s, rate + trend_gain * miss_s / dt_s)

    def at_s(self, raw_ns: int, reference_ns: int) -> float:
        """Level and trend, extended."""
        assert self._last is not None
        at_ns, own_ns, level_s, rate = self._last
        return level_s + rate * ns_to_s(raw_ns - at_ns) + ns_to_s(own_ns - reference_ns)


class PlainKalman:
    """One two-state Kalman filter with a fixed process noise and the noise that its fixes show, no delay weight."""

    WANDER: Final = 1e-9
    WHITE_FM: Final = 1e-9
    RATE_PRIOR: Final = 1e-4

    def __init__(self) -> None:
        self._own_ns = 0
        self._last_ns: int | None = None
        self._x = self._f = self._p = self._b = 0.0
        self._c = self.RATE_PRIOR**2
        self._three: deque[tuple[float, float]] = deque(maxlen=3)
        self._residuals: deque[float] = deque(maxlen=64)

    def take(self, fix: Fix) -> None:
        """Predict and update."""
        if self._last_ns is None:
            self._last_ns, self._own_ns = fix.raw_ns, fix.theta_ns
            self._p = (fix.delay_s / 8 + 1e-6) ** 2
            self._three.append((0.0, 0.0))
            self._started_ns = fix.raw_ns
            return
        d, z = ns_to_s(fix.raw_ns - self._last_ns), ns_to_s(fix.theta_ns - self._own_ns)
        if d <= 0:
            return
        self._last_ns = fix.raw_ns
        q, w = self.WANDER**2, self.WHITE_FM**2
        self._x += d * self._f
        self._p += d * (2 * self._b + d * self._c + w + q * d * d / 3)
        self._b += d * (self._c + q * d / 2)
        self._c += q * d
        r = self._noise_s(ns_to_s(fix.raw_ns - self._started_ns), z, fix.delay_s) ** 2
        s = self._p + r
        k, g, e = self._p / s, self._b / s, z - self._x
        self._x += k * e
        self._f += g * e
        self._c = max(self._c - g * self._b, 1e-30)
        self._b *= 1 - k
        self._p *= 1 - k

    def at_s(self, raw_ns: int, reference_ns: int) -> float:
        """The line, extended."""
        assert self._last_ns is not None
        return self._x + self._f * ns_to_s(raw_ns - self._last_ns) + ns_to_s(self._own_ns - reference_ns)

    def sigma_s(self, raw_ns: int) -> float:
        """Its own standard deviation there, s: what its Gaussian bands are made of."""
        assert self._last_ns is not None
        h = max(ns_to_s(raw_ns - self._last_ns), 0.0)
        q, w = self.WANDER**2, self.WHITE_FM**2
        return math.sqrt(self._p + h * (2 * self._b + h * self._c + w + q * h * h / 3))

    def _noise_s(self, t: float, z: float, delay_s: float) -> float:
        self._three.append((t, z))
        if len(self._three) == 3:
            (t0, z0), (t1, z1), (t2, z2) = self._three
            a = (t1 - t0) / (t2 - t0)
            self._residuals.append(abs(z1 - (1 - a) * z0 - a * z2) / math.sqrt(1 + a * a + (1 - a) ** 2))
        if len(self._residuals) < 3:
            return delay_s / 8 + 1e-6
        return max(1.4826 * median(self._residuals), 2e-8)


BASELINES: Final[Mapping[str, type[Baseline]]] = MappingProxyType(
    {
        "do_nothing": DoNothing,
        "hold_last": HoldLast,
        "linear": Linear,
        "holt": Holt,
        "kalman": PlainKalman,
    }
)
