"""Questions about this plugin, answered in its environment (`chronotick.sdk.questions`).

`direct` asks the model library itself and nothing of the plugin, so that the two can be compared.
"""

from pathlib import Path
from typing import Any

import numpy as np
from chronotick_time_moe import TimeMoeForecaster

from chronotick.sdk import Batch
from chronotick.sdk.questions import Models, answer_questions, beside

MODELS = Models(TimeMoeForecaster)
DIRECT: dict[str, Any] = {}

TINY = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_experts": 4,
    "horizon_lengths": [1, 4, 8], "max_position_embeddings": 128,
}  # fmt: skip
_LARGE = {
    "num_hidden_layers": 12, "num_attention_heads": 12, "num_experts": 8, "horizon_lengths": [1, 8, 32, 64],
    "max_position_embeddings": 4096,
}  # fmt: skip
PUBLISHED = {
    "50m": {"hidden_size": 384, "intermediate_size": 1536, **_LARGE},
    "200m": {"hidden_size": 768, "intermediate_size": 3072, **_LARGE},
}


def make_time_moe(folder: str, seed: int, size: str = "tiny", drop: list[str] | None = None) -> str:
    """A Time-MoE with random weights, of a tiny size or of a published one, saved by the library.

    `drop` removes tensors from the file.
    """
    import torch
    from safetensors.torch import load_file, save_file
    from sktime.libs.timemoe import TimeMoeConfig, TimeMoeForPrediction

    torch.manual_seed(seed)
    config = TimeMoeConfig(num_experts_per_tok=2, **PUBLISHED.get(size, TINY))
    # Wide enough for a tiny model to say something of its input.
    config.initializer_range = 0.02 if size in PUBLISHED else 0.5
    TimeMoeForPrediction(config).save_pretrained(folder)
    if drop:
        path = Path(folder) / "model.safetensors"
        tensors = load_file(path)
        save_file({k: v for k, v in tensors.items() if not any(k.startswith(d) for d in drop)}, path, {"format": "pt"})
    return folder


def forecast(key: str, values: list[list[float | None]], horizon: int, layers: int | None = None) -> dict[str, Any]:
    """The plugin's points (k, horizon); None stands for a gap.

    `layers`: nobody waits any more after so many layers.
    """
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    begun = 0

    def cancelled() -> bool:
        nonlocal begun
        begun += 1
        return layers is not None and begun > layers

    answer = MODELS[key].forecast(Batch(values=array, horizon=horizon, levels=(0.5,), cancelled=cancelled))
    assert answer.mean is None
    return {"points": answer.values[:, 0].tolist(), "dtype": str(answer.values.dtype), "layers": begun}


def direct(folder: str, values: list[list[float]], horizon: int) -> list[Any]:
    """What the library itself answers for windows that are scaled already: (k, horizon)."""
    import torch

    with torch.inference_mode():
        return _library(folder).generate(torch.tensor(values), max_new_tokens=horizon)[:, -horizon:].tolist()


def overhead(key: str, folder: str, points: int, horizon: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of the plugin's call and of the library's own, asked in turn."""
    values = np.random.default_rng(1).standard_normal((1, points)).cumsum(1)
    batch = Batch(values=values, horizon=horizon, levels=(0.5,))
    return beside(lambda: MODELS[key].forecast(batch), lambda: direct(folder, values.tolist(), horizon), rounds)


def _library(folder: str) -> Any:
    from sktime.libs.timemoe import TimeMoeForPrediction

    if folder not in DIRECT:
        DIRECT[folder] = TimeMoeForPrediction.from_pretrained(folder, local_files_only=True).eval()
    return DIRECT[folder]


if __name__ == "__main__":
    answer_questions(make_time_moe, MODELS.load, forecast, direct, overhead)
