"""Arguments that several commands share, so that they read and behave the same everywhere."""

import argparse
from pathlib import Path
from typing import Any

Commands = Any
"""What `ArgumentParser.add_subparsers` returns; its type is private to argparse."""

# A parser takes arguments, and so does a group of options that exclude each other; argparse has no public name for it.
Group = Any


def add_command(
    commands: Commands, name: str, summary: str, examples: str, aliases: tuple[str, ...] = ()
) -> argparse.ArgumentParser:
    """A subcommand with a one-line summary and examples under its help."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        aliases=aliases,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="examples:\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_json(parser: "argparse.ArgumentParser | Group") -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_runtime_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime-dir",
        metavar="DIR",
        default="",
        help="where the host's sockets and snapshot are (default: the usual place)",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (default: built-in)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key, e.g. --set ntp.min_poll_s=16 (repeatable)",
    )
