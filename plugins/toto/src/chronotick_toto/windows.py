"""Windows and covariates to what Toto reads: scaled series side by side, and which of their values are real."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from chronotick.sdk import BadWindow, Batch
from chronotick.sdk.scaling import Scaled, fill_gaps, standardise


class Inputs(Struct, frozen=True, eq=False):
    """A batch in the model's terms.

    Attributes:
        values: float64, shape (k, 1 + c, n): the series to forecast, then its covariates, without gaps.
        known: bool, same shape: False where a gap was.
        future: float64, shape (k, c, horizon), or None.
        scaled: the scaling of the first series, which undoes it.
    """

    values: NDArray[np.float64]
    known: NDArray[np.bool_]
    future: NDArray[np.float64] | None
    scaled: Scaled


def read(batch: Batch, points: int) -> Inputs:
    """The newest `points` of each window, each scaled by itself.

    The model's own scaling adds 0.1 to the variance, which rates of parts in 10^9 would vanish in.

    Raises:
        BadWindow: those points of a window are all gap.
    """
    windows = batch.values[:, -points:]
    if not np.isfinite(windows).any(axis=1).all():
        raise BadWindow(f"The newest {points} points of a window are all gap.")
    scaled = standardise(windows)
    series, future = scaled.values[:, np.newaxis], None
    if batch.covariates is not None:
        beside = standardise(batch.covariates[:, :, -points:])
        series = np.concatenate((series, beside.values), axis=1)
        if batch.future is not None:
            future = np.nan_to_num((batch.future - beside.mean) / beside.scale)
    known = np.isfinite(series)
    return Inputs(_without_gaps(series, known), known, future, scaled)


def _without_gaps(series: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The model is told of gaps but attends to them: a line says less that is wrong than a fall to the mean."""
    if known.all():
        return series
    rows = series.reshape(-1, series.shape[-1]).copy()
    some = known.reshape(rows.shape).any(axis=1)
    rows[some] = fill_gaps(rows[some])
    # What is missing at the beginning, or throughout, is the mean, as in the library's own padding.
    return np.nan_to_num(rows).reshape(series.shape)
