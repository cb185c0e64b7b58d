"""The snapshot file, layout 2: how one published reading lies in memory, and how it is read while it is written.

One writer, any number of readers, no locks. Numbers are little-endian; instants are int64 ns; rates are float64,
because an integer rate would need an exponent of its own and float64 carries 1e-16 of it.

    offset  bytes
         0      8  magic "CTKSNAP" and a zero
         8      4  size of the file
        12      4  layout, 2: it holds the interval at each of `wire.levels.LEVELS`; 1 held that of 95 % only
        16      8  hash of boot and time namespace
        32      8  generation: odd while a record is being written
        64    512  slot 0: crc32, 4 bytes of zero, record, zeros
       576    512  slot 1

Record number n lies in slot n & 1. The writer sets the generation to 2n - 1, writes the slot, sets it to 2n. So the
last whole record is always number `generation >> 1`, also while the next one is being written, and also for ever after
a writer that was killed half-way: a reader never waits. The slot that it copies is written to again only when the
generation passes 2n + 2. The crc32 covers the record and the first 24 bytes of the file, without the generation.
"""

import struct
import zlib
from enum import StrEnum
from math import ceil, isfinite
from typing import Final, NamedTuple

from chronotick.errors import SnapshotInvalid
from chronotick.wire.levels import AT_95, LEVELS
from chronotick.wire.levels import Z95 as Z95

MAGIC: Final = b"CTKSNAP\0"
LAYOUT: Final = 2
HEADER_BYTES: Final = 64
SLOT_BYTES: Final = 512
FILE_BYTES: Final = HEADER_BYTES + 2 * SLOT_BYTES
# Index of the generation in the file seen as an array of uint64: one aligned word, so that a store of it is atomic.
GENERATION_WORD: Final = 4
SOURCE_BYTES: Final = 192
MIN_NS: Final = -(2**63)
MAX_NS: Final = 2**63 - 1

_IDENTITY: Final = struct.Struct("<8sIIQ")
_CRC: Final = struct.Struct("<II")
_RECORD: Final = struct.Struct(f"<qqddqdd{2 * len(LEVELS)}dqqdqqqqQQQIBB{SOURCE_BYTES}s")
# Fields of a record before the half widths.
_WIDTHS_AT: Final = 7
_RETRIES: Final = 64


class Status(StrEnum):
    """What the published time is worth.

    UNKNOWN: no majority has ever been seen in this epoch, or the bound has run out: no time is given.
    SYNCHRONISED: fixes arrive.
    HOLDOVER: fixes have stopped; the answer is extrapolated and its interval grows.
    DISRUPTED: a discontinuity of the time base was seen; the estimator has restarted and its interval is wide.
    """

    UNKNOWN = "UNKNOWN"
    SYNCHRONISED = "SYNCHRONISED"
    HOLDOVER = "HOLDOVER"
    DISRUPTED = "DISRUPTED"


_STATUSES: Final = (Status.UNKNOWN, Status.SYNCHRONISED, Status.HOLDOVER, Status.DISRUPTED)
# Looking a member up in its class costs as much as the arithmetic of a bound.
_UNKNOWN: Final = Status.UNKNOWN
_CODES: Final = {status: code for code, status in enumerate(_STATUSES)}


