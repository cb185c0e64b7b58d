"""What is published, handed on to other clocks' readers: I/O, and it decides nothing about time."""

import logging
import time
from pathlib import Path
from typing import Final

from chronotick.clock import timebase
from chronotick.config.schema import InteropConfig
from chronotick.interop.clockbound import ClockBoundWriter
from chronotick.interop.refclock import RefclockSender, sample_of
from chronotick.interop.system_bound import Look, steering, system_bound
from chronotick.units import PPM, s_to_ns
from chronotick.wire.snapshot import Record

log: logging.Logger = logging.getLogger("chronotick.interop")

# Linux's number for it; Python's time module has no name for it.
_CLOCK_MONOTONIC_COARSE: Final = 6
# Steering is measured over this long at least, ns: below, the readings' own windows would be taken for it.
_STEERED_OVER_NS: Final = 100_000_000


class Outputs:
    """The configured outputs, fed at every publication. Use from one thread."""

    def __init__(self, config: InteropConfig, first: Record) -> None:
        """Open what is configured.

        Raises:
            RuntimeDirError: ClockBound's segment can not be made.
        """
        self._config = config
        self._coarse_step_ns = round(time.clock_getres(_CLOCK_MONOTONIC_COARSE) * 1e9)
        self._looked: Look | None = None
        self._steered = 0.0
        self._segment: ClockBoundWriter | None = None
        if config.clockbound_path:
            bound = system_bound(first, self._look(), config.system_slew_ppm * PPM)
            self._segment = ClockBoundWriter(Path(config.clockbound_path), bound)
        self._refclock = RefclockSender(config.refclock_socket) if config.refclock_socket else None
        self._next_sample_raw_ns = 0
        self._complaint: str | None = None

    def publish(self, record: Record) -> None:
        """Hand on what was just published."""
        if self._segment is not None:
            self._write_segment(self._segment, record)
        if self._refclock is not None:
            self._send_sample(self._refclock, record)

    def close(self) -> None:
        """Close what is open; the segment's file stays."""
        if self._segment is not None:
            self._segment.close()
        if self._refclock is not None:
            self._refclock.close()

    def _write_segment(self, segment: ClockBoundWriter, record: Record) -> None:
        look = self._look()
        if self._looked is None:
            self._looked = look
        elif look.raw_ns - self._looked.raw_ns >= _STEERED_OVER_NS:
            self._steered = steering(self._looked, look)
            self._looked = look
        # It may go on as fast as it was just seen to go, and may begin to go as fast as configured.
        segment.write(system_bound(record, look, max(self._steered, self._config.system_slew_ppm * PPM)))

    def _send_sample(self, refclock: RefclockSender, record: Record) -> None:
        pair = timebase.pair()
        if pair.raw_ns < self._next_sample_raw_ns:
            return
        datagram = sample_of(record, pair.raw_ns, pair.realtime_ns)
        if datagram is None:
            return
        self._next_sample_raw_ns = pair.raw_ns + s_to_ns(self._config.refclock_interval_s)
        complaint = refclock.send(datagram)
        if complaint != self._complaint:
            self._complaint = complaint
            if complaint is None:
                log.info("chronyd takes samples", extra={"socket": self._config.refclock_socket})
            else:
                log.warning("chronyd takes no samples: %s", complaint, extra={"socket": self._config.refclock_socket})

    def _look(self) -> Look:
        coarse_ns = time.clock_gettime_ns(_CLOCK_MONOTONIC_COARSE)
        pair = timebase.pair()
        return Look(coarse_ns, self._coarse_step_ns, pair.raw_ns, pair.realtime_ns, pair.window_ns)
