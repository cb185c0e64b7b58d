"""`chronotick explain`: the chain from servers to published time, in sentences."""

import argparse
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.output import print_json, wrap


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "explain",
        "why the time is what it is: the chain from servers to published time",
        "  chronotick explain\n  chronotick explain --json\nexit codes: 0 explained, 69 no host",
    )
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.cli import host

    answer = host.ask(args.runtime_dir, "explain")
    body = {"sentences": list(answer["sentences"]), "facts": answer["facts"]}
    if args.json:
        print_json(body)
    else:
        print(text(body))
    return exits.OK


def text(body: dict[str, Any]) -> str:
    """Numbered sentences, then who has weight."""
    if not body["sentences"]:
        return "There is nothing to explain yet: the host has just started."
    lines = [wrap(f"{number:2}. {sentence}", "    ") for number, sentence in enumerate(body["sentences"], 1)]
    if weights := body["facts"].get("weights"):
        lines.append(wrap("Weights now: " + ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())))
    return "\n".join(lines)
