"""`chronotick replay`: an event log through the host's own code again, and what other settings would have answered."""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.durations import instant
from chronotick.cli.output import duration, print_json, progress_bar, rfc3339, table, wrap


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "replay",
        "replay an event log: every published snapshot again, to the bit, or as other settings would have had it",
        "  chronotick replay\n"
        "  chronotick replay ~/.local/state/chronotick/events --from 2h --json\n"
        "  chronotick replay --what-if fusion.enabled=false\n"
        "  chronotick replay --what-if clock.rate_bound_ppm=20 --from 2026-01-31T12:00:00Z --to 2026-01-31T13:00:00Z\n"
        "exit codes: 0 all snapshots are the same, 1 some differ or could not be replayed, 78 a key is wrong",
    )
    parser.add_argument(
        "log", nargs="?", type=Path, metavar="LOG", help="folder of segments, or one (default: this user's host's)"
    )
    parser.add_argument(
        "--what-if",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="also replay with another value of a configuration key, and compare (repeatable)",
    )
    parser.add_argument("--from", dest="since", type=instant, metavar="WHEN", help="10m ago, or an instant in RFC 3339")
    parser.add_argument("--to", dest="until", type=instant, metavar="WHEN", help="likewise")
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.config.load import changed
    from chronotick.store.compare import Tally
    from chronotick.store.replay import Replay

    place = args.log or log_folder(args.runtime_dir)
    since_ns, until_ns = utc_ns(args.since), utc_ns(args.until)
    change = partial(changed, overrides=args.what_if) if args.what_if else None
    replay = Replay(place, change=change, since_utc_ns=since_ns, until_utc_ns=until_ns)
    tally, begun_s = Tally(), time.perf_counter()
    with progress_bar() as bar:
        task = bar.add_task("replaying", total=replay.bytes_total)
        for moment in replay.moments():
            if since_ns is None or moment.utc_ns >= since_ns:
                tally.take(moment)
            bar.update(task, completed=replay.bytes_done)
    took_s = time.perf_counter() - begun_s
    body = {
        "log": str(place),
        "segments": replay.segments,
        "skipped": [{"segment": name, "why": why} for name, why in replay.skipped],
        "torn_bytes": replay.torn_bytes,
        **tally.document(),
        "took_s": took_s,
    }
    if args.what_if:
        body["what_if"] = {"keys": args.what_if, "begun_anew": sorted(replay.refreshed), **tally.what_if()}
    if args.json:
        print_json(body)
    else:
        print(text(body))
    return exits.OK if tally.compared and not tally.differing and not replay.skipped else exits.NEGATIVE


def log_folder(runtime_dir: str) -> Path:
    """Where the host that uses a runtime directory keeps its log, if it was told nothing else."""
    from chronotick.store import place
    from chronotick.wire import runtime_dir as directories

    path = directories.locate(runtime_dir)
    return place.locate(path, own_directory=bool(runtime_dir)) / place.LOG_FOLDER


def utc_ns(when: tuple[str, int] | None) -> int | None:
    """An instant from the command line; a duration is before the system clock's now."""
    if when is None:
        return None
    return when[1] if when[0] == "utc" else time.time_ns() - when[1]


def text(body: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{one['segment']} was not replayed: {one['why']}" for one in body["skipped"]]
    if body["torn_bytes"]:
        lines.append(f"{body['torn_bytes']} bytes at the ends of segments are half-written and were skipped.")
    if not body["compared"]:
        return "\n".join(map(wrap, [*lines, "No snapshot lies between these instants."]))
    pace = body["span_s"] / max(body["took_s"], 1e-9)
    lines += [
        f"{duration(body['span_s'])} in {body['segments']} segment{'s' * (body['segments'] != 1)} replayed in "
        f"{body['took_s']:.1f} s, "
        f"{pace:.0f} times as fast as they happened.",
        f"{body['compared']} snapshots compared, {body['differing']} differ.",
    ]
    for one in body["differences"]:
        apart = ", ".join(f"{name} {was} -> {now}" for name, (was, now) in one["fields"].items())
        lines.append(f"  {rfc3339(int(one['utc_ns']))}: {apart or 'in fields that the log does not hold'}")
    out = "\n".join(wrap(line, "    ") for line in lines)
    return f"{out}\n\n{_what_if(body['what_if'])}" if "what_if" in body else out


def _what_if(found: dict[str, Any]) -> str:
    head = f"What if {', '.join(found['keys'])}:"
    if not found["answers"]:
        return f"{head} there is no instant at which both know the time."
    apart = found["apart_us"]
    sides = [("as it was", found["log"]), ("changed", found["changed"])]
    lines = [
        f"{head} {found['answers']} answers differ by {duration(apart['median'] / 1e6)} (median), "
        f"{duration(apart['p95'] / 1e6)} (95 %), {duration(apart['max'] / 1e6)} (at most)."
    ]
    if found["begun_anew"]:
        lines.append(f"Begun anew for it, since it rests on what was changed: {', '.join(found['begun_anew'])}.")
    rows = [
        [name, duration(_s(side["half_width_95_us"])), duration(_s(side["hard_width_us"])), _shares(side)]
        for name, side in sides
    ]
    said = table(("", "half width 95 %", "hard width", "mean weights"), rows)
    counts = table(
        ("", *(names := sorted({*found["log"]["statuses"], *found["changed"]["statuses"]}))),
        [[name, *(str(side["statuses"].get(one, 0)) for one in names)] for name, side in sides],
    )
    return "\n".join([*(wrap(line) for line in lines), said, counts])


def _s(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6


def _shares(side: dict[str, Any]) -> str:
    return ", ".join(f"{name} {weight:.2f}" for name, weight in side["weights"].items())
