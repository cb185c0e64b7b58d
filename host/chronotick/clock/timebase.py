"""The clocks of this machine, read in one place. Decision code never calls this: it is given the readings."""

import time

import msgspec

from chronotick.clock.discontinuity import Reading


class ClockPair(msgspec.Struct, frozen=True):
    """The raw clock and the system clock at one instant.

    Attributes:
        raw_ns: CLOCK_MONOTONIC_RAW, middle of the two readings around the other one.
        realtime_ns: CLOCK_REALTIME, system UTC, as steered by whoever steers it.
        window_ns: distance of the two raw readings: the pair is uncertain by half of it.
    """

    raw_ns: int
    realtime_ns: int
    window_ns: int


def raw_ns() -> int:
    """CLOCK_MONOTONIC_RAW: the time base. Not steered, not stepped, stops in suspend."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def mono_ns() -> int:
    """CLOCK_MONOTONIC: for deadlines and time-outs only."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def boot_ns() -> int:
    """CLOCK_BOOTTIME: like CLOCK_MONOTONIC, but goes on in suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def pair(tries: int = 3) -> ClockPair:
    """Read both clocks together; the tightest of `tries` (>= 1) attempts, against preemption between the readings."""
    best: ClockPair | None = None
    for _ in range(tries):
        before = raw_ns()
        realtime = time.clock_gettime_ns(time.CLOCK_REALTIME)
        after = raw_ns()
        if best is None or after - before < best.window_ns:
            best = ClockPair(raw_ns=(before + after) // 2, realtime_ns=realtime, window_ns=after - before)
    assert best is not None
    return best


def reading(tries: int = 3) -> Reading:
    """Read all clocks together; the tightest of `tries` (>= 1) attempts, against preemption between them."""
    best: Reading | None = None
    for _ in range(tries):
        raw = raw_ns()
        realtime = time.clock_gettime_ns(time.CLOCK_REALTIME)
        boot = boot_ns()
        mono = mono_ns()
        window = raw_ns() - raw
        if best is None or window < best.window_ns:
            best = Reading(raw_ns=raw, realtime_ns=realtime, boot_ns=boot, mono_ns=mono, window_ns=window)
    assert best is not None
    return best
