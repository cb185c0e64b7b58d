"""Messages to frames and back. Frames: magic, MessagePack body, then the raw data of large arrays."""

from collections.abc import Sequence
from typing import Any, Final, get_args

import msgspec
import numpy as np

from chronotick.errors import ProtocolError
from chronotick.wire import arrays
from chronotick.wire.codes import Code
from chronotick.wire.limits import MAX_BUFFERS, MAX_MESSAGE_BYTES
from chronotick.wire.messages import AnyMessage, Event, Message
from chronotick.wire.version import MAGIC, check_magic

TYPES: Final[dict[str, type[Message]]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyMessage)}

# What msgspec raises for bytes that it can not take: broken UTF-8 is a ValueError, an unhashable key a TypeError.
_REFUSALS: Final = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, MemoryError)


class _Header(msgspec.Struct):
    type: Any = None
    id: Any = None


_header: Final = msgspec.msgpack.Decoder(_Header)


def encode(message: Message) -> list[bytes]:
    """Frames of a message, without any identity or topic before them.

    Raises:
        ProtocolError: `too_large`; `bad_message` for an array that the wire has not.
    """
    buffers: list[bytes] = []

    def hook(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return msgspec.msgpack.Ext(arrays.EXTENSION, arrays.pack(value, buffers))
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"A {type(value).__name__} can not be sent.")

    body = msgspec.msgpack.encode(message, enc_hook=hook)
    frames = [MAGIC, body, *buffers]
    _check_size(frames)
    return frames


def encode_event(event: Event) -> list[bytes]:
    """Frames of an event for a publishing socket: its topic first, for subscriptions to match."""
    return [event.topic.encode(), *encode(event)]


def decode(frames: Sequence[bytes]) -> AnyMessage:
    """The message that these frames hold, without any identity or topic before them.

    Raises:
        ProtocolError: `bad_magic`, `version_mismatch`, `too_large`, `unknown_type` or `bad_message`, and nothing else
            ever. Its `request_id` is the message's id where that could be read.
    """
    if len(frames) < 2:
        raise ProtocolError(Code.BAD_MESSAGE, f"A message has {len(frames)} frames, expected at least 2.")
    check_magic(frames[0])
    if len(frames) > 2 + MAX_BUFFERS:
        raise ProtocolError(
            Code.BAD_MESSAGE, f"A message has {len(frames)} frames, expected at most {2 + MAX_BUFFERS}."
        )
    _check_size(frames)
    body, buffers = frames[1], frames[2:]
    try:
        return (_inline if not buffers else _decoder(buffers)).decode(body)
    except ProtocolError as error:
        raise ProtocolError(error.code, error.message, request_id=_read_header(body).id) from error
    except _REFUSALS as error:
        raise _refusal(body, error) from error


def decode_event(frames: Sequence[bytes]) -> Event:
    """The event that a publishing socket sent, topic frame first.

    Raises:
        ProtocolError: as `decode`, and `bad_message` for another message or a topic frame that contradicts the body.
    """
    message = decode(frames[1:])
    if not isinstance(message, Event) or message.topic.encode() != frames[0]:
        raise ProtocolError(Code.BAD_MESSAGE, f"The topic frame {frames[0][:32]!r} does not fit its body.")
    return message


def _decoder(buffers: Sequence[bytes]) -> "msgspec.msgpack.Decoder[AnyMessage]":
    def hook(code: int, payload: memoryview) -> Any:
        if code != arrays.EXTENSION:
            raise ProtocolError(Code.BAD_MESSAGE, f"A message has the MessagePack extension {code}, expected only 1.")
        return arrays.unpack(payload, buffers)

    return msgspec.msgpack.Decoder(AnyMessage, ext_hook=hook)


_inline: Final = _decoder(())


def _check_size(frames: Sequence[bytes]) -> None:
    size = sum(map(len, frames))
    if size > MAX_MESSAGE_BYTES:
        raise ProtocolError(Code.TOO_LARGE, f"A message of {size} bytes is above {MAX_MESSAGE_BYTES}.")


def _read_header(body: bytes) -> _Header:
    try:
        header = _header.decode(body)
    except _REFUSALS:
        return _Header()
    if type(header.id) is not int or not 0 <= header.id < 2**63:
        header.id = None
    return header


def _refusal(body: bytes, error: BaseException) -> ProtocolError:
    header = _read_header(body)
    if isinstance(header.type, str) and header.type not in TYPES:
        kind = header.type[:64]
        return ProtocolError(Code.UNKNOWN_TYPE, f"Messages of type {kind!r} are not known here.", request_id=header.id)
    where = header.type if isinstance(header.type, str) else "message"
    return ProtocolError(Code.BAD_MESSAGE, f"A {where} does not decode: {error}.", request_id=header.id)
