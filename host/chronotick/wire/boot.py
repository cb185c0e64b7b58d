"""Which boot of which machine this is, and how long it has slept. What makes a raw clock foreign. Stdlib only."""

import os
import time
from typing import Final

# Two readings of an equal suspended time differ by no more than this, ns. No suspension is as short.
SUSPENDED_TOLERANCE_NS: Final = 1_000_000
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_TIME_NAMESPACE: Final = "/proc/self/ns/time"


def boot_hash() -> int:
    """64-bit hash of this boot and of this process's time namespace: raw clocks are common where it is equal.

    A time namespace shifts CLOCK_MONOTONIC_RAW within one boot, so the boot id alone would not do.
    """
    try:
        namespace = os.readlink(_TIME_NAMESPACE)
    except OSError:
        # Kernels before 5.6 have no time namespaces.
        namespace = ""
    with open(_BOOT_ID, encoding="ascii") as file:
        return hash_of(file.read().strip(), namespace)


def hash_of(boot_id: str, time_namespace: str) -> int:
    """The hash of these two names: FNV-1a, because importing hashlib would take the light client's milliseconds."""
    value = 0xCBF29CE484222325
    for byte in f"{boot_id} {time_namespace}".encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def suspended_ns() -> int:
    """Time that the machine has spent suspended since it booted, within `SUSPENDED_TOLERANCE_NS`.

    CLOCK_BOOTTIME minus CLOCK_MONOTONIC: both are steered alike, so that only suspension parts them. The tightest of a
    few readings, against preemption between them.
    """
    best = width = 2**63
    for _ in range(4):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        if after - before < width:
            best, width = boot - (before + after) // 2, after - before
        if width < SUSPENDED_TOLERANCE_NS // 4:
            break
    return best
