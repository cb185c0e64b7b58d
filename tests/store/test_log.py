"""The log as it is written: bounded, private, and no trouble when the disk is."""

import errno
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from chronotick.errors import StoreError
from chronotick.store import log as module
from chronotick.store.log import RETRY_NS, EventLog
from chronotick.store.replay import Replay
from chronotick.store.segments import files, segments
from chronotick.store.worker import MOST_WAITING, Worker


def test_it_stays_within_its_bound_and_keeps_the_newest(host: Any, logged: Any) -> None:
    """The oldest segments go; no moment of the rest is lost; only its owner may read it."""
    most = 4_000_000
    one = host(log=logged.log(most, segment_s=100.0))
    one.run(1500.0)
    one.journal.close()
    logged.close()
    kept = files(logged.folder)
    assert kept[0].name != "events-00000001.ctklog"
    assert sum(path.stat().st_size for path in kept) <= most
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert {one.header.cause for one in segments(logged.folder)} <= {"size", "age"}
    replay = Replay(logged.folder)
    digests = [moment.same for moment in replay.moments()]
    assert all(digests)
    assert len(digests) > 25


def test_a_new_host_appends_a_segment_of_its_own(host: Any, logged: Any) -> None:
    """Numbers go on; nothing is overwritten."""
    for instance in (1, 2):
        one = host(log=logged.log(), instance=instance)
        one.run(20.0)
        one.journal.close()
        logged.close()
    assert [path.name for path in files(logged.folder)] == ["events-00000001.ctklog", "events-00000002.ctklog"]


def test_a_full_disk_stops_the_log_and_not_the_host(
    host: Any, logged: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, the host publishes on, and when there is room again a new segment begins."""
    one = host(log=logged.log())
    one.run(60.0)
    full = True
    write = os.write

    def refuse(file: int, data: Any) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(module.os, "write", refuse)
    with caplog.at_level(logging.INFO, "chronotick.store"):
        one.run(2.5 * RETRY_NS / 1e9)
        said = [record.message for record in caplog.records]
        assert len(said) == 1
        assert "No space left on device" in said[0]
        full = False
        one.run(2.0 * RETRY_NS / 1e9)
        one.journal.close()
        logged.close()
    assert [record.message for record in caplog.records][1:] == ["the event log is written again"]
    assert len(one.told) == (60 + 4.5 * RETRY_NS / 1e9) // 4
    replay = Replay(logged.folder)
    assert all(moment.same for moment in replay.moments())
    assert segments(logged.folder)[-1].header.cause == "gap"


def test_a_disk_that_stands_still_costs_entries_and_no_time(host: Any, logged: Any) -> None:
    """When nothing is taken any more the segment ends; what was written before can still be replayed."""
    log = logged.log()
    one = host(log=log)
    one.run(60.0)
    log._worker.do = lambda _: False
    one.run(400.0)
    del log._worker.do
    one.journal.close()
    logged.close()
    assert len(one.told) == 115
    same = [moment.same for moment in Replay(logged.folder).moments()]
    assert all(same)
    assert 0 < len(same) <= 15


def test_a_state_that_can_not_be_made_stops_the_log_only(
    host: Any, logged: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of the codec is said once; the host goes on."""

    def fail(_: object) -> bytes:
        raise StoreError("A foreign thing can not be stored.")

    monkeypatch.setattr("chronotick.store.journal.state.export", fail)
    one = host(log=logged.log())
    with caplog.at_level(logging.INFO, "chronotick.store"):
        one.run(1.5 * RETRY_NS / 1e9)
    assert ["foreign" in record.message for record in caplog.records] == [True]
    assert files(logged.folder) == []
    assert len(one.told) == 225


def test_the_worker_outlives_a_job_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Its fault is logged, and the next job is done; beyond the bound no job is taken."""
    worker, done = Worker(), []
    worker.do(lambda: done.append(1 // 0))
    worker.do(lambda: done.append(2))
    worker.close()
    assert done == [2]
    assert ["could not be stored" in record.message for record in caplog.records] == [True]
    stuck = Worker()
    taken = [stuck.do(lambda: None) for _ in range(3)]
    stuck.close()
    assert taken == [True] * 3
    assert MOST_WAITING > 3


def test_a_log_of_a_folder_that_went_away_says_so(tmp_path: Path, host: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The folder removed under a running host is a fault of the disk like any other."""
    folder = tmp_path / "gone"
    folder.mkdir()
    worker = Worker()
    log = EventLog(folder, 10_000_000, worker)
    folder.rmdir()
    one = host(log=log)
    one.run(30.0)
    worker.close()
    assert ["No such file" in record.message for record in caplog.records] == [True]
