"""Runs in the plugin's environment and answers one JSON line per question, so that tests elsewhere need no torch.

Questions: {"do": NAME, ...arguments}. Answers: {"ok": ...}, {"fault": {code, message, mend, retryable}} or
{"crash": traceback}. `direct` asks the model library itself and nothing of the plugin, so that the two can be compared.
"""

import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from chronotick_time_moe import TimeMoeForecaster

from chronotick.sdk import Batch, Params, PluginFault

LOADED: dict[str, TimeMoeForecaster] = {}
DIRECT: dict[str, Any] = {}

TINY = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_experts": 4,
    "horizon_lengths": [1, 4, 8], "max_position_embeddings": 128,
}  # fmt: skip
PUBLISHED = {
    "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 12, "num_experts": 8,
    "horizon_lengths": [1, 8, 32, 64], "max_position_embeddings": 4096,
}  # fmt: skip


def make_time_moe(folder: str, seed: int, size: str = "tiny", drop: list[str] | None = None) -> str:
    """A Time-MoE with random weights, of a tiny size or of the published 50M, saved by the library.

    `drop` removes tensors from the file.
    """
    import torch
    from safetensors.torch import load_file, save_file
    from sktime.libs.timemoe import TimeMoeConfig, TimeMoeForPrediction

    torch.manual_seed(seed)
    config = TimeMoeConfig(num_experts_per_tok=2, **(PUBLISHED if size == "50m" else TINY))
    # Wide enough for a tiny model to say something of its input.
    config.initializer_range = 0.02 if size == "50m" else 0.5
    TimeMoeForPrediction(config).save_pretrained(folder)
    if drop:
        path = Path(folder) / "model.safetensors"
        tensors = load_file(path)
        save_file({k: v for k, v in tensors.items() if not any(k.startswith(d) for d in drop)}, path, {"format": "pt"})
    return folder


def load(key: str, params: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Load the plugin's forecaster under a name; its capabilities, and how long it took."""
    started = time.monotonic()
    forecaster = TimeMoeForecaster()
    said: list[float] = []
    capabilities = forecaster.load(Params(values=params, seed=seed), lambda fraction, _: said.append(fraction))
    LOADED[key] = forecaster
    return {**msgspec.to_builtins(capabilities), "progress": said, "seconds": time.monotonic() - started}


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

    answer = LOADED[key].forecast(Batch(values=array, horizon=horizon, levels=(0.5,), cancelled=cancelled))
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
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds + 3):
        a = time.perf_counter()
        LOADED[key].forecast(batch)
        b = time.perf_counter()
        direct(folder, values.tolist(), horizon)
        c = time.perf_counter()
        ours.append(b - a)
        theirs.append(c - b)
    return {"plugin_ms": float(np.median(ours[3:])) * 1e3, "library_ms": float(np.median(theirs[3:])) * 1e3}


def _library(folder: str) -> Any:
    from sktime.libs.timemoe import TimeMoeForPrediction

    if folder not in DIRECT:
        DIRECT[folder] = TimeMoeForPrediction.from_pretrained(folder, local_files_only=True).eval()
    return DIRECT[folder]


ACTIONS = {f.__name__: f for f in (make_time_moe, load, forecast, direct, overhead)}


def main() -> None:
    # Libraries print what they like; answers go where only answers go.
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"ok": ACTIONS[question.pop("do")](**question)}
        except PluginFault as fault:
            said = {"code": str(fault.code), "message": fault.message, "mend": fault.mend, "retryable": fault.retryable}
            answer = {"fault": said}
        # The test that asked shows the traceback.
        except Exception:  # noqa: BLE001
            answer = {"crash": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
