"""`chronotick verify`: what a stamp says, if the host really made it."""

import argparse
import hmac
from typing import TYPE_CHECKING

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.now import INDENT
from chronotick.cli.output import duration, paint, print_json, rfc3339, wrap
from chronotick.cli.payload import add_payload, digest, text_of
from chronotick.cli.stamp import document
from chronotick.errors import TokenRefused

if TYPE_CHECKING:
    from chronotick.client.stamped import Stamped


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "verify",
        "say what a stamp holds, unless it was invented, altered or made for something else",
        "  chronotick verify report.stamp report.pdf\n"
        "  chronotick verify ctk1.AbC... --text 'lease 7 taken'\n"
        "  chronotick verify report.stamp --key-file stamp.key --json\n"
        "exit codes: 0 genuine, 1 refused, 69 no host (a copy of its key file does without)",
    )
    parser.add_argument("token", metavar="TOKEN", help="a token, a file that holds one, or - for standard input")
    add_payload(parser, required=False)
    parser.add_argument("--key-file", metavar="FILE", help="copy of the host's stamp.key: verify without the host")
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    made = verified(text_of(args.token), args.runtime_dir, args.key_file)
    hashed = digest(args)
    if hashed is not None and not hmac.compare_digest(hashed, made.payload_sha256):
        raise TokenRefused("The stamp was made for another payload.")
    if args.json:
        print_json({"verified": True, "payload_checked": hashed is not None} | document(made))
    else:
        print(text(made, payload_checked=hashed is not None))
    return exits.OK


def verified(token: str, runtime_dir: str, key_file: str | None) -> "Stamped":
    """What a token says, confirmed by the host or by its key.

    Raises:
        TokenRefused: invented, altered, or made by another host.
        HostAbsent: no host answers, and there is no key.
    """
    if key_file is not None:
        from chronotick.client.stamped import verify_offline

        return verify_offline(token, key_file)
    from chronotick.client import Clock

    with Clock(runtime_dir) as clock:
        return clock.verify(token)


def text(made: "Stamped", *, payload_checked: bool) -> str:
    """A stamp for people."""
    instant = made.instant
    early, late = instant.utc_ns - instant.earliest_ns, instant.latest_ns - instant.utc_ns
    payload = "as given" if payload_checked else "not checked: no payload was given"
    return "\n".join(
        (
            wrap(f"{rfc3339(instant.utc_ns)}  {paint('genuine', 'good')}", "  "),
            wrap(f"  95 % interval   ± {duration(instant.half_width_95_ns / 1e9)}", INDENT),
            wrap(f"  hard interval   - {duration(early / 1e9)}  + {duration(late / 1e9)}", INDENT),
            f"  status then     {instant.status}",
            wrap(f"  payload         {payload}", INDENT),
            wrap(f"  SHA-256         {made.payload_sha256}", INDENT),
            wrap(f"  host            {made.host}", INDENT),
        )
    )
