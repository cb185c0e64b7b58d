"""Somebody who knows the truth and reads the clock as any agent would, twenty times a second."""

import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final

import zmq

from chronotick.client import Clock, Reading, Status
from chronotick.errors import ClockError, ProtocolError
from chronotick.lab.demo.score import Sample
from chronotick.lab.truth import Truth
from chronotick.wire import codec
from chronotick.wire.runtime_dir import RuntimeDir
from chronotick.wire.sockets import connect_subscriber, ipc_endpoint

PERIOD_S: Final = 0.05


class Watcher:
    """Reads `Clock.now()` in a thread of its own and keeps each reading beside the truth.

    What the floor and a held sample would have said at the same instant comes from the host's `snapshot` events: the
    last one published before the reading.
    """

    def __init__(self, directory: RuntimeDir, truth: Truth) -> None:
        self._directory = directory
        self._truth = truth
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self.samples: list[Sample] = []
        self.unknown: int = 0
        self.last: Reading | None = None
        # States that each plugin has gone through since the watch began.
        self.paths: dict[str, list[str]] = {}
        self._published: deque[dict[str, Any]] = deque(maxlen=256)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more, and wait for the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        events = connect_subscriber(context, ipc_endpoint(self._directory.events), ("snapshot", "plugin"))
        try:
            with Clock(self._directory.path, fall_back=False) as clock:
                begun, ticks = time.monotonic(), 0
                while not self._stop.is_set():
                    self._hear(events)
                    with suppress(ClockError):
                        self._read(clock)
                    ticks = max(ticks + 1, int((time.monotonic() - begun) / PERIOD_S))
                    self._stop.wait(max(begun + ticks * PERIOD_S - time.monotonic(), 0.0))
        finally:
            events.close()
            context.term()

    def _hear(self, events: "zmq.Socket[bytes]") -> None:
        with suppress(zmq.Again, ProtocolError):
            while True:
                event = codec.decode_event(events.recv_multipart(zmq.DONTWAIT))
                if event.topic == "plugin":
                    self.paths.setdefault(event.body["name"], []).append(event.body["state"])
                else:
                    self._published.append(event.body)

    def _read(self, clock: Clock) -> None:
        reading = clock.now(allow_unknown=True)
        self.last = reading
        if reading.status is Status.UNKNOWN:
            self.unknown += 1
            return
        before = next((one for one in reversed(self._published) if one["raw_ns"] <= reading.raw_ns), None)
        if before is None or before["floor"] is None:
            return
        floor, raw_ns = before["floor"], reading.raw_ns
        low, high = reading.interval(0.95)
        self.samples.append(
            Sample(
                raw_ns=raw_ns,
                true_ns=self._truth.utc_ns(raw_ns),
                utc_ns=reading.utc_ns,
                earliest_ns=reading.earliest_ns,
                latest_ns=reading.latest_ns,
                low_95_ns=low,
                high_95_ns=high,
                floor_ns=raw_ns + floor["theta_ns"] + round(floor["rate"] * (raw_ns - floor["raw_ns"])),
                hold_last_ns=raw_ns + before["fix"]["theta_ns"],
                holdover=self._truth.outage(raw_ns),
            )
        )
