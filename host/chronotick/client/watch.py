"""Changes of what the time is worth, as they happen."""

import time
from typing import TYPE_CHECKING, NamedTuple

from chronotick.client.reading import Reading
from chronotick.errors import ClockError, HostAbsent
from chronotick.wire.snapshot import Status

if TYPE_CHECKING:
    import zmq

    from chronotick.client.clock import Clock

# Each publication may have changed something; a discontinuity certainly has.
TOPICS = ("snapshot", "alarm")


class Change(NamedTuple):
    """A new condition of the clock.

    Attributes:
        status: what the time is worth now.
        epoch: as of a reading: another one than before says that the time has stepped.
        host_instance: another one than before says that the host was started anew; 0 for no host.
        reason: why there is no time; "" where there is one.
        reading: the reading at which it was noticed; None where there is no time.
    """

    status: Status
    epoch: int
    host_instance: int
    reason: str
    reading: Reading | None

    def differs(self, before: "Change | None") -> bool:
        """Whether anything but the time has changed."""
        return before is None or self[:3] != before[:3]


def look(clock: "Clock") -> Change:
    """The condition now."""
    try:
        reading = clock.now()
    except ClockError as error:
        return Change(Status.UNKNOWN, 0, 0, str(error), None)
    return Change(reading.status, reading.epoch, reading.host_instance, "", reading)


class News:
    """The host's events, as a reason to look again. Without a host, or over tcp, there are none; one looks anyway."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._open: tuple[zmq.Context[zmq.Socket[bytes]], zmq.Socket[bytes]] | None = None

    def wait(self, timeout_s: float) -> None:
        """Wait for an event, at most so long."""
        if self._open is None and (endpoint := events_of(self._clock)):
            import zmq

            from chronotick.wire.sockets import connect_subscriber

            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            self._open = context, connect_subscriber(context, endpoint, TOPICS)
        if self._open is None:
            time.sleep(timeout_s)
            return
        socket = self._open[1]
        left_ms = round(timeout_s * 1000)
        while socket.poll(left_ms):
            socket.recv_multipart()
            left_ms = 0

    def close(self) -> None:
        """Stop listening."""
        opened, self._open = self._open, None
        if opened is not None:
            opened[1].close(linger=0)
            opened[0].term()


def events_of(clock: "Clock") -> str:
    """Where the host's events are; "" where there are none to be had."""
    try:
        return clock.events_endpoint()
    except HostAbsent:
        return ""
