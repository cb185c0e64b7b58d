"""`chronotick waitsync`: wait until the time is good enough; for the start of services."""

import argparse
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.durations import duration_ns, waiting_s
from chronotick.cli.now import document
from chronotick.cli.output import duration, print_error, print_json

if TYPE_CHECKING:
    from chronotick.client import Clock, Reading

LOOK_S = 0.05


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "waitsync",
        "wait until the host is synchronised and its hard interval is narrow enough",
        "  chronotick waitsync\n"
        "  chronotick waitsync --max-width 1ms --timeout 60\n"
        "  chronotick waitsync --max-width 250us --timeout 0 && start-my-service\n"
        "exit codes: 0 good enough, 1 not in time, 69 no host in all that time",
    )
    parser.add_argument(
        "--max-width",
        type=duration_ns,
        metavar="WIDTH",
        help="widest hard interval, e.g. 1ms or 250us (default: any)",
    )
    parser.add_argument(
        "--timeout", type=waiting_s, default=60.0, metavar="TIME", help="longest wait; 0 to look once (default 60s)"
    )
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.client import Clock

    begun = time.monotonic()
    with Clock(args.runtime_dir, fall_back=False) as clock:
        reading, problem = wait(clock, args.max_width, begun + args.timeout)
    waited_s = time.monotonic() - begun
    if args.json:
        print_json(body(reading, problem, args.max_width, waited_s))
    if problem is None:
        return exits.OK
    if not args.json:
        print_error(f"not within {args.timeout:g} s: {problem}")
    return exits.UNAVAILABLE if reading is None else exits.NEGATIVE


def wait(clock: "Clock", max_width_ns: int | None, deadline: float) -> tuple["Reading | None", str | None]:
    """Look until it is good enough or `deadline` (monotonic, s) has passed.

    Returns the last reading, None where there was no host; and what was wrong with it, None for nothing.
    """
    from chronotick.errors import ClockError

    said = ""
    try:
        while True:
            reading: Reading | None = None
            try:
                reading = clock.now(allow_unknown=True)
                problem = complaint(reading, max_width_ns)
            except ClockError as error:
                problem = str(error)
            left = deadline - time.monotonic()
            if problem is None or left <= 0:
                return reading, problem
            said = _say(problem, said)
            time.sleep(min(LOOK_S, left))
    finally:
        # Ctrl-C may have come in the middle of saying something: clear the line whatever was said.
        _say("", None)


def complaint(reading: "Reading", max_width_ns: int | None) -> str | None:
    """Why a reading is not good enough; None when it is."""
    if reading.status != "SYNCHRONISED":
        return f"the host's status is {reading.status}."
    width_ns = reading.latest_ns - reading.earliest_ns
    if max_width_ns is not None and width_ns > max_width_ns:
        return f"the hard interval is {duration(width_ns / 1e9)} wide, {duration(max_width_ns / 1e9)} is asked for."
    return None


def body(reading: "Reading | None", problem: str | None, max_width_ns: int | None, waited_s: float) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "reached": problem is None,
        "problem": problem,
        "max_width_ns": None if max_width_ns is None else str(max_width_ns),
        "waited_s": round(waited_s, 3),
        "reading": None if reading is None else document(reading),
    }


def _say(problem: str, said: str | None) -> str:
    """Progress on a terminal, on one line that is rewritten."""
    if problem != said and sys.stderr.isatty():
        # A line that is broken could not be rewritten; the terminal may add ^C to it.
        line = f"waiting: {problem}"[: shutil.get_terminal_size().columns - 3] if problem else ""
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    return problem
