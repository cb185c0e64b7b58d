"""`chronotick mcp`: the time as tools and resources for agents, over the Model Context Protocol."""

import argparse
import sys

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_runtime_dir
from chronotick.cli.output import print_error


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "mcp",
        "serve agents over the Model Context Protocol",
        "  chronotick mcp                         for an agent that starts it: stdin and stdout\n"
        "  chronotick mcp --http                  for several agents: http://127.0.0.1:3000/mcp\n"
        "  chronotick mcp --http --host 0.0.0.0 --allow-host box.lan\n"
        "register it, e.g.: claude mcp add chronotick -- chronotick mcp\n"
        "exit codes: 0 the client has hung up, 2 usage, 69 the `mcp` package is missing,\n"
        "  78 an open port without --allow-host",
    )
    parser.add_argument("--http", action="store_true", help="streamable HTTP instead of stdin and stdout")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="bind here (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=3000, metavar="N", help="TCP port (default: 3000)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME[:PORT]",
        help="also answer requests that call this machine so (repeatable; needed to bind to other than loopback)",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="what is told on standard error (default: warning)",
    )
    add_runtime_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        from chronotick.mcp.run import run as serve
    except ModuleNotFoundError as error:
        print_error(f"the adapter needs the package {error.name}. Install it: pip install 'chronotick[mcp]'.")
        return exits.UNAVAILABLE
    if not args.http and sys.stdin.isatty():
        print_error(
            "waiting for an MCP client on standard input; agents start this command themselves. Ctrl-C ends it."
        )
    serve(
        args.runtime_dir,
        http=args.http,
        host=args.host,
        port=args.port,
        allowed=args.allow_host,
        log_level=args.log_level,
    )
    return exits.OK
