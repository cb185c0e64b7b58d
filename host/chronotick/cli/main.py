"""The `chronotick` command: one module per verb, found here."""

import argparse
import os
import sys
from collections.abc import Sequence

from chronotick.cli import completion, config, demo, exits, lab, mcp, now, ntp, plugins, run, status, test
from chronotick.cli.output import print_error
from chronotick.errors import ChronoTickError, ConfigError, HostAbsent

COMMANDS = (demo, run, now, status, ntp, mcp, lab, plugins, config, test, completion)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="chronotick",
        description="A clock for distributed agents: now, with an interval that holds true time.",
        epilog="exit codes: 0 yes, 1 no, 2 usage, 69 host not reachable, 70 internal, 78 configuration, 130 Ctrl-C",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print versions and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (`chronotick.cli.exits`)."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.version:
        print(versions())
        return exits.OK
    if args.command is None:
        parser.print_help()
        return exits.USAGE
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has left, as `head` does; Python must not complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    except ConfigError as error:
        print_error(str(error))
        return exits.CONFIG
    except HostAbsent as error:
        print_error(str(error))
        return exits.UNAVAILABLE
    except ChronoTickError as error:
        print_error(str(error))
        return exits.NEGATIVE
    return code


def versions() -> str:
    """One line with the versions that matter in a report of a fault."""
    import platform
    from importlib.metadata import version

    system = f"{platform.system()} {platform.release()}"
    return f"chronotick {version('chronotick')}, Python {platform.python_version()}, {system}"
