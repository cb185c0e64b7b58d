"""The adapter's way to the host: one clock for all calls, and the adapter's own counters."""

import threading
import time
from typing import Any

from chronotick.client import Clock, Reading
from chronotick.clock import timebase
from chronotick.errors import ClockError

# Longest wait for the host's answer over its local socket, s. It takes well under a millisecond when there is a host.
TIMEOUT_S = 1.0
SECTIONS = {"host", "clock", "sources", "plugins", "forecasts"}


class HostAccess:
    """One clock for all calls, so that no two answers run backwards. Thread-safe; finds a new host by itself.

    Attributes:
        clock: reads the host's snapshot, and asks its client socket for what is not in it. No network in either.
        begun_s: when this adapter began, on the monotonic clock, s.
        calls, failures: tool calls so far, and those that could not be answered.
    """

    def __init__(self, directory: str = "", timeout_s: float = TIMEOUT_S) -> None:
        """Args: the host's runtime directory, "" for the usual places; longest wait for its answer, > 0, s."""
        self.clock: Clock = Clock(directory, timeout_s=timeout_s)
        self.begun_s: float = time.monotonic()
        self.calls: int = 0
        self.failures: int = 0
        self._busy_s = 0.0
        self._lock = threading.Lock()

    def now(self, *, max_width_ns: int | None = None, allow_unknown: bool = False) -> tuple[Reading, int]:
        """A reading, and CLOCK_REALTIME at the same instant, ns.

        Raises:
            ClockError: as `Clock.now`.
        """
        reading = self.clock.now(max_width_ns=max_width_ns, allow_unknown=allow_unknown)
        pair = timebase.pair(tries=1)
        return reading, pair.realtime_ns - (pair.raw_ns - reading.raw_ns)

    def sections(self) -> dict[str, Any]:
        """The host's status by section.

        Raises:
            HostAbsent: no host answers.
            ClockError: it answers, but not with the sections that are known here.
        """
        sections = self.clock.status()
        if not sections.keys() >= SECTIONS:
            raise ClockError(
                f"The host tells nothing of {', '.join(sorted(SECTIONS - sections.keys()))}.",
                mend="Install the same ChronoTick version for host and adapter, and restart both.",
            )
        return sections

    def count(self, seconds: float, *, failed: bool) -> None:
        """Count a call and how long it took."""
        with self._lock:
            self.calls += 1
            self.failures += failed
            self._busy_s += seconds

    @property
    def mean_call_ms(self) -> float:
        """Mean duration of the calls so far, ms."""
        return self._busy_s / self.calls * 1e3 if self.calls else 0.0

    def close(self) -> None:
        """Give up mapping and socket."""
        self.clock.close()
