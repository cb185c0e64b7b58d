"""`chronotick demo`: the real host on simulated servers, beside the truth."""

import argparse
import asyncio
import sys
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json
from chronotick.cli.output import print_error, print_json

MODELS = ("chronos", "timesfm", "ttm", "toto", "time_moe")


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "demo",
        "run the real host against simulated servers, and compare it with the truth",
        "  chronotick demo\n  chronotick demo --seconds 60 --json > result.json\n  chronotick demo --models none",
    )
    parser.add_argument("--seconds", type=_seconds, default=90.0, metavar="N", help="how long, 10 to 3600 (default 90)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="of the oscillator and the network")
    parser.add_argument(
        "--models",
        default="chronos",
        metavar="NAME,...",
        help="models to ask, `all`, or `none` for the Kalman floor alone (default chronos)",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.cli.plugins import sync_plugins
    from chronotick.lab.demo.run import demonstrate
    from chronotick.lab.demo.summary import text

    models = _models(args.models)
    missing = [name for name in models if not _healthy(name)]
    if missing:
        print("Building the models' environments (once; torch is large).", file=sys.stderr)
        if sync_plugins(missing, as_json=False) != exits.OK:
            print_error("going on without what could not be built; the floor does not need it.")
    result: dict[str, Any] = asyncio.run(
        demonstrate(args.seconds, models, seed=args.seed, live=sys.stderr.isatty() and not args.json)
    )
    if args.json:
        print_json(result)
    else:
        print(text(result))
    return exits.OK if result["truth"]["samples"] else exits.NEGATIVE


def _healthy(name: str) -> bool:
    from chronotick.plugins.discovery import discover
    from chronotick.plugins.environment import check_environment, sdk_version

    return check_environment(discover().find(name), sdk_version()) is None


def _models(given: str) -> tuple[str, ...]:
    if given == "none":
        return ()
    return MODELS if given == "all" else tuple(dict.fromkeys(name for name in given.split(",") if name))


def _seconds(text: str) -> float:
    value = float(text)
    if not 10 <= value <= 3600:
        raise argparse.ArgumentTypeError("10 to 3600 s are possible")
    return value
