"""Packets that leave when they say that they leave.

A reply states the instant T3 at which it leaves, and has to be written and handed over before. The time from handing
over to leaving is learned from the kernel's transmit stamps of earlier packets (their median); so the instant is chosen
ahead, the packet is written for it, and handed over that much before it.

A processor that comes from idling takes two to ten times as long for its first send, by chance. Packets then leave
some microseconds after what they say, or before. That does not average out: clients prefer exchanges of short delay,
which are those whose replies left before. On a LAN of 100 us with 1 s polls a clock that averages for minutes stood
1 us off. So each packet is first sent to nobody: what sending needs of this process and of the kernel is in the caches
afterwards. And a packet for which the moment was missed is written anew.
"""

import socket
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

from chronotick.clock.timebase import raw_ns
from chronotick.lab import stamps

# Latencies remembered; what is assumed before any.
_LATENCIES: Final = 31
_LATENCY_FIRST_NS: Final = 20_000
# Longer than this, and the process lost the processor between handing over and leaving.
_LATENCY_MOST_NS: Final = 1_000_000
# A packet is written this long before it leaves: writing it and sending it to nobody takes some 30 us, at times 60.
_LEAD_NS: Final = 100_000
# Handed over later than this after its moment it is written again, so many times in all.
_LATE_NS: Final = 300
_ATTEMPTS: Final = 4


class Departure:
    """The way out through one socket, as long as both are open.

    Args:
        sock: from `stamps.udp_socket`, bound.
        address: where `sock` is bound.

    Raises:
        OSError: there is no socket for the address.
    """

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._socket = sock
        self._nobody = stamps.unread_socket(address)
        self._unread = self._nobody.getsockname()
        self._latencies_ns: deque[int] = deque([_LATENCY_FIRST_NS], maxlen=_LATENCIES)
        self._latency_ns = _LATENCY_FIRST_NS

    def calibrate(self, size: int) -> None:
        """Learn the latency from packets of `size` bytes to nobody."""
        for _ in range(_LATENCIES):
            handed_ns = raw_ns()
            if (sent_ns := self._rehearse(bytes(size))) is not None:
                self._learn(sent_ns - handed_ns)

    def send(
        self, write: Callable[[int], bytes], to: tuple[str, int], *, via: socket.socket | None = None, copies: int = 1
    ) -> int | None:
        """Send one packet, or several copies of it.

        Args:
            write: makes the packet for the raw instant, ns, at which it will leave; may be asked several times.
            via: another socket to send through, of which nothing is learned.

        Returns:
            How much later than it says the packet left, ns; None where that can not be told.

        Raises:
            OSError: it could not be sent.
        """
        sock = via or self._socket
        for _ in range(_ATTEMPTS):
            leaves_ns = raw_ns() + _LEAD_NS
            packet = write(leaves_ns)
            self._rehearse(packet)
            latency_ns = self._latency_ns
            handed_ns = spin(leaves_ns - latency_ns)
            if handed_ns + latency_ns - leaves_ns <= _LATE_NS:
                break
        for _ in range(copies):
            sock.sendto(packet, to)
        sent_ns = stamps.sent_raw_ns(sock)
        if sent_ns is None or sock is not self._socket or copies > 1:
            return None
        self._learn(sent_ns - handed_ns)
        return sent_ns - leaves_ns

    def close(self) -> None:
        """Close what this made; the socket is its owner's. May be called twice."""
        self._nobody.close()

    def _rehearse(self, packet: bytes) -> int | None:
        self._socket.sendto(packet, self._unread)
        return stamps.sent_raw_ns(self._socket)

    def _learn(self, latency_ns: int) -> None:
        if 0 <= latency_ns < _LATENCY_MOST_NS:
            self._latencies_ns.append(latency_ns)
            self._latency_ns = round(median(self._latencies_ns))


def spin(until_raw_ns: int) -> int:
    """Wait without letting go of the processor; the raw clock afterwards, ns."""
    while (now := raw_ns()) < until_raw_ns:
        pass
    return now
