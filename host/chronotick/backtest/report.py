"""The report of a backtest: one HTML file that needs nothing else, and the same figures as JSON."""

import html
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from chronotick.backtest import plots
from chronotick.backtest.reliability import pit
from chronotick.backtest.score import OURS, Scores
from chronotick.errors import ConfigError

_HEAD: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ChronoTick backtest</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .6rem 0 1.4rem; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .45rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tr.ours { font-weight: 600; background: #eef4fb; }
svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
.note { color: #555; }
</style></head><body>
<h1>ChronoTick backtest</h1>
<p class="note">Recorded clocks through the host's own pipeline, causally. Each figure stands beside what anyone could
have done with the same measurements. Errors, widths and interval scores in microseconds.</p>
"""
_COLUMNS: Final = (
    ("MAE", "mae_us"),
    ("RMSE", "rmse_us"),
    ("p95", "p95_us"),
    ("max", "max_us"),
    ("abs. MAE", "absolute_mae_us"),
)


def write_report(folder: Path, kept: Sequence[tuple[dict[str, Any], Scores]]) -> Path:
    """Write report.html and result.json, each under another name first.

    Args:
        folder: made if need be.
        kept: of each trace, its result as `--json` prints it, and everything that was scored.

    Returns:
        Where the report is.

    Raises:
        ConfigError: the folder can not be written to.
    """
    page = _HEAD + "".join(_section(result, scores) for result, scores in kept) + "</body></html>\n"
    body = json.dumps({"traces": [result for result, _ in kept]}, indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("result.json", body), ("report.html", page)):
            staged = folder / f".{name}.new"
            staged.write_text(text, encoding="utf-8")
            os.replace(staged, folder / name)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{folder} can not be written to: {reason}.", mend="Name another --report folder.") from error
    return folder / "report.html"


def _section(result: dict[str, Any], scores: Scores) -> str:
    columns = {name: column for name, column in scores.columns.items() if column.origin_s}
    notes = [f"{result['fixes']} fixes, one each {result['poll_s']:.3g} s."]
    if result["independent_truth"]:
        notes.append(
            f"Truth was measured apart; the measurements are {result['constant_us']:.1f} us off it. Each method's own "
            "constant, learned before the scored part, is taken off its errors; the absolute figures keep it."
        )
    else:
        notes.append("The measurements themselves are the truth.")
    parts = [f"<h2>{html.escape(result['name'])}</h2><p class='note'>{' '.join(notes)}</p>"]
    for horizon, methods in result["horizons"].items():
        if methods:
            parts.append(_table(horizon, methods))
    if columns:
        drawn = [horizon for horizon in ("60s", "1h") if horizon in columns] or list(columns)[:1]
        parts += [f"<div class='wide'>{plots.errors(columns[one], one)}</div>" for one in drawn]
        parts += [plots.reliability(columns), plots.allan(scores.trace)]
        parts += [plots.histogram(pit(columns[one]), one) for one in drawn]
        parts += [f"<div class='wide'>{plots.weights(columns[one], one)}</div>" for one in drawn]
    return "\n".join(parts)


def _table(horizon: str, methods: dict[str, dict[str, Any]]) -> str:
    title = "Between fixes" if horizon == "serve" else f"{horizon} ahead"
    heads = [title, *(name for name, _ in _COLUMNS), "in 90 %", "in 95 %", "in 99 %", "width 95 %", "score 95 %"]
    rows = []
    for name, one in sorted(methods.items(), key=lambda item: (item[0] != OURS, item[1]["mae_us"])):
        cells = [html.escape(name), *(_number(one[key]) for _, key in _COLUMNS)]
        if "coverage" in one:
            cells += [f"{100 * one['coverage'][level]:.1f} %" for level in ("90", "95", "99")]
            cells += [_number(one["width_us"]["95"]), _number(one["interval_score_us"]["95"])]
        else:
            cells += ["-"] * 5
        mark = " class='ours'" if name == OURS else ""
        rows.append(f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "<tr>" + "".join(f"<th>{one}</th>" for one in heads) + "</tr>"
    return f"<div class='wide'><table>{head}{''.join(rows)}</table></div>"


def _number(value: float) -> str:
    """Four digits that count, and never an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
