"""`chronotick watch` (or `top`): the host at a glance, drawn again every second, to be left open."""

import argparse
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_runtime_dir
from chronotick.cli.durations import duration_s
from chronotick.cli.now import document

if TYPE_CHECKING:
    from chronotick.cli.live.gather import Frame


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "watch",
        "a live view of clock, intervals, models and servers",
        "  chronotick watch\n"
        "  chronotick top --interval 5s --span 2h\n"
        "  chronotick watch --json --count 60 > minute.jsonl\n"
        "q or Ctrl-C ends it. Where standard output is no terminal it prints a line at each interval.\n"
        "exit codes: 0 ended by q, Ctrl-C or --count, whatever the host did",
        aliases=("top",),
    )
    parser.add_argument(
        "--interval", type=_interval_s, default=1.0, metavar="TIME", help="between two looks, 100ms to 1h (default 1s)"
    )
    parser.add_argument(
        "--span", type=_span_s, default=600.0, metavar="TIME", help="that sparklines show at most (default 10m)"
    )
    parser.add_argument("--count", type=_count, metavar="N", help="end after so many looks")
    add_runtime_dir(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line and look")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.json or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return follow(args)
    return draw(args)


def follow(args: argparse.Namespace) -> int:
    """A line per look, until Ctrl-C."""
    from chronotick.cli.live.gather import Gatherer
    from chronotick.cli.live.view import line

    left = args.count
    due_s = time.monotonic()
    try:
        with Gatherer(args.runtime_dir) as gatherer:
            while True:
                frame = gatherer.look()
                print(json.dumps(entry(frame)) if args.json else line(frame), flush=True)
                left = None if left is None else left - 1
                if left == 0:
                    return exits.OK
                now_s = time.monotonic()
                due_s = max(due_s + args.interval, now_s)
                time.sleep(due_s - now_s)
    except KeyboardInterrupt:
        return exits.OK


def draw(args: argparse.Namespace) -> int:
    """The view on a terminal, until q, Ctrl-C or SIGTERM."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from chronotick.cli.live.gather import Gatherer
    from chronotick.cli.live.keys import Keys
    from chronotick.cli.live.past import Past
    from chronotick.cli.live.spark import BARS, PLAIN_BARS
    from chronotick.cli.live.view import lines

    console = Console(file=sys.stdout, highlight=False)
    bars = BARS if "utf" in (sys.stdout.encoding or "").lower() else PLAIN_BARS
    past, left = Past(args.span, args.interval), args.count
    with (
        Gatherer(args.runtime_dir) as gatherer,
        Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live,
        Keys(live.stop, live.start) as keys,
    ):
        frame = gatherer.look()
        past.take(frame)
        due_s = time.monotonic() + args.interval
        while True:
            size = console.size
            shown = lines(frame, past, size.width, size.height, bars)
            live.update(Text.from_ansi("\n".join(shown), no_wrap=True), refresh=True)
            if keys.wait(due_s - time.monotonic()) in ("q", "Q", "\x1b"):
                return exits.OK
            if time.monotonic() < due_s:
                continue
            left = None if left is None else left - 1
            if left == 0:
                return exits.OK
            frame = gatherer.look()
            past.take(frame)
            due_s = max(due_s + args.interval, time.monotonic())


def entry(frame: "Frame") -> dict[str, Any]:
    """One look as `--json` prints it."""
    return {
        "problem": frame.problem or None,
        "reading": None if frame.reading is None else document(frame.reading),
        "status": frame.sections,
    }


def _interval_s(text: str) -> float:
    value = duration_s(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range: 100ms to 1h are possible")
    return value


def _span_s(text: str) -> float:
    value = duration_s(text)
    if not 10 <= value <= 7 * 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range: 10s to 7d are possible")
    return value


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range: 1 and more are possible")
    return int(text)
