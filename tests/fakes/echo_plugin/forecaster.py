"""Three forecasts that need no model, so that every answer can be foretold."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import BadParams, Batch, Capabilities, Params, Progress, Quantiles

from .faults import Faults

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class EchoForecaster:
    """`mode` hold: the last value; seasonal: the value `period` points ago; oracle: a function of absolute time.

    The spread is the robust standard deviation of the differences, growing with the square root of the step. The oracle
    is `offset + slope * t + amplitude * sin(2 pi t / period_s)` with t in seconds of the window's clock, and has no
    spread.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._params = Params(values={})

    def load(self, params: Params, progress: Progress) -> Capabilities:
        self._faults.add(params.text("fault").split(","))
        self._faults.at_load()
        self._params = params
        for step in range(1, 4):
            progress(step / 3, f"step {step} of 3")
        if params.text("mode", "hold") not in ("hold", "seasonal", "oracle"):
            raise BadParams(f"mode is {params.text('mode')!r}.", mend="Use hold, seasonal or oracle.")
        return Capabilities(
            context_min=8,
            context_max=2048,
            horizon_max=256,
            levels=LEVELS,
            batch_max=16,
            device=params.text("device", "cpu"),
            model_id=f"echo/{params.text('mode', 'hold')}",
            revision="0" * 40,
            parameters=1,
        )

    def forecast(self, batch: Batch) -> Quantiles:
        if not batch.warm_up:
            self._faults.before_forecast(batch)
        centre = np.stack([self._centre(one, batch) for one in batch.values])
        spread = np.array([self._spread(one) for one in batch.values])
        growth = np.sqrt(np.arange(1, batch.horizon + 1))
        z = np.array([NormalDist().inv_cdf(level) for level in batch.levels])
        values = centre[:, None, :] + z[None, :, None] * spread[:, None, None] * growth[None, None, :]
        if not batch.warm_up:
            values = self._faults.after_forecast(values, batch)
        return Quantiles(values, mean=centre)

    def _centre(self, values: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
        mode = self._params.text("mode", "hold")
        last = values[np.isfinite(values)][-1]
        if mode == "oracle":
            number = {key: float(self._params.text(key, "0")) for key in ("offset", "slope", "amplitude")}
            period_s = float(self._params.text("period_s", "3600"))
            points = len(values) + np.arange(batch.horizon)
            t = (batch.t0_ns + points * batch.step_ns) * 1e-9
            wave = number["amplitude"] * np.sin(2 * np.pi * t / period_s)
            return np.asarray(number["offset"] + number["slope"] * t + wave)
        if mode == "seasonal":
            period = int(self._params.text("period", "24"))
            season = values[-period:]
            season = np.where(np.isfinite(season), season, last)
            return np.resize(season, batch.horizon)
        return np.full(batch.horizon, last)

    def _spread(self, values: NDArray[np.float64]) -> float:
        if self._params.text("mode") == "oracle":
            return 0.0
        seen = values[np.isfinite(values)]
        # Median, not a sum of squares: nothing here may overflow for huge values.
        return float(1.4826 * np.median(np.abs(np.diff(seen)))) if len(seen) > 1 else 0.0
