"""All that a host keeps on disk, opened, fed and closed. Without a usable directory it keeps nothing, and says so."""

import contextlib
import logging
import time
from collections import deque
from pathlib import Path
from typing import Final

from chronotick.clock import timebase
from chronotick.config.schema import StoreConfig
from chronotick.core import Core
from chronotick.errors import StoreError
from chronotick.store import place, state, warm
from chronotick.store.database import Database, Row
from chronotick.store.journal import Journal
from chronotick.store.log import EventLog
from chronotick.store.worker import Job, Worker
from chronotick.units import s_to_ns
from chronotick.wire.boot import suspended_ns
from chronotick.wire.snapshot import MAX_NS, MIN_NS

log: logging.Logger = logging.getLogger("chronotick.store")

# Fixes that are told from memory; older ones are read from disk.
RECENT_FIXES: Final = 2048
# Fixes wait this long before they are written, s.
FIXES_S: Final = 10.0
_RESUME: Final = "resume"
_MB: Final = 1_000_000


class Keeper:
    """Use from the host's loop; `history` from any thread.

    Args:
        folder: the state directory, from `place.locate`.
    """

    def __init__(self, config: StoreConfig, folder: Path) -> None:
        self._config = config
        self._stack = contextlib.ExitStack()
        self._worker: Worker | None = None
        self._log: EventLog | None = None
        self._database: Database | None = None
        self._recent: deque[Row] = deque(maxlen=RECENT_FIXES)
        self._unwritten: list[Row] = []
        self._written_ns = self._saved_ns = timebase.mono_ns()
        self._faults: set[str] = set()
        self._core: Core | None = None
        self._prints: dict[str, bytes] = {}
        self._boot = 0
        if not (config.event_log_mb or config.warm_start or config.history_fixes):
            return
        try:
            self._stack.enter_context(place.held(folder))
            self._worker = Worker()
            self._stack.callback(self._worker.close)
            if config.event_log_mb:
                self._log = EventLog(folder / place.LOG_FOLDER, round(config.event_log_mb * _MB), self._worker)
            if config.warm_start or config.history_fixes:
                self._database = Database(folder / place.DATABASE)
        except StoreError as error:
            log.warning("not everything is kept on disk: %s", error)

    def begin(self, core: Core) -> Journal:
        """Take a new core in: restored from what the last run left, and with the log beside it."""
        self._core, self._boot = core, core.issuer.writer.boot
        if self._worker is not None:
            self._prints = state.prints(core)
        if self._database is not None and self._config.warm_start:
            try:
                self._start_warm(self._database, core)
            except StoreError as error:
                log.warning("starting cold: %s", error)
        journal = Journal(core, self._prints, self._log)
        self._stack.callback(journal.close)
        return journal

    def add(self, fix: Row) -> None:
        """Keep one fix for `history`."""
        self._recent.append(fix)
        if self._database is not None and self._config.history_fixes:
            self._unwritten.append(fix)

    def tick(self) -> None:
        """Save what is due to be saved. Call about once a second."""
        now_ns = timebase.mono_ns()
        if self._unwritten and now_ns - self._written_ns >= s_to_ns(FIXES_S):
            self._written_ns = now_ns
            self._write_fixes()
        if now_ns - self._saved_ns >= s_to_ns(self._config.save_interval_s):
            self._saved_ns = now_ns
            self._save()

    def history(self, since_utc_ns: int, until_utc_ns: int, most: int) -> list[Row]:
        """The newest `most` fixes between two instants, oldest first. From any thread."""
        recent = list(self._recent)
        rows = [row for row in recent if since_utc_ns <= row[0] <= until_utc_ns][-most:]
        before_ns = min(recent[0][0] if recent else MAX_NS, until_utc_ns + 1, MAX_NS)
        if self._database is None or len(rows) == most or since_utc_ns >= before_ns:
            return rows
        try:
            return self._database.fixes(max(since_utc_ns, MIN_NS), before_ns, most - len(rows)) + rows
        except StoreError as error:
            self._complain(error)
            return rows

    def close(self) -> None:
        """Save everything and end."""
        if self._unwritten:
            self._write_fixes()
        self._save()
        self._stack.close()

    def _start_warm(self, database: Database, core: Core) -> None:
        content = database.load(_RESUME)
        if content is not None:
            log.info("%s", warm.begin(core, warm.load(content), self._now()))

    def _save(self) -> None:
        database, worker, core = self._database, self._worker, self._core
        if database is None or worker is None or core is None or not self._config.warm_start:
            return
        if core.pipeline.state is None:
            # Nothing was learned yet; what an earlier run has learned is still the best there is.
            return
        now = self._now()
        try:
            content = warm.save(core, self._prints, now)
        except StoreError as error:
            self._complain(error)
            return
        worker.do(lambda: self._try(lambda: database.save(_RESUME, now.realtime_ns, content)))

    def _write_fixes(self) -> None:
        database, worker = self._database, self._worker
        fixes, self._unwritten = self._unwritten, []
        if database is not None and worker is not None:
            worker.do(lambda: self._try(lambda: database.add(fixes, self._config.history_fixes)))

    def _try(self, write: Job) -> None:
        try:
            write()
        except StoreError as error:
            self._complain(error)

    def _complain(self, error: StoreError) -> None:
        """Each fault once: the host goes on without its disk."""
        if error.message not in self._faults:
            self._faults.add(error.message)
            log.error("%s", error)

    def _now(self) -> warm.Now:
        return warm.Now(self._boot, timebase.raw_ns(), time.time_ns(), suspended_ns())
