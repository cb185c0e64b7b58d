"""Several fixes of one server in quick succession become one: their errors are alike, not many witnesses."""

import msgspec

from chronotick.clock.measurement import Measurement
from chronotick.units import ns_to_s, s_to_ns


class _Group(msgspec.Struct):
    """Fixes of one server since its last measurement."""

    passed_raw_ns: int
    waiting: list[Measurement]


class Thinner:
    """Lets one measurement per server pass in `thin_s`; those held back meanwhile are averaged into the next.

    Polls slower than `thin_s` pass as they are. Fixes at 1 s of a clock read with 30 us resolution repeat the same
    rounding error; taken one by one they would make the noise look small and the clock restless.
    """

    def __init__(self, thin_s: float) -> None:
        self._thin_ns = s_to_ns(thin_s)
        self._groups: dict[str, _Group] = {}

    def offer(self, measurement: Measurement, rate: float, *, thin: bool = True) -> Measurement | None:
        """The measurement to use now, or None while it is held back.

        `rate`, s/s, carries older fixes to the newest; `thin` False lets this one pass as it is.
        """
        group = self._groups.get(measurement.server)
        if group is None or not thin:
            self._groups[measurement.server] = _Group(passed_raw_ns=measurement.raw_ns, waiting=[])
            return measurement
        group.waiting.append(measurement)
        if measurement.raw_ns - group.passed_raw_ns < self._thin_ns:
            return None
        merged = _average(group.waiting, rate)
        group.passed_raw_ns = measurement.raw_ns
        group.waiting = []
        return merged

    def clear(self) -> None:
        """Forget what waits: the time base has changed."""
        self._groups.clear()


def carried(measurement: Measurement, raw_ns: int, rate: float) -> Measurement:
    """The same measurement as if made at `raw_ns`, moved along a line with `rate`."""
    shift_ns = s_to_ns(rate * ns_to_s(raw_ns - measurement.raw_ns))
    return Measurement(
        raw_ns=raw_ns,
        theta_ns=measurement.theta_ns + shift_ns,
        variance=measurement.variance,
        server=measurement.server,
        excess_s=measurement.excess_s,
    )


def _average(waiting: list[Measurement], rate: float) -> Measurement:
    """Inverse-variance mean at the instant of the newest; the excess is averaged with the same weights."""
    newest = waiting[-1]
    if len(waiting) == 1:
        return newest
    moved = [carried(one, newest.raw_ns, rate) for one in waiting]
    weights = [1.0 / one.variance for one in moved]
    total = sum(weights)
    mean_ns = sum(w * (one.theta_ns - newest.theta_ns) for w, one in zip(weights, moved, strict=True)) / total
    excess_s = sum(w * one.excess_s for w, one in zip(weights, moved, strict=True)) / total
    return Measurement(
        raw_ns=newest.raw_ns,
        theta_ns=newest.theta_ns + round(mean_ns),
        variance=newest.variance,
        server=newest.server,
        excess_s=excess_s,
    )
