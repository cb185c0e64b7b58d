"""`chronotick run`: the host."""

import argparse
import sys

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_config


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "run",
        "run the host: measure, estimate, publish, until SIGTERM or Ctrl-C",
        "  chronotick run\n"
        "  chronotick run --config configs/lan.yaml --log-level debug\n"
        "  chronotick run --set 'ntp.servers=[192.0.2.1, 192.0.2.2, 192.0.2.3]'",
    )
    add_config(parser)
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="of standard error")
    parser.add_argument("--debug-trace", action="store_true", help="log NTP quality, model input and output, weights")
    parser.add_argument("--debug-log-file", metavar="FILE", help="also log to this file (bounded)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import asyncio
    import logging

    from chronotick.app import App
    from chronotick.config.load import load
    from chronotick.ops import logs
    from chronotick.wire import runtime_dir

    overrides = list(args.set)
    if args.log_level:
        overrides.append(f"log.level={args.log_level}")
    if args.debug_trace:
        overrides.append("log.debug_trace=true")
    if args.debug_log_file:
        overrides.append(f"log.file={args.debug_log_file}")
    loaded = load(args.config, overrides)
    logs.set_up(loaded.config.log)
    for note in loaded.notes:
        logging.getLogger("chronotick.config").warning(note)
    directory = runtime_dir.create(loaded.config.publish.runtime_dir)
    if sys.stderr.isatty():
        print(
            "chronotick: running; ask it with `chronotick now` and `chronotick status`. Ctrl-C stops.", file=sys.stderr
        )
    asyncio.run(App(loaded.config, directory).run())
    return exits.OK