class Record(NamedTuple):
    """One published reading, as the file holds it: a line from the raw clock to UTC, two intervals and their growth.

    With age a = raw - raw_ns, and s = min(a, slew_until_raw_ns - raw_ns):

        utc      = raw + theta_ns + rate * a + slew_rate * s
        earliest = raw + earliest_theta_ns - bound_growth * a
        latest   = raw + latest_theta_ns   + bound_growth * a
        sigma    = sigma_s + sigma_growth * a - |slew_rate| * s
        half[i]  = half_widths_s[i] + half_growths[i] * a - |slew_rate| * s

    so sigma_s and half_widths_s hold what is still to be slewed, and give it back as it is slewed. Attributes as in
    `chronotick.publish.Publication`, and

        suspended_ns: what the machine had slept when this was written: a reader that finds more has a raw clock that
            stood still meanwhile.
        host_pid: process id of the writer.
    """

    raw_ns: int
    theta_ns: int
    rate: float
    slew_rate: float
    slew_until_raw_ns: int
    sigma_s: float
    sigma_growth: float
    half_widths_s: tuple[float, ...]
    half_growths: tuple[float, ...]
    earliest_theta_ns: int
    latest_theta_ns: int
    bound_growth: float
    stale_raw_ns: int
    void_raw_ns: int
    fix_raw_ns: int
    suspended_ns: int
    epoch: int
    sequence: int
    host_instance: int
    host_pid: int
    status: Status
    source: tuple[str, ...]

    def utc_ns(self, raw_ns: int) -> int:
        """UTC at a raw instant. Not decreasing in it: truncation of a line that rises stays in order."""
        age = raw_ns - self.raw_ns
        slewing = min(age, self.slew_until_raw_ns - self.raw_ns)
        return raw_ns + self.theta_ns + int(self.rate * age + self.slew_rate * slewing)

    def earliest_ns(self, raw_ns: int) -> int:
        """Earliest true UTC at a raw instant, rounded outward; the lowest number there is when UNKNOWN."""
        if self.status is _UNKNOWN:
            return MIN_NS
        return raw_ns + self.earliest_theta_ns - ceil(self.bound_growth * abs(raw_ns - self.raw_ns))

    def latest_ns(self, raw_ns: int) -> int:
        """Latest true UTC at a raw instant, rounded outward; the highest number there is when UNKNOWN."""
        if self.status is _UNKNOWN:
            return MAX_NS
        return raw_ns + self.latest_theta_ns + ceil(self.bound_growth * abs(raw_ns - self.raw_ns))

    def sigma_ns(self, raw_ns: int) -> int:
        """Standard deviation of `utc_ns` at a raw instant, with what is still to be slewed, rounded up."""
        return self._spread_ns(self.sigma_s, self.sigma_growth, raw_ns)

    def half_width_95_ns(self, raw_ns: int) -> int:
        """Half width of the calibrated 95 % interval at a raw instant, before clipping to the hard one, rounded up."""
        return self._spread_ns(self.half_widths_s[AT_95], self.half_growths[AT_95], raw_ns)

    def half_widths_ns(self, raw_ns: int) -> tuple[int, ...]:
        """The same at each of `LEVELS`."""
        pairs = zip(self.half_widths_s, self.half_growths, strict=True)
        return tuple(self._spread_ns(width, growth, raw_ns) for width, growth in pairs)

    def status_at(self, raw_ns: int) -> Status:
        """What the record is worth at a raw instant: once the writer has fallen silent, HOLDOVER, then UNKNOWN."""
        if raw_ns >= self.void_raw_ns:
            return Status.UNKNOWN
        if raw_ns >= self.stale_raw_ns and self.status is Status.SYNCHRONISED:
            return Status.HOLDOVER
        return self.status

    def _spread_ns(self, spread_s: float, growth: float, raw_ns: int) -> int:
        if self.status is _UNKNOWN:
            return MAX_NS
        age = raw_ns - self.raw_ns
        slewed = self.slew_rate * max(min(age, self.slew_until_raw_ns - self.raw_ns), 0)
        return min(ceil(max(spread_s * 1e9 + growth * abs(age) - abs(slewed), 0.0)), MAX_NS)


def identity(boot: int) -> bytes:
    """The first bytes of a file of this layout, written on this boot."""
    return _IDENTITY.pack(MAGIC, FILE_BYTES, LAYOUT, boot)


def check_identity(buffer: bytes, boot: int) -> None:
    """Refuse a file that is not ours to read.

    Args:
        buffer: at least the first 24 bytes of the file, whole.
        boot: `chronotick.wire.boot.boot_hash()` of the reader.

    Raises:
        SnapshotInvalid: foreign magic, another layout or size, or another boot.
    """
    if len(buffer) < _IDENTITY.size or buffer[: len(MAGIC)] != MAGIC:
        raise SnapshotInvalid(
            f"The snapshot begins with {bytes(buffer[:8])!r}, expected {MAGIC!r}: not a ChronoTick snapshot.",
            mend="Point the reader at the host's runtime directory.",
        )
    _, size, layout, written_on = _IDENTITY.unpack_from(buffer)
    if layout != LAYOUT:
        raise SnapshotInvalid(
            f"The snapshot has layout {layout}, this reader knows layout {LAYOUT}.",
            mend="Install the same ChronoTick version for host and client.",
        )
    if size != FILE_BYTES or len(buffer) < FILE_BYTES:
        raise SnapshotInvalid(
            f"The snapshot has {len(buffer)} bytes and claims {size}, expected {FILE_BYTES}.",
            mend="Restart the host: it writes the file anew.",
        )
    if written_on != boot:
        raise SnapshotInvalid(
            "The snapshot is of another boot or another time namespace: its raw clock is not this one's.",
            mend="Start the host: chronotick run.",
        )


