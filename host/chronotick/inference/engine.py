"""The engine of the earlier interface: offsets in, how they go on out. The host's own floor, gate and fusion."""

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from chronotick.backtest.drive import Models, NoModels
from chronotick.backtest.models import PluginModels
from chronotick.config.load import load
from chronotick.config.schema import Config, RoleConfig
from chronotick.errors import PluginError
from chronotick.forecast.types import Refusal
from chronotick.inference.series import Series
from chronotick.pipeline import Pipeline
from chronotick.units import ns_to_s, s_to_ns
from chronotick.window.covariates import Sensed

# Without roles in the configuration: the grids of the first ChronoTick.
SHORT: Final = RoleConfig(name="short_term", plugin="none", step_s=1.0, context=100, horizon=5, interval_s=1.0)
LONG: Final = RoleConfig(name="long_term", plugin="none", step_s=1.0, context=300, horizon=60, interval_s=30.0)
# Points below which there is no line to continue.
_LEAST_POINTS: Final = 2


class PredictionResult(msgspec.Struct, frozen=True, eq=False):
    """What was predicted.

    Attributes:
        predictions: float64, shape (h,), offsets, s, at `ahead_s` after the last one given.
        uncertainty: float64, shape (h,), standard deviations, s.
        ahead_s: float64, shape (h,), s.
        quantiles: by level ("0.05", "0.5", "0.95"), float64, shape (h,), s, where the 0.05 and 0.95 are the ends of the
            calibrated 90 % interval.
        confidence: level of the interval between the outer two quantiles.
        source: who had weight, e.g. "floor+chronos".
        weights: by name, at the nearest instant.
        inference_time: what the call took, s.
    """

    predictions: NDArray[np.float64]
    uncertainty: NDArray[np.float64]
    ahead_s: NDArray[np.float64]
    quantiles: dict[str, NDArray[np.float64]]
    confidence: float
    source: str
    weights: dict[str, float]
    inference_time: float


