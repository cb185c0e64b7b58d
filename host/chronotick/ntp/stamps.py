"""T1 and T4 on the raw clock, from the kernel's stamps where they can be trusted. Pure.

The kernel stamps packets with CLOCK_REALTIME, which others steer and step; the exchange is measured on the raw clock.
A stamp is translated through the pair of readings nearest to it. It is used only if it lands where the packet must
have been: T1 after the process handed it over, T4 before the process saw it.
"""

from typing import Final

import msgspec

from chronotick.clock.timebase import ClockPair
from chronotick.ntp.outcome import StampSource

# Two readings of one clock may appear in the wrong order by this much, ns.
_SLACK_NS: Final = 2_000
# CLOCK_REALTIME is slewed by at most a tenth (chronyd's limit is 83333 ppm); more than that and this is a step.
_STEP_FLOOR_NS: Final = 1_000_000
_MAX_SLEW: Final = 10
# While a stamp waits for its pair, CLOCK_REALTIME may run off by a thousandth (the kernel's own slew is 500 ppm).
_TRANSLATION_LOSS: Final = 1_000


class Stamps(msgspec.Struct, frozen=True, kw_only=True):
    """When a request left and its reply came.

    Attributes:
        sent_raw_ns: T1, raw clock. received_raw_ns: T4, raw clock.
        sent_by, received_by: who took them.
        uncertainty_ns: what the translation to the raw clock may have cost, both together.
        realtime_ns: CLOCK_REALTIME at the reply: the local estimate that eras are resolved with.
        realtime_theta_ns: CLOCK_REALTIME minus raw clock at the reply.
    """

    sent_raw_ns: int
    received_raw_ns: int
    sent_by: StampSource = StampSource.USER
    received_by: StampSource = StampSource.USER
    uncertainty_ns: int = 0
    realtime_ns: int
    realtime_theta_ns: int


def place(
    *,
    before: ClockPair,
    handed_raw_ns: int,
    sent_realtime_ns: int | None,
    seen: ClockPair,
    received_realtime_ns: int | None,
) -> Stamps:
    """Put both ends of an exchange on the raw clock.

    Args:
        before: the clocks right before the request was handed to the kernel.
        handed_raw_ns: raw clock at that moment: T1 without a kernel stamp, always early, which is on the safe side.
        sent_realtime_ns: the kernel's transmit stamp, if any.
        seen: the clocks right after the reply was read: T4 without a kernel stamp, always late.
        received_realtime_ns: the kernel's receive stamp, if any.
    """
    theta_before = before.realtime_ns - before.raw_ns
    theta_seen = seen.realtime_ns - seen.raw_ns
    elapsed_ns = seen.raw_ns - before.raw_ns
    stepped = abs(theta_seen - theta_before) > _STEP_FLOOR_NS + max(elapsed_ns, 0) // _MAX_SLEW
    t1, t4 = handed_raw_ns, seen.raw_ns
    sent_by = received_by = StampSource.USER
    uncertainty_ns = 0
    if sent_realtime_ns is not None and not stepped:
        translated = sent_realtime_ns - theta_before
        if handed_raw_ns - _SLACK_NS <= translated <= seen.raw_ns + _SLACK_NS:
            t1, sent_by = translated, StampSource.KERNEL
            uncertainty_ns += before.window_ns // 2 + 1 + abs(translated - before.raw_ns) // _TRANSLATION_LOSS
    if received_realtime_ns is not None and not stepped:
        translated = received_realtime_ns - theta_seen
        if t1 - _SLACK_NS <= translated <= seen.raw_ns + _SLACK_NS:
            t4, received_by = translated, StampSource.KERNEL
            uncertainty_ns += seen.window_ns // 2 + 1 + abs(seen.raw_ns - translated) // _TRANSLATION_LOSS
    return Stamps(
        sent_raw_ns=t1,
        received_raw_ns=t4,
        sent_by=sent_by,
        received_by=received_by,
        uncertainty_ns=uncertainty_ns,
        realtime_ns=seen.realtime_ns,
        realtime_theta_ns=theta_seen,
    )
