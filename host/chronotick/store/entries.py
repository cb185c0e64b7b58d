"""What the event log holds: a header at the head of each segment, then inputs and what was published.

A frame is 4 bytes of length, 4 bytes of crc32 and that many bytes: zlib over a MessagePack list of entries. The
dictionary that zlib starts from is part of the format: field names that every small frame would otherwise repeat.
"""

import zlib
from hashlib import blake2b
from struct import Struct
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.core import Core
from chronotick.errors import StoreError
from chronotick.inputs import Answered, Disrupted, Due, Felt, Heard, Models, Publish, Refused
from chronotick.wire.levels import AT_95
from chronotick.wire.snapshot import Record

MAGIC: Final = b"CTKLOG1\n"
VERSION: Final = 1
FRAME: Final = Struct("<II")
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
_MAX_INFLATED: Final = 256 * 1024 * 1024
_DICTIONARY: Final = (
    b"\xa6server\xa7address\xa4port\x00{\xa6raw_ns\xa6sample\x8e\xa8theta_ns\xa8delay_ns\xa7span_ns\xabprecision_s"
    b"\xacroot_delay_s\xb1root_dispersion_s\xa7stratum\xa4leap\xacreference_id\xa8transmit\xb1realtime_theta_ns"
    b"\xaasent_stamp\xa4user\xaereceived_stamp\xa6kernel\xa6reason\xc0\xa7refused\x90\xa5heard\xcb"
    b"\x97\xa3due\xcf\x9b\xa9published\xcf"
)


class Header(msgspec.Struct, frozen=True, array_like=True, tag="header"):
    """The head of a segment: all that is needed to go on from here.

    Attributes:
        version: of this format.
        program: version of ChronoTick.
        cause: why the segment begins: `start`, `size`, `age` or `gap` (the disk took nothing for a while).
        raw_ns, realtime_ns: both clocks when it was begun.
        suspended_ns: what the machine had slept by then.
        instance, pid, boot: who wrote it, as in `publish.issuer.Writer`.
        config: the configuration, as plain maps.
        prints: digests of the parts of a new core of that configuration.
        state: the core's parts as they stood.
    """

    version: int
    program: str
    cause: str
    raw_ns: int
    realtime_ns: int
    suspended_ns: int
    instance: int
    pid: int
    boot: int
    config: dict[str, Any]
    prints: dict[str, bytes]
    state: bytes


class Published(msgspec.Struct, frozen=True, array_like=True, tag="published"):
    """The input `Publish` and what came of it.

    Attributes:
        raw_ns, suspended_ns: the input.
        digest: of the bytes of the snapshot, all of them.
        status, theta_ns, rate, sigma_s, half_width_95_s, earliest_theta_ns, latest_theta_ns, epoch: of the snapshot, at
            its anchor, for those who read the log without replaying it.
        anchor_raw_ns: that anchor; older than `raw_ns` where nothing new could be said.
    """

    raw_ns: int
    suspended_ns: int
    digest: bytes
    status: str
    anchor_raw_ns: int
    theta_ns: int
    rate: float
    sigma_s: float
    half_width_95_s: float
    earliest_theta_ns: int
    latest_theta_ns: int
    epoch: int

    @property
    def input(self) -> Publish:
        """The input alone."""
        return Publish(self.raw_ns, self.suspended_ns)


Entry: TypeAlias = Heard | Disrupted | Published | Felt | Models | Due | Answered | Refused


def published(one: Publish, core: Core) -> Published:
    """The entry for what the core has just published."""
    record: Record = core.issuer.record
    return Published(
        raw_ns=one.raw_ns,
        suspended_ns=one.suspended_ns,
        digest=digest_of(core),
        status=record.status.value,
        anchor_raw_ns=record.raw_ns,
        theta_ns=record.theta_ns,
        rate=record.rate,
        sigma_s=record.sigma_s,
        half_width_95_s=record.half_widths_s[AT_95],
        earliest_theta_ns=record.earliest_theta_ns,
        latest_theta_ns=record.latest_theta_ns,
        epoch=record.epoch,
    )


def digest_of(core: Core) -> bytes:
    """Digest of the snapshot that the core stands for: of its bytes, as they lie in the file."""
    return blake2b(core.issuer.slot, digest_size=8).digest()


def pack(entry: Entry | Header) -> bytes:
    """One entry, to be put into a frame."""
    return _encoder.encode(entry)


def frame(entries: list[bytes]) -> bytes:
    """A frame of packed entries."""
    body = b"".join((b"\xdd", len(entries).to_bytes(4, "big"), *entries))
    squeezer = zlib.compressobj(level=1, zdict=_DICTIONARY)
    data = squeezer.compress(body) + squeezer.flush()
    return FRAME.pack(len(data), zlib.crc32(data)) + data


def unframe(data: bytes) -> bytes:
    """The MessagePack list in a frame's bytes, whose checksum was found right.

    Raises:
        StoreError: it does not decompress, or to more than is sensible.
    """
    try:
        inflater = zlib.decompressobj(zdict=_DICTIONARY)
        body = inflater.decompress(data, _MAX_INFLATED)
    except zlib.error as error:
        raise StoreError(f"A frame of the event log does not decompress: {error}.") from error
    if inflater.unconsumed_tail:
        raise StoreError(f"A frame of the event log holds more than {_MAX_INFLATED} bytes.")
    return body


def headers(body: bytes) -> Header:
    """The header in the first frame of a segment.

    Raises:
        StoreError: it holds no header, or one of another version of the log.
    """
    try:
        (header,) = _header_decoder.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"A segment of the event log begins with no header: {error}.") from error
    if header.version != VERSION:
        raise StoreError(f"A segment of the event log has version {header.version}, this program reads {VERSION}.")
    return header


def entries(body: bytes) -> list[Entry]:
    """The entries in another frame.

    Raises:
        StoreError: one is none.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise StoreError(f"An entry of the event log can not be read: {error}.") from error


def _unhook(_: type[Any], plain: Any) -> NDArray[np.float64]:
    shape, data = plain
    return np.frombuffer(data, "<f8").reshape(shape).copy()


def _hook(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.shape, np.ascontiguousarray(value, "<f8").tobytes()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"A {type(value).__name__} is no part of an event.")


_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_hook)
_decoder: Final[msgspec.msgpack.Decoder[list[Entry]]] = msgspec.msgpack.Decoder(list[Entry], dec_hook=_unhook)
_header_decoder: Final[msgspec.msgpack.Decoder[list[Header]]] = msgspec.msgpack.Decoder(list[Header])
