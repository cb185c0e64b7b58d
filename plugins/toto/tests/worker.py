"""Questions about this plugin, answered in its environment (`chronotick.sdk.questions`).

`direct` asks the model library itself and nothing of the plugin, so that the two can be compared.
"""

import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from chronotick_toto import TotoForecaster

from chronotick.sdk import Batch
from chronotick.sdk.questions import Models, answer_questions, beside

MODELS = Models(TotoForecaster)
DIRECT: dict[str, Any] = {}
LEVELS = (0.1, 0.5, 0.9)
# The library warns of packages that it can do without.
warnings.simplefilter("ignore")

TINY = {"patch_size": 8, "stride": 8, "embed_dim": 32, "num_layers": 2, "num_heads": 2, "mlp_hidden_dim": 64}
BASE = {"patch_size": 64, "stride": 64, "embed_dim": 768, "num_layers": 12, "num_heads": 12, "mlp_hidden_dim": 3072}


def make_toto(folder: str, seed: int, size: str = "tiny", drop: list[str] | None = None, fused: bool = False) -> str:
    """A Toto with random weights, of a tiny size or of the published one; the library has no way to save it.

    `drop` removes tensors from the file; `fused` gives those of the MLP the names that xFormers' layers have.
    """
    import torch
    from safetensors.torch import save_file
    from toto.model.toto import Toto

    dimensions = BASE if size == "base" else TINY
    config = {
        **dimensions,
        "dropout": 0.1,
        "spacewise_every_n_layers": dimensions["num_layers"],
        "spacewise_first": False,
        "scaler_cls": "<class 'model.scaler.CausalPatchStdMeanScaler'>",
        "output_distribution_classes": ["<class 'model.distribution.MixtureOfStudentTsOutput'>"],
        "output_distribution_kwargs": {"k_components": 24 if size == "base" else 3},
    }
    torch.manual_seed(seed)
    tensors = Toto(**config, use_memory_efficient_attention=False).state_dict()
    if fused:
        tensors = {k.replace("mlp.0.", "mlp.0.w12.").replace("mlp.2.", "mlp.0.w3."): v for k, v in tensors.items()}
    kept = {k: v.contiguous() for k, v in tensors.items() if not any(k.startswith(d) for d in drop or [])}
    Path(folder).mkdir(parents=True, exist_ok=True)
    save_file(kept, Path(folder) / "model.safetensors")
    (Path(folder) / "config.json").write_text(json.dumps(config))
    return folder


def forecast(
    key: str,
    values: list[list[float | None]],
    horizon: int,
    levels: list[float],
    seed: int = 0,
    covariates: list[list[list[float]]] | None = None,
    future: list[list[list[float]]] | None = None,
    left_ms: float = 1e9,
    layers: int | None = None,
) -> dict[str, Any]:
    """The plugin's answer; None stands for a gap. `left_ms`: to the deadline.

    `layers`: nobody waits any more after so many layers, and the exception says how many the model has begun.
    """
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    begun = 0

    def cancelled() -> bool:
        nonlocal begun
        begun += 1
        return layers is not None and begun > layers

    batch = Batch(
        values=array,
        horizon=horizon,
        levels=tuple(levels),
        covariates=None if covariates is None else np.array(covariates, dtype=np.float64),
        future=None if future is None else np.array(future, dtype=np.float64),
        seed=seed,
        deadline_mono_ns=time.monotonic_ns() + int(left_ms * 1e6),
        cancelled=cancelled,
    )
    answer = MODELS[key].forecast(batch)
    assert answer.mean is not None
    return {
        "quantiles": answer.values.tolist(),
        "mean": answer.mean.tolist(),
        "dtype": str(answer.values.dtype),
        "layers": begun,
    }


def direct(
    folder: str,
    values: list[list[list[float]]],
    horizon: int,
    seeds: list[int] | None = None,
    side_by_side: int = 32,
    future: list[list[list[float]]] | None = None,
    known: list[list[list[bool]]] | None = None,
) -> dict[str, Any]:
    """What the library itself answers for (k, variates, n), first variate only: its mean, or its samples' quantiles.

    One draw of `side_by_side` samples for each of `seeds`. `known`: which of the values are no padding.
    """
    import torch
    from toto.data.util.dataset import MaskedTimeseries

    library = _library(folder)
    series = torch.tensor(values, dtype=torch.float32)
    inputs = MaskedTimeseries(
        series=series,
        padding_mask=torch.ones_like(series, dtype=torch.bool) if known is None else torch.tensor(known),
        id_mask=torch.zeros_like(series, dtype=torch.int),
        timestamp_seconds=torch.zeros_like(series, dtype=torch.int),
        time_interval_seconds=torch.full(series.shape[:2], 64, dtype=torch.int),
        num_exogenous_variables=0 if future is None else series.shape[1] - 1,
    )
    exogenous = None if future is None else torch.tensor(future, dtype=torch.float32)
    if seeds is None:
        mean = library.forecast(inputs, prediction_length=horizon, future_exogenous_variables=exogenous).mean
        return {"mean": mean[:, 0].tolist()}
    draws = []
    for seed in seeds:
        torch.manual_seed(seed)
        draws.append(
            library.forecast(
                inputs,
                prediction_length=horizon,
                num_samples=side_by_side,
                samples_per_batch=side_by_side,
                future_exogenous_variables=exogenous,
            ).samples[:, 0]
        )
    samples = torch.cat(draws, dim=-1).double()
    quantiles = torch.quantile(samples, torch.tensor(LEVELS, dtype=torch.float64), dim=-1)
    return {"mean": samples.mean(-1).tolist(), "quantiles": quantiles.permute(1, 0, 2).tolist()}


def overhead(key: str, folder: str, points: int, horizon: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of the plugin's call and of the library's own for as many samples, asked in turn."""
    values = np.random.default_rng(1).standard_normal((1, points)).cumsum(1)
    batch = Batch(values=values, horizon=horizon, levels=LEVELS)
    scaled = ((values - values.mean()) / values.std())[:, None].tolist()
    return beside(
        lambda: MODELS[key].forecast(batch), lambda: direct(folder, scaled, horizon, [0], side_by_side=256), rounds
    )


def _library(folder: str) -> Any:
    from toto.inference.forecaster import TotoForecaster as Library
    from toto.model.toto import Toto

    if folder not in DIRECT:
        DIRECT[folder] = Library(Toto.from_pretrained(folder).model)
    return DIRECT[folder]


if __name__ == "__main__":
    answer_questions(make_toto, MODELS.load, forecast, direct, overhead)
