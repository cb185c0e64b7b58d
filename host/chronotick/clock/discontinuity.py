"""What happened to the clocks of this machine between two looks at all of them."""

from enum import StrEnum
from typing import Final

import msgspec

from chronotick.units import ns_to_s

# Steps smaller than this are not looked for, ns: the translation of kernel stamps re-pairs the clocks at each exchange.
LEAST_STEP_NS: Final = 1_000_000
# CLOCK_MONOTONIC is steered, and daemons stay below this rate against the raw clock, s/s. Kernel discipline ends at
# 500 ppm; more means another time base under the machine, or a daemon that slews a large error away at full speed.
MOST_STEERING: Final = 1e-3


class Kind(StrEnum):
    """What kind of discontinuity.

    SUSPEND: the machine slept; the raw clock stood still while UTC went on.
    TIME_BASE: the raw clock jumped or ran at another rate (migration to another host, snapshot restored).
    SYSTEM_STEP: the system clock was set; the raw clock, our base, knows nothing of it.
    """

    SUSPEND = "suspend"
    TIME_BASE = "time_base"
    SYSTEM_STEP = "system_step"


class Reading(msgspec.Struct, frozen=True):
    """All clocks at about one instant.

    Attributes:
        raw_ns: CLOCK_MONOTONIC_RAW.
        realtime_ns: CLOCK_REALTIME.
        boot_ns: CLOCK_BOOTTIME.
        mono_ns: CLOCK_MONOTONIC.
        window_ns: time that taking the readings took; differences between them are uncertain by as much.
    """

    raw_ns: int
    realtime_ns: int
    boot_ns: int
    mono_ns: int
    window_ns: int = 0


class Discontinuity(msgspec.Struct, frozen=True):
    """One discontinuity.

    Attributes:
        kind: what kind.
        size_s: by how much UTC ran ahead of the clock concerned, s: time slept, raw clock lost (positive) or gained
            against CLOCK_MONOTONIC, or the step of the system clock (positive: set forward).
        at_raw_ns: raw clock when it was noticed; it happened since the reading before.
        disrupts: whether the estimator has to begin a new epoch.
    """

    kind: Kind
    size_s: float
    at_raw_ns: int
    disrupts: bool


class DiscontinuityDetector:
    """Compares each reading with the one before. Pure: it is given the readings."""

    def __init__(self) -> None:
        self._before: Reading | None = None

    def feed(self, now: Reading) -> Discontinuity | None:
        """What happened since the last reading; the gravest if several things did."""
        before, self._before = self._before, now
        if before is None:
            return None
        raw_ns = now.raw_ns - before.raw_ns
        mono_ns = now.mono_ns - before.mono_ns
        tolerance_ns = LEAST_STEP_NS + now.window_ns + before.window_ns

        slept_ns = (now.boot_ns - before.boot_ns) - mono_ns
        if slept_ns > tolerance_ns:
            return Discontinuity(kind=Kind.SUSPEND, size_s=ns_to_s(slept_ns), at_raw_ns=now.raw_ns, disrupts=True)

        lost_ns = mono_ns - raw_ns
        if raw_ns < 0 or abs(lost_ns) > tolerance_ns + MOST_STEERING * max(mono_ns, 0):
            return Discontinuity(kind=Kind.TIME_BASE, size_s=ns_to_s(lost_ns), at_raw_ns=now.raw_ns, disrupts=True)

        set_ns = (now.realtime_ns - before.realtime_ns) - mono_ns
        if abs(set_ns) > tolerance_ns:
            return Discontinuity(kind=Kind.SYSTEM_STEP, size_s=ns_to_s(set_ns), at_raw_ns=now.raw_ns, disrupts=False)
        return None
