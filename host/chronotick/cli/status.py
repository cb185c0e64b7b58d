"""`chronotick status`: how the host is: clock, servers, models, and what it costs."""

import argparse
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.now import STYLES
from chronotick.cli.output import duration, paint, print_json, table
from chronotick.errors import HostAbsent

PLUGIN_STYLES = {"READY": "good", "STOPPED": "dim", "STARTING": "warn", "CONNECTED": "warn", "LOADING": "warn"}


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
    body = ask(args.runtime_dir)
    if args.json:
        print_json(body)
    else:
        print(text(body))
    return exits.NEGATIVE if body["clock"]["status"] == "UNKNOWN" else exits.OK


def ask(runtime_dir: str, timeout_s: float = 2.0) -> dict[str, Any]:
    """The host's status, by section.

    Raises:
        HostAbsent: no host answers.
    """
    from chronotick.client.connection import Connection
    from chronotick.errors import RuntimeDirError
    from chronotick.wire import runtime_dir as directories

    try:
        directory = directories.find(runtime_dir)
    except RuntimeDirError as error:
        raise HostAbsent(error.message, mend=error.mend) from error
    connection = Connection(f"ipc://{directory.client}", timeout_s)
    try:
        answer = connection.request("status_query")
    finally:
        connection.close()
    sections: dict[str, Any] = answer["sections"]
    return sections


def text(body: dict[str, Any]) -> str:
    """The status for people."""
    clock, host = body["clock"], body["host"]
    lines = [
        f"{paint(clock['status'], STYLES[clock['status']])}  {clock['sentence']}",
        f"  host      {host['version']}, process {host['pid']}, up {duration(host['uptime_s'])}, "
        f"{host['rss_mb']:.0f} MB, {host['cpu_percent']:.1f} % of a core",
    ]
    if clock["status"] != "UNKNOWN":
        offset_s = clock["system_offset_us"] / 1e6
        half_s, hard_s = clock["half_width_95_us"] / 1e6, clock["hard_width_us"] / 1e6
        lines += [
            f"  interval  95 % ± {duration(half_s)}, hard width {duration(hard_s)}",
            f"  system    is {'behind' if offset_s >= 0 else 'ahead'} by {duration(abs(offset_s))}",
            f"  rate      {clock['rate_ppm']:+.4f} ppm, {clock['fixes']} fixes, last {duration(clock['age_s'])} ago",
        ]
    if clock["warm_up"]["progress"] < 1:
        warm = clock["warm_up"]
        lines.append(f"  warm-up   {warm['progress']:.0%}, models may join in {duration(warm['remaining_s'])}")
    lines += ["", servers_table(body["sources"])]
    if body["plugins"]:
        lines += ["", plugins_table(body["plugins"], body["forecasts"])]
    return "\n".join(lines)


def servers_table(sources: dict[str, Any]) -> str:
    """A row per server, and the vote."""
    rows = [
        (
            row["name"] if row["address"] in ("", row["name"]) else f"{row['name']} ({row['address']})",
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
    return table(head, rows)


def plugins_table(plugins: list[dict[str, Any]], forecasts: dict[str, Any]) -> str:
    """A row per model, the counts, and what hinders those that are not READY."""
    rows = [
        (
            row["name"],
            paint(row["state"], PLUGIN_STYLES.get(row["state"], "bad")),
            duration(None if row["p50_ms"] is None else row["p50_ms"] / 1e3),
            f"{row['rss_mb']:.0f} MB" if row["rss_mb"] else "-",
            f"{row['weight']:.2f}",
            str(row["restarts"]),
        )
        for row in plugins
    ]
    lines = [table(("model", "state", "p50", "memory", "weight", "restarts"), rows)]
    lines += [f"  {row['name']}: {row['detail']}" for row in plugins if row["detail"] and row["state"] != "READY"]
    lines.append(f"  forecasts: {forecasts['made']} made, {forecasts['used']} used, {forecasts['refused']} refused")
    return "\n".join(lines)
