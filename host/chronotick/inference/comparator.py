"""The same simulated clocks to several configurations, beside what needs no model."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chronotick.config.schema import Config
from chronotick.inference.engine import ChronoTickInferenceEngine
from chronotick.inference.generator import ClockDataGenerator

# Offsets that are seen before the first prediction counts, and that are handed to the engine at most.
WARM_UP: Final = 300
_WINDOW: Final = 512


class ModelComparator:
    """Compares configurations on scenarios.

    Args:
        seed: of the scenarios; predictions: scored per scenario, one each second.
    """

    def __init__(self, seed: int = 42, predictions: int = 300) -> None:
        self._seed, self._predictions = seed, predictions

    def compare_models(
        self,
        scenarios: Sequence[str],
        model_configs: Mapping[str, str | os.PathLike[str] | Config | None],
        progress: Callable[[str, str], None] | None = None,
    ) -> dict[str, dict[str, dict[str, float]]]:
        """`{scenario: {configuration or baseline: figures}}`.

        Figures of the prediction one second ahead: `mae_us`, `rmse_us`, `max_us` against the true offset, and
        `measured_mae_us` against the next measurement, which no predictor brings below the noise of measuring.
        Baselines: `hold_last`, and `linear` through the last 60 offsets.

        Args:
            model_configs: by a name of the caller's, what the engine takes (None for no models).
            progress: told scenario and configuration when one begins.
        """
        found: dict[str, dict[str, dict[str, float]]] = {}
        for scenario in scenarios:
            data = ClockDataGenerator(self._seed).simulate(scenario, WARM_UP + self._predictions)
            found[scenario] = {}
            for name, config in model_configs.items():
                if progress is not None:
                    progress(scenario, name)
                with ChronoTickInferenceEngine(config) as engine:
                    said = [
                        float(engine.predict_fused(data.offset_s[max(0, i - _WINDOW) : i]).predictions[0])
                        for i in range(WARM_UP, len(data.offset_s))
                    ]
                found[scenario][name] = self._figures(said, data.truth_s, data.offset_s)
            held = data.offset_s[WARM_UP - 1 : -1].tolist()
            lines = [_line(data.offset_s[i - 60 : i]) for i in range(WARM_UP, len(data.offset_s))]
            found[scenario] |= {
                "hold_last": self._figures(held, data.truth_s, data.offset_s),
                "linear": self._figures(lines, data.truth_s, data.offset_s),
            }
        return found

    @staticmethod
    def _figures(
        said: Sequence[float], truth_s: NDArray[np.float64], measured_s: NDArray[np.float64]
    ) -> dict[str, float]:
        error_us = 1e6 * (np.array(said) - truth_s[WARM_UP:])
        return {
            "mae_us": float(np.abs(error_us).mean()),
            "rmse_us": float(np.sqrt(np.mean(error_us**2))),
            "max_us": float(np.abs(error_us).max()),
            "measured_mae_us": float(1e6 * np.abs(np.array(said) - measured_s[WARM_UP:]).mean()),
        }


def _line(last_s: NDArray[np.float64]) -> float:
    """A least-squares line through the offsets, one step beyond the last."""
    slope, start = np.polyfit(np.arange(len(last_s)), last_s, 1)
    return float(start + slope * len(last_s))
