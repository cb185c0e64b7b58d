"""The kernel's packet timestamps: switching them on, and finding them beside a datagram or in the error queue.

Software stamps only. SO_TIMESTAMPING rather than SO_TIMESTAMPNS on receive: where the network stack took no stamp the
latter makes one up when the datagram is read, the former gives none and this process knows. Where the kernel has
nothing of the kind, everything here answers None and the caller's own readings count.
"""

import contextlib
import socket
import struct
import sys
from collections.abc import Iterable
from typing import Final

from chronotick.units import NS_PER_S

# asm-generic/socket.h and linux/net_tstamp.h; Python 3.11 has no names for them.
_SO_TIMESTAMPING: Final = 37
_TX_SOFTWARE: Final = 1 << 1
_RX_SOFTWARE: Final = 1 << 3
_SOFTWARE: Final = 1 << 4
_OPT_TSONLY: Final = 1 << 11
_FLAGS: Final = _TX_SOFTWARE | _RX_SOFTWARE | _SOFTWARE | _OPT_TSONLY
# struct scm_timestamping: three timespecs, the first one is the software stamp.
_TIMESPEC: Final = struct.Struct("@ll")
# One request leaves one stamp; more is not ours, and a loop without an end is no way to find that out.
_MAX_QUEUED: Final = 8

ANCILLARY_BYTES: Final = 512


def enable(sock: socket.socket) -> bool:
    """Ask for transmit and receive stamps on a UDP socket. False: the kernel has none to give."""
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _FLAGS)
    except OSError:
        return False
    return True


def keep_enabled() -> socket.socket:
    """An idle socket that keeps the network stack's receive stamping switched on while it is open.

    The kernel switches it on with the first socket that asks, some time later, and off with the last one: with only a
    short-lived socket per exchange, many replies would find it off. Bound to no port; the caller closes it.
    """
    keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    enable(keeper)
    return keeper


def received(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """The software stamp among a datagram's control messages, CLOCK_REALTIME ns; None where there is none."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPING and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            if seconds or nanoseconds:
                return int(seconds) * NS_PER_S + int(nanoseconds)
    return None


def sent(sock: socket.socket) -> int | None:
    """Empty the error queue of a non-blocking socket; the first transmit stamp in it, CLOCK_REALTIME ns, or None.

    Call it right after sending and whenever the socket turns readable: a stamp left in the queue keeps the socket
    in error and the event loop awake.
    """
    if sys.platform != "linux":
        return None
    stamp: int | None = None
    # OSError: nothing more in the queue, or a network error, which the next read reports as well.
    with contextlib.suppress(OSError):
        for _ in range(_MAX_QUEUED):
            _, ancillary, _, _ = sock.recvmsg(0, ANCILLARY_BYTES, socket.MSG_ERRQUEUE)
            if stamp is None:
                stamp = received(ancillary)
    return stamp
