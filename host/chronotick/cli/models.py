"""`chronotick models`: the models, their skill over the floor at each horizon, and what hinders them."""

import argparse
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.output import duration, paint, print_json, table, wrap

STATE_STYLES = {
    "READY": "good",
    "STOPPED": "dim",
    "STARTING": "warn",
    "CONNECTED": "warn",
    "LOADING": "warn",
    "SUSPECT": "warn",
    "BACKOFF": "warn",
}
NEEDS_MENDING = ("ENV_BROKEN", "INCOMPATIBLE", "QUARANTINED")
"""States that a model does not leave by itself."""
LEAST = ("device", "refused", "served", "p99", "memory", "restarts", "p50")


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "models",
        "the models, and how much each one improves on the floor",
        "  chronotick models\n  chronotick models --json\nexit codes: 0 none needs mending, 1 one does, 69 no host",
    )
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.cli import host

    sections = host.status(args.runtime_dir, "plugins", "forecasts")
    body = {"models": sections["plugins"], "forecasts": sections["forecasts"]}
    if args.json:
        print_json(body)
    else:
        print(text(body["models"], body["forecasts"]))
    return exits.NEGATIVE if any(row["state"] in NEEDS_MENDING for row in body["models"]) else exits.OK


def text(models: list[dict[str, Any]], forecasts: dict[str, Any]) -> str:
    """A row per model, its skill, the counts, and what hinders those that are not READY."""
    if not models:
        return "No models are configured: the floor alone answers."
    lines = [models_table(models)]
    lines += [
        wrap(f"  {row['name']}: {row['detail']}", "    ") for row in models if row["detail"] and row["state"] != "READY"
    ]
    if forecasts["candidates"]:
        lines += ["", skill_table(forecasts["candidates"])]
        lines.append(
            wrap("Skill is the share of the floor's loss that is saved; * marks horizons where it is trusted.")
        )
    lines += [wrap(f"  {role} waits: {reason}", "    ") for role, reason in forecasts["waiting"].items()]
    counts = f"Forecasts: {forecasts['made']} made, {forecasts['used']} used, {forecasts['refused']} refused."
    lines.append(wrap(counts))
    return "\n".join(lines)


def models_table(models: list[dict[str, Any]]) -> str:
    """A row per model."""
    head = ("model", "state", "weight", "p50", "p99", "memory", "device", "served", "refused", "restarts")
    rows = [
        (
            row["name"],
            paint(row["state"], STATE_STYLES.get(row["state"], "bad")),
            f"{row['weight']:.2f}",
            duration(None if row["p50_ms"] is None else row["p50_ms"] / 1e3),
            duration(None if row["p99_ms"] is None else row["p99_ms"] / 1e3),
            f"{row['rss_mb']:.0f} MB" if row["rss_mb"] else "-",
            row["device"] or "-",
            str(row["served"]),
            str(sum(row["refused"].values())),
            str(row["restarts"]),
        )
        for row in models
    ]
    return table(head, rows, drop=LEAST)


def skill_table(candidates: list[dict[str, Any]]) -> str:
    """A row per model and role, a column per horizon."""
    horizons = sorted({one["horizon_s"] for one in candidates})
    skills: dict[str, dict[float, str]] = {}
    for one in candidates:
        skills.setdefault(one["candidate"], {})[one["horizon_s"]] = skill(one)
    rows = [(name, *(cells.get(horizon, "-") for horizon in horizons)) for name, cells in skills.items()]
    return table(("skill at", *(f"{horizon:g} s " for horizon in horizons)), rows)


def skill(candidate: dict[str, Any]) -> str:
    """One cell: `+12 %*`; `-` before anything was scored."""
    if candidate["n_eff"] <= 0:
        return "- "
    cell = f"{100 * max(candidate['gain'], -9.99):+.0f} %"
    return paint(f"{cell}*", "good") if candidate["open"] else f"{cell} "
