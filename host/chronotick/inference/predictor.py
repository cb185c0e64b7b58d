"""A loop that predicts while time goes on, and remembers how right it was."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from chronotick.config.schema import Config
from chronotick.inference.engine import ChronoTickInferenceEngine
from chronotick.inference.generator import ClockDataGenerator

# Offsets kept for the engine: the longest context of the roles it knows.
_KEPT: Final = 512


class SimulatedSource:
    """Offsets of a scenario, one at each call, each an interval later. For trying the loop without a clock.

    Attributes:
        name: said in the loop's result, so that nobody takes it for a measurement.
    """

    def __init__(self, scenario: str = "server_load", seconds: int = 3600, seed: int = 42) -> None:
        self.name: str = f"simulated {scenario}"
        self._offsets = ClockDataGenerator(seed).simulate(scenario, seconds).offset_s.tolist()
        self._at = 0

    def __call__(self) -> float:
        """The next offset, s; the scenario begins again at its end."""
        offset_s: float = self._offsets[self._at % len(self._offsets)]
        self._at += 1
        return offset_s


class RealTimePredictor:
    """Measures, predicts one interval ahead, and compares with what comes.

    Args:
        config: as the engine takes it.
        prediction_interval: s, > 0.
        source: gives the newest offset, s; a `SimulatedSource` where none is given.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Config | None = None,
        prediction_interval: float = 1.0,
        source: Callable[[], float] | None = None,
    ) -> None:
        if not prediction_interval > 0:
            raise ValueError(f"the interval must be positive, not {prediction_interval}")
        self._config, self._interval_s = config, prediction_interval
        self._source = source or SimulatedSource()
        self._stop = threading.Event()

    def start_prediction(self, duration: float) -> dict[str, Any]:
        """Run for `duration` s, or until `stop_prediction`.

        A source that raises is asked again at the next interval and counted: the loop goes on.

        Returns:
            `source`, `predictions`, `source_errors`, `mae_us`, `rmse_us`, `max_us` (None before two offsets), and the
            engine's `stats`.
        """
        self._stop.clear()
        offsets: deque[float] = deque(maxlen=_KEPT)
        errors_us: list[float] = []
        faults, ahead_s = 0, None
        end_s = next_s = time.monotonic()
        end_s += duration
        with ChronoTickInferenceEngine(self._config, sampling_s=self._interval_s) as engine:
            while next_s < end_s and not self._stop.wait(max(next_s - time.monotonic(), 0.0)):
                next_s += self._interval_s
                try:
                    offsets.append(float(self._source()))
                except Exception:  # noqa: BLE001
                    faults += 1
                    offsets.clear()  # a gap: the series is no longer evenly spaced
                    ahead_s = None
                    continue
                if ahead_s is not None:
                    errors_us.append(1e6 * abs(offsets[-1] - ahead_s))
                if len(offsets) > 1:
                    ahead_s = float(engine.predict_fused(np.array(offsets)).predictions[0])
            stats = engine.get_performance_stats()
        errors = np.array(errors_us)
        return {
            "source": getattr(self._source, "name", "given"),
            "predictions": len(errors),
            "source_errors": faults,
            "mae_us": float(errors.mean()) if len(errors) else None,
            "rmse_us": float(np.sqrt(np.mean(errors**2))) if len(errors) else None,
            "max_us": float(errors.max()) if len(errors) else None,
            "stats": stats,
        }

    def stop_prediction(self) -> None:
        """End a running loop; from any thread."""
        self._stop.set()
