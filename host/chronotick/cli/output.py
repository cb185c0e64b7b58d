"""What commands print: text for people, one JSON object for programs."""

import json
import math
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

STYLES = {"good": "32", "warn": "33", "bad": "31", "dim": "2", "bold": "1"}
ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")
# Narrower than this nothing is made to fit.
LEAST_COLUMNS: Final = 20
# Unit in seconds, its name, and from how many on the next one is used.
DURATIONS: Final = (
    (1e-9, "ns", 1000),
    (1e-6, "us", 1000),
    (1e-3, "ms", 1000),
    (1.0, "s", 120),
    (60.0, "min", 120),
    (3600.0, "h", 48),
    (86_400.0, "d", math.inf),
)

UNITS: Final = frozenset({"", "MB", *(unit for _, unit, _ in DURATIONS)})


def colour_wanted(stream: TextIO | None = None) -> bool:
    """Colours only on a terminal, and not when NO_COLOR is set (to anything but nothing) or TERM is dumb."""
    stream = sys.stdout if stream is None else stream
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, *, wanted: bool | None = None) -> str:
    """`text` in one of STYLES where colours are wanted, else as it is."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if (colour_wanted() if wanted is None else wanted) else text


def visible(text: str) -> int:
    """How many columns a text takes, colours not counted."""
    return len(ESCAPE.sub("", text))


def columns() -> int | None:
    """How wide output may be: COLUMNS, else the terminal's width; None (any width) where output is no terminal."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return max(int(given), LEAST_COLUMNS)
    return max(shutil.get_terminal_size().columns, LEAST_COLUMNS) if sys.stdout.isatty() else None


def wrap(text: str, indent: str = "", room: int | None = 0) -> str:
    """A sentence in as many lines as the terminal (or `room`, as in `table`) needs, the later ones indented."""
    width = columns() if room == 0 else room
    if width is None or visible(text) <= width:
        return text
    # Words that are wider than the terminal stay whole: they are tokens and paths, to be copied.
    return "\n".join(
        textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    )


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_error(message: str) -> None:
    """A complaint on standard error, with the program's name; on a terminal in lines that fit it."""
    room = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
    lines = f"chronotick: {message}".split("\n")
    print("\n".join(wrap(line, room=room) for line in lines), file=sys.stderr)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], drop: Sequence[str] = (), room: int | None = 0) -> str:
    """Columns as wide as their widest cell; numbers are aligned right, words left.

    Where that is wider than the terminal, the columns named in `drop` go, the first one first. Where it still is, each
    row becomes a block with all its values: its first cell, then a line per value.

    Args:
        room: columns there are; 0 for as many as the terminal has, None for any number.
    """
    room = columns() if room == 0 else room
    widths = [max(visible(row[i]) for row in [head, *rows]) for i in range(len(head))]
    if room is not None and sum(widths) + 2 * (len(widths) - 1) > room:
        kept = _fitting(head, widths, drop, room)
        if not kept:
            return "\n".join(_block(head, row, room) for row in rows)
        return table([head[i] for i in kept], [[row[i] for i in kept] for row in rows], room=room)
    numeric = [bool(rows) and all(_number(row[i]) for row in rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            _pad(cell, width, number) for cell, width, number in zip(cells, widths, numeric, strict=True)
        ).rstrip()

    return "\n".join(line(row) for row in [head, *rows])


def _fitting(head: Sequence[str], widths: Sequence[int], drop: Sequence[str], room: int) -> list[int]:
    """Which columns are left when those that may go have gone until it fits; none when it never does."""
    kept = list(range(len(head)))
    for name in drop:
        kept = [i for i in kept if head[i] != name]
        if sum(widths[i] + 2 for i in kept) - 2 <= room:
            return kept
    return []


def _pad(cell: str, width: int, number: bool) -> str:
    blank = " " * (width - visible(cell))
    return blank + cell if number else cell + blank


def _block(head: Sequence[str], row: Sequence[str], room: int) -> str:
    title, *cells = row
    width = max((len(name) for name in head[1:]), default=0)
    lines = [title]
    for name, cell in zip(head[1:], cells, strict=True):
        line = f"  {name.ljust(width)}  {cell}".rstrip()
        # A value that does not fit beside its name stands below it.
        lines += [line] if visible(line) <= room else [f"  {name}".rstrip(), wrap(f"    {cell}", "    ", room)]
    return "\n".join(lines)


def _number(cell: str) -> bool:
    return ESCAPE.sub("", cell).strip("-+.%0123456789 ") in UNITS


def progress_bar() -> "Progress":
    """A bar with the time left, on standard error and gone when done; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def duration(seconds: float | None) -> str:
    """A duration with the unit that suits it: `312 ns`, `4.20 us`, `1.53 ms`, `12.0 s`, `3.50 h`; `-` for None.

    Three digits that count; whole nanoseconds.
    """
    if seconds is None:
        return "-"
    # Rounded before compared: 999.96 us is 1.00 ms.
    factor, unit, _ = next(one for one in DURATIONS if _rounded(seconds / one[0]) < one[2])
    value = seconds / factor
    size = _rounded(value)
    digits = 0 if unit == "ns" or size >= 100 else 1 if size >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def _rounded(value: float) -> float:
    return abs(float(f"{value:.3g}"))


def rfc3339(utc_ns: int) -> str:
    """UTC nanoseconds as RFC 3339 with nine digits."""
    seconds, nanoseconds = divmod(utc_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
