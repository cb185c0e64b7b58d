"""How much a short window costs, by what is put in the place of the points that are missing.

    plugins/ttm/.venv/bin/python tests/bench/ttm_padding.py FOLDER_WITH_WEIGHTS

2048 simulated clocks (those that the Chronos plugin is trained with) with 256 points, half of what the weights read.
Median error of the integrated forecast after 8, 32 and 64 steps, in units of the window's spread.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from chronotick_ttm.windows import exact
from numpy.typing import NDArray
from tsfm_public.models.tinytimemixer import TinyTimeMixerForPrediction

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "chronos" / "training"))

from simulate import windows

REPORTED = (8, 32, 64)


def main() -> None:
    torch.set_num_threads(1)
    model = TinyTimeMixerForPrediction.from_pretrained(str(Path(sys.argv[1]).absolute())).eval()
    points = model.config.context_length
    made = windows(2048, np.random.default_rng([5, 1]))
    future = made.future[0]
    values, scaled = exact(made.context, points)
    first = np.argmax(np.isfinite(made.context), axis=1) + points - made.context.shape[1]
    seen = np.arange(points) >= first[:, None]
    edge = np.where(seen, values, values[np.arange(len(values)), first][:, None])

    def ask(past: NDArray[np.float64], mask: NDArray[np.bool_] | None = None) -> str:
        as_tensor = torch.from_numpy(past).float()[:, :, None]
        observed = None if mask is None else torch.from_numpy(mask).float()[:, :, None]
        with torch.inference_mode():
            answer = model(past_values=as_tensor, past_observed_mask=observed).prediction_outputs[:, :, 0]
        forecast = scaled.undo(answer.numpy().astype(np.float64))[:, : future.shape[1]]
        error = np.abs(np.cumsum(forecast - future, axis=1))
        return "  ".join(f"{np.nanmedian(error[:, h - 1]):6.2f}" for h in REPORTED)

    last = np.repeat(values[:, -1:], future.shape[1], axis=1)
    hold = np.abs(np.cumsum(scaled.undo(last) - future, axis=1))
    print("steps ahead          ", "  ".join(f"{h:6d}" for h in REPORTED))
    print("mean                 ", ask(values))
    print("mean, library's mask ", ask(values, seen))
    print("first value          ", ask(edge))
    print("first value, mask    ", ask(edge, seen))
    print("(hold the last rate) ", "  ".join(f"{np.nanmedian(hold[:, h - 1]):6.2f}" for h in REPORTED))


if __name__ == "__main__":
    main()