def slot_offset(number: int) -> int:
    """Where record `number` lies in the file."""
    return HEADER_BYTES + SLOT_BYTES * (number & 1)


def encode(record: Record, boot: int) -> bytes:
    """The bytes of a slot that holds this record.

    Raises:
        ValueError: a number that is not finite or out of range.
    """
    first, rest = record[:_WIDTHS_AT], record[_WIDTHS_AT + 2 : -1]
    widths, growths = record.half_widths_s, record.half_growths
    if len(widths) != len(LEVELS) or len(growths) != len(LEVELS):
        raise ValueError(f"A snapshot holds a width and a growth for each of {LEVELS}: {record}.")
    if not all(isfinite(value) for value in (*first, *widths, *growths, *rest) if isinstance(value, float)):
        raise ValueError(f"A snapshot holds finite numbers only: {record}.")
    source = _join(record.source)
    try:
        body = _RECORD.pack(*first, *widths, *growths, *rest[:-1], _CODES[record.status], len(source), source)
    except struct.error as error:
        raise ValueError(f"A number of the snapshot is out of range ({error}): {record}.") from error
    return (_CRC.pack(zlib.crc32(body, zlib.crc32(identity(boot))), 0) + body).ljust(SLOT_BYTES, b"\0")


def decode(slot: bytes, boot: int) -> Record:
    """The record in the bytes of a slot.

    Raises:
        SnapshotInvalid: the checksum is wrong, or the content makes no sense.
    """
    body = slot[_CRC.size : _CRC.size + _RECORD.size]
    if len(body) < _RECORD.size or _CRC.unpack_from(slot)[0] != zlib.crc32(body, zlib.crc32(identity(boot))):
        raise _damaged("its checksum is wrong")
    *fields, code, length, source = _RECORD.unpack(body)
    if code >= len(_STATUSES) or length > SOURCE_BYTES:
        raise _damaged(f"status {code} or source length {length} is out of range")
    text = source[:length].decode("utf-8", "replace")
    first, rest = fields[:_WIDTHS_AT], fields[_WIDTHS_AT + 2 * len(LEVELS) :]
    widths = tuple(fields[_WIDTHS_AT : _WIDTHS_AT + len(LEVELS)])
    growths = tuple(fields[_WIDTHS_AT + len(LEVELS) : _WIDTHS_AT + 2 * len(LEVELS)])
    return Record._make((*first, widths, growths, *rest, _STATUSES[code], tuple(text.split(",")) if text else ()))


def load(buffer: memoryview, words: memoryview, boot: int) -> tuple[int, Record]:
    """The generation and the last whole record of a mapped file whose identity has been checked.

    Where that record does not stand its checksum, the one before it is taken.

    Args:
        buffer: the file, as bytes.
        words: the same memory as native uint64.

    Raises:
        SnapshotInvalid: neither slot holds a whole record.
    """
    for _ in range(_RETRIES):
        generation = words[GENERATION_WORD]
        number = generation >> 1
        slot = _copy(buffer, number)
        if words[GENERATION_WORD] - 2 * number <= 2:
            break
    else:
        raise _damaged(f"it was overwritten {_RETRIES} times while being read")
    if generation == 0:
        raise _damaged("nothing has been written into it yet")
    try:
        return generation, decode(slot, boot)
    except SnapshotInvalid:
        return generation, decode(_copy(buffer, number - 1), boot)


def _copy(buffer: memoryview, number: int) -> bytes:
    offset = slot_offset(number)
    return bytes(buffer[offset : offset + SLOT_BYTES])


def _join(source: tuple[str, ...]) -> bytes:
    names: list[bytes] = []
    left = SOURCE_BYTES
    for name in source:
        text = name.replace(",", "_").encode()
        if len(text) + 1 > left:
            break
        left -= len(text) + 1
        names.append(text)
    return b",".join(names)


def _damaged(why: str) -> SnapshotInvalid:
    return SnapshotInvalid(f"The snapshot is damaged: {why}.", mend="Restart the host: it writes the file anew.")
