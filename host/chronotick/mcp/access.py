"""The adapter's way to the host: the clock and, for all that is not in the snapshot, the host's client socket."""

import threading
import time
from typing import Any

from chronotick.client import Clock, Reading
from chronotick.client.connection import Connection
from chronotick.clock import timebase
from chronotick.errors import HostAbsent, RuntimeDirError
from chronotick.wire import runtime_dir
from chronotick.wire.sockets import ipc_endpoint

# Longest wait for the host's answer over its local socket, s. It takes well under a millisecond when there is a host.
TIMEOUT_S = 1.0


class HostAccess:
    """One clock for all calls, so that no two answers run backwards. Thread-safe; finds a new host by itself.

    Attributes:
        directory: the host's runtime directory as given; "" for the usual places.
        clock: reads the host's snapshot.
        begun_s: when this adapter began, on the monotonic clock, s.
        calls, failures: tool calls so far, and those that could not be answered.
    """

    def __init__(self, directory: str = "") -> None:
        self.directory = directory
        self.clock = Clock(directory, timeout_s=TIMEOUT_S)
        self.begun_s = time.monotonic()
        self.calls = 0
        self.failures = 0
        self._busy_s = 0.0
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def now(self, *, allow_unknown: bool = False) -> tuple[Reading, int]:
        """A reading, and CLOCK_REALTIME at the same instant, ns.

        Raises:
            ClockError: as `Clock.now`.
        """
        reading = self.clock.now(allow_unknown=allow_unknown)
        pair = timebase.pair(tries=1)
        return reading, pair.realtime_ns - (pair.raw_ns - reading.raw_ns)

    def sections(self) -> dict[str, Any]:
        """The host's status by section.

        Raises:
            HostAbsent: no host answers.
        """
        try:
            endpoint = ipc_endpoint(runtime_dir.find(self.directory).client)
        except RuntimeDirError as error:
            raise HostAbsent(error.message, mend=error.mend) from error
        with self._lock:
            if self._connection is None or self._connection.endpoint != endpoint:
                self._hang_up()
                self._connection = Connection(endpoint, TIMEOUT_S)
            connection = self._connection
        sections: dict[str, Any] = connection.request("status_query")["sections"]
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
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
