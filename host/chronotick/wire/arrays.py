"""Numpy arrays on the wire: MessagePack extension 1 holding `[dtype, shape, data]`.

`data` is the array's bytes in C order, or the index of the raw frame that holds them (0: the first after the body).
"""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.errors import ProtocolError
from chronotick.wire.codes import Code
from chronotick.wire.limits import INLINE_BYTES, MAX_BUFFERS, MAX_DIMENSIONS, MAX_MESSAGE_BYTES

EXTENSION: Final = 1
DTYPES: Final[dict[str, np.dtype[Any]]] = {name: np.dtype(name) for name in ("<f8", "<f4", "<i8", "|b1")}

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(tuple[str, list[int], bytes | int])


def pack(array: NDArray[Any], buffers: list[bytes]) -> bytes:
    """Extension payload of an array; one above 64 KiB is appended to `buffers` and referred to by its index.

    Raises:
        ProtocolError: `bad_message` for a dtype or a number of dimensions that the wire has not, `too_large`.
    """
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in DTYPES:
        raise _bad(f"An array of dtype {array.dtype} can not be sent, only {', '.join(DTYPES)}.")
    if not 1 <= array.ndim <= MAX_DIMENSIONS:
        raise _bad(f"An array of {array.ndim} dimensions can not be sent, only 1 to {MAX_DIMENSIONS}.")
    if array.nbytes > MAX_MESSAGE_BYTES:
        raise ProtocolError(Code.TOO_LARGE, f"An array of {array.nbytes} bytes is above {MAX_MESSAGE_BYTES}.")
    data: bytes | int = array.astype(dtype, copy=False).tobytes()
    if array.nbytes > INLINE_BYTES and len(buffers) < MAX_BUFFERS:
        assert isinstance(data, bytes)
        buffers.append(data)
        data = len(buffers) - 1
    return _encoder.encode((dtype.str, array.shape, data))


def unpack(payload: bytes | memoryview, buffers: Sequence[bytes | memoryview]) -> NDArray[Any]:
    """The array of an extension payload, as an own, aligned, writable copy.

    Raises:
        ProtocolError: `bad_message` for anything that `pack` would not write.
    """
    try:
        name, shape, data = _decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _bad(f"An array does not decode: {error}.") from error
    dtype = DTYPES.get(name)
    if dtype is None:
        raise _bad(f"An array has dtype {name!r}, expected one of {', '.join(DTYPES)}.")
    if not 1 <= len(shape) <= MAX_DIMENSIONS or min(shape) < 0:
        raise _bad(f"An array has the shape {shape[:8]}.")
    # Zeros count as ones, or a shape such as (0, 2^40, 2^40) would pass and overflow inside numpy.
    if prod(max(length, 1) for length in shape) * dtype.itemsize > MAX_MESSAGE_BYTES:
        raise _bad(f"An array of shape {shape} is above {MAX_MESSAGE_BYTES} bytes.")
    if isinstance(data, int):
        if not 0 <= data < len(buffers):
            raise _bad(f"An array lies in raw frame {data}, but there are {len(buffers)}.")
        raw: bytes | memoryview = buffers[data]
    else:
        raw = data
    if len(raw) != prod(shape) * dtype.itemsize:
        raise _bad(f"An array of shape {shape} and dtype {name} has {len(raw)} bytes.")
    if name == "|b1" and len(raw) and int(np.frombuffer(raw, np.uint8).max()) > 1:
        raise _bad("A boolean array has a byte that is neither 0 nor 1.")
    # A copy: bytes of a message are read-only and unaligned, and model libraries write into their inputs.
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def _bad(message: str) -> ProtocolError:
    return ProtocolError(Code.BAD_MESSAGE, message)