class ChronoTickInferenceEngine:
    """Predicts offsets. Thread-safe; keeps what it has learned as long as windows go on where the last one ended.

    Args:
        config: a configuration file, of this ChronoTick or the first one, or a `Config`. None: no models, the floor
            and the local candidates alone.
        sampling_s: seconds between two offsets.

    Raises:
        ConfigError: the file is wrong.
    """

    def __init__(self, config: str | os.PathLike[str] | Config | None = None, *, sampling_s: float = 1.0) -> None:
        if not sampling_s > 0:
            raise ValueError(f"the sampling interval must be positive, not {sampling_s}")
        if config is None:
            config = Config()
        self._config = config if isinstance(config, Config) else load(Path(config)).config
        roles = [role for role in self._config.roles if role.enabled]
        self._short = _role(roles, "short_term", SHORT, longest=False)
        self._long = _role(roles, "long_term", LONG, longest=True)
        self._sampling_s = sampling_s
        self._lock = threading.Lock()
        self._plugins: PluginModels | None = None
        self._models: Models = NoModels()
        self._series = Series(sampling_s)
        self._pipeline = Pipeline(self._config)
        self._last: PredictionResult | None = None
        self._took_ms: deque[float] = deque(maxlen=1000)
        self._calls = self._asked = self._refused = 0
        self._fault = ""

    def initialize_models(self, timeout_s: float = 300.0) -> bool:
        """Start the configured models and wait until they are ready; called by the first prediction if need be.

        False, with the reason in `health_check`, where one can not be had: the floor answers without it.
        """
        with self._lock:
            return self._ensure_models(timeout_s)

    def predict_short_term(
        self, offset_data: ArrayLike, system_metrics: Mapping[str, ArrayLike] | None = None
    ) -> PredictionResult:
        """The next few seconds, as the short role's model sees them (the floor where it says nothing yet).

        Args:
            offset_data: shape (n,), n >= 2, finite, s, oldest first.
            system_metrics: see `predict_fused`.

        Raises:
            ValueError: offsets that are none.
        """
        return self._predict(offset_data, system_metrics, self._short, alone=True)

    def predict_long_term(
        self, offset_data: ArrayLike, system_metrics: Mapping[str, ArrayLike] | None = None
    ) -> PredictionResult:
        """The next minute, as the long role's model sees it; else as `predict_short_term`."""
        return self._predict(offset_data, system_metrics, self._long, alone=True)

    def predict_fused(
        self, offset_data: ArrayLike, system_metrics: Mapping[str, ArrayLike] | None = None
    ) -> PredictionResult:
        """The next minute as the host would say it: only what has earned its weight speaks beside the floor.

        Args:
            offset_data: shape (n,), n >= 2, finite, s, oldest first. A window that goes on where the last one ended
                continues it; any other begins anew.
            system_metrics: by name, each of shape (n,), as `SystemMetricsCollector` gives them: temperature (degrees
                Celsius), cpu_usage (%) and cpu_frequency (MHz) go to the models of roles with `use_covariates`; others
                are checked and not used.

        Raises:
            ValueError: offsets that are none, or metrics of another length.
        """
        return self._predict(offset_data, system_metrics, self._long, alone=False)

    def health_check(self) -> dict[str, Any]:
        """`status` ("healthy"; "degraded" while a configured model is not ready), `models`, `last_error`, `points`."""
        with self._lock:
            wanted = {plugin.name for plugin in self._config.plugins if plugin.enabled}
            ready = self._models.ready
            return {
                "status": "healthy" if wanted <= ready else "degraded",
                "models": {name: "ready" if name in ready else "not ready" for name in sorted(wanted)},
                "last_error": self._fault,
                "points": len(self._pipeline.history),
            }

    def get_performance_stats(self) -> dict[str, Any]:
        """Calls, questions to models and refusals so far, and how long calls took, ms."""
        with self._lock:
            took = np.array(self._took_ms) if self._took_ms else np.zeros(1)
            return {
                "total_predictions": self._calls,
                "model_questions": self._asked,
                "model_refusals": self._refused,
                "mean_ms": float(took.mean()),
                "p95_ms": float(np.quantile(took, 0.95)),
                "max_ms": float(took.max()),
            }

    def shutdown(self) -> None:
        """End the models' processes."""
        with self._lock:
            plugins, self._plugins, self._models = self._plugins, None, NoModels()
            if plugins is not None:
                plugins.__exit__(None, None, None)

    def __enter__(self) -> "ChronoTickInferenceEngine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.shutdown()

    def _predict(
        self,
        offset_data: ArrayLike,
        system_metrics: Mapping[str, ArrayLike] | None,
        role: RoleConfig,
        *,
        alone: bool,
    ) -> PredictionResult:
        began_s = time.perf_counter()
        window_s = np.asarray(offset_data, dtype=np.float64)
        if window_s.ndim != 1 or len(window_s) < _LEAST_POINTS:
            raise ValueError(f"offsets are one row of at least {_LEAST_POINTS} numbers, not of shape {window_s.shape}")
        if not np.isfinite(window_s).all():
            raise ValueError("offsets must be finite: leave out what was not measured")
        for name, values in (system_metrics or {}).items():
            if np.shape(values) != window_s.shape:
                raise ValueError(f"the metric {name!r} has shape {np.shape(values)}, the offsets {window_s.shape}")
        with self._lock:
            self._ensure_models()
            self._follow(window_s, {name: np.asarray(one, np.float64) for name, one in (system_metrics or {}).items()})
            result = self._read(role, alone, began_s)
            self._calls += 1
            self._took_ms.append(1e3 * result.inference_time)
            return result

    def _follow(self, window_s: NDArray[np.float64], metrics: Mapping[str, NDArray[np.float64]]) -> None:
        """Take what is new in the window through the pipeline, and ask the models that are due."""
        new = self._series.new_points(window_s)
        if new is None:
            self._series.begin()
            self._pipeline = Pipeline(self._config)
            new = len(window_s)
        for at, fix in enumerate(self._series.take(window_s, new), len(window_s) - new):
            self._pipeline.absorb(fix)
            if self._pipeline.covariates.wanted:
                self._pipeline.covariates.take(_sensed(fix.raw_ns, metrics, at))
            for request in self._pipeline.due(fix.raw_ns, self._models.ready, self._models.offered):
                self._asked += 1
                answer = self._models.ask(request)
                refused: Refusal | None
                if isinstance(answer, Refusal):
                    refused = self._pipeline.refuse(answer)
                else:
                    refused = self._pipeline.answer(request, answer.quantiles, answer.mean, answer.infer_ms)
                if refused is not None:
                    self._refused += 1
                    self._fault = refused.reason

    def _read(self, role: RoleConfig, alone: bool, began_s: float) -> PredictionResult:
        now_ns = self._series.now_ns
        mine = f"{role.plugin}/{role.name}"
        ahead_s = role.step_s * np.arange(1, role.horizon + 1, dtype=np.float64)
        said, sigma_s, half_s = [], [], []
        weights: dict[str, float] = {}
        for h_s in ahead_s.tolist():
            at_ns = now_ns + s_to_ns(h_s)
            fused = self._pipeline.estimate(at_ns, at_ns + s_to_ns(role.step_s))
            assert fused is not None
            theta_ns = self._pipeline.fusion.alone(at_ns).get(mine) if alone else fused.theta_ns
            said.append(ns_to_s(fused.floor_theta_ns if theta_ns is None else theta_ns))
            sigma_s.append(fused.sigma_s)
            half_s.append(fused.half_width_95_s * 1.64485 / 1.95996)
            if not weights:
                weights = dict(fused.weights) if not alone else {role.plugin if theta_ns is not None else "floor": 1.0}
        predictions, half = np.array(said), np.array(half_s)
        return PredictionResult(
            predictions=predictions,
            uncertainty=np.array(sigma_s),
            ahead_s=ahead_s,
            quantiles={"0.05": predictions - half, "0.5": predictions, "0.95": predictions + half},
            confidence=0.9,
            source="+".join(weights),
            weights=weights,
            inference_time=time.perf_counter() - began_s,
        )

    def _ensure_models(self, timeout_s: float = 300.0) -> bool:
        if self._plugins is None and self._config.plugins and not self._fault:
            plugins = PluginModels(self._config.plugins)
            plugins.__enter__()
            try:
                plugins.load(timeout_s)
            except PluginError as error:
                plugins.__exit__(None, None, None)
                self._fault = str(error)
                return False
            except BaseException:
                plugins.__exit__(None, None, None)
                raise
            self._plugins = self._models = plugins
        return not self._config.plugins or self._plugins is not None


def _sensed(raw_ns: int, metrics: Mapping[str, NDArray[np.float64]], at: int) -> Sensed:
    """What the metrics say of one point, in the units of the host's sensors."""

    def value(name: str, unit: float) -> float | None:
        return float(metrics[name][at]) * unit if name in metrics else None

    return Sensed(
        raw_ns=raw_ns,
        temperature_c=value("temperature", 1.0),
        load=value("cpu_usage", 1e-2),
        frequency_ghz=value("cpu_frequency", 1e-3),
    )


def _role(roles: Sequence[RoleConfig], name: str, default: RoleConfig, *, longest: bool) -> RoleConfig:
    """The role of that name; else the one that reaches least, or farthest; else the default."""
    by_name = {role.name: role for role in roles}
    if name in by_name or not roles:
        return by_name.get(name, default)
    pick = max if longest else min
    return pick(roles, key=lambda role: role.step_s * role.horizon)
