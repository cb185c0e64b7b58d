"""`chronotick now`: what time it is, and the intervals that hold it."""

import argparse
from typing import TYPE_CHECKING, Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.output import duration, paint, print_json, rfc3339, wrap

if TYPE_CHECKING:
    from chronotick.client import Reading

STYLES = {"SYNCHRONISED": "good", "HOLDOVER": "warn", "DISRUPTED": "warn", "UNKNOWN": "bad"}
INDENT = " " * 18


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "now",
        "print the time, and the intervals that hold it",
        "  chronotick now\n  chronotick now --json\n"
        "exit codes: 0 a time was given, 1 the host has none (UNKNOWN), 69 no host",
    )
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.client import Clock, Status

    with Clock(args.runtime_dir) as clock:
        reading = clock.now(allow_unknown=True)
    if args.json:
        print_json(document(reading))
    else:
        print(text(reading))
    return exits.NEGATIVE if reading.status is Status.UNKNOWN else exits.OK


def document(reading: "Reading") -> dict[str, Any]:
    """A reading as `--json` prints it: nanosecond counts as strings, because JSON numbers lose them."""
    if reading.status == "UNKNOWN":
        return {"status": "UNKNOWN", "utc": None, "utc_ns": None}
    low, high = reading.interval(0.95)
    return {
        "status": str(reading.status),
        "utc": rfc3339(reading.utc_ns),
        "utc_ns": str(reading.utc_ns),
        "earliest_ns": str(reading.earliest_ns),
        "latest_ns": str(reading.latest_ns),
        "interval_95_ns": [str(low), str(high)],
        "sigma_ns": str(reading.sigma_ns),
        "half_width_95_ns": str(reading.half_width_95_ns),
        "age_ns": str(reading.age_ns),
        "sigma_us": reading.sigma_ns / 1e3,
        "half_width_95_us": reading.half_width_95_ns / 1e3,
        "hard_width_us": (reading.latest_ns - reading.earliest_ns) / 1e3,
        "as_of": rfc3339(reading.as_of_ns),
        "age_s": reading.age_ns / 1e9,
        "source": list(reading.source),
        "epoch": reading.epoch,
        "host_instance": str(reading.host_instance),
    }


def text(reading: "Reading") -> str:
    """A reading for people."""
    status = paint(reading.status, STYLES[reading.status])
    if reading.status == "UNKNOWN":
        return wrap(f"{status}: the host has no time that it can stand for. See: chronotick status", "  ")
    early, late = reading.utc_ns - reading.earliest_ns, reading.latest_ns - reading.utc_ns
    return "\n".join(
        (
            wrap(f"{rfc3339(reading.utc_ns)}  {status}", "  "),
            f"  95 % interval   ± {duration(reading.half_width_95_ns / 1e9)}",
            wrap(f"  hard interval   - {duration(early / 1e9)}  + {duration(late / 1e9)}", INDENT),
            f"  last measured   {duration(reading.age_ns / 1e9)} ago",
            wrap(f"  source          {' + '.join(reading.source)}", INDENT),
        )
    )
