"""When to look again while waiting for an instant. Pure but for the monotonic clock of the time-out."""

import time
from collections.abc import Callable

from chronotick.client.instant import Bounded
from chronotick.client.reading import Reading
from chronotick.errors import OutOfRange, WaitTimeout
from chronotick.units import NS_PER_S

# Long waits look at the clock this often: its rate may change, and it may step.
LONGEST_NAP_S = 0.5


class Wait:
    """One wait: how long to sleep after each reading, until nothing is left."""

    def __init__(self, left_ns: Callable[[Reading], int], timeout_s: float | None) -> None:
        """Args: what is left after a reading, ns, <= 0 for done; longest wait in all, s."""
        self._left_ns = left_ns
        self._timeout_s = timeout_s
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s

    def nap_s(self, reading: Reading) -> float | None:
        """How long to sleep now, s; None when it is over.

        Raises:
            WaitTimeout: the time allowed is over first.
        """
        left_s = self._left_ns(reading) / NS_PER_S
        if left_s <= 0:
            return None
        nap = min(left_s, LONGEST_NAP_S)
        if self._deadline is not None:
            allowed = self._deadline - time.monotonic()
            if allowed <= 0:
                raise WaitTimeout(f"The wait was given up after {self._timeout_s:g} s; {left_s:.6g} s were left.")
            nap = min(nap, allowed)
        return nap


def for_target(target_ns: int, now: Reading, *, certain: bool, timeout_s: float | None) -> Wait:
    """The wait until UTC is `target_ns`: by the estimate, or beyond doubt.

    Raises:
        OutOfRange: the target is past.
    """
    if isinstance(target_ns, float):
        raise OutOfRange(f"A target is a whole number of nanoseconds of UTC, not {target_ns}: float64 loses them.")
    if target_ns < now.utc_ns:
        raise OutOfRange(f"The target is past by {(now.utc_ns - target_ns) / NS_PER_S:.6g} s.")
    if certain:
        return Wait(lambda reading: target_ns - reading.earliest_ns, timeout_s)
    return Wait(lambda reading: target_ns - reading.utc_ns, timeout_s)


def for_past(event: Bounded, timeout_s: float | None) -> Wait:
    """Commit-wait: until `event` is past beyond doubt, on any correct clock."""
    latest_ns = event.latest_ns
    return Wait(lambda reading: latest_ns + 1 - reading.earliest_ns, timeout_s)
