"""The client of the earlier ChronoTick, by its names: seconds as floats, `RuntimeError` and `ValueError`.

Float seconds of this century are no finer than 238 ns; new code uses `Clock`.
"""

import contextlib
import os
import threading
import time
from types import TracebackType
from typing import Any, NamedTuple

from chronotick.client.clock import Clock
from chronotick.client.instant import Bounded
from chronotick.errors import ClockError, OutOfRange
from chronotick.units import NS_PER_S

# The level at which `uncertainty_seconds` holds.
CONFIDENCE = 0.95


class CorrectedTime(NamedTuple):
    """The time, corrected.

    Attributes:
        corrected_timestamp: UTC, s since 1970.
        system_timestamp: what the system clock said at the same instant, s.
        uncertainty_seconds: half width of the calibrated interval, s.
        confidence: the level of that interval, 0..1.
        source: who had weight, e.g. "floor+chronos".
        offset_correction: corrected minus system, s: applied already.
        drift_rate: of UTC against this machine's oscillator, s/s: applied already.
    """

    corrected_timestamp: float
    system_timestamp: float
    uncertainty_seconds: float
    confidence: float
    source: str
    offset_correction: float
    drift_rate: float


class ChronoTickClient:
    """The earlier client. Connects at its first question; thread-safe.

    with ChronoTickClient() as client:
        print(client.get_time().corrected_timestamp)
    """

    def __init__(self, runtime_dir: str | os.PathLike[str] = "", *, timeout_s: float = 1.0) -> None:
        """Args: the host's directory, "" for the usual places; longest wait for an answer, s."""
        self._clock = Clock(runtime_dir, timeout_s=timeout_s)

    def get_time(self) -> CorrectedTime:
        """Now.

        Raises:
            RuntimeError: no host runs, or it has no time.
        """
        return self._corrected(0)

    def get_future_time(self, future_seconds: float) -> CorrectedTime:
        """What will be known of the time `future_seconds` (0..3600) from now, never more than now.

        Raises:
            ValueError: outside 0..3600 s.
            RuntimeError: no host runs, or it has no time.
        """
        return self._corrected(future_seconds)

    def wait_until(self, target_timestamp: float, tolerance_ms: float = 1.0) -> bool:
        """Wait until UTC is `target_timestamp`, s since 1970, or at most `tolerance_ms` before.

        Returns:
            True, always after the wait.

        Raises:
            ValueError: the target is past.
            RuntimeError: no host runs, or it has no time.
        """
        target_ns = round(target_timestamp * NS_PER_S)
        try:
            now_ns = self._clock.now().utc_ns
            if target_ns < now_ns:
                raise ValueError(f"The target is past by {(now_ns - target_ns) / NS_PER_S:.6f} s.")
            early_ns = target_ns - round(tolerance_ms * 1e6)
            if early_ns > now_ns:
                # Past by the time that this is called: reached.
                with contextlib.suppress(OutOfRange):
                    self._clock.wait_until(early_ns)
        except ClockError as error:
            raise RuntimeError(str(error)) from error
        return True

    def is_daemon_ready(self) -> bool:
        """Whether a host gives the time."""
        try:
            self._clock.now()
        except ClockError:
            return False
        return True

    def get_daemon_info(self) -> dict[str, Any]:
        """The host's status, by section: host, clock, sources, plugins, forecasts.

        Raises:
            RuntimeError: no host answers.
        """
        try:
            return self._clock.status()
        except ClockError as error:
            raise RuntimeError(str(error)) from error

    def close(self) -> None:
        """Give up mapping and socket."""
        self._clock.close()

    def __enter__(self) -> "ChronoTickClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _corrected(self, ahead_s: float) -> CorrectedTime:
        try:
            now = self._clock.now()
            system_ns = time.time_ns()
            # What passed between the two is the system clock's lead, not its error.
            system_ns -= time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - now.raw_ns
            then: Bounded = self._clock.future(ahead_s) if ahead_s else now
        except OutOfRange:
            raise
        except ClockError as error:
            raise RuntimeError(str(error)) from error
        system_ns += round(ahead_s * NS_PER_S)
        return CorrectedTime(
            corrected_timestamp=then.utc_ns / NS_PER_S,
            system_timestamp=system_ns / NS_PER_S,
            uncertainty_seconds=max(then.half_width_95_ns, now.half_width_95_ns) / NS_PER_S,
            confidence=CONFIDENCE,
            source="+".join(now.source),
            offset_correction=(then.utc_ns - system_ns) / NS_PER_S,
            drift_rate=now[2].rate,
        )


_shared: list[ChronoTickClient] = []
_lock = threading.Lock()


def get_current_time() -> CorrectedTime:
    """Now, from a client that all callers share.

    Raises:
        RuntimeError: no host runs, or it has no time.
    """
    with _lock:
        if not _shared:
            _shared.append(ChronoTickClient())
    return _shared[0].get_time()
