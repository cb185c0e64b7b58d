"""Questions about this plugin, answered in its environment (`chronotick.sdk.questions`).

`direct` asks the model library itself and nothing of the plugin, so that the two can be compared.
"""

from pathlib import Path
from typing import Any

import numpy as np
from chronotick_ttm import TtmForecaster

from chronotick.sdk import Batch
from chronotick.sdk.questions import Models, answer_questions, beside

MODELS = Models(TtmForecaster)
DIRECT: dict[str, Any] = {}


def make_ttm(folder: str, seed: int, channels: int = 1, drop: list[str] | None = None) -> str:
    """A tiny TTM with random weights, saved by the library; `drop` removes tensors from the file.

    With several channels the first is forecast, and the others are covariates whose future is known.
    """
    import torch
    from safetensors.torch import load_file, save_file
    from tsfm_public.models.tinytimemixer import TinyTimeMixerConfig, TinyTimeMixerForPrediction

    torch.manual_seed(seed)
    mixing: dict[str, Any] = {}
    if channels > 1:
        mixing = {
            "decoder_mode": "mix_channel",
            "enable_forecast_channel_mixing": True,
            "prediction_channel_indices": [0],
            "exogenous_channel_indices": list(range(1, channels)),
        }
    config = TinyTimeMixerConfig(
        context_length=64,
        prediction_length=16,
        patch_length=8,
        patch_stride=8,
        d_model=16,
        num_layers=2,
        decoder_num_layers=1,
        decoder_d_model=8,
        num_input_channels=channels,
        **mixing,
    )
    TinyTimeMixerForPrediction(config).save_pretrained(folder)
    if drop:
        path = Path(folder) / "model.safetensors"
        tensors = load_file(path)
        save_file({k: v for k, v in tensors.items() if not any(k.startswith(d) for d in drop)}, path, {"format": "pt"})
    return folder


def forecast(
    key: str,
    values: list[list[float | None]],
    horizon: int,
    covariates: list[list[list[float]]] | None = None,
    future: list[list[list[float]]] | None = None,
) -> list[list[float]]:
    """The plugin's points, (k, horizon); None stands for a gap."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    answer = MODELS[key].forecast(
        Batch(
            values=array,
            horizon=horizon,
            levels=(0.5,),
            covariates=None if covariates is None else np.array(covariates),
            future=None if future is None else np.array(future),
        )
    )
    assert answer.values.dtype == np.float64
    assert answer.values.shape == (len(array), 1, horizon)
    return answer.values[:, 0].tolist()


def direct(folder: str, past: list[Any], future: list[Any] | None = None) -> list[Any]:
    """What the library itself answers to (k, context, channels): shape (k, horizon, channels)."""
    import torch
    from tsfm_public.models.tinytimemixer import TinyTimeMixerForPrediction

    if folder not in DIRECT:
        DIRECT[folder] = TinyTimeMixerForPrediction.from_pretrained(folder).eval()
    with torch.no_grad():
        given = {} if future is None else {"future_values": torch.tensor(future), "return_loss": False}
        return DIRECT[folder](past_values=torch.tensor(past), **given).prediction_outputs.tolist()


def overhead(key: str, folder: str, points: int, horizon: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of the plugin's call and of the library's own, asked in turn."""
    import torch
    from tsfm_public.models.tinytimemixer import TinyTimeMixerForPrediction

    model = TinyTimeMixerForPrediction.from_pretrained(folder).eval()
    values = np.random.default_rng(1).standard_normal((1, points)).cumsum(1)
    batch = Batch(values=values, horizon=horizon, levels=(0.5,))
    past = torch.tensor(values[:, :, None], dtype=torch.float32)
    with torch.inference_mode():
        return beside(lambda: MODELS[key].forecast(batch), lambda: model(past_values=past).prediction_outputs, rounds)


if __name__ == "__main__":
    answer_questions(make_ttm, MODELS.load, forecast, direct, overhead)
