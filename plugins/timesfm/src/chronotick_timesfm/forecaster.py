"""TimesFM behind the plugin SDK. Forecasts go through the library's public `compile` and `forecast`."""

import logging
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import (
    Batch,
    Cancelled,
    Capabilities,
    Params,
    Progress,
    Quantiles,
    weights,
)
from chronotick.sdk.devices import check_device, pick_device
from chronotick.sdk.scaling import Scaled, fill_gaps, standardise
from chronotick_timesfm import architecture
from chronotick_timesfm import settings as configured

logger = logging.getLogger(__name__)

CONTEXT_MIN = 8
BATCH_MAX = 64
# Patches in one pass. The library's cache of keys and values takes 200 KB a patch at the published size.
PATCHES_MAX = 4096
# Columns of the library's answer: the mean, then the quantiles.
_MEAN = 0


class TimesFmForecaster:
    """A TimesFM 2.5 model. Implements `chronotick.sdk.Forecaster`."""

    def __init__(self) -> None:
        self._model: Any = None
        self._torch: Any = None
        self._timesfm: Any = None
        self._levels: tuple[float, ...] = ()
        self._context = 0

    def load(self, params: Params, progress: Progress) -> Capabilities:
        """Find the weights, check them, load them.

        Raises:
            BadParams, WeightsMissing, WeightsMismatch, DeviceMissing: see their codes.
        """
        wanted, covariates = configured.read(params)
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        check_device(wanted.device, "timesfm")
        progress(0.05, f"looking for the weights of {wanted.model_id}")
        folder, commit = weights.locate(wanted, config=False)
        digest = weights.checked_sha256(folder, wanted.weights_sha256)
        progress(0.1, "importing torch and timesfm")
        import torch

        import timesfm

        device = pick_device(torch, wanted.device, "timesfm")
        torch.set_num_threads(params.threads)
        torch.manual_seed(params.seed)
        progress(0.6, f"loading {wanted.model_id} on {device}")
        model = architecture.load(torch, timesfm, folder, device)
        network = model.model
        self._model, self._torch, self._timesfm = model, torch, timesfm
        # What the head for quantiles reaches in one go, and what then is left of the library's limit for both.
        horizon = int(network.os)
        self._context = int(network.config.context_limit) - horizon
        self._levels = tuple(float(level) for level in network.config.quantiles)
        if covariates:
            progress(0.8, "getting ready for covariates")
            self._try_covariates()
        logger.info("%s: TimesFM 2.5, sha256 %s", wanted.model_id, digest)
        return Capabilities(
            context_min=CONTEXT_MIN,
            context_max=self._context,
            horizon_max=horizon,
            levels=self._levels,
            covariates=covariates,
            batch_max=BATCH_MAX,
            device=str(device),
            dtype=wanted.dtype,
            # CUDA kernels may sum in any order.
            deterministic=device.type == "cpu",
            model_id=wanted.model_id,
            revision=commit,
            weights_sha256=digest,
            parameters=sum(p.numel() for p in network.parameters()),
        )

    def forecast(self, batch: Batch) -> Quantiles:
        """Quantiles and mean of each window.

        Raises:
            Cancelled: nobody waits any more.
        """
        scaled = standardise(batch.values)
        filled = fill_gaps(scaled.values)
        rows = [row[np.isfinite(row)] for row in filled]
        if batch.covariates is None:
            answer = self._plain(batch, rows)
        else:
            answer = self._with_covariates(batch, rows)
        columns = [1 + self._place(level) for level in batch.levels]
        # The library takes care that they do not cross.
        quantiles = answer[:, :, columns].transpose(0, 2, 1)
        return Quantiles(scaled.undo(quantiles), scaled.undo(answer[:, :, _MEAN]))

    def _plain(self, batch: Batch, rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Shape (k, horizon, 1 + levels), in as many passes as memory wants."""
        patch = int(self._model.model.p)
        patches = -(-max(len(row) for row in rows) // patch)
        passes = -(-len(rows) * patches // PATCHES_MAX)
        size = -(-len(rows) // passes)
        parts = []
        for start in range(0, len(rows), size):
            if batch.cancelled():
                raise Cancelled("Nobody waits for this forecast any more.")
            some = rows[start : start + size]
            self._compile(patches * patch, batch.horizon, len(some))
            with self._torch.inference_mode():
                parts.append(self._model.forecast(horizon=batch.horizon, inputs=list(some))[1])
        return np.concatenate(parts).astype(np.float64)

    def _with_covariates(self, batch: Batch, rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """The same, after a linear regression on the covariates; one by one, as the library fits one for all.

        The regression needs their future; where nobody knows it, the last value of each is held.
        """
        past, future = batch.covariates, batch.future
        assert past is not None
        if future is None:
            newest = past.shape[2] - 1 - np.argmax(np.isfinite(past)[:, :, ::-1], axis=2)[:, :, np.newaxis]
            future = np.repeat(np.take_along_axis(past, newest, 2), batch.horizon, 2)
        patch = int(self._model.model.p)
        answers = []
        for i, row in enumerate(rows):
            if batch.cancelled():
                raise Cancelled("Nobody waits for this forecast any more.")
            known: Scaled = standardise(past[i])
            whole = np.concatenate((known.values, (future[i] - known.mean) / known.scale), axis=1)
            whole = np.nan_to_num(whole[:, -(len(row) + batch.horizon) :])
            self._compile(-(-len(row) // patch) * patch, batch.horizon, 1, backcast=True)
            named = {str(c): [series] for c, series in enumerate(whole)}
            with self._torch.inference_mode():
                _, answer = self._model.forecast_with_covariates(
                    inputs=[row], dynamic_numerical_covariates=named, force_on_cpu=True
                )
            answers.append(np.asarray(answer[0], dtype=np.float64))
        return np.stack(answers)

    def _try_covariates(self) -> None:
        """One forecast with a covariate: the regression's library takes seconds for its first."""
        t = np.arange(256.0)
        wave = np.sin(t)[np.newaxis, np.newaxis, :]
        batch = Batch(
            values=wave[0, :, :192],
            horizon=64,
            levels=self._levels,
            covariates=wave[:, :, :192],
            future=wave[:, :, 192:],
        )
        self.forecast(batch)

    def _compile(self, context: int, horizon: int, batch: int, *, backcast: bool = False) -> None:
        """Set the library up for exactly this. It costs nothing, while context that is not there costs time.

        The library would otherwise forecast each window upside down, too, and take the mean of both, for twice the
        time; and hold series that were positive above 0, which a rate is not.
        """
        out = int(self._model.model.o)
        self._model.compile(
            self._timesfm.ForecastConfig(
                max_context=context,
                max_horizon=-(-horizon // out) * out,
                per_core_batch_size=batch,
                use_continuous_quantile_head=True,
                force_flip_invariance=False,
                infer_is_positive=False,
                fix_quantile_crossing=True,
                return_backcast=backcast,
            )
        )

    def _place(self, level: float) -> int:
        """Where this level is among the model's own; it may differ by rounding."""
        return min(range(len(self._levels)), key=lambda i: abs(self._levels[i] - level))
