"""The sqlite file: what is to be found again at the next start, and the fixes for `history`."""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from chronotick.errors import StoreError

log: logging.Logger = logging.getLogger("chronotick.store")

# "CTK1" in the file's head says whose it is; the schema's version beside it, which one.
APPLICATION: Final = 0x43544B31
SCHEMA: Final = 1
_TABLES: Final = """
CREATE TABLE state (name TEXT PRIMARY KEY, saved_utc_ns INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE fixes (
    number INTEGER PRIMARY KEY, utc_ns INTEGER NOT NULL, server TEXT NOT NULL, theta_ns INTEGER NOT NULL,
    delay_s REAL NOT NULL, root_distance_s REAL NOT NULL, innovation_s REAL NOT NULL);
CREATE INDEX fixes_by_time ON fixes (utc_ns);
"""
_BUSY_S: Final = 5.0

Row = tuple[int, str, int, float, float, float]
"""A fix: utc_ns, server, theta_ns, delay_s, root_distance_s, innovation_s."""


class Database:
    """One file, in WAL mode, mode 0600. Each call opens it anew, so any thread may make it.

    What is there and is not ours, or damaged, or of another version is moved aside with one sentence.
    """

    def __init__(self, path: Path) -> None:
        """Find the file sound, or make it.

        Raises:
            StoreError: it can not be made.
        """
        self._path = path
        fault = self._fault() if path.exists() else None
        try:
            if fault is not None:
                aside = self._move_aside()
                log.warning("%s %s: it was moved to %s, and nothing of it is used.", path, fault, aside.name)
            if not path.exists():
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
                self._create()
            path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The state file {path} can not be made: {error}.") from error

    def load(self, name: str) -> bytes | None:
        """What was saved under a name; None for nothing.

        Raises:
            StoreError: the file can not be read.
        """
        with self._connection() as connection:
            row = connection.execute("SELECT content FROM state WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def save(self, name: str, saved_utc_ns: int, content: bytes) -> None:
        """Save under a name, in place of what was there.

        Raises:
            StoreError: the file can not be written.
        """
        with self._connection() as connection:
            connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (name, saved_utc_ns, content))

    def add(self, fixes: Sequence[Row], keep: int) -> None:
        """Append fixes; only the newest `keep` of all stay.

        Raises:
            StoreError: the file can not be written.
        """
        with self._connection() as connection:
            connection.executemany(
                "INSERT INTO fixes (utc_ns, server, theta_ns, delay_s, root_distance_s, innovation_s) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                fixes,
            )
            connection.execute("DELETE FROM fixes WHERE number <= (SELECT max(number) FROM fixes) - ?", (keep,))

    def fixes(self, since_utc_ns: int, before_utc_ns: int, most: int) -> list[Row]:
        """The newest `most` fixes with since <= utc < before, oldest first.

        Raises:
            StoreError: the file can not be read.
        """
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT utc_ns, server, theta_ns, delay_s, root_distance_s, innovation_s FROM fixes "
                "WHERE utc_ns >= ? AND utc_ns < ? ORDER BY utc_ns DESC LIMIT ?",
                (since_utc_ns, before_utc_ns, most),
            ).fetchall()
        return rows[::-1]

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as connection, connection:
                connection.execute("PRAGMA synchronous = NORMAL")
                yield connection
        except sqlite3.Error as error:
            raise StoreError(f"The state file {self._path} can not be used: {error}.") from error

    def _fault(self) -> str | None:
        """What is wrong with the file that is there, as the rest of a sentence; None where nothing is."""
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as connection:
                if _pragma(connection, "application_id") != APPLICATION:
                    return "is not ChronoTick's"
                if (schema := _pragma(connection, "user_version")) != SCHEMA:
                    return f"has schema {schema}, and this version has {SCHEMA}"
                if (found := _pragma(connection, "quick_check(1)")) != "ok":
                    return f"is damaged ({found})"
        except sqlite3.Error as error:
            return f"is damaged ({error})"
        return None

    def _create(self) -> None:
        with contextlib.closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(
                f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; {_TABLES} COMMIT;"
            )

    def _move_aside(self) -> Path:
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.aside-{number}")).exists():
            number += 1
        os.replace(self._path, aside)
        for tail in ("-wal", "-shm", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self._path.with_name(self._path.name + tail), aside.with_name(aside.name + tail))
        return aside


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return None if row is None else row[0]
