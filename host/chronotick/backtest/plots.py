"""The report's figures, as SVG text. The only module that draws: matplotlib is loaded when one is asked for."""

import io
from collections.abc import Callable, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chronotick.backtest.allan import allan_deviation
from chronotick.backtest.score import LEVELS, OURS, Column
from chronotick.backtest.trace import Trace
from chronotick.fusion.gate import FLOOR

# Points drawn of one line: more are not seen and make the file large.
_MOST_POINTS: Final = 1500
_LABELS: Final = {OURS: "ChronoTick", FLOOR: "floor", "hold_last": "last sample held", "kalman": "plain Kalman"}
_HOURS: Final = "hours since the first fix"
# ChronoTick and the floor have their colours in every figure; others take the next ones.
_OURS_COLOUR: Final = "C0"
_FLOOR_COLOUR: Final = "C1"
_STYLE: Final[Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "chronotick",  # the same report from the same trace
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def ahead(horizon: str) -> str:
    """A horizon for people."""
    return "between fixes" if horizon == "serve" else f"{horizon} ahead"


def errors(column: Column, horizon: str, methods: Sequence[str] = (FLOOR, OURS)) -> str:
    """Errors over time, with the 95 % interval of ours."""

    def draw(axes: Axes) -> None:
        hours = _thin(np.array(column.origin_s) / 3600.0)
        half = _thin(np.array(column.half_width_s[OURS])[:, LEVELS.index(0.95)] * 1e6)
        axes.fill_between(hours, -half, half, alpha=0.15, linewidth=0, label="95 % interval", color=_OURS_COLOUR)
        for name, colour in zip(methods, (_FLOOR_COLOUR, _OURS_COLOUR), strict=True):
            axes.plot(
                hours, _thin(np.array(column.error_s[name]) * 1e6), linewidth=0.8, label=_name(name), color=colour
            )
        axes.set(xlabel=_HOURS, ylabel="error, us", title=f"Error {ahead(horizon)}")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, fontsize=8, frameon=False)

    return _svg(draw, width=9.0)


def reliability(columns: dict[str, Column]) -> str:
    """Share of true times inside the interval against the level that was asked for, per horizon."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
        for horizon, column in columns.items():
            size = np.abs(np.array(column.error_s[OURS]))
            half = np.array(column.half_width_s[OURS])
            axes.plot(
                LEVELS,
                [(size <= half[:, i]).mean() for i in range(len(LEVELS))],
                "o-",
                markersize=4,
                label=ahead(horizon),
            )
        axes.set(
            xlabel="level asked for",
            ylabel="share that held the truth",
            title="Reliability",
            xlim=(0.45, 1.02),
            ylim=(0, 1.05),
        )
        axes.legend(loc="lower right", fontsize=8)

    return _svg(draw)


def weights(column: Column, horizon: str) -> str:
    """Who had which weight, over time."""

    def draw(axes: Axes) -> None:
        names = sorted({name for one in column.weights for name in one}, key=lambda name: (name != FLOOR, name))
        hours = _thin(np.array(column.origin_s) / 3600.0)
        shares = [_thin(np.array([one.get(name, 0.0) for one in column.weights])) for name in names]
        others = iter(f"C{i}" for i in range(2, 2 + len(names)))
        colours = [_FLOOR_COLOUR if name == FLOOR else next(others) for name in names]
        axes.stackplot(hours, shares, labels=[_name(name) for name in names], colors=colours, alpha=0.8, linewidth=0)
        axes.set(xlabel=_HOURS, ylabel="share", title=f"Weights {ahead(horizon)}", ylim=(0, 1))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, fontsize=8, frameon=False)

    return _svg(draw, width=9.0)


def allan(trace: Trace) -> str:
    """Allan deviation of the oscillator as the truth and as the fixes show it."""

    def draw(axes: Axes) -> None:
        raw_s = np.array([fix.raw_ns for fix in trace.fixes]) * 1e-9
        theta_s = np.array([fix.theta_ns for fix in trace.fixes]) * 1e-9
        axes.loglog(*allan_deviation(raw_s, theta_s), "o-", markersize=3, label="fixes")
        if trace.independent:
            axes.loglog(*allan_deviation(trace.truth.raw_s, trace.truth.theta_s), "o-", markersize=3, label="truth")
        axes.set(xlabel="tau, s", ylabel="Allan deviation, s/s", title="The oscillator")
        axes.legend(fontsize=8)

    return _svg(draw)


def histogram(values: NDArray[np.float64], horizon: str) -> str:
    """PIT histogram: flat where the intervals are honest."""

    def draw(axes: Axes) -> None:
        bins = 10
        axes.hist(values, bins=bins, range=(0, 1), weights=np.full(len(values), bins / max(len(values), 1)))
        axes.axhline(1.0, color="0.4", linewidth=0.8)
        axes.set(xlabel="place in the intervals (PIT)", ylabel="density", title=f"Where truth fell, {ahead(horizon)}")

    return _svg(draw)


def _name(method: str) -> str:
    return _LABELS.get(method, method)


def _thin(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[:: max(1, len(values) // _MOST_POINTS)]


def _svg(draw: Callable[[Axes], Any], width: float = 4.4) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, 3.0), layout="constrained")
        draw(figure.add_subplot())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = out.getvalue()
    return text[text.index("<svg") :]
