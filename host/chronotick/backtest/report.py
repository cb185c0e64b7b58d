"""The report of a backtest: one HTML file that needs nothing else, and the same figures as JSON.

It is for somebody who was sent the file: it says first what came of it, then shows it, and has every figure at the end.
"""

import html
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from chronotick.backtest import plots
from chronotick.backtest.figures import label
from chronotick.backtest.reliability import pit
from chronotick.backtest.score import OURS, Scores
from chronotick.errors import ConfigError
from chronotick.fusion.gate import FLOOR

_HEAD: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ChronoTick backtest</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  background: #fff; }
table { border-collapse: collapse; margin: .6rem 0 1.4rem; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .45rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.ours { font-weight: 600; background: #4a90d91f; }
figure { margin: 0 0 1rem; max-width: 100%; }
figure.wide svg { width: 100%; }
svg { max-width: 100%; height: auto; }
figcaption, .note { color: #555; }
figcaption { font-size: .9em; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 0 2rem; }
.wide { overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #16181c; }
  figcaption, .note { color: #aaa; }
  svg { filter: invert(.9) hue-rotate(180deg); }
}
</style></head><body>
<h1>ChronoTick backtest</h1>
<p>Recorded clocks, replayed through the code of a live host: at each fix it knew nothing of what came later. What it
then said of the time is held against the truth, beside what anyone could have said of the same measurements; the
error is the mean absolute one, and 0.5 under / the floor's means half of the floor's. Rows and columns are explained
at the end.</p>
"""
# What the rows of the tables are.
_METHODS: Final = {
    OURS: "what a host would have published: the floor, and whoever had earned a say beside it",
    FLOOR: "the bank of Kalman filters alone, in a straight line from the newest state",
    "harmonic, harmonic_h, ageing, steered": "fitted cycles, ageing, and a base that somebody steers: what each would "
    "have said alone, at so many instants as stand beside; the names of models likewise",
    "chronyd": "its own clock on the same packets, where it was recorded",
    "hold_last": "the newest offset, held",
    "linear": "a line through the newest fixes",
    "holt": "Holt's double exponential smoothing",
    "kalman": "a plain Kalman filter of time and rate with fixed noise",
    "do_nothing": "the clock as it ran",
}
_FOOT: Final = (
    "<h2>Rows and columns</h2><dl>"
    + "".join(f"<dt>{name}</dt><dd>{what}</dd>" for name, what in _METHODS.items())
    + "<dt>60s ahead</dt><dd>said at a fix of the time 60 s later; between fixes: as a reader of the clock asks</dd>"
    "<dt>MAE, RMSE, p95, max</dt><dd>of the absolute error, us</dd>"
    "<dt>abs. MAE</dt><dd>with the method's own constant left in, us</dd>"
    "<dt>in 90 %</dt><dd>share of instants at which the interval of 90 % held the truth</dd>"
    "<dt>width, score</dt><dd>median full width and mean interval score (Gneiting and Raftery 2007), us; smaller is "
    "better</dd></dl></body></html>\n"
)
_COLUMNS: Final = (
    ("MAE", "mae_us"),
    ("RMSE", "rmse_us"),
    ("p95", "p95_us"),
    ("max", "max_us"),
    ("abs. MAE", "absolute_mae_us"),
)
# Whose errors ours is held against at the top, in this order.
_BESIDE: Final = ((FLOOR, "the floor's"), ("chronyd", "chronyd's"), ("hold_last", "last sample's"))


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
    page = _HEAD + "".join(_section(result, scores) for result, scores in kept) + _FOOT
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
    figures = {horizon: methods for horizon, methods in result["horizons"].items() if methods}
    parts = [f"<h2>{html.escape(result['name'])}</h2>"]
    if figures:
        parts.append(_summary(figures))
    parts.append(f"<p class='note'>{' '.join(_notes(result))}</p>")
    if columns:
        drawn = [horizon for horizon in ("60s", "1h") if horizon in columns] or list(columns)[:1]
        for one in drawn:
            parts.append(
                _figure(plots.errors(columns[one], one), "Said minus true, over the time it was said.", "wide")
            )
            parts.append(
                _figure(plots.weights(columns[one], one), "Who had which share in what was published.", "wide")
            )
        pairs = [
            (
                plots.reliability(columns),
                "On the grey line intervals hold what they ask for; above it they are too wide.",
            ),
            *((plots.histogram(pit(columns[one]), one), _PIT) for one in drawn),
            (plots.allan(scores.trace), "How much the rate differs between one span of tau and the next."),
        ]
        parts.append("<div class='pair'>" + "".join(_figure(*one) for one in pairs) + "</div>")
    parts += [_table(*one) for one in figures.items()]
    return "\n".join(parts)


_PIT: Final = (
    "0.5 is the middle of the intervals, 0 and 1 their ends. Level at 1 where they are honest; a hump: too wide; two "
    "peaks: too narrow; to one side: a constant error."
)


def _figure(svg: str, caption: str, kind: str = "") -> str:
    return f"<figure class='{kind}'>{svg}<figcaption>{caption}</figcaption></figure>"


def _summary(figures: dict[str, dict[str, Any]]) -> str:
    """A row per horizon: our error, that over the others', and the 95 % interval."""
    beside = [one for one in _BESIDE if any(one[0] in methods for methods in figures.values())]
    heads = ["", "error, us", *(f"/ {what}" for _, what in beside), "95 % interval, us", "held the truth"]
    rows = []
    for horizon, methods in figures.items():
        ours = methods[OURS]
        ratios = []
        for name, _ in beside:
            theirs = methods[name]["mae_us"] if name in methods else 0.0
            ratios.append(f"{ours['mae_us'] / theirs:.2g}" if theirs > 0 else "-")
        interval = [_number(ours["width_us"]["95"]), _percent(ours["coverage"]["95"])]
        rows.append([plots.ahead(horizon), _number(ours["mae_us"]), *ratios, *interval])
    return _grid(heads, rows)


def _notes(result: dict[str, Any]) -> list[str]:
    notes = [f"{result['fixes']} fixes in {result['span_s'] / 3600:.3g} h, scored from hour "]
    notes[0] += f"{result['scored_from_s'] / 3600:.3g} on."
    if not result["independent_truth"]:
        notes.append(
            "The measurements themselves are the truth, as there is no better one. Their noise counts as everybody's "
            "error, and is counted in everybody's interval as far as the floor knows it."
        )
    elif result["constant_us"]:
        notes.append(
            f"Truth was measured apart; the measurements are {_number(result['constant_us'])} us off it, as a path "
            "that is slower one way makes them. No method can see that: each one's own constant, learned before the "
            "scored part, is taken off its errors; abs. MAE keeps it."
        )
    else:
        notes.append("Truth was measured apart.")
    if missing := [plots.ahead(horizon) for horizon, methods in result["horizons"].items() if not methods]:
        notes.append(f"Too short to score {', '.join(missing)}.")
    return notes


def _table(horizon: str, methods: dict[str, dict[str, Any]]) -> str:
    heads = [plots.ahead(horizon), *(name for name, _ in _COLUMNS)]
    heads += ["in 90 %", "in 95 %", "in 99 %", "width 95 %", "score 95 %"]
    rows = []
    for name, one in sorted(methods.items(), key=lambda item: (item[0] != OURS, item[1]["mae_us"])):
        cells = [html.escape(label(name, methods)), *(_number(one[key]) for _, key in _COLUMNS)]
        if "coverage" in one:
            cells += [_percent(one["coverage"][level]) for level in ("90", "95", "99")]
            cells += [_number(one["width_us"]["95"]), _number(one["interval_score_us"]["95"])]
        else:
            cells += ["-"] * 5
        rows.append(cells)
    return _grid(heads, rows, ours=0)


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]], ours: int | None = None) -> str:
    lines = [
        f"<tr{' class=ours' if i == ours else ''}>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for i, row in enumerate(rows)
    ]
    head = "".join(f"<th>{one}</th>" for one in heads)
    return f"<div class='wide'><table><tr>{head}</tr>{''.join(lines)}</table></div>"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(value: float) -> str:
    """Four digits that count, and never an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
