"""Time-MoE behind the plugin SDK. All model calls go through the library's public `TimeMoeForPrediction`."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import (
    BadWindow,
    Batch,
    Capabilities,
    Params,
    Progress,
    Quantiles,
    WeightsMismatch,
    weights,
)
from chronotick.sdk.devices import check_device, pick_device
from chronotick.sdk.giving_up import GivingUp
from chronotick.sdk.model_settings import ModelSettings
from chronotick.sdk.scaling import fill_gaps, standardise
from chronotick_time_moe import settings as configured

logger = logging.getLogger(__name__)

CONTEXT_MIN = 8
# Longer windows are cut to their newest points, so that one role serves models of any context.
ACCEPTED_POINTS = 8192
# One window of 512 points takes a second on a CPU.
BATCH_MAX = 16
# Steps of the longest head that the longest horizon takes: each is one pass over what the one before has added.
STEPS_MAX = 8
# The horizon's share of the positions that the model knows, at most.
HORIZON_SHARE = 4
# Attention in this library makes a matrix of points x points for each window: windows in one pass, by their points.
# On a CPU 8 windows of 512 points take half as long again in one pass as in four.
CELLS_CPU = 524_288
CELLS_OTHER = 16_777_216
# The model gives points; the host makes the spread from the errors that it sees.
LEVELS = (0.5,)
_MEND = "Use a Time-MoE checkpoint (TimeMoeForPrediction)."


class TimeMoeForecaster:
    """A Time-MoE model. Implements `chronotick.sdk.Forecaster`."""

    def __init__(self) -> None:
        self._model: Any = None
        self._torch: Any = None
        self._giving_up = GivingUp(())
        self._context = 0

    def load(self, params: Params, progress: Progress) -> Capabilities:
        """Find the weights, check them, load them.

        Raises:
            BadParams, WeightsMissing, WeightsMismatch, DeviceMissing: see their codes.
        """
        wanted = configured.read(params)
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        check_device(wanted.device, "time_moe")
        progress(0.05, f"looking for the weights of {wanted.model_id}")
        folder, commit = weights.locate(wanted)
        digest = weights.checked_sha256(folder, wanted.weights_sha256)
        progress(0.1, "importing torch and sktime")
        import torch
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        device = pick_device(torch, wanted.device, "time_moe")
        torch.set_num_threads(params.threads)
        torch.manual_seed(params.seed)
        progress(0.7, f"loading {wanted.model_id} on {device}")
        model = _load_model(torch, wanted, folder).to(device).eval()
        weights.check_complete(model, folder)
        self._model, self._torch = model, torch
        self._giving_up = GivingUp(model.model.layers)
        positions = int(model.config.max_position_embeddings)
        horizon_max = max(1, min(STEPS_MAX * max(model.config.horizon_lengths), positions // HORIZON_SHARE))
        # Window and forecast share the positions.
        self._context = positions - horizon_max
        logger.info("%s: Time-MoE, %d positions, sha256 %s", wanted.model_id, positions, digest)
        return Capabilities(
            context_min=CONTEXT_MIN,
            context_max=max(ACCEPTED_POINTS, self._context),
            horizon_max=horizon_max,
            levels=LEVELS,
            batch_max=BATCH_MAX,
            device=str(device),
            dtype=wanted.dtype,
            # CUDA kernels may sum in any order.
            deterministic=device.type == "cpu",
            model_id=wanted.model_id,
            revision=commit,
            weights_sha256=digest,
            parameters=sum(p.numel() for p in model.parameters()),
        )

    def forecast(self, batch: Batch) -> Quantiles:
        """The points of each window, as its only level.

        Raises:
            BadWindow: nothing to see in what the model reads. Cancelled: nobody waits any more.
        """
        windows = batch.values[:, -self._context :]
        if not np.isfinite(windows).any(axis=1).all():
            raise BadWindow(f"The newest {self._context} points of a window are all gap.")
        scaled = standardise(windows)
        # The model knows no gaps: those within are closed, and a window that begins with one is a shorter window.
        filled = fill_gaps(scaled.values)
        begins = np.isfinite(filled).argmax(axis=1)
        points = np.empty((len(filled), batch.horizon))
        for begin in np.unique(begins):
            rows = np.flatnonzero(begins == begin)
            points[rows] = self._generate(filled[rows, begin:], batch)
        return Quantiles(scaled.undo(points)[:, np.newaxis, :])

    def _generate(self, windows: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
        """The next points (k, horizon) of windows without gaps, a few windows at a time."""
        torch, model = self._torch, self._model
        cells = CELLS_CPU if model.device.type == "cpu" else CELLS_OTHER
        rows = max(1, cells // windows.shape[1] ** 2)
        parts: list[NDArray[np.float64]] = []
        for start in range(0, len(windows), rows):
            # A tensor of our own: the library changes its input in place.
            inputs = torch.from_numpy(windows[start : start + rows].copy()).to(model.device, model.dtype)
            with torch.inference_mode(), self._giving_up.once(batch.cancelled):
                answer = model.generate(inputs, max_new_tokens=batch.horizon)
            parts.append(answer[:, -batch.horizon :].float().cpu().numpy().astype(np.float64))
        return np.concatenate(parts)


def _load_model(torch: Any, wanted: ModelSettings, folder: Path) -> Any:
    from safetensors import SafetensorError
    from sktime.libs.timemoe import TimeMoeForPrediction

    _check_config(folder)
    try:
        return TimeMoeForPrediction.from_pretrained(
            str(folder), torch_dtype=getattr(torch, wanted.dtype), local_files_only=True
        )
    except torch.OutOfMemoryError:
        raise
    except (
        OSError, ValueError, RuntimeError, LookupError, AttributeError, AssertionError, TypeError, SafetensorError,
    ) as error:  # fmt: skip
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsMismatch(
            f"{folder} does not hold a model that sktime can load as Time-MoE: {first}", mend=_MEND
        ) from error


def _check_config(folder: Path) -> None:
    """Refuse another model's configuration, of which the library would make one of 20 GB out of its own defaults."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        kind = config["model_type"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsMismatch(f"{folder}/config.json is no configuration of a model: {error!r}.", mend=_MEND) from error
    if kind != "time_moe":
        raise WeightsMismatch(f"{folder} holds a model of the kind {kind!r}, expected 'time_moe'.", mend=_MEND)
