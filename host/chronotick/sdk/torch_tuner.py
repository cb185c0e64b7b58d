"""A `Tuner` for any torch module: AdamW, and the loss that the embedded checkpoint was trained with.

torch is given, never imported: this package is the host's, too, and the host has none.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Predict = Callable[[NDArray[np.float32]], Any]
"""Windows (n, points), NaN in gaps, to a tensor (n, levels, horizon) in the same units, with its gradient."""

DECAY: Final = 0.01
CLIP: Final = 1.0
# A future further than this many of its window's deviations away is not learned: one of them would rule the loss.
FAR: Final = 5.0
# Weight of the error of the integrated median beside the quantiles' own loss: offsets are what is wanted of rates.
DRIFT: Final = 0.5
_FIRST: Final = "exp_avg"
_SECOND: Final = "exp_avg_sq"


class TorchTuner:
    """Implements `sdk.tune.Tuner`.

    Args:
        torch: the module.
        model: a torch module with `save_pretrained`.
        predict: runs it.
        levels: quantile levels of what it answers, ascending, 0.5 among them.
    """

    def __init__(self, torch: Any, model: Any, predict: Predict, levels: Sequence[float]) -> None:
        self._torch, self._model, self._predict = torch, model, predict
        self._levels = torch.tensor(list(levels))[None, :, None]
        self._median = min(range(len(levels)), key=lambda i: abs(levels[i] - 0.5))
        self._named: list[tuple[str, Any]] = [(k, p) for k, p in model.named_parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW([p for _, p in self._named], lr=0.0, weight_decay=DECAY)

    def step(self, context: NDArray[np.float32], future: NDArray[np.float32], lr: float, seed: int) -> float:
        """See `Tuner`. A step without a usable future changes nothing."""
        self._torch.manual_seed(seed)
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(context, future)
        if not self._torch.isfinite(loss):
            return 0.0
        loss.backward()
        self._torch.nn.utils.clip_grad_norm_([p for _, p in self._named], CLIP)
        self._optimizer.step()
        return float(loss)

    def loss(self, context: NDArray[np.float32], future: NDArray[np.float32]) -> float:
        """See `Tuner`."""
        self._model.eval()
        with self._torch.inference_mode():
            return float(self._loss(context, future))

    def _loss(self, context: NDArray[np.float32], future: NDArray[np.float32]) -> Any:
        """Pinball loss of the quantiles and error of the running integral of the median, near steps weighing more."""
        torch = self._torch
        said = self._predict(context)
        horizon = min(said.shape[2], future.shape[1])
        said, aim = said[:, :, :horizon], torch.from_numpy(future[:, :horizon].copy())
        valid = (torch.isfinite(aim) & (aim.abs() < FAR)).all(1)
        steps = torch.arange(1, horizon + 1)
        weight = (steps + 3.0) ** -0.5
        weight = weight / weight.sum()
        error = torch.nan_to_num(aim)[:, None, :] - said
        pinball = 2.0 * torch.maximum(self._levels * error, (self._levels - 1.0) * error).mean(1)
        drift = (error[:, self._median].cumsum(1) / steps).abs()
        row = ((pinball + DRIFT * drift) * weight).sum(1)
        return (row * valid).sum() / valid.sum().clamp(min=1)

    def state(self) -> dict[str, NDArray[Any]]:
        """See `Tuner`."""
        kept = {f"weight.{name}": p.detach().numpy() for name, p in self._named}
        for name, p in self._named:
            state = self._optimizer.state.get(p, {})
            kept |= {f"{key}.{name}": np.asarray(value.detach().numpy()) for key, value in state.items()}
        return kept

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """See `Tuner`."""
        torch = self._torch
        with torch.no_grad():
            for name, p in self._named:
                p.copy_(torch.from_numpy(state[f"weight.{name}"]))
                if f"{_FIRST}.{name}" in state:
                    self._optimizer.state[p] = {
                        key: torch.from_numpy(np.array(state[f"{key}.{name}"])) for key in ("step", _FIRST, _SECOND)
                    }

    def save(self, folder: Path) -> None:
        """See `Tuner`."""
        self._model.save_pretrained(str(folder))
