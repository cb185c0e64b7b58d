"""Do intervals hold what they say on recorded clocks? Coverage and interval score through the host's own pipeline.

    CHRONOTICK_TEST_DATA=FOLDER python tests/bench/calibration_recorded.py [--json] [TRACE...]

Traces, thinning, the unscored first part and each method's own constant are those of candidates.py: recorded clocks
over their last 60 %, the simulator's runs from 30 minutes on. Per horizon: share of truth inside 50, 90, 95, 99 and
99.9 %, in percent, and the interval score (Gneiting and Raftery 2007) in us, beside the Gaussian bands of the floor and
of a plain Kalman filter on the same fixes.

`+-` is the standard error over blocks of two horizons, 20 min at least, because what overlaps is one witness; with
fewer than four blocks there is none, and a share says next to nothing. Behind a share stand `!` where it is further
than 2 points from its level and 1.96 standard errors do not bridge what is over, and `?` where they do or do not exist.
"measured" traces have no truth beside their fixes: there the forecast is held against a fix and its noise.

`errors of fixes` is the variance of means of 4, 16 and 64 consecutive ones over what it would be if they were
independent of each other: 1 where they are, up to 4, 16 and 64 where they come in runs.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from candidates import DISCIPLINED, HORIZONS_S, RECORDED, SIMULATED, load
from chronotick.backtest.score import OURS, SERVE, score
from chronotick.config.schema import Config
from chronotick.fusion.gate import FLOOR
from chronotick.wire.levels import LEVELS

EARLIER = ("fix2_ares12", "fix2_homelab", "homelab_9h_driftaware")
METHODS = (OURS, FLOOR, "kalman")
KEYS: Final = tuple(f"{100 * level:g}" for level in LEVELS)
# What was asked for on a recorded clock, points.
TOLERANCE: Final = 0.02
_LEAST_BLOCK_S: Final = 1200.0
_LEAST_BLOCKS: Final = 4
MEANS: Final = (4, 16, 64)
_MOST_SIGMA: Final = 4.0


def standard_error(at_s: NDArray[np.float64], inside: NDArray[np.bool_], block_s: float) -> float | None:
    """Of the mean of `inside`, both of shape (n,), from the means of blocks; None with fewer than four."""
    _, block = np.unique(np.floor((at_s - at_s[0]) / block_s), return_inverse=True)
    count = int(block.max()) + 1
    if count < _LEAST_BLOCKS:
        return None
    size, hits = np.bincount(block), np.bincount(block, inside)
    rest = hits - size * inside.mean()
    return float(math.sqrt((rest @ rest) * count / (count - 1)) / len(inside))


def variance_ratios(error_s: NDArray[np.float64]) -> dict[str, float]:
    """Of means of `MEANS` consecutive errors, shape (n,), to independent ones; where there are two means at least."""
    rest = error_s - np.median(error_s)
    # One of 37 ms among a thousand would be all of the variance.
    limit = _MOST_SIGMA * 1.4826 * float(np.median(np.abs(rest)))
    rest = np.clip(rest, -limit, limit)
    made = {}
    for size in MEANS:
        count = len(rest) // size
        if count > 1:
            means = rest[: count * size].reshape(count, size).mean(axis=1)
            made[str(size)] = float(np.var(means, ddof=1) * size / np.var(rest, ddof=1))
    return made


def figures(
    at_s: NDArray[np.float64], error_s: NDArray[np.float64], half_s: NDArray[np.float64], block_s: float
) -> Any:
    """One method at one horizon: errors of shape (n,), half widths of shape (n, 5); by level."""
    size = np.abs(error_s)[:, None]
    inside = size <= half_s
    scores = 2 * half_s + 2 / (1 - np.array(LEVELS)) * np.maximum(size - half_s, 0)
    return {
        "coverage": dict(zip(KEYS, inside.mean(axis=0).tolist(), strict=True)),
        "standard_error": {key: standard_error(at_s, inside[:, i], block_s) for i, key in enumerate(KEYS)},
        "interval_score_us": dict(zip(KEYS, (scores.mean(axis=0) * 1e6).tolist(), strict=True)),
    }


def run(folder: Path, name: str, horizons_s: Sequence[float] = HORIZONS_S) -> dict[str, Any]:
    """Everything about one trace."""
    trace = load(folder, name)
    length_s = (trace.fixes[-1].raw_ns - trace.fixes[0].raw_ns) * 1e-9
    far = tuple(h for h in horizons_s if h < 0.45 * length_s)
    made: dict[str, Any] = {}
    scores = score(trace, Config(), far)
    for (horizon, column), h_s in zip(scores.columns.items(), (0.0,) * (SERVE in scores.columns) + far, strict=True):
        at_s = np.array(column.origin_s)
        if not len(at_s):
            continue
        block_s = max(2 * h_s, _LEAST_BLOCK_S)
        made[horizon] = {"points": len(at_s), "blocks": (at_s[-1] - at_s[0]) / block_s} | {
            method: figures(at_s, np.array(column.error_s[method]), np.array(column.half_width_s[method]), block_s)
            for method in METHODS
        }
    row = {"trace": name, "truth": "apart" if trace.independent else "measured", "horizons": made}
    if trace.independent:
        at_fix_s = trace.truth.at(np.array([fix.raw_ns for fix in trace.fixes]) * 1e-9)
        error_s = np.array([fix.theta_ns for fix in trace.fixes]) * 1e-9 - at_fix_s
        row["errors_of_fixes"] = variance_ratios(error_s[np.isfinite(error_s)])
    return row


def mark(level: float, share: float, error: float | None) -> str:
    """A blank within 2 points, `!` beyond them, `?` beyond them as chance may have it."""
    over = abs(share - level) - TOLERANCE
    if over <= 1e-9:
        return " "
    return "?" if error is None or over <= 1.96 * error else "!"


def show(row: dict[str, Any]) -> list[str]:
    """One trace as a table."""
    out = [f"\n{row['trace']} (truth {row['truth']})"]
    if row.get("errors_of_fixes"):
        ratios = ", ".join(f"{ratio:.2f} ({size})" for size, ratio in row["errors_of_fixes"].items())
        out.append(f"errors of fixes: {ratios}")
    for horizon, found in row["horizons"].items():
        for method in METHODS:
            of = found[method]
            cells = ""
            for level, key in zip(LEVELS, KEYS, strict=True):
                share, error = of["coverage"][key], of["standard_error"][key]
                beside = "      " if error is None else f"+-{100 * error:4.1f}"
                cells += f"{100 * share:>8.2f} {beside}{mark(level, share, error)}"
            scores = "".join(f"{of['interval_score_us'][key]:>10.3g}" for key in KEYS[1:])
            head = f"{horizon:>6}{found['points']:>7}{found['blocks']:>5.0f}" if method == OURS else " " * 18
            out.append(f"{head} {method:<11}{cells}  {scores}")
    return out


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """How many shares at 90, 99 and 99.9 % lie within 2 points, by method and horizon, where truth was apart."""
    out = ["\nshares of 90, 99, 99.9 % within 2 points / beyond as chance may have it / beyond; truth apart"]
    cells: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for horizon, found in row["horizons"].items() if row["truth"] == "apart" else ():
            for method in METHODS:
                of = found[method]
                cells.setdefault((horizon, method), []).extend(
                    mark(level, of["coverage"][key], of["standard_error"][key])
                    for level, key in zip(LEVELS, KEYS, strict=True)
                    if key in ("90", "99", "99.9")
                )
    for (horizon, method), marks in cells.items():
        out.append(f"{horizon:>6} {method:<11}{marks.count(' '):>5} /{marks.count('?'):>4} /{marks.count('!'):>4}")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage and interval score on recorded clocks.")
    parser.add_argument("traces", nargs="*", metavar="TRACE", help="by default all")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    asked = parser.parse_args()
    if "CHRONOTICK_TEST_DATA" not in os.environ:
        parser.error("CHRONOTICK_TEST_DATA names no folder with recorded traces")
    folder = Path(os.environ["CHRONOTICK_TEST_DATA"]) / "data"
    names = asked.traces or [*SIMULATED, *RECORDED, *DISCIPLINED, *EARLIER]
    rows = []
    if not asked.json:
        heads = "".join(f"{key + ' %':>8}        " for key in KEYS)
        print(f"{'ahead':>6}{'points':>7}{'blocks':>7}{'':10}{heads}score at 90, 95, 99, 99.9 %, us")
    with ProcessPoolExecutor(asked.processes) as pool:
        for i, row in enumerate(pool.map(run, [folder] * len(names), names)):
            rows.append(row)
            print(f"\r{i + 1} of {len(names)} traces", end="", file=sys.stderr, flush=True)
            if not asked.json:
                print("\n".join(show(row)), flush=True)
    print(file=sys.stderr)
    print(json.dumps({"traces": rows}) if asked.json else "\n".join(summary(rows)))


if __name__ == "__main__":
    main()
