"""`chronotick stamp`: a token, signed by the host, that something existed now."""

import argparse
from typing import TYPE_CHECKING, Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.output import print_json, rfc3339
from chronotick.cli.payload import add_payload, digest

if TYPE_CHECKING:
    from chronotick.client.stamped import Stamped


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "stamp",
        "have the host sign what time it is now, together with a hash of something",
        "  chronotick stamp report.pdf > report.stamp\n"
        "  git rev-parse HEAD | chronotick stamp -\n"
        "  chronotick stamp --text 'lease 7 taken' --json\n"
        "The token alone goes to standard output; only a hash of the payload goes to the host.\n"
        "exit codes: 0 stamped, 1 the host has no time, 69 no host",
    )
    add_payload(parser, required=True)
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.cli import host
    from chronotick.client.stamped import stamped
    from chronotick.wire.token import read

    token = str(host.ask(args.runtime_dir, "stamp", payload_sha256=digest(args))["token"])
    if args.json:
        # Fresh from the host, so what it claims needs no verifying.
        print_json(document(stamped(read(token), token)))
    else:
        print(token)
    return exits.OK


def document(made: "Stamped") -> dict[str, Any]:
    """A stamp as `--json` prints it."""
    return {
        "token": made.token,
        "host": made.host,
        "payload_sha256": made.payload_sha256,
        "instant": {"utc": rfc3339(made.instant.utc_ns)} | made.instant.as_dict(),
    }
