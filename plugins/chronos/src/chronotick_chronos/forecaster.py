"""Chronos behind the plugin SDK. All model calls go through the library's public `BaseChronosPipeline`."""

import logging
import os
from typing import Any

import numpy as np

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

logger = logging.getLogger(__name__)

# Windows longer than the model's context are accepted up to this and cut to their newest points, so that one role
# serves models of any context.
ACCEPTED_POINTS = 8192
CONTEXT_MIN = 8
BATCH_MAX = 64
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

        Raises:
            BadWindow: the newest points, which are all that the model reads, are all gap.
        """
        torch = self._torch
        values = batch.values[:, -self._context :]
        if not np.isfinite(values).any(axis=1).all():
            raise BadWindow(f"The newest {values.shape[1]} points of a window, which the model reads, are all gap.")
        with torch.inference_mode():
            # A copy: the request's array is read-only memory of the message.
            context = torch.from_numpy(values.astype(np.float32))
            inputs = context if self._is_bolt else list(context)
            quantiles, mean = self._pipeline.predict_quantiles(
                inputs, prediction_length=batch.horizon, quantile_levels=list(self._levels)
            )
            if not self._is_bolt:
                quantiles, mean = torch.cat(quantiles), torch.cat(mean)
        ordered = np.sort(quantiles.numpy().astype(np.float64).transpose(0, 2, 1), axis=1)
        if batch.levels != self._levels:
            ordered = ordered[:, self._places(batch.levels)]
        return Quantiles(ordered, mean.numpy().astype(np.float64))

    def _places(self, levels: tuple[float, ...]) -> list[int]:
        """Where these levels are among the model's own; they may differ by rounding."""
        return [min(range(len(self._levels)), key=lambda i: abs(self._levels[i] - level)) for level in levels]
