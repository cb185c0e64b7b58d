"""`chronotick explain`: the chain from servers to published time, in sentences; now, or at an instant of the log."""

import argparse
from pathlib import Path
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.durations import instant
from chronotick.cli.output import print_json, rfc3339, wrap


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "explain",
        "why the time is, or was, what it is: the chain from servers to published time",
        "  chronotick explain\n"
        "  chronotick explain --json\n"
        "  chronotick explain --at 10m\n"
        "  chronotick explain --at 2026-01-31T12:00:00Z --log ~/.local/state/chronotick/events\n"
        "exit codes: 0 explained, 1 the event log does not reach there, 69 no host",
    )
    parser.add_argument(
        "--at", type=earlier, metavar="WHEN", help="explain an instant of the past: 10m ago, or one in RFC 3339"
    )
    parser.add_argument(
        "--log", type=Path, metavar="LOG", help="the event log for --at (default: this user's host's); needs no host"
    )
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def earlier(text: str) -> tuple[str, int]:
    """An instant, where `-10m` is `10m` too."""
    return instant(text.strip().removeprefix("-"))


def run(args: argparse.Namespace) -> int:
    from chronotick.cli import host

    if args.at is not None:
        body = at(args.at, args.log, args.runtime_dir)
    else:
        answer = host.ask(args.runtime_dir, "explain")
        body = {"sentences": list(answer["sentences"]), "facts": answer["facts"]}
    if args.json:
        print_json(body)
    else:
        print(text(body))
    return exits.OK


def at(when: tuple[str, int], log: Path | None, runtime_dir: str) -> dict[str, Any]:
    """What `explain` would have said at an instant: from the event log, replayed up to it.

    Raises:
        StoreError: the log does not reach there.
    """
    from chronotick.cli.replay import log_folder, utc_ns
    from chronotick.ntp.view import view
    from chronotick.ops import report
    from chronotick.store.replay import core_at

    wanted_ns = utc_ns(when)
    assert wanted_ns is not None
    moment = core_at(log or log_folder(runtime_dir), wanted_ns)
    core, raw_ns = moment.core, moment.logged.raw_ns
    table = core.pipeline.associations
    views = [view(one, table.config, raw_ns, table.rate_bound) for one in table.servers]
    age_s = (raw_ns - core.condition.fix_raw_ns) / 1e9
    said = report.sentence(core.status, core.selection, views, age_s)
    chain, facts = report.explanation(said, core.weights, report.forecasts_section(core.pipeline)["candidates"])
    return {"sentences": list(chain), "facts": facts, "at": rfc3339(moment.utc_ns)}


def text(body: dict[str, Any]) -> str:
    """Numbered sentences, then who has weight."""
    if not body["sentences"]:
        return "There is nothing to explain yet: the host has just started."
    lines = [f"At {body['at']}:"] if "at" in body else []
    lines += [wrap(f"{number:2}. {sentence}", "    ") for number, sentence in enumerate(body["sentences"], 1)]
    if weights := body["facts"].get("weights"):
        then = "then" if "at" in body else "now"
        lines.append(wrap(f"Weights {then}: " + ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())))
    return "\n".join(lines)
