"""UDP sockets that tell when the kernel received and sent each packet, on the raw clock.

Linux stamps packets with the system clock (SO_TIMESTAMPING, software stamps); the stamp is carried over to the raw
clock at once, before anything can step the system clock far. Elsewhere user-space readings stand in, which are late
by what the scheduler makes of it.
"""

import contextlib
import socket
import struct
import sys
from collections.abc import Iterable

from chronotick.clock.timebase import ClockPair, pair
from chronotick.units import NS_PER_S

# From the kernel's headers: include/uapi/asm-generic/socket.h and linux/net_tstamp.h. Python's socket lacks them.
SO_TIMESTAMPING = 37
TX_SOFTWARE = 1 << 1
RX_SOFTWARE = 1 << 3
REPORT_SOFTWARE = 1 << 4
STAMP_ONLY = 1 << 11
TIMESPEC = struct.Struct("@qq")

PACKET_MAX = 4096
CONTROL_MAX = 512


def udp_socket(address: str, port: int) -> socket.socket:
    """A bound, non-blocking UDP socket with kernel stamps where there are any.

    Raises:
        OSError: the address is not of this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if sys.platform == "linux":
            sock.setsockopt(
                socket.SOL_SOCKET, SO_TIMESTAMPING, TX_SOFTWARE | RX_SOFTWARE | REPORT_SOFTWARE | STAMP_ONLY
            )
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def unread_socket(address: str) -> socket.socket:
    """A bound UDP socket that is there to be sent to: it keeps a packet or two, the kernel drops the rest.

    Raises:
        OSError: the address is not of this machine.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        sock.bind((address, 0))
    except BaseException:
        sock.close()
        raise
    return sock


def receive(sock: socket.socket) -> tuple[bytes, tuple[str, int], int] | None:
    """The next packet: payload (at most 4096 bytes), sender, raw instant of its arrival. None: none waits."""
    try:
        data, control, _, sender = sock.recvmsg(PACKET_MAX, CONTROL_MAX)
    except BlockingIOError:
        return None
    return data, sender, _raw_ns(control, pair())


def sent_raw_ns(sock: socket.socket) -> int | None:
    """Raw instant at which the last packet left, from the socket's error queue, which is emptied. None: unknown.

    Call it right after each send: a stamp left in the queue makes every poll of the socket return at once.
    """
    if sys.platform != "linux":
        return None
    found = None
    with contextlib.suppress(OSError):
        while True:
            _, control, _, _ = sock.recvmsg(0, CONTROL_MAX, socket.MSG_ERRQUEUE)
            if any(kind == SO_TIMESTAMPING for _, kind, _ in control):
                found = _raw_ns(control, pair())
    return found


def _raw_ns(control: Iterable[tuple[int, int, bytes]], now: ClockPair) -> int:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPING:
            seconds: int
            nanoseconds: int
            seconds, nanoseconds = TIMESPEC.unpack_from(data)
            age_ns = now.realtime_ns - (seconds * NS_PER_S + nanoseconds)
            # No stamp (0), or the system clock was stepped since it was taken.
            if 0 <= age_ns < NS_PER_S:
                return now.raw_ns - age_ns
    return now.raw_ns
