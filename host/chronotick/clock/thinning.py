"""Several fixes of one server in quick succession become one: their errors are alike, not many witnesses."""

import msgspec

from chronotick.clock.measurement import Measurement
from chronotick.units import s_to_ns


class _Group(msgspec.Struct):
    """Fixes of one server since its last measurement."""

    passed_raw_ns: int
    waiting: list[Measurement]


class Thinner:
    """Lets one measurement per server pass in `thin_s`; those held back meanwhile are averaged into the next.

    Polls slower than `thin_s` pass as they are. Fixes at 1 s of a clock read with 30 us resolution repeat the same
    rounding error; taken one by one they would make the noise look small and the clock restless.

    At first nobody waits for longer than half of what has passed since the first measurement: two seconds of fixes say
    little of a rate, and eight more without any would be lived on that.
    """

    def __init__(self, thin_s: float) -> None:
        self._thin_ns = s_to_ns(thin_s)
        self._began_raw_ns: int | None = None
        self._groups: dict[str, _Group] = {}

    def offer(self, measurement: Measurement, *, thin: bool = True) -> Measurement | None:
        """The measurement to use now, or None while it is held back. `thin` False lets this one pass as it is."""
        if self._began_raw_ns is None:
            self._began_raw_ns = measurement.raw_ns
        group = self._groups.get(measurement.server)
        if group is None or not thin:
            self._groups[measurement.server] = _Group(passed_raw_ns=measurement.raw_ns, waiting=[])
            return measurement
        group.waiting.append(measurement)
        wait_ns = min(self._thin_ns, (group.passed_raw_ns - self._began_raw_ns) // 2)
        if measurement.raw_ns - group.passed_raw_ns < wait_ns:
            return None
        merged = _average(group.waiting)
        group.passed_raw_ns = measurement.raw_ns
        group.waiting = []
        return merged

    def clear(self) -> None:
        """Forget what waits: the time base has changed, and all begins anew."""
        self._groups.clear()
        self._began_raw_ns = None


def _average(waiting: list[Measurement]) -> Measurement:
    """Inverse-variance mean of instants and offsets alike, so that a steady drift cancels.

    Delay and variance are averaged with the same weights, not reduced by their number: the errors are alike.
    """
    newest = waiting[-1]
    if len(waiting) == 1:
        return newest
    weights = [1.0 / one.variance for one in waiting]
    total = sum(weights)
    shares = [w / total for w in weights]
    earlier_ns = sum(share * (newest.raw_ns - one.raw_ns) for share, one in zip(shares, waiting, strict=True))
    higher_ns = sum(share * (one.theta_ns - newest.theta_ns) for share, one in zip(shares, waiting, strict=True))
    rest_s = sum(share * one.rest_s for share, one in zip(shares, waiting, strict=True))
    return Measurement(
        raw_ns=newest.raw_ns - round(earlier_ns),
        theta_ns=newest.theta_ns + round(higher_ns),
        rest_s=rest_s + (higher_ns - round(higher_ns)) * 1e-9,
        variance=len(weights) / total,
        server=newest.server,
        delay_s=sum(share * one.delay_s for share, one in zip(shares, waiting, strict=True)),
    )
