"""The sqlite file and its directory: private, bounded, and never the reason that a host does not start."""

import logging
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from chronotick.errors import StoreError
from chronotick.store import place
from chronotick.store.database import Database, Row

S = 1_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / place.DATABASE


def fix(number: int) -> Row:
    return (number * S, "192.0.2.1", -number, 0.001, 0.002, 1e-6)


def test_what_is_saved_is_found_again(path: Path) -> None:
    """By another opening of the file, the newest under each name; in WAL mode, for its owner only."""
    first = Database(path)
    first.save("resume", 1, b"old")
    first.save("resume", 2, b"\0new")
    again = Database(path)
    assert again.load("resume") == b"\0new"
    assert again.load("nothing") is None
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()} == {0o600}


def test_fixes_are_kept_up_to_a_number(path: Path) -> None:
    """The newest of a range, oldest first; beyond the bound the oldest are gone."""
    database = Database(path)
    database.add([fix(n) for n in range(30)], keep=20)
    database.add([fix(n) for n in range(30, 40)], keep=20)
    assert [row[0] // S for row in database.fixes(0, 2**62, 100)] == list(range(20, 40))
    assert database.fixes(25 * S, 28 * S, 2) == [fix(26), fix(27)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no database at all" * 100, "is damaged"),
        (b"", "is not ChronoTick's"),
        (b"SQLite format 3\0" + b"\xff" * 5000, "is damaged"),
    ],
)
def test_a_foreign_or_damaged_file_is_moved_aside(
    path: Path, content: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With one sentence that says what it was and where it went; the host has a new one."""
    path.write_bytes(content)
    with caplog.at_level(logging.INFO, "chronotick.store"):
        database = Database(path)
    assert [words in record.message and "aside-1" in record.message for record in caplog.records] == [True]
    assert path.with_name(path.name + ".aside-1").read_bytes() == content
    database.save("x", 1, b"y")
    assert Database(path).load("x") == b"y"


def test_a_file_of_another_schema_is_moved_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of a later version's file is guessed at."""
    Database(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    assert Database(path).load("x") is None
    assert "has schema 7, and this version has 1" in caplog.text
    path.write_bytes(b"x")
    Database(path)
    assert path.with_name(path.name + ".aside-2").exists()


def test_a_file_that_goes_bad_under_a_host_is_an_error_of_one_kind(path: Path) -> None:
    """Whatever sqlite says."""
    database = Database(path)
    path.write_bytes(b"rubbish" * 1000)
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)
    with pytest.raises(StoreError, match="can not be used"):
        database.load("x")
    with pytest.raises(StoreError, match="can not be used"):
        database.save("x", 1, b"")


@pytest.mark.parametrize(
    ("environ", "own", "found"),
    [
        ({"STATE_DIRECTORY": "/var/lib/chronotick:/x", "XDG_STATE_HOME": "/home/u/s"}, False, "/var/lib/chronotick"),
        ({"XDG_STATE_HOME": "/home/u/s"}, False, "/home/u/s/chronotick"),
        ({"XDG_STATE_HOME": "/home/u/s"}, True, "/run/x/state"),
        ({"CHRONOTICK_RUNTIME_DIR": "/run/x", "STATE_DIRECTORY": "/var/lib/c"}, False, "/run/x/state"),
    ],
)
def test_where_the_state_is(environ: dict[str, str], own: bool, found: str) -> None:
    """The service manager's directory, the user's; beside a runtime directory that was chosen by hand."""
    assert place.locate(Path("/run/x"), own_directory=own, environ=environ) == Path(found)
    assert place.locate(Path("/run/x"), "/given", own_directory=own, environ=environ) == Path("/given")
    assert place.locate(Path("/run/x"), own_directory=False, environ={}) == Path.home() / ".local/state/chronotick"


def test_one_host_holds_a_directory(tmp_path: Path) -> None:
    """The second is told so, and may have it when the first has gone."""
    folder = tmp_path / "a" / "b"
    with place.held(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with pytest.raises(StoreError, match="Another ChronoTick host"), place.held(folder):
            pass
    with place.held(folder):
        pass


def test_a_directory_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """Whoever can put a state there decides what the host believes."""
    tmp_path.chmod(0o777)
    with pytest.raises(StoreError, match="Others may write"), place.held(tmp_path):
        pass
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StoreError, match="can not be used"), place.held(file):
        pass
    assert os.getuid() == file.stat().st_uid
