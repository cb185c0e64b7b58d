"""Questions about this plugin, answered in its environment (`chronotick.sdk.questions`).

`direct` asks the model library itself and nothing of the plugin, so that the two can be compared.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from chronotick_timesfm import TimesFmForecaster

from chronotick.sdk import Batch
from chronotick.sdk.questions import Models, answer_questions, beside

MODELS = Models(TimesFmForecaster)
DIRECT: dict[str, Any] = {}


def make_timesfm(folder: str, seed: int, drop: list[str] | None = None, size: str = "tiny") -> str:
    """A TimesFM 2.5 with random weights, tiny or of the published size ("200m"), saved by the library.

    `drop` removes tensors from the file.
    """
    import torch
    from safetensors.torch import load_file, save_file

    from timesfm import TimesFM_2p5_200M_torch

    if size == "tiny":
        set_dimensions(width=32, layers=2, heads=2)
    torch.manual_seed(seed)
    model = TimesFM_2p5_200M_torch(torch_compile=False)
    # The library leaves its scales at 0, for which all layers but the last say nothing.
    for name, tensor in model.model.named_parameters():
        if name.endswith("scale"):
            torch.nn.init.uniform_(tensor, 0.5, 1.5)
    model.save_pretrained(folder)
    if drop:
        path = Path(folder) / "model.safetensors"
        tensors = load_file(path)
        save_file({k: v for k, v in tensors.items() if not any(k.startswith(d) for d in drop)}, path)
    return folder


def set_dimensions(width: int, layers: int, heads: int) -> None:
    """Have the library make models of other dimensions than the published ones."""
    from timesfm.timesfm_2p5.timesfm_2p5_base import TimesFM_2p5_200M_Definition
    from timesfm.timesfm_2p5.timesfm_2p5_torch import TimesFM_2p5_200M_torch_module

    known = TimesFM_2p5_200M_Definition()
    transformer = replace(
        known.stacked_transformers.transformer, model_dims=width, hidden_dims=2 * width, num_heads=heads
    )
    TimesFM_2p5_200M_torch_module.config = replace(
        known,
        tokenizer=replace(known.tokenizer, hidden_dims=width, output_dims=width),
        stacked_transformers=replace(known.stacked_transformers, num_layers=layers, transformer=transformer),
        output_projection_point=replace(known.output_projection_point, input_dims=width, hidden_dims=width),
        output_projection_quantiles=replace(known.output_projection_quantiles, input_dims=width, hidden_dims=width),
    )


def forecast(
    key: str,
    values: list[list[float | None]],
    horizon: int,
    levels: list[float],
    covariates: list[list[list[float]]] | None = None,
    future: list[list[list[float]]] | None = None,
) -> dict[str, Any]:
    """The plugin's answer; None stands for a gap."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    batch = Batch(
        values=array,
        horizon=horizon,
        levels=tuple(levels),
        covariates=None if covariates is None else np.array(covariates),
        future=None if future is None else np.array(future),
    )
    answer = MODELS[key].forecast(batch)
    assert answer.mean is not None
    return {"quantiles": answer.values.tolist(), "mean": answer.mean.tolist(), "dtype": str(answer.values.dtype)}


def direct(folder: str, values: list[list[float | None]], horizon: int, context: int) -> list[Any]:
    """What the library itself answers with the same settings: shape (k, horizon, mean and quantiles)."""
    from timesfm import ForecastConfig

    model = _library(folder)
    model.compile(
        ForecastConfig(
            max_context=context,
            max_horizon=1024,
            use_continuous_quantile_head=True,
            force_flip_invariance=False,
            infer_is_positive=False,
            fix_quantile_crossing=True,
        )
    )
    rows = [np.array(row, dtype=np.float64) for row in values]
    return model.forecast(horizon=horizon, inputs=rows)[1].tolist()


def overhead(key: str, folder: str, points: int, horizon: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of the plugin's call and of the library's own, asked in turn."""
    from timesfm import ForecastConfig

    model = _library(folder)
    model.compile(
        ForecastConfig(
            max_context=-(-points // 32) * 32,
            max_horizon=128,
            use_continuous_quantile_head=True,
            force_flip_invariance=False,
            infer_is_positive=False,
            fix_quantile_crossing=True,
        )
    )
    values = np.random.default_rng(1).standard_normal((1, points)).cumsum(1)
    batch = Batch(values=values, horizon=horizon, levels=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
    return beside(
        lambda: MODELS[key].forecast(batch), lambda: model.forecast(horizon=horizon, inputs=[values[0]]), rounds
    )


def _library(folder: str) -> Any:
    from timesfm import TimesFM_2p5_200M_torch

    if folder not in DIRECT:
        # The published size has 925 MB.
        if (Path(folder) / "model.safetensors").stat().st_size < 100_000_000:
            set_dimensions(width=32, layers=2, heads=2)
        DIRECT[folder] = TimesFM_2p5_200M_torch.from_pretrained(folder, torch_compile=False, local_files_only=True)
    return DIRECT[folder]


if __name__ == "__main__":
    answer_questions(make_timesfm, MODELS.load, forecast, direct, overhead)
