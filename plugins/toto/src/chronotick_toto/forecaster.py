"""Toto behind the plugin SDK, through the library's public `Toto`, `TotoForecaster` and `TotoBackbone`."""

import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import (
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
from chronotick_toto import settings as configured
from chronotick_toto import windows
from chronotick_toto.sampling import SAMPLES_MAX, SAMPLES_PER_BATCH, round_seed, wants_more
from chronotick_toto.settings import Reach
from chronotick_toto.windows import Inputs

logger = logging.getLogger(__name__)

CONTEXT_MIN = 8
# The model was trained on this many points; the library has no limit. Longer windows are cut to their newest points,
# so that one role serves models of any context.
CONTEXT_READ = 4096
ACCEPTED_POINTS = 8192
BATCH_MAX = 64
# Points in one pass. What the library keeps of each takes 3 KB at the published size.
POINTS_MAX = 65_536
# Samples have any quantile; further out than these there are too few of them to say.
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
WEIGHTS_FILE = "model.safetensors"


class TotoForecaster:
    """A Toto model. Implements `chronotick.sdk.Forecaster`.

    The model gives a distribution for each point of the next patch, in one pass; a forecast within one patch takes all
    its samples from there. Beyond, the library draws each sample's path patch by patch.
    """

    def __init__(self) -> None:
        self._library: Any = None
        self._torch: Any = None
        self._giving_up = GivingUp(())
        self._reach = Reach(0, 0)
        self._patch = 0

    def load(self, params: Params, progress: Progress) -> Capabilities:
        """Find the weights, check them, load them.

        Raises:
            BadParams, WeightsMissing, WeightsMismatch, DeviceMissing: see their codes.
        """
        wanted, reach = configured.read(params)
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        check_device(wanted.device, "toto")
        progress(0.05, f"looking for the weights of {wanted.model_id}")
        folder, commit = weights.locate(wanted)
        digest = weights.checked_sha256(folder, wanted.weights_sha256)
        progress(0.1, "importing torch and toto-ts")
        import torch

        with warnings.catch_warnings():
            # Of pkg_resources, json and xFormers, which nobody here can change.
            warnings.simplefilter("ignore")
            from toto.inference import forecaster as library

        device = pick_device(torch, wanted.device, "toto")
        torch.set_num_threads(params.threads)
        progress(0.7, f"loading {wanted.model_id} on {device}")
        model = _load_model(torch, folder, device)
        self._library, self._torch = library.TotoForecaster(model.model), torch
        self._giving_up = GivingUp(model.model.transformer.layers)
        self._reach = reach
        self._patch = int(model.model.patch_embed.patch_size)
        horizon_max = reach.horizon_max or self._patch
        logger.info("%s: Toto, patches of %d points, sha256 %s", wanted.model_id, self._patch, digest)
        return Capabilities(
            context_min=CONTEXT_MIN,
            context_max=ACCEPTED_POINTS,
            horizon_max=horizon_max,
            levels=LEVELS,
            covariates=True,
            batch_max=BATCH_MAX,
            device=str(device),
            dtype=wanted.dtype,
            # CUDA kernels may sum in any order; and the number of samples may hang on the time left.
            deterministic=device.type == "cpu" and (horizon_max <= self._patch or reach.samples > 0),
            model_id=wanted.model_id,
            revision=commit,
            weights_sha256=digest,
            parameters=sum(p.numel() for p in model.parameters()),
        )

    def forecast(self, batch: Batch) -> Quantiles:
        """Quantiles of the samples, and the mean.

        The draws of a window hang on the seed alone and not on its place in the batch.

        Raises:
            BadWindow: nothing to see in what the model reads. Cancelled: nobody waits any more.
        """
        inputs = windows.read(batch, CONTEXT_READ)
        with self._torch.inference_mode(), self._giving_up.once(batch.cancelled):
            if batch.horizon <= self._patch:
                samples, mean = self._one_pass(batch, inputs)
            else:
                samples = self._paths(batch, inputs)
                mean = samples.mean(axis=-1)
        quantiles = np.quantile(samples, batch.levels, axis=-1).transpose(1, 0, 2)
        return Quantiles(inputs.scaled.undo(quantiles), inputs.scaled.undo(mean))

    def _one_pass(self, batch: Batch, inputs: Inputs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Samples (k, horizon, samples) and mean (k, horizon) out of the distributions of the next patch.

        Only those of that patch and of the series itself are made, not of all that the library would sample.
        """
        torch, model = self._torch, self._library.model
        count = self._reach.samples or SAMPLES_MAX
        k, variates, points = inputs.values.shape
        rows = max(1, POINTS_MAX // (variates * points))
        samples, means = [], []
        for start in range(0, k, rows):
            series = self._padded(inputs, start, min(start + rows, k), batch)
            states, loc, scale = model.backbone(
                series.series,
                series.padding_mask,
                series.id_mask,
                scaling_prefix_length=series.series.shape[-1],
                num_exogenous_variables=series.num_exogenous_variables,
            )
            for i in range(len(states)):
                row = slice(i, i + 1)
                base = model.output_distribution(states[row, :1, -self._patch :])
                shift, stretch = loc[row, :1, -self._patch :], scale[row, :1, -self._patch :]
                torch.manual_seed(round_seed(batch.seed, 0))
                drawn = shift + stretch * _draw(torch, base, count)
                mean = shift + stretch * base.mean
                samples.append(_finite(drawn[:, 0, 0, : batch.horizon]))
                means.append(_finite(mean[0, 0, : batch.horizon]))
        return _numpy(torch.stack(samples)).transpose(0, 2, 1), _numpy(torch.stack(means))

    def _paths(self, batch: Batch, inputs: Inputs) -> NDArray[np.float64]:
        """Samples (k, horizon, samples) that the library draws, as many rounds as there is time for."""
        torch = self._torch
        future = None if inputs.future is None else self._tensor(inputs.future)
        rounds: list[NDArray[np.float64]] = []
        slowest_ns = 0
        while True:
            began_ns = time.monotonic_ns()
            left_ns = batch.deadline_mono_ns - began_ns
            if not wants_more(len(rounds) * SAMPLES_PER_BATCH, self._reach.samples, slowest_ns, left_ns):
                return np.concatenate(rounds, axis=-1)
            drawn = []
            for i in range(len(inputs.values)):
                torch.manual_seed(round_seed(batch.seed, len(rounds)))
                answer = self._library.forecast(
                    self._series(inputs, i, i + 1, batch),
                    prediction_length=batch.horizon,
                    num_samples=SAMPLES_PER_BATCH,
                    samples_per_batch=SAMPLES_PER_BATCH,
                    future_exogenous_variables=None if future is None else future[i : i + 1],
                )
                drawn.append(_numpy(answer.samples[0, 0]))
            rounds.append(np.stack(drawn))
            slowest_ns = max(slowest_ns, time.monotonic_ns() - began_ns)

    def _series(self, inputs: Inputs, start: int, stop: int, batch: Batch) -> Any:
        """Some windows as the library's own type."""
        from toto.data.util.dataset import MaskedTimeseries

        torch = self._torch
        values = self._tensor(inputs.values[start:stop])
        k, variates, points = values.shape
        # In whole seconds, and as the library has it only for models to come: this one does not look at them.
        step_s = max(1, batch.step_ns // 1_000_000_000)
        clock_s = torch.arange(points, dtype=torch.int, device=values.device) * step_s
        return MaskedTimeseries(
            series=values,
            padding_mask=torch.from_numpy(inputs.known[start:stop]).to(values.device),
            id_mask=torch.zeros(values.shape, dtype=torch.int, device=values.device),
            timestamp_seconds=clock_s.expand(k, variates, points),
            time_interval_seconds=torch.full((k, variates), step_s, dtype=torch.int, device=values.device),
            # Variates whose future is not known are forecast like the first.
            num_exogenous_variables=0 if inputs.future is None else variates - 1,
        )

    def _padded(self, inputs: Inputs, start: int, stop: int, batch: Batch) -> Any:
        """The same, filled up to whole patches as the library does it."""
        from toto.data.util.dataset import pad_array, pad_id_mask

        series = self._series(inputs, start, stop, batch)
        stride = int(self._library.model.patch_embed.stride)
        return series._replace(
            series=pad_array(series.series, stride),
            padding_mask=pad_array(series.padding_mask, stride),
            id_mask=pad_id_mask(series.id_mask, stride),
        )

    def _tensor(self, values: NDArray[np.float64]) -> Any:
        return self._torch.from_numpy(values.astype(np.float32)).to(self._library.model.device)


def _load_model(torch: Any, folder: Path, device: Any) -> Any:
    from safetensors import SafetensorError
    from toto.model.toto import Toto

    mend = "Use a Toto Open Base checkpoint."
    if not (folder / WEIGHTS_FILE).is_file():
        raise WeightsMismatch(f"{folder} has no {WEIGHTS_FILE}, the one file that toto-ts reads.", mend=mend)
    try:
        model = Toto.from_pretrained(str(folder), map_location=str(device), local_files_only=True).eval()
    except torch.OutOfMemoryError:
        raise
    except (
        OSError, ValueError, RuntimeError, LookupError, AttributeError, AssertionError, TypeError, SafetensorError,
    ) as error:  # fmt: skip
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsMismatch(f"{folder} does not hold a model that toto-ts can load: {first}", mend=mend) from error
    # The library takes the names of xFormers' fused layers, too.
    names = {
        name.replace("mlp.0.w12.", "mlp.0.").replace("mlp.0.w3.", "mlp.2.") for name in weights.tensor_names(folder)
    }
    missing = sorted(model.state_dict().keys() - names)
    if missing:
        raise WeightsMismatch(
            f"The weights in {folder} lack {len(missing)} tensors, {missing[0]} first.", mend="Fetch them again."
        )
    return model


def _draw(torch: Any, distribution: Any, count: int) -> Any:
    """Samples of a mixture, component first: torch would draw from all 24 and throw 23 away, for ten times the time."""
    if not isinstance(distribution, torch.distributions.MixtureSameFamily):
        return distribution.sample((count,))
    chosen = distribution.mixture_distribution.sample((count,)).unsqueeze(-1)
    of = distribution.component_distribution

    def taken(values: Any) -> Any:
        return values.expand(count, *values.shape).gather(-1, chosen).squeeze(-1)

    return type(of)(taken(of.df), taken(of.loc), taken(of.scale)).sample()


def _finite(values: Any) -> Any:
    """What is not finite, or too large for the model to have meant it, is 0, as in the library."""
    from toto.data.util.dataset import replace_extreme_values

    return replace_extreme_values(values)


def _numpy(values: Any) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.cpu().numpy().astype(np.float64)
    return array
