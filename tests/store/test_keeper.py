"""What a host keeps, as the host uses it: over restarts, over faults, and when it is told to keep nothing."""

import logging
from pathlib import Path
from typing import Any

import pytest

from chronotick.clock import timebase
from chronotick.config.schema import StoreConfig
from chronotick.core import Core
from chronotick.inputs import Publish
from chronotick.publish.issuer import Issuer, Writer
from chronotick.store import keeper as module
from chronotick.store import place
from chronotick.store.keeper import Keeper
from chronotick.store.segments import files
from chronotick.wire.boot import boot_hash, suspended_ns

S = 1_000_000_000


def started(folder: Path, config: Any, store: StoreConfig | None = None) -> tuple[Keeper, Core, Any]:
    """A keeper with a core of this boot."""
    keeper = Keeper(store or StoreConfig(), folder)
    issuer = Issuer(config.publish, Writer(1, 1, boot_hash()), raw_ns=timebase.raw_ns(), suspended_ns=suspended_ns())
    core = Core(config, issuer)
    return keeper, core, keeper.begin(core)


def fed(host: Any, journal: Any, count: int = 9) -> None:
    """Some exchanges with honest servers, until now."""
    feeder = host(raw_ns=timebase.raw_ns() - 20 * count * S)
    feeder.journal = journal
    for _ in range(count):
        feeder.raw_ns += 20 * S - 1
        feeder.hear()
    journal.publish(Publish(timebase.raw_ns(), suspended_ns()))


def rows(first: int, count: int) -> list[tuple[int, str, int, float, float, float]]:
    return [((first + n) * S, "a", n, 0.0, 0.0, 0.0) for n in range(count)]


def test_a_restart_is_warm(tmp_path: Path, host: Any, config: Any, caplog: pytest.LogCaptureFixture) -> None:
    """State, log and fixes of the first run are there for the second."""
    keeper, core, journal = started(tmp_path, config)
    fed(host, journal)
    for row in rows(0, 5):
        keeper.add(row)
    keeper.close()
    assert core.pipeline.state is not None
    with caplog.at_level(logging.INFO, "chronotick.store"):
        again, second, _ = started(tmp_path, config)
    assert "going on from the last run's state of 0 s ago" in caplog.text
    assert second.pipeline.state == core.pipeline.state
    again.add(rows(5, 1)[0])
    assert [row[0] // S for row in again.history(0, 2**63 - 1, 100)] == [0, 1, 2, 3, 4, 5]
    assert [row[0] // S for row in again.history(2 * S, 4 * S, 2)] == [3, 4]
    again.close()
    assert len(files(tmp_path / place.LOG_FOLDER)) == 1


def test_state_and_fixes_are_saved_while_it_runs(
    tmp_path: Path, host: Any, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is killed leaves what it knew when it last saved."""
    keeper, _, journal = started(tmp_path, config)
    fed(host, journal)
    keeper.add(rows(0, 1)[0])
    now_ns = timebase.mono_ns()
    monkeypatch.setattr(module.timebase, "mono_ns", lambda: now_ns + 4000 * S)
    keeper.tick()
    keeper._worker.close()  # type: ignore[union-attr]
    database = module.Database(tmp_path / place.DATABASE)
    assert database.load("resume") is not None
    assert database.fixes(0, 2**62, 10) == rows(0, 1)


def test_a_state_that_can_not_be_read_is_a_cold_start_said_once(
    tmp_path: Path, host: Any, config: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Of another version, damaged: the host starts, cold."""
    keeper, _, journal = started(tmp_path, config)
    fed(host, journal)
    keeper.close()
    module.Database(tmp_path / place.DATABASE).save("resume", 1, b"another version")
    _, core, _ = started(tmp_path, config)
    assert core.pipeline.state is None
    assert ["starting cold" in record.message for record in caplog.records if record.name == "chronotick.store"] == [
        True
    ]


def test_a_second_host_in_one_directory_runs_without_one(
    tmp_path: Path, host: Any, config: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, keeps nothing, and disturbs nothing."""
    keeper, _, _ = started(tmp_path, config)
    other, _, journal = started(tmp_path, config)
    assert "Another ChronoTick host keeps its state in" in caplog.text
    fed(host, journal)
    other.add(rows(0, 1)[0])
    assert other.history(0, 10 * S, 5) == rows(0, 1)
    other.tick()
    other.close()
    keeper.close()


def test_nothing_is_kept_where_nothing_is_wanted(tmp_path: Path, host: Any, config: Any) -> None:
    """All switched off: not even the directory is made."""
    nothing = StoreConfig(warm_start=False, event_log_mb=0, history_fixes=0)
    keeper, _, journal = started(tmp_path / "none", config, nothing)
    fed(host, journal)
    keeper.tick()
    keeper.close()
    assert not (tmp_path / "none").exists()


def test_a_database_that_fails_is_told_once(
    tmp_path: Path, host: Any, config: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Fixes and state are lost, the time is not."""
    keeper, _, journal = started(tmp_path, config)
    fed(host, journal)
    (tmp_path / place.DATABASE).write_bytes(b"rubbish" * 1000)
    for _ in range(3):
        keeper.add(rows(0, 1)[0])
        keeper._write_fixes()
    keeper.close()
    said = [record.message for record in caplog.records if record.name == "chronotick.store"]
    assert len(said) == len(set(said)) >= 1
