"""The event log as the host writes it: bounded, in segments, and never in the way of the clock."""

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

from chronotick.store import entries as form
from chronotick.store.entries import Entry, Header
from chronotick.store.segments import SUFFIX, files
from chronotick.store.worker import Job, Worker
from chronotick.units import s_to_ns

log: logging.Logger = logging.getLogger("chronotick.store")

# Entries are handed to the disk at this size, or when the first of them is this old: what a crash may cost.
FLUSH_BYTES: Final = 64 * 1024
FLUSH_NS: Final = s_to_ns(5.0)
# A log is this many segments when it is full; a segment ends at its share, or at this age: replay begins at segments.
SEGMENTS: Final = 8
SEGMENT_S: Final = 6 * 3600.0
# ... and never sooner than this: each begins with a whole state.
LEAST_SEGMENT_NS: Final = s_to_ns(60.0)
# After the disk has refused something, it is tried again this much later.
RETRY_NS: Final = s_to_ns(600.0)


class EventLog:
    """Appends entries to the current segment; use from one thread, which is not the one that writes.

    A fault of the disk ends the segment and is logged once; a new segment, with a new state at its head, is begun
    `RETRY_NS` later. So a segment has no gaps: what it holds can be replayed from its head to its end.

    Args:
        folder: where the segments are; there must be such a folder, and nobody else may write there.
        max_bytes: of all segments together, > 0.
        segment_s: a segment ends at this age, s.
    """

    def __init__(self, folder: Path, max_bytes: int, worker: Worker, *, segment_s: float = SEGMENT_S) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = max(max_bytes // SEGMENTS, 1)
        self._segment_ns = s_to_ns(segment_s)
        self._worker = worker
        self._number = max((_number(path) for path in files(folder)), default=0)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._waiting_since_ns = 0
        self._begun_ns: int | None = None
        self._retry_ns: int | None = None
        # The worker did not take something: what follows in this segment would follow on a gap.
        self._lost = False
        # Set by the worker, read by the host's thread.
        self._file = -1
        self._written = 0
        self._broken = False
        self._told = False

    def due(self, raw_ns: int) -> str | None:
        """Why a new segment is to begin now, before the next entry; None where none is."""
        if self._begun_ns is None:
            if self._retry_ns is None:
                return "start"
            return "gap" if raw_ns >= self._retry_ns else None
        if self._broken or self._lost:
            self._give_up(raw_ns)
            return None
        age_ns = raw_ns - self._begun_ns
        if self._written >= self._segment_bytes and age_ns >= LEAST_SEGMENT_NS:
            return "size"
        return "age" if age_ns >= self._segment_ns else None

    def begin(self, header: Header) -> None:
        """Begin a segment."""
        self.flush()
        self._number += 1
        self._begun_ns, self._broken, self._lost, self._written = header.raw_ns, False, False, 0
        path = self._folder / f"events-{self._number:08d}{SUFFIX}"
        self._hand_over(lambda: self._open(path, form.MAGIC + form.frame([form.pack(header)])))

    def add(self, entry: Entry, raw_ns: int) -> None:
        """Append an entry, now."""
        if self._begun_ns is None:
            return
        packed = form.pack(entry)
        if not self._waiting:
            self._waiting_since_ns = raw_ns
        self._waiting.append(packed)
        self._waiting_bytes += len(packed)
        if self._waiting_bytes >= FLUSH_BYTES or raw_ns - self._waiting_since_ns >= FLUSH_NS:
            self.flush()

    def flush(self) -> None:
        """Hand over what waits."""
        if self._waiting:
            waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
            self._hand_over(lambda: self._write(form.frame(waiting)))

    def close(self) -> None:
        """Hand over what waits, and end the segment. The worker is the caller's to close."""
        self.flush()
        self._begun_ns = None
        self._worker.do(self._shut)

    def abandon(self, why: str, raw_ns: int) -> None:
        """Write nothing more for a while: the state at the head of a segment can not be made."""
        self._complain(why)
        self._give_up(raw_ns)

    def _hand_over(self, job: Job) -> None:
        if not self._lost and not self._worker.do(job):
            self._lost = True
            self._complain("the disk takes nothing any more")

    def _give_up(self, raw_ns: int) -> None:
        self._begun_ns = None
        self._retry_ns = raw_ns + RETRY_NS
        self._waiting, self._waiting_bytes = [], 0

    # From here on in the worker's thread.

    def _open(self, path: Path, head: bytes) -> None:
        self._shut()
        try:
            self._make_room(max(self._segment_bytes, 2 * len(head)))
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            self._fail(error)
            return
        self._write(head)
        if not self._broken and self._told:
            self._told = False
            log.info("the event log is written again")

    def _write(self, data: bytes) -> None:
        if self._file < 0 or self._broken:
            return
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            self._fail(error)
            return
        self._written += len(data)

    def _shut(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _fail(self, error: OSError) -> None:
        self._broken = True
        self._shut()
        self._complain(f"{error.strerror} ({self._folder})")

    def _complain(self, why: str) -> None:
        if not self._told:
            self._told = True
            log.error("the event log can not be written: %s. The clock goes on without it.", why)

    def _make_room(self, needed: int) -> None:
        """Remove the oldest segments until the new one can grow to its share."""
        sizes = []
        for path in files(self._folder):
            with contextlib.suppress(FileNotFoundError):
                sizes.append((path, path.stat().st_size))
        total = sum(size for _, size in sizes)
        for path, size in sizes:
            if total + needed <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size


def _number(path: Path) -> int:
    digits = path.name.removesuffix(SUFFIX).rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0
