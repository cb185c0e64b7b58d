"""What the machine is doing, once a second, in the background."""

import threading
import time
from collections import deque
from typing import Any, Final

import numpy as np
import psutil
from numpy.typing import NDArray

from chronotick.ops.sensors import Sensors

# An hour at 1 Hz.
_KEPT: Final = 3600
FIELDS: Final = (
    "timestamp",
    "cpu_usage",
    "memory_usage",
    "temperature",
    "voltage",
    "cpu_frequency",
    "disk_io",
    "network_io",
)


class SystemMetricsCollector:
    """Collects in a thread of its own between `start_collection` and `stop_collection`; thread-safe.

    What this machine has no sensor for is NaN: temperature (degrees Celsius), voltage (V; psutil has none on Linux),
    cpu_frequency (MHz). disk_io and network_io are bytes per second.
    """

    def __init__(self, collection_interval: float = 1.0) -> None:
        if not collection_interval > 0:
            raise ValueError(f"the interval must be positive, not {collection_interval}")
        self._interval_s = collection_interval
        self._rows: deque[tuple[float, ...]] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start_collection(self) -> None:
        """Begin; nothing happens when it has begun."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._collect, name="system metrics", daemon=True)
            self._thread.start()

    def stop_collection(self) -> None:
        """End, and wait for the thread. What was collected stays."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join()

    def get_recent_metrics(self, window_seconds: float = 60.0) -> dict[str, NDArray[np.float64]]:
        """Each field by name as float64 of shape (n,), oldest first; n is 0 before the first second."""
        since = time.time() - window_seconds
        with self._lock:
            rows = [row for row in self._rows if row[0] >= since]
        columns = np.array(rows, dtype=np.float64).reshape(-1, len(FIELDS))
        return {name: columns[:, i].copy() for i, name in enumerate(FIELDS)}

    def get_metrics_summary(self) -> dict[str, Any]:
        """`samples`, and for each field but the time its mean, least, greatest and last; None where it is unknown."""
        recent = self.get_recent_metrics(_KEPT * self._interval_s)
        summary: dict[str, Any] = {"samples": len(recent["timestamp"])}
        for name in FIELDS[1:]:
            known = recent[name][np.isfinite(recent[name])]
            summary[name] = (
                {"mean": float(known.mean()), "min": float(known.min()), "max": float(known.max()), "last": known[-1]}
                if len(known)
                else None
            )
        return summary

    def __enter__(self) -> "SystemMetricsCollector":
        self.start_collection()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop_collection()

    def _collect(self) -> None:
        sensors = Sensors()
        sensors.read()  # the first load has no interval to be about
        before_s, before = time.monotonic(), _counters()
        while not self._stop.wait(self._interval_s):
            now_s, now = time.monotonic(), _counters()
            disk, network = ((b - a) / (now_s - before_s) for a, b in zip(before, now, strict=True))
            before_s, before = now_s, now
            sensed = sensors.read()
            row = (
                time.time(),
                100.0 * _or_nan(sensed.load),
                psutil.virtual_memory().percent,
                _or_nan(sensed.temperature_c),
                np.nan,
                1e3 * _or_nan(sensed.frequency_ghz),
                disk,
                network,
            )
            with self._lock:
                self._rows.append(row)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _counters() -> tuple[float, float]:
    disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    return (
        float(disk.read_bytes + disk.write_bytes) if disk else np.nan,
        float(network.bytes_sent + network.bytes_recv) if network else np.nan,
    )
