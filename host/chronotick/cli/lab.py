"""`chronotick lab serve`: the simulated NTP servers alone."""

import argparse
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json
from chronotick.cli.output import print_json, table

if TYPE_CHECKING:
    from chronotick.lab.lab import Ready


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "lab",
        "simulated NTP servers whose true time is known",
        "  chronotick lab serve --scenario thermal --port 11123\n  chronotick lab show demo",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    serve = add_command(
        verbs,
        "serve",
        "serve a scenario on loopback until Ctrl-C",
        "  chronotick lab serve\n"
        "  chronotick lab serve --scenario configs/lab/thermal.yaml --truth-log truth.csv --seconds 600\n"
        "  chronotick lab serve --servers 5 --falsetickers 2 --port 11123 --seed 7",
    )
    serve.add_argument("--scenario", default="lan", metavar="NAME|FILE", help="preset or YAML file (default lan)")
    serve.add_argument("--servers", type=int, metavar="N", help="how many in all")
    serve.add_argument("--falsetickers", type=int, metavar="N", help="how many of them lie")
    serve.add_argument(
        "--port", type=int, metavar="P", help="same port on each server's own address (default: free ones)"
    )
    serve.add_argument("--seed", type=int, metavar="N", help="of everything random")
    serve.add_argument("--seconds", type=float, metavar="S", help="stop after this long")
    serve.add_argument("--truth-log", type=Path, metavar="FILE", help="write true time as CSV")
    serve.add_argument("--log-interval", type=float, default=1.0, metavar="S", help="between its lines (default 1)")
    add_json(serve)
    serve.set_defaults(run=run)
    show = add_command(
        verbs, "show", "print a scenario as YAML, to start one's own from", "  chronotick lab show thermal > my.yaml"
    )
    show.add_argument("scenario", metavar="NAME|FILE", help="preset or YAML file")
    show.set_defaults(run=run_show)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from chronotick.lab.load import load
    from chronotick.lab.presets import adapted

    scenario = adapted(
        load(args.scenario), servers=args.servers, falsetickers=args.falsetickers, port=args.port, seed=args.seed
    )

    async def main() -> None:
        import msgspec

        from chronotick.lab.serve import serve

        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        served = await serve(
            scenario,
            on_ready=lambda ready: announce(ready, args.json),
            stop=stop,
            seconds=args.seconds,
            truth_log=args.truth_log,
            log_interval_s=args.log_interval,
        )
        if args.json:
            print_json(msgspec.to_builtins(served))
        else:
            print(f"{sum(served.replies.values())} of {sum(served.requests.values())} requests answered.")

    asyncio.run(main())
    return exits.OK


def run_show(args: argparse.Namespace) -> int:
    from chronotick.lab.load import dump, load

    print(dump(load(args.scenario)), end="")
    return exits.OK


def announce(ready: "Ready", as_json: bool) -> None:
    """Say where the servers are."""
    import msgspec

    if as_json:
        print_json(msgspec.to_builtins(ready))
        return
    rows = [
        (place, server.name, str(server.stratum), "falseticker" if place in ready.falsetickers else "honest")
        for place, server in zip(ready.servers, ready.scenario.servers, strict=True)
    ]
    print(f"Scenario {ready.scenario.name}, seed {ready.scenario.seed}. Ctrl-C stops.\n")
    print(table(("address", "name", "stratum", "clock"), rows))
    print(f"\nTry: chronotick ntp query {' '.join(ready.servers)}", flush=True)
