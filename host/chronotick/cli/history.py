"""`chronotick history`: what the host has measured, for looking back and for other programs."""

import argparse
import csv
import sys
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.durations import instant
from chronotick.cli.output import duration, print_json, rfc3339, table, wrap

# What people see of a row, in this order; programs get every column.
SHOWN = ("utc_ns", "server", "innovation_s", "delay_s", "root_distance_s")
MOST_ROWS = 100_000


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "history",
        "the fixes that the host has measured",
        "  chronotick history --since 10m\n"
        "  chronotick history --limit 1000 --csv > fixes.csv\n"
        "  chronotick history --since 2026-01-31T12:00:00Z --until 2026-01-31T13:00:00Z --json\n"
        "exit codes: 0 there are rows, 1 there are none, 69 no host",
    )
    parser.add_argument("--series", default="fixes", metavar="NAME", help="which series (default fixes)")
    parser.add_argument("--since", type=instant, metavar="WHEN", help="10m ago, or an instant in RFC 3339")
    parser.add_argument("--until", type=instant, metavar="WHEN", help="likewise")
    parser.add_argument(
        "--limit", type=_rows, default=100, metavar="N", help=f"newest rows, 1 to {MOST_ROWS} (default 100)"
    )
    add_runtime_dir(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV with a header")
    add_json(form)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.cli import host

    bounds = {name: _utc_ns(getattr(args, name), args.runtime_dir) for name in ("since", "until")}
    asked = {f"{name}_utc_ns": bound for name, bound in bounds.items() if bound is not None}
    answer = host.ask(args.runtime_dir, "history", series=args.series, limit=args.limit, **asked)
    columns, rows, truncated = list(answer["columns"]), answer["rows"], answer["truncated"]
    if args.json:
        print_json(document(args.series, columns, rows, truncated))
    elif args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        print(text(columns, rows))
    if truncated and not args.json and sys.stderr.isatty():
        print(wrap(f"Only the newest {len(rows)} rows are shown; see --limit."), file=sys.stderr)
    return exits.OK if rows else exits.NEGATIVE


def document(series: str, columns: list[str], rows: list[list[Any]], truncated: bool) -> dict[str, Any]:
    """The rows as `--json` prints them: nanosecond counts as strings."""
    return {
        "series": series,
        "columns": columns,
        "rows": [
            {name: str(cell) if name.endswith("_ns") else cell for name, cell in zip(columns, row, strict=True)}
            for row in rows
        ],
        "truncated": truncated,
    }


def text(columns: list[str], rows: list[list[Any]]) -> str:
    """The rows for people, oldest first."""
    if not rows:
        return "There is nothing between these instants."
    shown = [name for name in SHOWN if name in columns] or columns
    places = [columns.index(name) for name in shown]
    head = [HEADS.get(name, name) for name in shown]
    return table(
        head,
        [[_cell(columns[place], row[place]) for place in places] for row in rows],
        drop=("root distance", "surprise"),
    )


HEADS = {
    "utc_ns": "time",
    "innovation_s": "surprise",
    "delay_s": "delay",
    "root_distance_s": "root distance",
}


def _cell(name: str, value: Any) -> str:
    if name.endswith("utc_ns"):
        return rfc3339(value)
    if name == "server":
        # An identity ends in the address; where the name is the address already, once is enough.
        place, _, address = str(value).partition(" (")
        return place if address.rstrip(")") in place else str(value)
    return duration(value) if name.endswith("_s") else str(value)


def _utc_ns(when: tuple[str, int] | None, runtime_dir: str) -> int | None:
    if when is None or when[0] == "utc":
        return when[1] if when else None
    from chronotick.client import Clock

    with Clock(runtime_dir) as clock:
        return max(clock.now().utc_ns - when[1], 0)


def _rows(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_ROWS:
        raise argparse.ArgumentTypeError(f"1 to {MOST_ROWS} are possible")
    return int(text)
