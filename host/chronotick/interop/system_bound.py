"""What is published, said about the system clock: how far CLOCK_REALTIME can be from true UTC. Pure."""

from enum import IntEnum
from math import ceil, isfinite
from typing import Final

import msgspec

from chronotick.units import NS_PER_S
from chronotick.wire.snapshot import Record, Status

# What ClockBound's own daemon allows its readers without a word from it, s. The bound rests on a system clock that
# somebody else steers: without looking at it nothing holds for long.
VOID_AFTER_S: Final = 1000
# Faster than the kernel can make a clock run (its tick may be changed by a tenth): the clock was stepped, not steered,
# and the offset after the step is known already.
FASTEST_STEERING: Final = 0.1


class ClockStatus(IntEnum):
    """ClockBound's words for what a time is worth."""

    UNKNOWN = 0
    SYNCHRONIZED = 1
    FREE_RUNNING = 2
    DISRUPTED = 3


_STATUSES: Final = {
    Status.UNKNOWN: ClockStatus.UNKNOWN,
    Status.SYNCHRONISED: ClockStatus.SYNCHRONIZED,
    Status.HOLDOVER: ClockStatus.FREE_RUNNING,
    Status.DISRUPTED: ClockStatus.DISRUPTED,
}


class Look(msgspec.Struct, frozen=True):
    """The clocks at one instant.

    Attributes:
        coarse_ns: CLOCK_MONOTONIC_COARSE, read first.
        coarse_step_ns: how far that clock lags at most: its resolution.
        raw_ns, realtime_ns: CLOCK_MONOTONIC_RAW and CLOCK_REALTIME together.
        window_ns: the pair is uncertain by half of it.
    """

    coarse_ns: int
    coarse_step_ns: int
    raw_ns: int
    realtime_ns: int
    window_ns: int


class SystemBound(msgspec.Struct, frozen=True):
    """An absolute bound on the error of CLOCK_REALTIME, as ClockBound defines it.

    Attributes:
        as_of_ns: CLOCK_MONOTONIC_COARSE at which the bound was found.
        void_after_ns: the same clock, from when on the bound must not be trusted.
        bound_ns: |CLOCK_REALTIME - true UTC| is at most this then, >= 0.
        max_drift_ppb: and grows by this, 0 to 999,999,999.
        status: what it is worth.
    """

    as_of_ns: int
    void_after_ns: int
    bound_ns: int
    max_drift_ppb: int
    status: ClockStatus


def steering(before: Look | None, now: Look) -> float:
    """How fast the system clock ran against the raw clock between two looks, s/s, >= 0; 0 where it was stepped."""
    if before is None or now.raw_ns <= before.raw_ns:
        return 0.0
    moved_ns = (now.realtime_ns - now.raw_ns) - (before.realtime_ns - before.raw_ns)
    unsure_ns = (now.window_ns + before.window_ns) / 2
    rate = max(abs(moved_ns) - unsure_ns, 0.0) / (now.raw_ns - before.raw_ns)
    return rate if rate <= FASTEST_STEERING else 0.0


def system_bound(record: Record, look: Look, steered: float) -> SystemBound:
    """The bound of the system clock that follows from what is published.

    True UTC lies in [E, L], the hard interval of `record`; the system clock shows R. So it is wrong by at most
    max(R - E, L - R): its offset from the interval's middle plus half the width. The bound grows by what the interval
    grows and by what the system clock may be steered meanwhile.

    Args:
        record: as published.
        look: the clocks, now.
        steered: the rate at which others may steer the system clock, s/s, >= 0.
    """
    status = _STATUSES[record.status_at(look.raw_ns)]
    if status is ClockStatus.UNKNOWN:
        return SystemBound(look.coarse_ns, look.coarse_ns, 0, 0, status)
    growth = record.bound_growth + steered
    if not isfinite(growth) or growth < 0:
        raise ValueError(f"A bound can not grow by {growth} s/s.")
    early_ns = look.realtime_ns - record.earliest_ns(look.raw_ns)
    late_ns = record.latest_ns(look.raw_ns) - look.realtime_ns
    # A reader's coarse clock may stand still for a step while the bound grows.
    lag_ns = ceil(growth * look.coarse_step_ns)
    return SystemBound(
        as_of_ns=look.coarse_ns,
        void_after_ns=look.coarse_ns + min(max(record.void_raw_ns - look.raw_ns, 0), VOID_AFTER_S * NS_PER_S),
        bound_ns=max(early_ns, late_ns) + (look.window_ns + 1) // 2 + lag_ns,
        max_drift_ppb=min(ceil(growth * 1e9), 999_999_999),
        status=status,
    )
