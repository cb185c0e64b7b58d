"""Fine-tunes a TTM on a host's own history: `python -m chronotick_ttm.tuning FOLDER` (`sdk.tune`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import BadParams, Params, tune, weights
from chronotick.sdk.torch_tuner import TorchTuner
from chronotick_ttm import settings as configured
from chronotick_ttm.forecaster import LEVELS, channels, load_model
from chronotick_ttm.windows import exact


def open_tuner(params: Params) -> TorchTuner:
    """Load the checkpoint that the parameters name.

    Raises:
        BadParams, WeightsMissing, WeightsMismatch: see their codes; and for weights that want several series.
    """
    wanted = configured.read(params)
    folder, _ = weights.locate(wanted)
    import torch
    from transformers.utils import logging as transformers_logging
    from tsfm_public.models.tinytimemixer import TinyTimeMixerForPrediction

    transformers_logging.disable_progress_bar()
    torch.set_num_threads(params.threads)
    torch.manual_seed(params.seed)
    model = load_model(torch, TinyTimeMixerForPrediction, wanted, folder).float()
    weights.check_complete(model, folder)
    if channels(model.config)[0] > 1:
        raise BadParams(f"{folder} wants covariates, and a history of offsets has none to tune it with.")
    points, resolution = int(model.config.context_length), bool(model.config.resolution_prefix_tuning)

    def predict(windows: NDArray[np.float32]) -> Any:
        values, scaled = exact(windows.astype(np.float64), points)
        arguments = {"freq_token": torch.zeros(len(values))} if resolution else {}
        past = torch.from_numpy(values[:, :, np.newaxis].astype(np.float32))
        said = model(past_values=past, **arguments).prediction_outputs[:, :, 0]
        mean, scale = (torch.from_numpy(one.astype(np.float32)) for one in (scaled.mean, scaled.scale))
        return (mean + scale * said)[:, None, :]

    return TorchTuner(torch, model, predict, LEVELS)


if __name__ == "__main__":
    tune.main(open_tuner)
