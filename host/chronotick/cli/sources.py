"""`chronotick sources`: the time servers, what each one is worth, and what the vote makes of them."""

import argparse
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.output import duration, paint, print_json, table, wrap

STANDING_STYLES = {"survivor": "good", "falseticker": "bad", "unheard": "dim", "unusable": "warn"}
# Left out one after the other where the terminal is too narrow.
LEAST = ("phase", "jitter", "reference", "poll", "grade", "stratum", "root distance", "reach", "age", "delay")


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "sources",
        "the time servers, and the vote on them",
        "  chronotick sources\n  chronotick sources --json\nexit codes: 0 a majority agrees, 1 none does, 69 no host",
    )
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.cli import host

    sources = host.status(args.runtime_dir, "sources")["sources"]
    if args.json:
        print_json(sources)
    else:
        print(text(sources))
    return exits.OK if sources["agreed"] else exits.NEGATIVE


def text(sources: dict[str, Any]) -> str:
    """A row per server, the verdict, and what was refused."""
    lines = [servers_table(sources), "", wrap(verdict(sources))]
    for row in sources["servers"]:
        if row["refused"]:
            lost = ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in sorted(row["refused"].items()))
            lines.append(wrap(f"  {row['name']} refused or lost: {lost}", "    "))
    return "\n".join(lines)


def servers_table(sources: dict[str, Any]) -> str:
    """A row per server; offsets are the server's minus the system clock's."""
    head = (
        "server", "offset", "delay", "root distance", "jitter", "stratum", "reference", "reach", "poll", "age",
        "phase", "grade", "verdict",
    )  # fmt: skip
    return table(head, [_row(row) for row in sources["servers"]], drop=LEAST)


def verdict(sources: dict[str, Any]) -> str:
    """The vote in one line."""
    servers = sources["servers"]
    if sources["agreed"]:
        survivors = sum(row["standing"] == "survivor" for row in servers)
        return f"{survivors} of {len(servers)} survive the vote; offsets are against the system clock."
    why = sources["verdict"].replace("_", " ") if sources["verdict"] else "nothing measured yet"
    return f"No majority: {why}."


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    standing = row["standing"]
    return (
        label(row),
        duration(row["system_offset_s"]),
        duration(row["delay_s"]),
        duration(row["root_distance_s"]),
        duration(row["jitter_s"]),
        "-" if row["stratum"] is None else str(row["stratum"]),
        row["reference"] or "-",
        f"{row['reach']:08b}",
        f"{row['poll_s']:g} s",
        duration(row["age_s"]),
        row["phase"].replace("_", " "),
        row["grade"],
        paint(standing.replace("_", " "), STANDING_STYLES.get(standing, "warn")),
    )


def label(row: dict[str, Any]) -> str:
    """A server's name, and its address where the name does not say it."""
    name, address = row["name"], row["address"]
    return name if address in name else f"{name} ({address})"
