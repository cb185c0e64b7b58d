"""What the model processes of the host cost: memory that is theirs, and CPU since all of them were ready."""

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import psutil


class Usage:
    """Looks at processes of this machine by their ids; one that is gone is left out.

    CPU is counted from a process's first look in state READY: importing a library is not forecasting.
    """

    def __init__(self) -> None:
        self._begun: dict[int, tuple[float, float]] = {}

    def look(self, rows: Iterable[dict[str, Any]]) -> None:
        """Note who is READY, by the rows of the host's status."""
        for row in rows:
            if row["state"] == "READY" and row["pid"] and row["pid"] not in self._begun:
                with suppress(psutil.Error):
                    self._begun[row["pid"]] = (time.monotonic(), _cpu_s(row["pid"]))

    def of(self, pid: int | None) -> dict[str, float | None]:
        """pss_mb: its share of what processes share, MB; cpu_percent: of one core, since it was READY."""
        unknown: dict[str, float | None] = {"pss_mb": None, "cpu_percent": None}
        if pid is None:
            return unknown
        with suppress(psutil.Error):
            pss_mb = round(psutil.Process(pid).memory_full_info().pss / 1e6, 1)
            began, spent_s = self._begun.get(pid, (0.0, 0.0))
            past_s = time.monotonic() - began
            known = began > 0 and past_s > 0
            percent = round(100 * (_cpu_s(pid) - spent_s) / past_s, 2) if known else None
            return {"pss_mb": pss_mb, "cpu_percent": percent}
        return unknown


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
