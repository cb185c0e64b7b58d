"""ClockBound's segment: its layout, its bound of the system clock, and the public client that reads it."""

import mmap
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.client import Status
from chronotick.config.schema import InteropConfig
from chronotick.errors import RuntimeDirError
from chronotick.interop.clockbound import ClockBoundWriter
from chronotick.interop.system_bound import ClockStatus, Look, SystemBound, steering, system_bound
from chronotick.lab.lab import Ready
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import Record

from ..system.conftest import Host, until
from .conftest import S, behind_s

MS = 1_000_000
bounds = st.builds(
    SystemBound,
    as_of_ns=st.integers(0, 2**62),
    void_after_ns=st.integers(0, 2**62),
    bound_ns=st.integers(0, 2**62),
    max_drift_ppb=st.integers(0, 999_999_999),
    status=st.sampled_from(ClockStatus),
)
FIRST = SystemBound(1, 1, 0, 0, ClockStatus.UNKNOWN)


def look(raw_ns: int, realtime_ns: int, *, coarse_step_ns: int = 0, window_ns: int = 0) -> Look:
    return Look(raw_ns - 3 * MS, coarse_step_ns, raw_ns, realtime_ns, window_ns)


def fields(path: Path) -> tuple[Any, ...]:
    """The segment as the protocol's page draws it, field by field."""
    return struct.unpack("=IIIHHqqqqqQIiBBHI", path.read_bytes())


@given(bounds)
def test_the_segment_lies_as_the_protocol_says(tmp_path_factory: pytest.TempPathFactory, bound: SystemBound) -> None:
    """Magic, size, version, an even generation, then every number where ClockBound 2 looks for it."""
    path = tmp_path_factory.mktemp("segment") / "shm0"
    writer = ClockBoundWriter(path, FIRST)
    writer.write(bound)
    writer.close()
    got = fields(path)
    assert path.stat().st_size == 80
    assert got[:5] == (0x414D5A4E, 0x43420200, 80, 2, 6)
    assert got[5] * S + got[6] == bound.as_of_ns
    assert got[7] * S + got[8] == bound.void_after_ns
    assert max(got[6], got[8]) < S
    assert got[9:] == (bound.bound_ns, 0, bound.max_drift_ppb, bound.status, 0, 0, 0, 0)


def test_the_bound_is_the_offset_and_half_the_width(record: Record) -> None:
    """A system clock 5 ms ahead of an interval of +-1 ms is wrong by 6 ms at most; behind it by the same."""
    at = record.raw_ns
    for offset in (5 * MS, -5 * MS):
        bound = system_bound(record, look(at, at + record.theta_ns + offset), 500e-6)
        assert (bound.bound_ns, bound.status) == (6 * MS, ClockStatus.SYNCHRONIZED)
        assert bound.max_drift_ppb == 550_000
        assert bound.as_of_ns == at - 3 * MS
        assert bound.void_after_ns == bound.as_of_ns + 1000 * S


def test_what_the_readings_leave_open_is_added(record: Record) -> None:
    """Half the window between the clocks, and what a coarse clock that stands still does not see growing."""
    at = record.raw_ns
    bound = system_bound(record, look(at, at + record.theta_ns, coarse_step_ns=4 * MS, window_ns=301), 500e-6)
    assert bound.bound_ns == MS + 151 + 2200


@given(
    offset_ns=st.integers(-10 * S, 10 * S),
    age_ns=st.integers(0, 3600 * S),
    rate=st.floats(-500e-6, 500e-6),
    share=st.floats(-1, 1),
)
def test_a_reader_never_loses_true_time(offset_ns: int, age_ns: int, rate: float, share: float) -> None:
    """Wherever true UTC is in the published interval, and however a system clock is steered within the limit, it stays
    inside the reader's bounds."""
    record = Record(
        1000 * S, 10**18, 0.0, 0.0, 0, 1e-5, 0.0, normal_widths(1e-5), normal_widths(0.0), 10**18 - MS,
        10**18 + MS, 5e-5, 2**62, 2**62, 0, 0, 1, 1, 1, 1, Status.SYNCHRONISED, (),
    )  # fmt: skip
    at = record.raw_ns
    bound = system_bound(record, look(at, at + 10**18 + offset_ns), 500e-6)
    truth_ns = at + age_ns + 10**18 + round(share * (MS + 5e-5 * age_ns))
    realtime_ns = at + age_ns + 10**18 + offset_ns + round(rate * age_ns)
    # The reader's arithmetic; its monotonic clock is at least as far from as-of as the raw clock.
    half_ns = bound.bound_ns + (age_ns + 3 * MS) * bound.max_drift_ppb // S
    assert realtime_ns - half_ns <= truth_ns <= realtime_ns + half_ns


