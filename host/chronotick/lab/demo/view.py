"""What the demo shows while it runs, as a rich renderable."""

from collections.abc import Collection, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chronotick.lab.demo.score import METHODS
from chronotick.plugins.stand_in import NOTE

STATUS_STYLES = {"SYNCHRONISED": "green", "HOLDOVER": "yellow", "DISRUPTED": "yellow", "UNKNOWN": "red"}
PLUGIN_STYLES = {"READY": "green", "DEAD": "red", "QUARANTINED": "red", "ENV_BROKEN": "red", "INCOMPATIBLE": "red"}
LABELS = {"chronotick": "ChronoTick", "floor": "Kalman floor", "hold_last": "hold last sample"}


def live(
    status: dict[str, Any] | None,
    scored: dict[str, Any],
    *,
    elapsed_s: float,
    seconds: float,
    outage: bool,
    paths: Mapping[str, list[str]] | None = None,
    made: Collection[str] = (),
) -> RenderableType:
    """The whole view.

    `status` is the host's, None before it answers; `scored` is `score(...)` so far; `paths`: states that each model
    went through; `made`: models on stand-in weights.
    """
    parts: list[RenderableType] = [_head(status, elapsed_s, seconds, outage)]
    if status is not None:
        parts += [_clock(status["clock"]), _errors(scored), _sources(status["sources"])]
        parts.append(_models(status["plugins"], status["forecasts"], paths or {}))
        if made:
            parts.append(Text(f"{', '.join(made)}: {NOTE}", style="yellow"))
    return Group(*parts)


def line(status: dict[str, Any] | None, scored: dict[str, Any], elapsed_s: float, seconds: float, outage: bool) -> str:
    """One line of progress, where there is no terminal to draw on."""
    word = "starting" if status is None else status["clock"]["status"]
    text = f"{elapsed_s:5.0f} of {seconds:.0f} s  {word}{' (servers out of reach)' if outage else ''}"
    if scored["samples"]:
        text += "  MAE us: " + ", ".join(f"{LABELS[method]} {scored['mae_us'][method]:.1f}" for method in METHODS)
    for row in status["plugins"] if status else []:
        text += f"  {row['name']} {row['state']} weight {row['weight']:.2f}"
    return text


def skill(forecasts: dict[str, Any], model: str) -> dict[str, float]:
    """{horizon in s: share of the floor's loss that the model saves}, negative where it is worse."""
    judged = [one for one in forecasts.get("candidates", []) if one["candidate"].startswith(f"{model}/")]
    return {f"{one['horizon_s']:g}": round(one["gain"], 4) for one in judged if one["n_eff"] >= 1}


def _head(status: dict[str, Any] | None, elapsed_s: float, seconds: float, outage: bool) -> RenderableType:
    word = "starting" if status is None else status["clock"]["status"]
    line = Text.assemble(
        ("ChronoTick demo  ", "bold"),
        (f"{word}  ", STATUS_STYLES.get(word, "dim")),
        ("all servers are out of reach: the clock is on its own" if outage else "", "yellow"),
    )
    meter = Table.grid(padding=(0, 1))
    meter.add_row(
        ProgressBar(total=seconds, completed=min(elapsed_s, seconds), width=50), f"{elapsed_s:.0f} of {seconds:.0f} s"
    )
    return Group(line, meter)


def _clock(clock: dict[str, Any]) -> RenderableType:
    if "utc_ns" not in clock:
        return Text(clock["sentence"], style="dim")
    grid = Table.grid(padding=(0, 3))
    grid.add_row(
        f"offset of the system clock {clock['system_offset_us'] / 1e3:+.3f} ms",
        f"rate {clock['rate_ppm']:+.2f} ppm",
        f"{clock['fixes']} fixes",
    )
    grid.add_row(
        f"hard interval {clock['hard_width_us'] / 1e3:.3f} ms wide",
        f"95 % interval ± {clock['half_width_95_us']:.1f} us",
        "warmed up" if clock["warm_up"]["progress"] >= 1 else f"warm-up {clock['warm_up']['progress']:.0%}",
    )
    return Group(Text(clock["sentence"], style="dim"), grid)


def _errors(scored: dict[str, Any]) -> RenderableType:
    table = Table(box=None, pad_edge=False, title_justify="left", title="Error against the truth, us")
    for column in ("", "MAE", "p95", "max", "in hold-over"):
        table.add_column(column, justify="left" if not column else "right")
    for method in METHODS:
        if not scored["samples"]:
            table.add_row(LABELS[method], "-", "-", "-", "-")
            continue
        out = scored["holdover"]["mae_us"]
        table.add_row(
            LABELS[method],
            *(f"{scored[key][method]:.1f}" for key in ("mae_us", "p95_us", "max_us")),
            "-" if out is None else f"{out[method]:.1f}",
            style="bold" if method == "chronotick" else "",
        )
    return table


def _sources(sources: dict[str, Any]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for column in ("server", "delay", "root distance", "grade", "verdict"):
        table.add_column(column, justify="right" if column in ("delay", "root distance") else "left")
    for row in sources["servers"]:
        standing = row["standing"].replace("_", " ")
        table.add_row(
            row["name"],
            "-" if row["delay_s"] is None else f"{row['delay_s'] * 1e3:.2f} ms",
            "-" if row["root_distance_s"] is None else f"{row['root_distance_s'] * 1e3:.2f} ms",
            row["grade"],
            Text(standing, style="green" if standing == "survivor" else "red" if standing == "falseticker" else "dim"),
        )
    return table


def _models(plugins: list[dict[str, Any]], forecasts: dict[str, Any], paths: Mapping[str, list[str]]) -> RenderableType:
    if not plugins:
        return Text("no models: the floor and the local candidates", style="dim")
    table = Table(box=None, pad_edge=False)
    for column in ("model", "state", "p50", "memory", "skill", "weight now", "trusted at", "why"):
        table.add_column(column)
    for row in plugins:
        judged = [one for one in forecasts["candidates"] if one["candidate"].startswith(f"{row['name']}/")]
        opened = [f"{one['horizon_s']:g} s" for one in judged if one["open"]]
        why = row["detail"] if row["state"] != "READY" else (judged[-1]["reason"] if judged else _waiting(forecasts))
        gains = skill(forecasts, row["name"])
        best = max(gains, key=lambda horizon: gains[horizon], default="")
        # The states before this one pass in less than a look: DEAD takes milliseconds.
        lately = paths.get(row["name"], [])[-4:-1] if row["restarts"] or row["state"] != "READY" else []
        table.add_row(
            row["name"],
            Text(" > ".join([*lately, row["state"]]), style=PLUGIN_STYLES.get(row["state"], "yellow")),
            "-" if row["p50_ms"] is None else f"{row['p50_ms']:.1f} ms",
            f"{row['rss_mb']:.0f} MB" if row["rss_mb"] else "-",
            f"{gains[best]:+.0%} at {best} s" if best else "-",
            f"{row['weight']:.2f}",
            ", ".join(opened) or "-",
            why,
        )
    counts = f"forecasts: {forecasts['made']} made, {forecasts['used']} used, {forecasts['refused']} refused"
    return Group(table, Text(counts, style="dim"))


def _waiting(forecasts: dict[str, Any]) -> str:
    return next(iter(forecasts["waiting"].values()), "")
