"""`chronotick compare`: which of two events came first, and how certain that is."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.output import duration, paint, print_json, rfc3339, wrap
from chronotick.cli.payload import PREFIX, text_of
from chronotick.errors import OutOfRange

if TYPE_CHECKING:
    from chronotick.client.compare import Comparison
    from chronotick.client.instant import Instant
    from chronotick.client.stamped import Stamped


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "compare",
        "say which of two events came first, and whether that is certain",
        "  chronotick compare a.stamp b.stamp\n"
        "  chronotick now --json > a.json; chronotick now --json > b.json; chronotick compare a.json b.json\n"
        "  chronotick compare here.stamp there.stamp --key-file here.key --key-file there.key\n"
        "Each is a token, a file that holds one or what `now --json` printed, or - for standard input.\n"
        "exit codes: 0 the order is certain, 1 it is ambiguous or a stamp is refused, 69 no host to verify a stamp",
    )
    parser.add_argument("a", metavar="A", help="one event")
    parser.add_argument("b", metavar="B", help="the other")
    parser.add_argument(
        "--key-file",
        action="append",
        default=[],
        metavar="FILE",
        help="host's stamp.key to verify tokens with (repeatable)",
    )
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.client.compare import Order, compare

    if args.a == args.b == "-":
        raise OutOfRange("Standard input can hold one of the two only.")
    a, b = (event(text_of(word), word, args) for word in (args.a, args.b))
    found = compare(a, b)
    if args.json:
        print_json(document(found, a, b))
    else:
        print(text(found, a, b))
    return exits.NEGATIVE if found.order is Order.AMBIGUOUS else exits.OK


def event(text: str, name: str, args: argparse.Namespace) -> "Instant":
    """The instant that a token or a reading stands for.

    Raises:
        OutOfRange: it is neither.
        TokenRefused: the token is not genuine.
        HostAbsent: no host answers, and no key was given.
    """
    from chronotick.client.instant import Instant

    if text.startswith(PREFIX):
        return _verified(text, args).instant
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if isinstance(values, dict):
        # What `stamp --json`, `verify --json` and `waitsync --json` print holds the reading one level down.
        values = values.get("instant") or values.get("reading") or values
    if not isinstance(values, dict):
        raise OutOfRange(
            f"{name[:80]} holds neither a token nor a reading.",
            mend="Give what `chronotick stamp` or `chronotick now --json` printed.",
        )
    if values.get("status") == "UNKNOWN":
        raise OutOfRange(f"{name[:80]} holds a reading with status UNKNOWN: it has no time to compare.")
    try:
        return Instant.from_dict(values)
    except OutOfRange as error:
        raise OutOfRange(f"{name[:80]}: {error.message}", mend=error.mend) from error


def document(found: "Comparison", a: "Instant", b: "Instant") -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "order": str(found.order),
        "probability_a_before_b": found.probability,
        "gap_ns": str(found.gap_ns),
        "a": {"utc": rfc3339(a.utc_ns)} | a.as_dict(),
        "b": {"utc": rfc3339(b.utc_ns)} | b.as_dict(),
    }


def text(found: "Comparison", a: "Instant", b: "Instant") -> str:
    """The order for people; its first word is the verdict."""
    later = "later" if found.gap_ns >= 0 else "earlier"
    gap = f"by the estimates B is {duration(abs(found.gap_ns) / 1e9)} {later}"
    if found.order == "AMBIGUOUS":
        said = f"A came first with probability {found.probability:.3f}; {gap}."
        return wrap(f"{paint('AMBIGUOUS', 'warn')}  {said}", "  ")
    word = "before" if found.order == "BEFORE" else "after"
    return wrap(f"{paint(found.order, 'good')}  A was {word} B, for certain; {gap}.", "  ")


def _verified(token: str, args: argparse.Namespace) -> "Stamped":
    from chronotick.cli.verify import verified
    from chronotick.wire.host_key import load
    from chronotick.wire.token import host_of, read

    if not args.key_file:
        return verified(token, args.runtime_dir, None)
    maker = read(token).host
    for key_file in args.key_file:
        if host_of(load(key_file)) == maker:
            return verified(token, args.runtime_dir, key_file)
    # The last one's refusal says whose token it is.
    return verified(token, args.runtime_dir, args.key_file[-1])
