"""chronyd's SOCK reference clock: the datagram, and a real chronyd that takes it."""

import ctypes
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chronotick.client import Status
from chronotick.config.schema import InteropConfig
from chronotick.interop.refclock import RefclockSender, sample, sample_of
from chronotick.lab.lab import Ready
from chronotick.wire.snapshot import Record

from ..system.conftest import Host, until
from .conftest import Chronyd, behind_s

MS = 1_000_000
REFCLOCK = "refclock SOCK {} refid CTCK poll 0 filter 4 delay 0.001"


class SockSample(ctypes.Structure):
    """chrony's struct, laid out by the machine's own C rules."""

    _fields_ = (
        ("tv_sec", ctypes.c_long),
        ("tv_usec", ctypes.c_long),
        ("offset", ctypes.c_double),
        ("pulse", ctypes.c_int),
        ("leap", ctypes.c_int),
        ("pad", ctypes.c_int),
        ("magic", ctypes.c_int),
    )


def row(chronyd: Chronyd) -> list[str]:
    """The reference clock's row of `chronyc sources`; empty while there is none."""
    rows = [line.split(",") for line in chronyd.ask("sources").splitlines()]
    return next((one for one in rows if one[0] == "#" and one[2] == "CTCK"), [])


def reached(chronyd: Chronyd) -> bool:
    found = row(chronyd)
    return bool(found) and found[5] not in ("0", "")


def test_the_datagram_is_chronys_struct() -> None:
    """Seconds, microseconds, offset, no pulse, no leap, magic: byte for byte what a C compiler lays out."""
    datagram = sample(1_700_000_000_123_456_789, -0.25)
    seen = SockSample.from_buffer_copy(datagram)
    assert len(datagram) == ctypes.sizeof(SockSample)
    assert (seen.tv_sec, seen.tv_usec, seen.offset) == (1_700_000_000, 123_456, -0.25)
    assert (seen.pulse, seen.leap, seen.magic) == (0, 0, 0x534F434B)


def test_the_offset_is_positive_for_a_clock_that_is_behind(record: Record) -> None:
    """True time minus the system clock."""
    datagram = sample_of(record, record.raw_ns, record.raw_ns + record.theta_ns - 7 * MS)
    assert datagram is not None
    assert struct.unpack_from("=d", datagram, 16)[0] == pytest.approx(0.007)


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.HOLDOVER, Status.DISRUPTED])
def test_only_a_synchronised_time_is_told(record: Record, status: Status) -> None:
    """chronyd hears nothing of a time that holds over, was disrupted, is stale or unknown."""
    at = record.raw_ns
    assert sample_of(record._replace(status=status), at, at + record.theta_ns) is None
    assert sample_of(record, record.stale_raw_ns, at) is None


def test_a_chronyd_that_is_away_is_survived(tmp_path: Path) -> None:
    """A sample to nobody is lost and said, and the next one is sent."""
    sender = RefclockSender(str(tmp_path / "none"))
    assert sender.send(sample(1, 0.0)) == "No such file or directory"
    assert (sender.sent, sender.lost) == (0, 1)
    sender.close()


@pytest.mark.network
def test_a_real_chronyd_shows_the_offset_that_was_sent(start_chronyd: Callable[..., Chronyd], short_path: Path) -> None:
    """chronyd -x: the source is reached, and its last sample is the offset sent, to a microsecond."""
    path = short_path / "refclock.sock"
    chronyd = start_chronyd(REFCLOCK.format(path))
    sender = RefclockSender(str(path))

    def heard() -> bool:
        sender.send(sample(time.time_ns(), 0.0421))
        return reached(chronyd)

    until(heard, "chronyd reaches the reference clock")
    sender.close()
    # In this column chrony counts a clock that is ahead of the source as positive.
    assert float(row(chronyd)[8]) == pytest.approx(-0.0421, abs=1e-6)


@pytest.mark.network
def test_a_host_tells_a_real_chronyd_the_time(
    start_host: Callable[..., Host], start_chronyd: Callable[..., Chronyd], ahead_lab: Ready, short_path: Path
) -> None:
    """chronyd -x selects the host's samples, and then knows the lab's truth to a millisecond."""
    path, truth = short_path / "refclock.sock", ahead_lab.truth()
    chronyd = start_chronyd(REFCLOCK.format(path))
    start_host(ahead_lab.servers, InteropConfig(refclock_socket=str(path), refclock_interval_s=0.1))
    until(lambda: chronyd.ask("tracking").startswith("4354434B"), "chronyd selects the reference clock")
    found = chronyd.ask("tracking").split(",")
    offset_s = behind_s(truth)
    assert offset_s > 1
    assert float(found[4]) == pytest.approx(offset_s, abs=1e-3)
    assert float(row(chronyd)[8]) == pytest.approx(-offset_s, abs=5e-3)
