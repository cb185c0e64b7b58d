"""How sure a ratio of two mean errors is, when neighbouring errors are one error.

Errors H seconds ahead from overlapping origins are correlated over 2 H and more. Moving blocks of that length are drawn
with replacement (Künsch 1989), both methods' errors together, and the ratio is formed anew for each draw.
"""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

_DRAWS: Final = 2000
# Blocks that must fit into the series: with fewer there is nothing to draw from.
_LEAST_BLOCKS: Final = 4


class Ratio(msgspec.Struct, frozen=True):
    """Mean absolute error of one method over another's, and its interval; NaN where the series is too short for one."""

    ratio: float
    low: float
    high: float


def ratio_interval(
    at_s: NDArray[np.float64],
    mine: NDArray[np.float64],
    other: NDArray[np.float64],
    block_s: float,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Ratio:
    """Ratio of the means of |mine| and |other| over the same origins.

    Args:
        at_s: float64, shape (n,), ascending: when each was made, s.
        mine, other: float64, shape (n,), errors; pairs with a NaN are left out.
        block_s: length of a block, s: at least two horizons.
        level: of the interval, percentile method.
    """
    known = np.isfinite(mine) & np.isfinite(other)
    t, a, b = at_s[known], np.abs(mine[known]), np.abs(other[known])
    if not len(t) or not b.sum() > 0:
        return Ratio(np.nan, np.nan, np.nan)
    ratio = float(a.sum() / b.sum())
    length_s = float(t[-1] - t[0])
    if length_s < _LEAST_BLOCKS * block_s:
        return Ratio(ratio, np.nan, np.nan)
    # Sums of every block that begins at an origin and lies within the series.
    first = np.arange(int(np.searchsorted(t, t[-1] - block_s, side="right")))
    end = np.searchsorted(t, t[first] + block_s)
    sums_a, sums_b = (np.concatenate(([0.0], np.cumsum(x))) for x in (a, b))
    blocks_a, blocks_b = sums_a[end] - sums_a[first], sums_b[end] - sums_b[first]
    count = max(1, round(length_s / block_s))
    drawn = np.random.default_rng(seed).integers(0, len(first), (_DRAWS, count))
    over = blocks_b[drawn].sum(1)
    ratios = blocks_a[drawn].sum(1)[over > 0] / over[over > 0]
    low, high = np.quantile(ratios, ((1 - level) / 2, (1 + level) / 2))
    return Ratio(ratio, float(low), float(high))
