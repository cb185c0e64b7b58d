"""Bring windows to mean 0 and deviation 1 in double precision, and close their gaps, for models that need either."""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

# A deviation below this share of the window's size is rounding, not a signal.
_ROUNDING: Final = 1e-13


class Scaled(Struct, frozen=True, eq=False):
    """Windows in units of their own spread.

    Attributes:
        values: float64, shape (..., n), `(x - mean) / scale`, NaN in gaps.
        mean, scale: float64, shape (..., 1), over what is not a gap; `scale` is 1 for a constant window.
    """

    values: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def undo(self, forecast: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same in the units of the windows. Shape (k, ..., h) for windows of shape (k, n)."""
        extra = (1,) * (forecast.ndim - self.mean.ndim)
        shape = self.mean.shape[:1] + extra + self.mean.shape[1:]
        return self.mean.reshape(shape) + self.scale.reshape(shape) * forecast


def standardise(windows: NDArray[np.float64]) -> Scaled:
    """Scale each window (last axis) by itself. A window that is all gap has mean 0 and scale 1."""
    seen = np.isfinite(windows)
    count = np.maximum(seen.sum(axis=-1, keepdims=True), 1)
    filled = np.where(seen, windows, 0.0)
    mean = filled.sum(axis=-1, keepdims=True) / count
    spread = np.sqrt((np.where(seen, filled - mean, 0.0) ** 2).sum(axis=-1, keepdims=True) / count)
    size = np.abs(filled).max(axis=-1, keepdims=True)
    scale = np.where(spread > _ROUNDING * size, spread, 1.0)
    return Scaled((windows - mean) / scale, mean, scale)


def fill_gaps(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Close gaps on the straight line between their neighbours, and at the end by the last value.

    A gap at the beginning stays, since nothing is known there: each model has its own way to be told of a short window.

    Args:
        windows: float64, shape (k, n); no window is all gap.
    """
    seen = np.isfinite(windows)
    if seen.all():
        return windows
    filled = windows.copy()
    at = np.arange(windows.shape[1])
    for row, there in zip(filled, seen, strict=True):
        known = at[there]
        gap = ~there & (at > known[0])
        row[gap] = np.interp(at[gap], known, row[known])
    return filled
