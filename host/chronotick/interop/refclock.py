"""Samples for chronyd's SOCK reference clock: the way from here to a steered system clock.

One datagram is one `struct sock_sample` of chrony's refclock_sock.c, in the machine's byte order:

    offset  bytes
         0     16  struct timeval: seconds and microseconds of CLOCK_REALTIME
        16      8  double, true time minus CLOCK_REALTIME then, s: positive when the system clock is behind
        24      4  int pulse: 0, the sample tells the second as well
        28      4  int leap: 0 normal, 1 insert, 2 delete a second
        32      4  padding
        36      4  int magic, "SOCK"
"""

import socket
import struct
from typing import Final

from chronotick.units import NS_PER_S, ns_to_s
from chronotick.wire.snapshot import Record, Status

MAGIC: Final = 0x534F434B
# `l` in native mode is as wide as the time_t that a chronyd of the same platform was built with.
_SAMPLE: Final = struct.Struct("@lldiiii")
SAMPLE_BYTES: Final = _SAMPLE.size
_NS_PER_US: Final = 1000


def sample(realtime_ns: int, offset_s: float) -> bytes:
    """The datagram for a system clock that shows `realtime_ns` and is behind true time by `offset_s`."""
    seconds, rest_ns = divmod(realtime_ns, NS_PER_S)
    return _SAMPLE.pack(seconds, rest_ns // _NS_PER_US, offset_s, 0, 0, 0, MAGIC)


def sample_of(record: Record, raw_ns: int, realtime_ns: int) -> bytes | None:
    """What to tell chronyd at this instant; None when nothing may be told.

    Only a SYNCHRONISED time is told: chronyd has to see that its source has fallen silent when this one holds over,
    and chooses then by itself.
    """
    if record.status_at(raw_ns) is not Status.SYNCHRONISED:
        return None
    return sample(realtime_ns, ns_to_s(record.utc_ns(raw_ns) - realtime_ns))


class RefclockSender:
    """Sends samples to the socket that a chronyd with `refclock SOCK PATH` made. Never waits."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self.sent: int = 0
        self.lost: int = 0

    def send(self, datagram: bytes) -> str | None:
        """Send one sample. Returns why it was lost, or None: chronyd may be away, and comes back by itself."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            # Not connected: a chronyd that was restarted has made another socket at the same path.
            self._socket.sendto(datagram, self._path)
        except OSError as error:
            self.lost += 1
            return error.strerror or str(error)
        self.sent += 1
        return None

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
