"""Predictions as text: a plot for a terminal, and a report of errors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


class PredictionVisualizer:
    """Draws with characters, so that it needs no display and no library."""

    def plot_predictions(
        self, timestamps: ArrayLike, actual: ArrayLike, predicted: ArrayLike, *, width: int = 72, height: int = 16
    ) -> str:
        """A plot of both over time: `o` actual, `x` predicted, `*` where they fall together.

        Args:
            timestamps, actual, predicted: shape (n,), n >= 1; values in s, shown in us.

        Raises:
            ValueError: different lengths, or nothing to draw.
        """
        t, a, p = (np.asarray(one, dtype=np.float64) for one in (timestamps, actual, predicted))
        if not (t.shape == a.shape == p.shape) or t.ndim != 1 or not len(t):
            raise ValueError(f"three rows of one length are drawn, not of shapes {t.shape}, {a.shape} and {p.shape}")
        finite = np.concatenate([a[np.isfinite(a)], p[np.isfinite(p)]])
        if not len(finite):
            raise ValueError("there is no number to draw")
        low, high = float(finite.min()), float(finite.max())
        rows = [[" "] * width for _ in range(height)]
        column = np.round((t - t.min()) / (np.ptp(t) or 1.0) * (width - 1)).astype(int)
        for values, mark in ((a, "o"), (p, "x")):
            for x, value in zip(column.tolist(), values.tolist(), strict=True):
                if np.isfinite(value):
                    y = height - 1 - round((value - low) / ((high - low) or 1.0) * (height - 1))
                    rows[y][x] = mark if rows[y][x] in (" ", mark) else "*"
        edge = [f"{1e6 * high:12.3f} us |", *[" " * 15 + " |"] * (height - 2), f"{1e6 * low:12.3f} us |"]
        lines = [left + "".join(row).rstrip() for left, row in zip(edge, rows, strict=True)]
        return "\n".join([*lines, " " * 16 + "+" + "-" * width, " " * 17 + "o actual   x predicted   * both"])

    def create_performance_report(self, predictions: Sequence[float], actual_values: Sequence[float]) -> dict[str, Any]:
        """Errors of predictions, in us: `total_predictions`, `mae_us`, `rmse_us`, `p95_us`, `max_us`, and `text`.

        Beside them `hold_last_mae_us`: what holding each actual value until the next would have cost.

        Raises:
            ValueError: different lengths, or none.
        """
        said, true = np.asarray(predictions, np.float64), np.asarray(actual_values, np.float64)
        if said.shape != true.shape or not said.size:
            raise ValueError(f"predictions and values of one length are compared, not {said.shape} and {true.shape}")
        size = 1e6 * np.abs(said - true)
        held = 1e6 * np.abs(np.diff(true)) if len(true) > 1 else np.zeros(1)
        report: dict[str, Any] = {
            "total_predictions": int(said.size),
            "mae_us": float(size.mean()),
            "rmse_us": float(np.sqrt(np.mean(size**2))),
            "p95_us": float(np.quantile(size, 0.95)),
            "max_us": float(size.max()),
            "hold_last_mae_us": float(held.mean()),
        }
        report["text"] = (
            f"{report['total_predictions']} predictions: "
            f"MAE {report['mae_us']:.3f} us, RMSE {report['rmse_us']:.3f} us, "
            f"p95 {report['p95_us']:.3f} us, max {report['max_us']:.3f} us; "
            f"holding the last value {report['hold_last_mae_us']:.3f} us"
        )
        return report
