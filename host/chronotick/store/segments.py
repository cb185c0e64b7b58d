"""The event log's files: which there are, and what one holds. Reading only; nothing here runs in the host's loop."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from chronotick.errors import StoreError
from chronotick.store import entries as form
from chronotick.store.entries import FRAME, MAGIC, MAX_FRAME_BYTES, Entry, Header
from chronotick.store.place import LOG_FOLDER

SUFFIX: Final = ".ctklog"
_WHERE: Final = (
    "A host keeps its own in store.state_dir, unless store.event_log_mb is 0; name that folder or a *.ctklog."
)


class Segment:
    """One file, read from its head. What a crash left half-written at its end is skipped and counted.

    Attributes:
        path: the file.
        header: its head.
        size_bytes: of the file, when its head was read.
        torn_bytes: bytes at the end that are no whole frame; known after `entries` was exhausted.
    """

    def __init__(self, path: Path) -> None:
        """Read the head.

        Raises:
            StoreError: the file can not be read, or is no segment of an event log.
        """
        self.path: Path = path
        self.torn_bytes: int = 0
        with self._open() as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise StoreError(f"{path} is no event log.", mend=_WHERE)
            body = _next(file)
            self.size_bytes: int = file.seek(0, os.SEEK_END)
        if body is None:
            raise StoreError(f"{path} was never begun: it has no whole header.")
        self.header: Header = form.headers(body)

    def entries(self) -> Iterator[Entry]:
        """What it holds, in the order in which it happened.

        Raises:
            StoreError: a whole frame holds what is no entry.
        """
        with self._open() as file:
            file.seek(len(MAGIC))
            _next(file)
            while True:
                good = file.tell()
                body = _next(file)
                if body is None:
                    self.torn_bytes = file.seek(0, os.SEEK_END) - good
                    return
                yield from form.entries(body)

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise StoreError(f"The event log {self.path} can not be read: {error.strerror}.", mend=_WHERE) from error


def files(place: Path) -> list[Path]:
    """The segments at a place, oldest first: those in a folder or in its `events`, or the one file that it is."""
    if not place.is_dir():
        return [place]
    return sorted(place.glob("*" + SUFFIX)) or sorted((place / LOG_FOLDER).glob("*" + SUFFIX))


def segments(place: Path) -> list[Segment]:
    """The segments at a place, oldest first. One whose head was never written (a crash) is left out.

    Raises:
        StoreError: there is none.
    """
    found = []
    for path in files(place):
        try:
            found.append(Segment(path))
        except StoreError:
            if not place.is_dir():
                raise
    if not found:
        raise StoreError(f"There is no event log in {place}.", mend=_WHERE)
    return found


def _next(file: BinaryIO) -> bytes | None:
    """The content of the next whole frame; None at the end, and where what follows is none."""
    head = file.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    length, checksum = FRAME.unpack(head)
    if length > MAX_FRAME_BYTES:
        return None
    data = file.read(length)
    if len(data) < length or zlib.crc32(data) != checksum:
        return None
    return form.unframe(data)
