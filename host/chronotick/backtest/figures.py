"""Figures of one column: errors, coverage, widths, interval score, pinball loss."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chronotick.backtest.score import LEVELS, OURS, Column, Scores

US: Final = 1e6


def summary(scores: Scores) -> dict[str, dict[str, dict[str, object]]]:
    """`{horizon: {method: figures}}`; methods without a single forecast at a horizon are left out."""
    return {
        horizon: {
            name: found
            for name in column.error_s
            if (found := figures(column, name, scores.constants_s.get(name, 0.0)))
        }
        for horizon, column in scores.columns.items()
    }


def label(name: str, methods: dict[str, dict[str, Any]]) -> str:
    """A method's name for people; where it spoke at fewer instants than ours, at how many: its figures are of those."""
    said, all_of_them = methods[name]["n"], methods[OURS]["n"] if OURS in methods else 0
    return name if said >= all_of_them else f"{name} ({said} of {all_of_them})"


def figures(column: Column, name: str, constant_s: float = 0.0) -> dict[str, object]:
    """Figures of one method at one horizon, in us; empty where it said nothing.

    `mae_us`, `rmse_us`, `p95_us`, `max_us` of the error without the method's constant; `absolute_mae_us` with it;
    `own_constant_removed_mae_us` without the method's own median error, which no reader can take off. For methods that
    say how far they may be off also `coverage` (share of instants inside), `width_us` (median full width),
    `interval_score_us` (Gneiting and Raftery 2007, eq. 43, mean) by level in percent, and `pinball_us`: mean pinball
    loss over the two quantiles of each level and the median.
    """
    error_s = np.array(column.error_s[name], dtype=np.float64)
    said = np.isfinite(error_s)
    if not said.any():
        return {}
    e = error_s[said]
    size = np.abs(e)
    found: dict[str, object] = {
        "n": int(said.sum()),
        "mae_us": float(size.mean() * US),
        "rmse_us": float(np.sqrt(np.mean(e * e)) * US),
        "p95_us": float(np.quantile(size, 0.95) * US),
        "max_us": float(size.max() * US),
        "absolute_mae_us": float(np.abs(e + constant_s).mean() * US),
        "own_constant_removed_mae_us": float(np.abs(e - np.median(e)).mean() * US),
    }
    if name in column.half_width_s:
        half = np.array(column.half_width_s[name])[said]
        found |= _intervals(e, half)
    return found


def _intervals(e: NDArray[np.float64], half: NDArray[np.float64]) -> dict[str, object]:
    size = np.abs(e)
    coverage, width, interval, pinball = {}, {}, {}, [0.5 * size]
    for i, level in enumerate(LEVELS):
        key, w, alpha = f"{100 * level:g}", half[:, i], 1.0 - level
        outside = np.maximum(size - w, 0.0)
        coverage[key] = float(np.mean(size <= w))
        width[key] = float(np.median(2 * w) * US)
        interval[key] = float(np.mean(2 * w + 2 / alpha * outside) * US)
        # Both quantiles of a symmetric interval: their pinball losses add up to alpha/2 of the interval score.
        pinball.append((alpha / 4) * (2 * w + 2 / alpha * outside))
    return {
        "coverage": coverage,
        "width_us": width,
        "interval_score_us": interval,
        "pinball_us": float(np.mean(np.stack(pinball)) * US),
    }
