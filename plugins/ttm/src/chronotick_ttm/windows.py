"""Windows of any length to the exact number of points that a TTM reads."""

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import BadWindow
from chronotick.sdk.scaling import Scaled, fill_gaps, standardise


def exact(windows: NDArray[np.float64], points: int) -> tuple[NDArray[np.float64], Scaled]:
    """The newest `points` of each window, scaled, without gaps; what is missing before is the window's mean.

    Padding with the mean loses less than padding with the first value (README.md has the figures), and the library's
    own mask loses more than either, because its scale is then not the one that the model was trained with.

    Args:
        windows: float64, shape (k, n), NaN in gaps.

    Returns:
        float64, shape (k, points), and the scaling, which undoes it.

    Raises:
        BadWindow: the newest `points` of a window are all gap.
    """
    if not np.isfinite(windows[:, -points:]).any(axis=1).all():
        raise BadWindow(f"The newest {points} points of a window are all gap.")
    scaled = standardise(windows[:, -points:])
    known = fill_gaps(scaled.values)
    values = np.zeros((len(windows), points))
    values[:, points - known.shape[1] :] = np.where(np.isfinite(known), known, 0.0)
    return values, scaled