@pytest.mark.parametrize(
    ("status", "after_s", "expected"),
    [
        (Status.SYNCHRONISED, 0, ClockStatus.SYNCHRONIZED),
        (Status.SYNCHRONISED, 10, ClockStatus.FREE_RUNNING),
        (Status.HOLDOVER, 0, ClockStatus.FREE_RUNNING),
        (Status.DISRUPTED, 0, ClockStatus.DISRUPTED),
        (Status.UNKNOWN, 0, ClockStatus.UNKNOWN),
        (Status.SYNCHRONISED, 89_000, ClockStatus.UNKNOWN),
    ],
)
def test_each_status_has_its_word(record: Record, status: Status, after_s: int, expected: ClockStatus) -> None:
    """What is published, stale and void times included, in ClockBound's four words."""
    at = record.raw_ns + after_s * S
    found = system_bound(record._replace(status=status), look(at, at + record.theta_ns), 0.0)
    assert found.status is expected
    assert (found.void_after_ns > found.as_of_ns) is (expected is not ClockStatus.UNKNOWN)


def test_steering_is_told_from_a_step() -> None:
    """A clock that was slewed by a millisecond in a second ran at 1e-3; one that jumped by one was stepped."""
    before = look(S, 10 * S)
    assert steering(before, look(2 * S, 11 * S + MS)) == pytest.approx(1e-3)
    assert steering(before, look(2 * S, 12 * S)) == 0.0
    assert steering(None, before) == 0.0
    assert steering(look(S, 10 * S, window_ns=MS), look(2 * S, 11 * S + MS, window_ns=MS)) == 0.0


def test_readers_of_the_last_host_see_the_next_one(tmp_path: Path) -> None:
    """A sound segment is written on in place, so that a mapping that was made before shows what a new writer says."""
    path = tmp_path / "shm0"
    first = ClockBoundWriter(path, FIRST)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen:
        first.close()
        second = ClockBoundWriter(path, SystemBound(5 * S, 6 * S, 77, 8, ClockStatus.SYNCHRONIZED))
        assert struct.unpack_from("=q", seen, 48) == (77,)
        second.close()


@pytest.mark.parametrize(
    "content", [b"", b"x" * 80, b"x" * 4096, struct.pack("=IIIHH64x", 0x414D5A4E, 0x43420200, 80, 1, 4)]
)
def test_anything_else_is_replaced(tmp_path: Path, content: bytes) -> None:
    """A file that is no segment of this layout does not stay, and does not stop the host."""
    path = tmp_path / "shm0"
    path.write_bytes(content)
    ClockBoundWriter(path, FIRST).close()
    assert fields(path)[:4] == (0x414D5A4E, 0x43420200, 80, 2)


def test_a_writer_that_was_killed_half_way_is_survived(tmp_path: Path) -> None:
    """An odd generation that was left behind becomes an even one with the next whole record."""
    path = tmp_path / "shm0"
    ClockBoundWriter(path, FIRST).close()
    with path.open("r+b") as file:
        file.seek(14)
        file.write(struct.pack("=H", 7))
    ClockBoundWriter(path, FIRST).close()
    assert fields(path)[4] == 8


def test_the_generation_goes_round_without_zero(tmp_path: Path) -> None:
    """After 65534 comes 2: a generation of zero says that nothing was ever written."""
    path = tmp_path / "shm0"
    writer = ClockBoundWriter(path, FIRST)
    seen = set()
    for _ in range(2**15 + 2):
        writer.write(FIRST)
        seen.add(writer._words[7])
    writer.close()
    assert seen == set(range(2, 2**16, 2))


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    """Where the segment can not be made the error names it and the key."""
    with pytest.raises(RuntimeDirError, match=r"shm0 can not be written.*interop\.clockbound_path"):
        ClockBoundWriter(tmp_path / "none" / "shm0", FIRST)


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """Nobody can have the host write elsewhere by putting a link at the segment's path."""
    path = tmp_path / "shm0"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RuntimeDirError):
        ClockBoundWriter(path, FIRST)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.network
def test_the_public_client_reads_bounds_that_hold_true_time(
    start_host: Callable[..., Host], ahead_lab: Ready, tmp_path: Path
) -> None:
    """The `clockbound` package on a host's segment: the bounds of a system clock that is far behind hold the truth."""
    clockbound = pytest.importorskip("clockbound", reason="the public clockbound client is not installed")
    path, truth = tmp_path / "shm0", ahead_lab.truth()
    host = start_host(ahead_lab.servers, InteropConfig(clockbound_path=str(path)))
    until(path.exists, "the segment")
    with clockbound.Clockbound(str(path)) as client, host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        until(lambda: client.snapshot().clock_status == ClockStatus.SYNCHRONIZED, "the segment says so too")
        generations, offset_s = set(), behind_s(truth)
        assert offset_s > 1
        for _ in range(300):
            before_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            bound = client.now()
            after_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            assert bound.earliest <= truth.utc_ns(after_ns)
            assert truth.utc_ns(before_ns) <= bound.latest
            # The offset, a LAN's interval, and what it grew since.
            assert 0 < bound.error_ns - offset_s * S < 50 * MS
            generations.add(client.snapshot().generation)
            time.sleep(0.003)
    assert len(generations) > 3
