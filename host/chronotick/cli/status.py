"""`chronotick status`: how the host is: clock, servers, models, and what it costs."""

import argparse
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.models import STATE_STYLES
from chronotick.cli.now import STYLES
from chronotick.cli.output import duration, paint, print_json, table, wrap
from chronotick.cli.sources import LEAST, label

INDENT = " " * 12


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "status",
        "how the host is: clock, servers, models",
        "  chronotick status\n  chronotick status --json\nexit codes: 0 a time is given, 1 UNKNOWN, 69 no host",
    )
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.cli import host

    body = host.status(args.runtime_dir)
    if args.json:
        print_json(body)
    else:
        print(text(body))
    return exits.NEGATIVE if body["clock"]["status"] == "UNKNOWN" else exits.OK


def text(body: dict[str, Any]) -> str:
    """The status for people."""
    clock, host = body["clock"], body["host"]
    lines = [
        wrap(f"{paint(clock['status'], STYLES[clock['status']])}  {clock['sentence']}", "  "),
        wrap(
            f"  host      {host['version']}, process {host['pid']}, up {duration(host['uptime_s'])}, "
            f"{host['rss_mb']:.0f} MB, {host['cpu_percent']:.1f} % of a core",
            INDENT,
        ),
    ]
    if clock["status"] != "UNKNOWN":
        offset_s = clock["system_offset_us"] / 1e6
        half_s, hard_s = clock["half_width_95_us"] / 1e6, clock["hard_width_us"] / 1e6
        lines += [
            wrap(f"  interval  95 % ± {duration(half_s)}, hard width {duration(hard_s)}", INDENT),
            wrap(f"  system    is {'behind' if offset_s >= 0 else 'ahead'} by {duration(abs(offset_s))}", INDENT),
            wrap(
                f"  rate      {clock['rate_ppm']:+.4f} ppm, {clock['fixes']} fixes, "
                f"last {duration(clock['age_s'])} ago",
                INDENT,
            ),
        ]
    if clock["warm_up"]["progress"] < 1:
        warm = clock["warm_up"]
        lines.append(f"  warm-up   {warm['progress']:.0%}, models may join in {duration(warm['remaining_s'])}")
    lines += ["", servers_table(body["sources"])]
    if body["plugins"]:
        lines += ["", plugins_table(body["plugins"], body["forecasts"])]
    return "\n".join(lines)


def servers_table(sources: dict[str, Any]) -> str:
    """A row per server, with what matters most; `chronotick sources` has the rest."""
    rows = [
        (
            label(row),
            duration(row["system_offset_s"]),
            duration(row["delay_s"]),
            duration(row["root_distance_s"]),
            "-" if row["stratum"] is None else str(row["stratum"]),
            f"{row['reach']:08b}",
            f"{row['poll_s']:g} s",
            row["grade"],
            row["standing"].replace("_", " "),
        )
        for row in sources["servers"]
    ]
    head = ("server", "offset", "delay", "root distance", "stratum", "reach", "poll", "grade", "verdict")
    return table(head, rows, drop=LEAST)


def plugins_table(plugins: list[dict[str, Any]], forecasts: dict[str, Any]) -> str:
    """A row per model, the counts, and what hinders those that are not READY."""
    rows = [
        (
            row["name"],
            paint(row["state"], STATE_STYLES.get(row["state"], "bad")),
            duration(None if row["p50_ms"] is None else row["p50_ms"] / 1e3),
            f"{row['rss_mb']:.0f} MB" if row["rss_mb"] else "-",
            f"{row['weight']:.2f}",
            str(row["restarts"]),
        )
        for row in plugins
    ]
    lines = [table(("model", "state", "p50", "memory", "weight", "restarts"), rows, drop=("memory", "restarts", "p50"))]
    lines += [
        wrap(f"  {row['name']}: {row['detail']}", "    ")
        for row in plugins
        if row["detail"] and row["state"] != "READY"
    ]
    counts = f"  forecasts: {forecasts['made']} made, {forecasts['used']} used, {forecasts['refused']} refused"
    lines.append(wrap(counts, "    "))
    return "\n".join(lines)
