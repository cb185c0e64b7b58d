"""`chronotick demo`: the real host on simulated servers, beside the truth."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json
from chronotick.cli.output import print_error, print_json
from chronotick.errors import PluginError

if TYPE_CHECKING:
    from chronotick.lab.demo.setting import Weights

MODELS = ("chronos", "timesfm", "ttm", "toto", "time_moe")


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "demo",
        "run the real host against simulated servers, and compare it with the truth",
        "  chronotick demo\n  chronotick demo --seconds 60 --json > result.json\n  chronotick demo --models none\n"
        "  chronotick demo --models all\n"
        "  chronotick demo --models ttm --weights ttm=/models/ttm-r2",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=None,
        metavar="N",
        help="how long, 10 to 3600 (default 90, and 30 more for each model after the first)",
    )
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="of the oscillator and the network")
    parser.add_argument(
        "--models",
        default="chronos",
        metavar="NAME,...",
        help="models to ask, `all`, or `none` for the floor and the local candidates (default chronos)",
    )
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="weights for a model; without it, and where published ones are not on this machine, random ones are made",
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
    weights = _weights(models, dict(_named(one) for one in args.weights))
    seconds = args.seconds or 90.0 + 30.0 * max(0, len(models) - 1)
    live = sys.stderr.isatty() and not args.json
    result: dict[str, Any] = asyncio.run(demonstrate(seconds, models, seed=args.seed, live=live, weights=weights))
    if args.json:
        print_json(result)
    else:
        print(text(result))
    return exits.OK if result["truth"]["samples"] else exits.NEGATIVE


def _healthy(name: str) -> bool:
    from chronotick.plugins.discovery import discover
    from chronotick.plugins.environment import check_environment, sdk_version

    return check_environment(discover().find(name), sdk_version()) is None


def _weights(models: Sequence[str], given: dict[str, str]) -> "dict[str, Weights]":
    """For each model the folder that was named, nothing where its own weights are here, else a stand-in."""
    from chronotick.lab.demo.setting import Weights
    from chronotick.plugins.discovery import discover
    from chronotick.plugins.pull import pull
    from chronotick.plugins.stand_in import NOTE, SHAPES, kept_stand_in, make_stand_in

    found, weights = discover(), {}
    for name in models:
        if name in given:
            weights[name] = Weights(str(Path(given[name]).expanduser().absolute()))
            continue
        if name not in SHAPES:
            continue
        manifest, shape = found.find(name), SHAPES[name]
        try:
            pull(manifest, {}, offline=True)
        except PluginError:
            try:
                folder = make_stand_in(manifest, kept_stand_in(manifest))
            except PluginError as error:
                print_error(f"{name}: {error}")
                continue
            print(f"{name}: its weights are not on this machine; {NOTE}.", file=sys.stderr)
            weights[name] = Weights(str(folder), True, shape.context, shape.horizon, shape.params)
    return weights


def _named(text: str) -> tuple[str, str]:
    name, _, folder = text.partition("=")
    if not name or not folder:
        raise PluginError(f"--weights {text!r} is no NAME=FOLDER.", mend="Write, e.g., --weights ttm=/models/ttm-r2.")
    return name, folder


def _models(given: str) -> tuple[str, ...]:
    if given == "none":
        return ()
    return MODELS if given == "all" else tuple(dict.fromkeys(name for name in given.split(",") if name))


def _seconds(text: str) -> float:
    value = float(text)
    if not 10 <= value <= 3600:
        raise argparse.ArgumentTypeError("10 to 3600 s are possible")
    return value
