"""Fine-tunes a Chronos-Bolt on a host's own history: `python -m chronotick_chronos.tuning FOLDER` (`sdk.tune`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import BadParams, Params, tune, weights
from chronotick.sdk.torch_tuner import TorchTuner
from chronotick_chronos import settings as configured


def open_tuner(params: Params) -> TorchTuner:
    """Load the checkpoint that the parameters name.

    Raises:
        BadParams, WeightsMissing: see their codes; and for a model that is no Chronos-Bolt.
    """
    wanted = configured.read(params)
    folder, _ = weights.locate(wanted)
    import torch
    from transformers.utils import logging as transformers_logging

    from chronos import BaseChronosPipeline, ChronosBoltPipeline

    transformers_logging.disable_progress_bar()
    torch.set_num_threads(params.threads)
    torch.manual_seed(params.seed)
    pipeline = BaseChronosPipeline.from_pretrained(
        str(folder), device_map="cpu", dtype=torch.float32, local_files_only=True
    )
    if not isinstance(pipeline, ChronosBoltPipeline):
        raise BadParams(f"{folder} is no Chronos-Bolt, and nothing else of this plugin can be tuned.")
    model, context = pipeline.model, int(pipeline.model_context_length)

    def predict(windows: NDArray[np.float32]) -> Any:
        return model(context=torch.from_numpy(windows[:, -context:].copy())).quantile_preds

    return TorchTuner(torch, model, predict, [float(level) for level in pipeline.quantiles])


if __name__ == "__main__":
    tune.main(open_tuner)
