"""The publisher: what it begins with, what it keeps across restarts, and when it steps."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronotick.config.schema import PublishConfig
from chronotick.errors import RuntimeDirError
from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish import HardBound, Publication, Publisher
from chronotick.publish import publisher as module
from chronotick.publish.snapshot import read_file
from chronotick.wire.boot import boot_hash
from chronotick.wire.snapshot import Record

S = 1_000_000_000
THETA = 1_700_000_000 * S
Fuse = Callable[..., FusedForecast]


def raw_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "snapshot"


@pytest.fixture
def start(path: Path) -> Iterator[Callable[..., Publisher]]:
    """Starts publishers on one path, as one host after the other."""
    made: list[Publisher] = []

    def run(instance: int, **options: bool) -> Publisher:
        made.append(Publisher(path, PublishConfig(), instance, **options))
        return made[-1]

    yield run
    for publisher in made:
        publisher.close()


@pytest.fixture
def publish(fuse: Fuse) -> Callable[..., Publication]:
    """Publishes theta as estimated now."""

    def run(
        publisher: Publisher, theta_ns: int, *, epoch: int = 0, void_s: int = 1000, width_ns: int = S
    ) -> Publication:
        now = raw_ns()
        return publisher.publish(
            fuse(now, theta_ns),
            HardBound(now, theta_ns - width_ns, theta_ns + width_ns, 5e-5),
            status=Status.SYNCHRONISED,
            fix_raw_ns=now,
            void_raw_ns=now + void_s * S,
            epoch=epoch,
        )

    return run


Start = Callable[..., Publisher]
Publish = Callable[..., Publication]


def on_disk(path: Path) -> Record:
    return read_file(path, boot_hash())


def test_a_fresh_host_says_unknown_at_once(path: Path, start: Start) -> None:
    """The file is there before the first fix, and says UNKNOWN."""
    publisher = start(1)
    assert on_disk(path) == publisher.record
    assert (publisher.current.status, publisher.current.epoch, publisher.resumed) == (Status.UNKNOWN, 0, False)
    assert publisher.record.host_pid == os.getpid()


def test_what_is_published_is_in_the_file(path: Path, start: Start, publish: Publish) -> None:
    """Publication, record and file say the same, with growing sequence and in one epoch."""
    publisher = start(1)
    for sequence in (2, 3, 4):
        made = publish(publisher, THETA + sequence)
        assert made == publisher.current
        assert on_disk(path) == publisher.record
        assert (made.sequence, made.epoch, made.status) == (sequence, 1, Status.SYNCHRONISED)


def test_the_file_can_be_read_by_all_and_written_by_one(path: Path, start: Start) -> None:
    """Mode 0644 whatever the umask: who gets to it at all is up to the directory."""
    before = os.umask(0o077)
    try:
        start(1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_new_host_goes_on_where_the_last_one_ended(path: Path, start: Start, publish: Publish) -> None:
    """Its first word is the last host's line as HOLDOVER, and its first estimate is slewed from there."""
    last = publish(start(1), THETA)
    second = start(2)
    assert second.resumed
    assert (second.current.status, second.current.theta_ns) == (Status.HOLDOVER, last.theta_ns)
    assert (on_disk(path).host_instance, on_disk(path).sequence) == (2, 1)
    made = publish(second, THETA + 100_000)
    assert (made.epoch, made.theta_ns) == (1, THETA)
    assert second.remainder_s(made.raw_ns) == pytest.approx(1e-4)
    assert second.remainder_s(made.raw_ns + 2 * S) == 0
    assert not second.resumed


def test_a_new_host_whose_bound_refutes_the_last_one_steps(start: Start, publish: Publish) -> None:
    """Where the last host's time lies outside the new hard bound, a new epoch begins at the estimate."""
    publish(start(1), THETA)
    made = publish(start(2), THETA + 5 * S, width_ns=S)
    assert (made.epoch, made.theta_ns) == (2, THETA + 5 * S)


def test_a_host_may_refuse_to_go_on(start: Start, publish: Publish) -> None:
    """With resume=False nothing of the last host is told, and the epoch is another."""
    publish(start(1), THETA)
    second = start(2, resume=False)
    assert (second.current.status, second.current.epoch) == (Status.UNKNOWN, 1)
    assert publish(second, THETA).epoch == 2


