"""Questions about this plugin, answered in its environment (`chronotick.sdk.questions`).

`direct` asks the model library itself and nothing of the plugin, so that the two can be compared.
"""

from pathlib import Path
from typing import Any

import numpy as np
from chronotick_chronos import ChronosForecaster

from chronotick.sdk import Batch
from chronotick.sdk.questions import Models, answer_questions, beside

MODELS = Models(ChronosForecaster)
DIRECT: dict[str, Any] = {}


# Dimensions of the published sizes: width, width of the feed-forward layers, layers, heads.
CHRONOS2 = {"120m": (768, 3072, 12, 12)}
TWENTY_ONE = [0.01, *(i / 20 for i in range(1, 20)), 0.99]
BOLT = {"tiny": (256, 1024, 4, 4), "mini": (384, 1536, 4, 8), "small": (512, 2048, 6, 8), "base": (768, 3072, 12, 12)}


def make_bolt(folder: str, seed: int, drop: list[str] | None = None, size: str = "") -> str:
    """A Chronos-Bolt with random weights, of a published size or of a much smaller one, saved by the library.

    `drop` removes tensors from the file.
    """
    import torch
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from safetensors.torch import load_file, save_file
    from transformers import T5Config

    torch.manual_seed(seed)
    width, inner, layers, heads = BOLT.get(size, (16, 32, 1, 2))
    config = T5Config(
        d_model=width, d_kv=64 if size else 8, d_ff=inner, num_layers=layers, num_decoder_layers=layers,
        num_heads=heads, vocab_size=2, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, dropout_rate=0.1,
        initializer_factor=0.05 if size else 1.0, feed_forward_proj="relu",
    )  # fmt: skip
    config.architectures = ["ChronosBoltModelForForecasting"]
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    config.chronos_config = {
        "context_length": 2048 if size else 64,
        "input_patch_size": 16 if size else 8,
        "input_patch_stride": 16 if size else 8,
        "prediction_length": 64 if size else 16,
        "quantiles": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        "use_reg_token": True,
    }
    ChronosBoltModelForForecasting(config).save_pretrained(folder)
    if drop:
        path = Path(folder) / "model.safetensors"
        tensors = load_file(path)
        save_file({k: v for k, v in tensors.items() if not any(k.startswith(d) for d in drop)}, path, {"format": "pt"})
    return folder


def make_chronos2(folder: str, seed: int, size: str = "") -> str:
    """A tiny Chronos-2 with random weights, or one of the published size ("120m"), saved by the library."""
    import torch
    from chronos.chronos2 import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig

    torch.manual_seed(seed)
    width, inner, layers, heads = CHRONOS2.get(size, (32, 64, 1, 4))
    config = Chronos2CoreConfig(
        d_model=width, d_kv=64 if size else 8, d_ff=inner, num_layers=layers, num_heads=heads, dropout_rate=0.0
    )
    config.architectures = ["Chronos2Model"]
    config.chronos_pipeline_class = "Chronos2Pipeline"
    patch = 16 if size else 8
    config.chronos_config = {
        "context_length": 8192 if size else 128,
        "input_patch_size": patch,
        "input_patch_stride": patch,
        "output_patch_size": patch,
        "quantiles": TWENTY_ONE if size else [0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99],
        "use_reg_token": True,
        "use_arcsinh": True,
        "max_output_patches": 64 if size else 4,
        "time_encoding_scale": 8192 if size else 128,
    }
    Chronos2Model(config).save_pretrained(folder)
    return folder


def forecast(
    key: str,
    values: list[list[float | None]],
    horizon: int,
    levels: list[float],
    covariates: list[Any] | None = None,
    future: list[Any] | None = None,
) -> dict[str, Any]:
    """The plugin's answer; None stands for a gap."""
    arrays = {"values": values, "covariates": covariates, "future": future}
    given = {name: np.array(one, dtype=np.float64) for name, one in arrays.items() if one is not None}
    for array in given.values():
        array.setflags(write=False)
    answer = MODELS[key].forecast(Batch(horizon=horizon, levels=tuple(levels), **given))
    return {
        "quantiles": answer.values.tolist(),
        "mean": None if answer.mean is None else answer.mean.tolist(),
        "dtype": str(answer.values.dtype),
    }


def direct(
    folder: str,
    values: list[list[float | None]],
    horizon: int,
    levels: list[float],
    covariates: list[Any] | None = None,
    future: list[Any] | None = None,
) -> list[Any]:
    """What the library itself answers: shape (k, horizon, levels). `covariates` need their `future` here."""
    import torch

    from chronos import BaseChronosPipeline, ChronosBoltPipeline

    if folder not in DIRECT:
        DIRECT[folder] = BaseChronosPipeline.from_pretrained(folder, device_map="cpu")
    pipeline = DIRECT[folder]
    context = torch.tensor(np.array(values, dtype=np.float32))
    if isinstance(pipeline, ChronosBoltPipeline):
        return pipeline.predict_quantiles(context, prediction_length=horizon, quantile_levels=levels)[0].tolist()
    inputs: list[Any] = list(context)
    if covariates is not None and future is not None:
        inputs = [
            {
                "target": row,
                "past_covariates": {f"c{i}": np.array(one, np.float32) for i, one in enumerate(past)},
                "future_covariates": {f"c{i}": np.array(one, np.float32) for i, one in enumerate(known)},
            }
            for row, past, known in zip(context, covariates, future, strict=True)
        ]
    answers = pipeline.predict_quantiles(inputs, prediction_length=horizon, quantile_levels=levels)[0]
    return [one[0].tolist() for one in answers]


def overhead(key: str, folder: str, points: int, horizon: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of the plugin's call and of the library's own, asked in turn."""
    import torch

    from chronos import BaseChronosPipeline, ChronosBoltPipeline

    pipeline = BaseChronosPipeline.from_pretrained(folder, device_map="cpu")
    levels = [float(level) for level in pipeline.quantiles]
    values = np.random.default_rng(1).standard_normal((1, points)).cumsum(1)
    batch = Batch(values=values, horizon=horizon, levels=tuple(levels))
    context = torch.tensor(values, dtype=torch.float32)
    inputs = context if isinstance(pipeline, ChronosBoltPipeline) else list(context)
    return beside(
        lambda: MODELS[key].forecast(batch),
        lambda: pipeline.predict_quantiles(inputs, prediction_length=horizon, quantile_levels=levels),
        rounds,
    )


if __name__ == "__main__":
    answer_questions(make_bolt, make_chronos2, MODELS.load, forecast, direct, overhead)
