"""Whether intervals are honest: the probability integral transform, and how far chance alone moves a coverage."""

import math

import numpy as np
from numpy.typing import NDArray

from chronotick.backtest.score import LEVELS, OURS, Column


def pit(column: Column) -> NDArray[np.float64]:
    """Probability integral transform of the truth under the symmetric intervals (Dawid 1984), shape (n,), 0..1.

    The distribution function is taken to be linear between the half widths of `LEVELS`; beyond the widest it is 0 or 1.
    Uniform where the intervals are honest, a hump where they are too wide, two peaks where too narrow.
    """
    truth_s = -np.array(column.error_s[OURS])
    half = np.array(column.half_width_s[OURS])
    size = np.abs(truth_s)
    edges = np.column_stack([np.zeros(len(size)), half])
    levels = np.array([0.0, *LEVELS])
    above = np.minimum((edges <= size[:, None]).sum(axis=1), len(levels) - 1)
    rows = np.arange(len(size))
    low, high = edges[rows, above - 1], edges[rows, above]
    share = np.clip((size - low) / np.maximum(high - low, 1e-15), 0.0, 1.0)
    inside = levels[above - 1] + share * (levels[above] - levels[above - 1])
    inside = np.where(size > half[:, -1], 1.0, inside)
    transformed: NDArray[np.float64] = 0.5 + 0.5 * np.sign(truth_s) * inside
    return transformed


def chance_band(level: float, witnesses: float) -> tuple[float, float]:
    """Coverages that chance explains in 95 of 100 cases (Wilson 1927), for a level and so many independent instants.

    Forecasts that overlap are not independent: pass the span over the horizon, not the number of forecasts.
    """
    z2 = 1.96**2
    centre = (level + z2 / (2 * witnesses)) / (1 + z2 / witnesses)
    reach = 1.96 * math.sqrt(level * (1 - level) / witnesses + z2 / (4 * witnesses**2)) / (1 + z2 / witnesses)
    return max(centre - reach, 0.0), min(centre + reach, 1.0)
