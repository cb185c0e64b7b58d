"""Chronos behind the plugin SDK. All model calls go through the library's public `BaseChronosPipeline`."""

import logging
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import (
    BadWindow,
    Batch,
    Capabilities,
    LoadFailed,
    Params,
    Progress,
    Quantiles,
    WeightsMismatch,
    weights,
)
from chronotick.sdk.devices import check_device, pick_device
from chronotick_chronos import settings as configured
from chronotick_chronos.regression import Explained, explain

logger = logging.getLogger(__name__)

# Windows longer than the model's context are accepted up to this and cut to their newest points, so that one role
# serves models of any context.
ACCEPTED_POINTS = 8192
CONTEXT_MIN = 8
BATCH_MAX = 64
Array = NDArray[np.float64]
OR_EMBEDDED = "Or set path: embedded for the built-in checkpoint."


class ChronosForecaster:
    """A Chronos-Bolt or Chronos-2 model. Implements `chronotick.sdk.Forecaster`."""

    def __init__(self) -> None:
        self._pipeline: Any = None
        self._torch: Any = None
        self._context = 0
        self._is_bolt = True
        self._levels: tuple[float, ...] = ()

    def load(self, params: Params, progress: Progress) -> Capabilities:
        """Find the weights, check them, load them.

        Raises:
            BadParams, WeightsMissing, WeightsMismatch, DeviceMissing, LoadFailed: see their codes.
        """
        wanted = configured.read(params)
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        check_device(wanted.device, "chronos")
        progress(0.05, f"looking for the weights of {wanted.model_id}")
        folder, commit = weights.locate(wanted, mend=OR_EMBEDDED)
        digest = weights.checked_sha256(folder, wanted.weights_sha256)
        progress(0.1, "importing torch and chronos-forecasting")
        import torch
        from safetensors import SafetensorError
        from transformers.utils import logging as transformers_logging

        from chronos import BaseChronosPipeline, ChronosBoltPipeline

        transformers_logging.disable_progress_bar()
        device = str(pick_device(torch, wanted.device, "chronos"))
        torch.set_num_threads(params.threads)
        torch.manual_seed(params.seed)
        progress(0.7, f"loading {wanted.model_id} on {device}")
        try:
            pipeline = BaseChronosPipeline.from_pretrained(
                str(folder), device_map=device, dtype=getattr(torch, wanted.dtype), local_files_only=True
            )
        except torch.OutOfMemoryError:
            raise
        except (
            OSError, ValueError, RuntimeError, LookupError, AttributeError, AssertionError, TypeError, SafetensorError,
        ) as error:  # fmt: skip
            raise WeightsMismatch(
                f"{folder} does not hold a model that chronos-forecasting can load: {error}",
                mend="Use a Chronos-Bolt or Chronos-2 checkpoint.",
            ) from error
        if not hasattr(pipeline, "quantiles"):
            raise WeightsMismatch(
                f"{wanted.model_id} is of the first Chronos generation, which samples and has no quantiles.",
                mend="Use a Chronos-Bolt or Chronos-2 checkpoint.",
            )
        model = pipeline.model.eval()
        weights.check_complete(model, folder)
        self._pipeline, self._torch = pipeline, torch
        self._is_bolt = isinstance(pipeline, ChronosBoltPipeline)
        self._context = int(pipeline.model_context_length)
        self._levels = tuple(float(level) for level in pipeline.quantiles)
        if list(self._levels) != sorted(set(self._levels)):
            raise LoadFailed(f"{wanted.model_id} has levels {self._levels}, which do not ascend.")
        logger.info("%s: %s, context %d, sha256 %s", wanted.model_id, type(pipeline).__name__, self._context, digest)
        return Capabilities(
            context_min=CONTEXT_MIN,
            context_max=max(ACCEPTED_POINTS, self._context),
            horizon_max=int(pipeline.model_prediction_length),
            levels=self._levels,
            covariates=True,
            batch_max=BATCH_MAX,
            device=str(model.device),
            dtype=str(model.dtype).removeprefix("torch."),
            # CUDA kernels may sum in any order.
            deterministic=model.device.type == "cpu",
            model_id=wanted.model_id,
            revision=commit,
            weights_sha256=digest,
            parameters=sum(p.numel() for p in model.parameters()),
        )

    def forecast(self, batch: Batch) -> Quantiles:
        """Quantiles of each window; only the newest points that the model's context holds are read.

        All of the model's quantiles are computed and, where it lets them cross, put in order (Chernozhukov et al. 2010:
        never a loss) before those asked for are taken, so that a level's answer does not depend on the others.

        Chronos-2 attends to covariates by itself; for Bolt what they explain is taken out and put back (`regression`).

        Raises:
            BadWindow: the newest points, which are all that the model reads, are all gap.
        """
        values = batch.values[:, -self._context :]
        if not np.isfinite(values).any(axis=1).all():
            raise BadWindow(f"The newest {values.shape[1]} points of a window, which the model reads, are all gap.")
        beside = None if batch.covariates is None else batch.covariates[:, :, -self._context :]
        if beside is None or not self._is_bolt:
            ordered, mean = self._predict(values, batch.horizon, beside, batch.future)
        else:
            ordered, mean = self._regressed(values, batch.horizon, beside, batch.future)
        if batch.levels != self._levels:
            ordered = ordered[:, self._places(batch.levels)]
        return Quantiles(ordered, mean)

    def _predict(
        self, values: Array, horizon: int, beside: Array | None = None, future: Array | None = None
    ) -> tuple[Array, Array]:
        """All of the model's quantiles, shape (k, levels, horizon), in order, and its mean."""
        torch = self._torch
        with torch.inference_mode():
            # A copy: the request's array is read-only memory of the message.
            context = torch.from_numpy(values.astype(np.float32))
            inputs: Any = context if self._is_bolt else list(context)
            if beside is not None:
                inputs = [
                    {"target": target} | _named("past_covariates", beside, i) | _named("future_covariates", future, i)
                    for i, target in enumerate(values.astype(np.float32))
                ]
            quantiles, mean = self._pipeline.predict_quantiles(
                inputs, prediction_length=horizon, quantile_levels=list(self._levels)
            )
            if not self._is_bolt:
                quantiles, mean = torch.cat(quantiles), torch.cat(mean)
        ordered: Array = np.sort(quantiles.numpy().astype(np.float64).transpose(0, 2, 1), axis=1)
        return ordered, mean.numpy().astype(np.float64)

    def _regressed(self, values: Array, horizon: int, beside: Array, future: Array | None) -> tuple[Array, Array]:
        """The same with what covariates explain taken out before and put back after, where they explain enough.

        Where their future is not known the model forecasts it; how unsure it is of that widens the answer.
        """
        parts = [explain(one, covariates) for one, covariates in zip(values, beside, strict=True)]
        rest = np.stack([one if part is None else part.rest for one, part in zip(values, parts, strict=True)])
        ordered, mean = self._predict(rest, horizon)
        middle = self._places((0.5,))[0]
        for i, part in enumerate(parts):
            if part is None:
                continue
            said = self._covariates_ahead(part, horizon, None if future is None else future[i])
            explained = part.ahead(said[:, middle])
            # Two independent errors: their spreads about the medians add in squares.
            spread = np.stack([part.spread(said[:, level] - said[:, middle]) for level in range(said.shape[1])])
            off = ordered[i] - ordered[i, middle]
            ordered[i] = np.sort(ordered[i, middle] + explained + np.sign(off) * np.hypot(off, spread), axis=0)
            mean[i] += explained
        return ordered, mean

    def _covariates_ahead(self, part: Explained, horizon: int, future: Array | None) -> Array:
        """Quantiles of the covariates to come, shape (c, levels, horizon); all the same where they are known."""
        if future is not None:
            known = part.scaled(future)
            return np.repeat(known[:, None], len(self._levels), 1)
        length = part.covariates.shape[1]
        padded = np.full((len(part.covariates), max(length, CONTEXT_MIN)), np.nan)
        padded[:, -length:] = part.covariates
        return self._predict(padded, horizon)[0]

    def _places(self, levels: tuple[float, ...]) -> list[int]:
        """Where these levels are among the model's own; they may differ by rounding."""
        return [min(range(len(self._levels)), key=lambda i: abs(self._levels[i] - level)) for level in levels]


def _named(key: str, covariates: Array | None, i: int) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The covariates of one window as Chronos-2 wants them; nothing for none."""
    if covariates is None:
        return {}
    return {key: {f"c{c}": row.astype(np.float32) for c, row in enumerate(covariates[i])}}
