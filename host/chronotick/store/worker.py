"""The one thread that writes to the disk, so that a slow disk delays no clock."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final

log: logging.Logger = logging.getLogger("chronotick.store")

# Work that may wait, jobs: beyond it the disk has stood still for minutes, and memory is worth more.
MOST_WAITING: Final = 256
# What is waiting when the host ends may take this long, s.
CLOSING_S: Final = 10.0

Job = Callable[[], None]


class Worker:
    """Does jobs one after the other. Give it jobs from one thread.

    A job that fails is the job's own fault to handle; what it does not handle is logged and the next one is done.
    """

    def __init__(self) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def do(self, job: Job) -> bool:
        """Have a job done. False where too many wait: it was not taken."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Finish what waits, for `CLOSING_S` at most, and end."""
        try:
            self._jobs.put(None, timeout=CLOSING_S)
        except queue.Full:
            log.error("the disk takes nothing: what was to be stored last is lost")
            return
        self._thread.join(CLOSING_S)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                log.exception("something could not be stored")
