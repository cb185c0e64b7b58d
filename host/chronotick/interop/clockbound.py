"""ClockBound's shared memory, layout 2: for every program that already knows how to read it.

Numbers in the machine's byte order (aws/clock-bound, docs/PROTOCOL.md and the clock-bound-shm crate, 2.0):

    offset  bytes
         0      8  magic: two u32, 0x414D5A4E and 0x43420200
         8      4  u32 size of the segment, 80
        12      2  u16 version, 2
        14      2  u16 generation: odd while the segment is being written; after 65534 comes 2, never 0
        16     16  as-of, void-after below: i64 seconds, i64 nanoseconds of CLOCK_MONOTONIC_COARSE
        32     16  void-after
        48      8  i64 bound of CLOCK_REALTIME's error at as-of, ns
        56      8  u64 disruption marker of the VMClock: 0, none is read
        64      4  u32 growth of the bound, ppb
        68      4  i32 status: 0 unknown, 1 synchronised, 2 free running, 3 disrupted
        72      1  u8 whether disruptions are followed through a VMClock: 0
        73      7  zeros
"""

import contextlib
import mmap
import os
import struct
from pathlib import Path
from typing import Final

from chronotick.errors import RuntimeDirError
from chronotick.interop.system_bound import SystemBound
from chronotick.units import NS_PER_S

MAGIC: Final = (0x414D5A4E, 0x43420200)
VERSION: Final = 2
SEGMENT_BYTES: Final = 80
_HEADER: Final = struct.Struct("=IIIHH")
_BODY: Final = struct.Struct("=qqqqqQIiB7x")
# Index of the generation in the segment seen as an array of uint16.
_GENERATION: Final = 7


def encode(bound: SystemBound) -> bytes:
    """The segment behind its header.

    Raises:
        ValueError: a number is out of range.
    """
    try:
        return _BODY.pack(
            *divmod(bound.as_of_ns, NS_PER_S),
            *divmod(bound.void_after_ns, NS_PER_S),
            bound.bound_ns,
            0,
            bound.max_drift_ppb,
            bound.status,
            0,
        )
    except struct.error as error:
        raise ValueError(f"A number is out of range for ClockBound's segment ({error}): {bound}.") from error


class ClockBoundWriter:
    """The one writer of a segment.

    A sound segment that is there is written on in place, because readers keep their mapping for good; anything else is
    replaced. The segment stays when the writer goes, and its readers see it age: free running after 5 s, then void.
    """

    def __init__(self, path: Path, first: SystemBound, *, mode: int = 0o644) -> None:
        """Open or make the segment, and write to it.

        Raises:
            RuntimeDirError: the file can not be made or written; its folder has to exist.
            ValueError: a number of `first` is out of range.
        """
        body = encode(first)
        try:
            opened = _opened(path)
            self._map = _made(path, body, mode) if opened is None else opened
        except OSError as error:
            raise RuntimeDirError(
                f"ClockBound's segment {path} can not be written: {error.strerror}.",
                mend="Make its folder, or change interop.clockbound_path.",
            ) from error
        self._words = memoryview(self._map).cast("H")
        self.write(first)

    def write(self, bound: SystemBound) -> None:
        """Replace the published bound.

        Raises:
            ValueError: a number is out of range; the last bound stays.
        """
        body = encode(bound)
        # A writer that was killed half-way has left an odd number.
        odd = self._words[_GENERATION] | 1
        self._words[_GENERATION] = odd
        self._map[_HEADER.size : SEGMENT_BYTES] = body
        self._words[_GENERATION] = odd + 1 if odd < 0xFFFF else 2

    def close(self) -> None:
        """Give the mapping back. The file stays as it is."""
        self._words.release()
        self._map.close()


def _opened(path: Path) -> mmap.mmap | None:
    """A sound segment that is there already; None: there is none."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        head = os.pread(file, _HEADER.size, 0)
        if os.fstat(file).st_size != SEGMENT_BYTES or len(head) != _HEADER.size:
            return None
        *magic, size, version, generation = _HEADER.unpack(head)
        if (*magic, size, version) != (*MAGIC, SEGMENT_BYTES, VERSION) or generation == 0:
            return None
        return mmap.mmap(file, SEGMENT_BYTES)
    finally:
        os.close(file)


def _made(path: Path, body: bytes, mode: int) -> mmap.mmap:
    """A new segment, put in place by rename with its first content."""
    staging = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        staging.unlink()
    file = os.open(staging, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(file, mode)
        os.write(file, _HEADER.pack(*MAGIC, SEGMENT_BYTES, VERSION, 2) + body)
        made = mmap.mmap(file, SEGMENT_BYTES)
    finally:
        os.close(file)
    os.replace(staging, path)
    return made
