"""What commands print: text for people, one JSON object for programs."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

STYLES = {"good": "32", "warn": "33", "bad": "31", "dim": "2", "bold": "1"}


def colour_wanted(stream: TextIO = sys.stdout) -> bool:
    """Colours only on a terminal, and not when NO_COLOR is set (to anything but nothing) or TERM is dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, *, wanted: bool | None = None) -> str:
    """`text` in one of STYLES where colours are wanted, else as it is."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if (colour_wanted() if wanted is None else wanted) else text


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_error(message: str) -> None:
    """One line on standard error, with the program's name."""
    print(f"chronotick: {message}", file=sys.stderr)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; numbers are aligned right, words left."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    numeric = [bool(rows) and all(_number(row[i]) for row in rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, numeric, strict=True)
        ).rstrip()

    return "\n".join(line(row) for row in [head, *rows])


def _number(cell: str) -> bool:
    return cell.strip("-+.%0123456789 ") in ("", "ms", "us", "s", "ns", "MB")


def duration(seconds: float | None) -> str:
    """A duration with the unit that suits it: `312 ns`, `4.2 us`, `1.53 ms`, `12.0 s`; `-` for None."""
    if seconds is None:
        return "-"
    size = abs(seconds)
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if size < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3f} s" if size < 1e4 else f"{seconds:.0f} s"


def rfc3339(utc_ns: int) -> str:
    """UTC nanoseconds as RFC 3339 with nine digits."""
    seconds, nanoseconds = divmod(utc_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
