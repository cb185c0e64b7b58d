"""TTM behind the plugin SDK. All model calls go through the library's public `TinyTimeMixerForPrediction`."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import BadWindow, Batch, Capabilities, Params, Progress, Quantiles, WeightsMismatch, weights
from chronotick.sdk.devices import check_device, pick_device
from chronotick.sdk.model_settings import ModelSettings
from chronotick_ttm import settings as configured
from chronotick_ttm.windows import exact

logger = logging.getLogger(__name__)

# The model reads one length only. Longer windows are cut to their newest points and shorter ones padded, so that one
# role serves models of any context.
ACCEPTED_POINTS = 8192
CONTEXT_MIN = 8
BATCH_MAX = 64
# The model gives points; the host makes the spread from the errors that it sees.
LEVELS = (0.5,)


class TtmForecaster:
    """A Tiny Time Mixer. Implements `chronotick.sdk.Forecaster`."""

    def __init__(self) -> None:
        self._model: Any = None
        self._torch: Any = None
        self._context = 0
        self._channels = 1
        self._place = 0
        self._resolution = False

    def load(self, params: Params, progress: Progress) -> Capabilities:
        """Find the weights, check them, load them.

        Raises:
            BadParams, WeightsMissing, WeightsMismatch, DeviceMissing: see their codes.
        """
        wanted = configured.read(params)
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        check_device(wanted.device, "ttm")
        progress(0.05, f"looking for the weights of {wanted.model_id}")
        folder, commit = weights.locate(wanted)
        digest = weights.checked_sha256(folder, wanted.weights_sha256)
        progress(0.1, "importing torch and granite-tsfm")
        import torch
        from transformers.utils import logging as transformers_logging
        from tsfm_public.models.tinytimemixer import TinyTimeMixerForPrediction

        transformers_logging.disable_progress_bar()
        device = pick_device(torch, wanted.device, "ttm")
        torch.set_num_threads(params.threads)
        torch.manual_seed(params.seed)
        progress(0.7, f"loading {wanted.model_id} on {device}")
        model = load_model(torch, TinyTimeMixerForPrediction, wanted, folder).to(device).eval()
        weights.check_complete(model, folder)
        config = model.config
        self._model, self._torch = model, torch
        self._context = int(config.context_length)
        self._channels, self._place = channels(config)
        self._resolution = bool(config.resolution_prefix_tuning)
        logger.info("%s: TTM, %d points in, sha256 %s", wanted.model_id, self._context, digest)
        return Capabilities(
            context_min=CONTEXT_MIN,
            context_max=max(ACCEPTED_POINTS, self._context),
            horizon_max=int(config.prediction_filter_length or config.prediction_length),
            levels=LEVELS,
            covariates=self._channels > 1,
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
            BadWindow: covariates of another number than the weights were trained for.
        """
        torch, model = self._torch, self._model
        values, scaled = exact(batch.values, self._context)
        past = values[:, :, np.newaxis]
        arguments: dict[str, Any] = {}
        if self._channels > 1:
            past, future = self._with_covariates(batch, values)
            arguments["future_values"] = self._tensor(future)
            arguments["return_loss"] = False
        if self._resolution:
            # Weights that were told the sampling interval in training; 0 is their word for any other than a few.
            arguments["freq_token"] = torch.zeros(len(values), device=model.device)
        with torch.inference_mode():
            answer = model(past_values=self._tensor(past), **arguments).prediction_outputs
            points = answer[:, : batch.horizon, 0].float().cpu().numpy().astype(np.float64)
        return Quantiles(scaled.undo(points)[:, np.newaxis, :])

    def _with_covariates(
        self, batch: Batch, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Past (k, context, channels) and future (k, horizon, channels); what is not given is the covariate's mean."""
        horizon = int(self._model.config.prediction_length)
        past = np.zeros((len(values), self._context, self._channels))
        future = np.zeros((len(values), horizon, self._channels))
        others = [channel for channel in range(self._channels) if channel != self._place]
        past[:, :, self._place] = values
        if batch.covariates is not None:
            if batch.covariates.shape[1] != len(others):
                raise BadWindow(f"{batch.covariates.shape[1]} covariates, but these weights take {len(others)}.")
            for i, channel in enumerate(others):
                past[:, :, channel], scaled = exact(batch.covariates[:, i], self._context)
                if batch.future is not None:
                    known = (batch.future[:, i] - scaled.mean) / scaled.scale
                    future[:, : batch.horizon, channel] = np.nan_to_num(known)
        return past, future

    def _tensor(self, values: NDArray[np.float64]) -> Any:
        return self._torch.from_numpy(values).to(self._model.device, self._model.dtype)


def load_model(torch: Any, kind: Any, wanted: ModelSettings, folder: Path) -> Any:
    """The library's model of a folder.

    Raises:
        WeightsMismatch: it holds none.
    """
    from safetensors import SafetensorError

    try:
        return kind.from_pretrained(str(folder), torch_dtype=getattr(torch, wanted.dtype), local_files_only=True)
    except torch.OutOfMemoryError:
        raise
    except (
        OSError, ValueError, RuntimeError, LookupError, AttributeError, AssertionError, TypeError, SafetensorError,
    ) as error:  # fmt: skip
        raise WeightsMismatch(
            f"{folder} does not hold a model that granite-tsfm can load: {error}",
            mend="Use a TTM checkpoint (TinyTimeMixerForPrediction).",
        ) from error


def channels(config: Any) -> tuple[int, int]:
    """How many series the model wants side by side, and which of them is forecast.

    Most weights treat each series by itself, whatever their number in training was; those take one.
    """
    mixes = config.enable_forecast_channel_mixing or "mix_channel" in (config.mode, config.decoder_mode)
    if not mixes or config.num_input_channels == 1:
        return 1, 0
    return int(config.num_input_channels), int((config.prediction_channel_indices or [0])[0])
