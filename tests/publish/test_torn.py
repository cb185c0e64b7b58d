"""A record is read whole or not at all, whenever the writer stops and however fast it writes."""

import contextlib
import mmap
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from chronotick.errors import SnapshotInvalid
from chronotick.publish.snapshot import SnapshotWriter, read_file
from chronotick.wire import snapshot
from chronotick.wire.snapshot import Record

BOOT = 42


def numbered(record: Record, number: int) -> Record:
    """A record whose every part tells its number."""
    return record._replace(
        raw_ns=number,
        theta_ns=-number,
        rate=number / 2**40,
        sigma_s=float(number),
        latest_theta_ns=7 * number,
        fix_raw_ns=3 * number,
        sequence=number,
        source=(f"n{number}",),
    )


def mapped(path: Path) -> tuple[memoryview, memoryview]:
    """The file as bytes and as words, as a reader maps it."""
    with path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), snapshot.FILE_BYTES, access=mmap.ACCESS_READ))
    return view, view[: snapshot.HEADER_BYTES].cast("Q")


@pytest.fixture
def writer(tmp_path: Path, record: Record) -> Iterator[SnapshotWriter]:
    made = SnapshotWriter(tmp_path / "snapshot", BOOT, numbered(record, 0))
    with contextlib.closing(made):
        yield made


def test_a_writer_killed_anywhere_in_a_record_leaves_the_last_one(record: Record) -> None:
    """For every number of bytes of the next record that made it into the file, the record before it is read."""
    for number in (1, 2):
        before, after = numbered(record, number), numbered(record, number + 1)
        old, new = snapshot.encode(before, BOOT), snapshot.encode(after, BOOT)
        for cut in range(0, snapshot.SLOT_BYTES + 1, 7):
            content = bytearray(snapshot.identity(BOOT).ljust(snapshot.FILE_BYTES, b"\0"))
            view = memoryview(content)
            words = view.cast("Q")
            offset = snapshot.slot_offset(number)
            content[offset : offset + snapshot.SLOT_BYTES] = old
            words[snapshot.GENERATION_WORD] = 2 * (number + 1) - 1
            offset = snapshot.slot_offset(number + 1)
            content[offset : offset + cut] = new[:cut]
            assert snapshot.load(view, words, BOOT) == (2 * number + 1, before)


def test_a_damaged_record_gives_way_to_the_one_before(tmp_path: Path, writer: SnapshotWriter, record: Record) -> None:
    """A record that fails its checksum is not used; the previous one is; with both damaged, nothing is."""
    path = tmp_path / "snapshot"
    writer.write(numbered(record, 1))
    with path.open("r+b") as file:
        file.seek(snapshot.slot_offset(2) + 30)
        file.write(b"\xff\xff")
    assert read_file(path, BOOT) == numbered(record, 0)
    with path.open("r+b") as file:
        file.seek(snapshot.slot_offset(1) + 30)
        file.write(b"\xff\xff")
    with pytest.raises(SnapshotInvalid, match="damaged"):
        read_file(path, BOOT)


def test_a_refused_record_leaves_the_published_one(tmp_path: Path, writer: SnapshotWriter, record: Record) -> None:
    """A NaN never reaches the file, not even half of it."""
    writer.write(numbered(record, 1))
    with pytest.raises(ValueError, match="finite"):
        writer.write(record._replace(rate=float("nan")))
    assert read_file(tmp_path / "snapshot", BOOT) == numbered(record, 1)


def test_a_thread_reads_whole_records_from_a_fast_writer(
    tmp_path: Path, writer: SnapshotWriter, record: Record
) -> None:
    """While one thread writes as fast as it can, another sees whole records only, in the order of writing."""
    view, words = mapped(tmp_path / "snapshot")
    stop = threading.Event()
    faults: list[str] = []
    reads = 0

    def read() -> None:
        nonlocal reads
        last = 0
        while not stop.is_set():
            _, seen = snapshot.load(view, words, BOOT)
            if seen != numbered(record, seen.sequence):
                faults.append(f"torn: {seen}")
            if seen.sequence < last:
                faults.append(f"backward: {last} to {seen.sequence}")
            last = seen.sequence
            reads += 1

    reader = threading.Thread(target=read)
    reader.start()
    ends = time.monotonic() + 30
    number = 0
    while min(number, reads) < 5000 and time.monotonic() < ends:
        number += 1
        writer.write(numbered(record, number))
    stop.set()
    reader.join()
    assert faults == []
    assert min(number, reads) >= 5000


class Deadly:
    """A mapping that kills its process when so many bytes of a slot are written."""

    def __init__(self, mapped: mmap.mmap, cut: int) -> None:
        self.mapped, self.cut = mapped, cut

    def __setitem__(self, where: slice, data: bytes) -> None:
        self.mapped[where.start : where.start + self.cut] = data[: self.cut]
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("cut", [0, 3, 100, 350, snapshot.SLOT_BYTES])
def test_a_process_killed_within_a_record_leaves_the_one_before(tmp_path: Path, record: Record, cut: int) -> None:
    """A real writer, really killed within record 5: record 4 is read, and the next host writes on."""
    path = tmp_path / "snapshot"
    child = os.fork()
    if child == 0:
        made = SnapshotWriter(path, BOOT, numbered(record, 0))
        for number in range(1, 5):
            made.write(numbered(record, number))
        made._map = Deadly(made._map, cut)  # type: ignore[assignment]
        made.write(numbered(record, 5))
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert path.read_bytes()[32] & 1
    assert read_file(path, BOOT) == numbered(record, 4)
    with contextlib.closing(SnapshotWriter(path, BOOT, numbered(record, 9))) as writer:
        writer.write(numbered(record, 10))
        assert read_file(path, BOOT) == numbered(record, 10)


def test_a_process_killed_at_any_moment_leaves_a_whole_record(tmp_path: Path, record: Record) -> None:
    """A process that writes in a tight loop and is killed leaves a whole record, every time."""
    path = tmp_path / "snapshot"
    chance = random.Random(1)
    for _ in range(10):
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            made = SnapshotWriter(path, BOOT, numbered(record, 0))
            os.write(tell, b"x")
            for number in count(1):
                made.write(numbered(record, number))
        os.read(ready, 1)
        os.close(ready)
        os.close(tell)
        # Not a wait for anything: the moment of death is what varies.
        time.sleep(chance.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        seen = read_file(path, BOOT)
        assert seen == numbered(record, seen.sequence)


def test_a_process_reads_whole_records_from_another(tmp_path: Path, record: Record) -> None:
    """Across processes too: whole records only, in order."""
    path = tmp_path / "snapshot"
    writer = SnapshotWriter(path, BOOT, numbered(record, 0))
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            view, words = mapped(path)
            os.write(tell, b"x")
            last = fresh = 0
            ends = time.monotonic() + 30
            while fresh < 1000 and time.monotonic() < ends:
                _, seen = snapshot.load(view, words, BOOT)
                if seen != numbered(record, seen.sequence) or seen.sequence < last:
                    os._exit(2)
                fresh += seen.sequence > last
                last = seen.sequence
            os._exit(0 if fresh == 1000 else 3)
        finally:
            os._exit(4)
    os.read(ready, 1)
    os.close(ready)
    os.close(tell)
    number = 0
    status = None
    while status is None:
        number += 1
        writer.write(numbered(record, number))
        if number % 64 == 0:
            done, code = os.waitpid(child, os.WNOHANG)
            status = os.waitstatus_to_exitcode(code) if done else None
    writer.close()
    assert status == 0
