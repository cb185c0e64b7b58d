"""`chronotick completion`: a script that teaches a shell the commands and options."""

import argparse

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "completion",
        "print a completion script for a shell",
        '  eval "$(chronotick completion bash)"\n  chronotick completion zsh > ~/.zfunc/_chronotick',
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import shtab

    from chronotick.cli.main import build_parser

    print(shtab.complete(build_parser(), args.shell))
    return exits.OK