def test_a_void_record_is_not_gone_on_from(start: Start, publish: Publish) -> None:
    """What was void when the host came back stays unsaid."""
    publish(start(1), THETA, void_s=0)
    assert start(2).current.status is Status.UNKNOWN


def test_a_record_from_before_a_suspension_is_not_gone_on_from(
    start: Start, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the machine slept between two hosts, the last one's line is worthless."""
    publish(start(1), THETA)
    slept = module.suspended_ns() + 5 * S
    monkeypatch.setattr(module, "suspended_ns", lambda: slept)
    assert start(2).current.status is Status.UNKNOWN


def test_a_suspension_that_the_host_missed_is_not_hidden(
    start: Start, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a new epoch takes up the new suspended time; until then readers can see that the line is stale."""
    publisher = start(1)
    publish(publisher, THETA)
    before = publisher.record.suspended_ns
    monkeypatch.setattr(module, "suspended_ns", lambda: before + 5 * S)
    publish(publisher, THETA)
    assert publisher.record.suspended_ns == before
    publish(publisher, THETA, epoch=1)
    assert publisher.record.suspended_ns == before + 5 * S


@pytest.mark.parametrize("content", [b"", b"garbage", b"\0" * 1088, b"CTKSNAP\0" + b"\xff" * 1080])
def test_a_damaged_file_does_not_stop_a_host(path: Path, start: Start, publish: Publish, content: bytes) -> None:
    """Whatever lies there is replaced."""
    path.write_bytes(content)
    publisher = start(1)
    assert publisher.current.status is Status.UNKNOWN
    publish(publisher, THETA)
    assert on_disk(path) == publisher.record


def test_a_change_of_the_clocks_epoch_steps(start: Start, publish: Publish) -> None:
    """The clock's discontinuity is readers' discontinuity, once."""
    publisher = start(1)
    assert publish(publisher, THETA, epoch=7).epoch == 1
    stepped = publish(publisher, THETA - S, epoch=8)
    assert (stepped.epoch, stepped.theta_ns) == (2, THETA - S)
    assert publish(publisher, THETA, epoch=8).epoch == 2


def test_unknown_can_be_published_and_left(path: Path, start: Start, publish: Publish) -> None:
    """UNKNOWN takes everything back; the next known time begins a new epoch."""
    publisher = start(1)
    publish(publisher, THETA)
    assert publisher.publish_unknown().status is Status.UNKNOWN
    assert on_disk(path).status is Status.UNKNOWN
    assert publish(publisher, THETA - S).epoch == 2


def test_a_refused_estimate_changes_nothing(path: Path, start: Start, publish: Publish, fuse: Fuse) -> None:
    """NaN from upstream raises, and readers keep what they had."""
    publisher = start(1)
    publish(publisher, THETA)
    before = on_disk(path)
    now = raw_ns()
    with pytest.raises(ValueError, match="rate"):
        publisher.publish(
            fuse(now, THETA, float("nan")),
            HardBound(now, THETA, THETA, 0.0),
            status=Status.SYNCHRONISED,
            fix_raw_ns=now,
            void_raw_ns=now + S,
            epoch=0,
        )
    assert on_disk(path) == before == publisher.record


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error says which file can not be written, and what to look at."""
    with pytest.raises(RuntimeDirError, match="missing/snapshot can not be written") as caught:
        Publisher(tmp_path / "missing" / "snapshot", PublishConfig(), 1)
    assert caught.value.mend


def test_over_a_socket_nothing_is_told_once_the_machine_has_slept(
    start: Start, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the moment before the host notices, whoever asks hears UNKNOWN, as readers of the file see for themselves."""
    publisher = start(1)
    publish(publisher, THETA)
    assert publisher.awake_record() == publisher.record
    before = publisher.record.suspended_ns
    monkeypatch.setattr(module, "suspended_ns", lambda: before + 5 * S)
    assert publisher.awake_record().status is Status.UNKNOWN
    assert publisher.record.status is Status.SYNCHRONISED
