"""`chronotick keys`: CURVE keys, so that programs on other machines may ask this host for the time."""

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json
from chronotick.cli.output import paint, print_json, table, wrap
from chronotick.errors import OutOfRange, RuntimeDirError

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "host"
CLIENTS = "clients"
PORT = 7123
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


class Found(NamedTuple):
    """A key in the directory of keys.

    Attributes:
        kind: "pair" of this machine, or "allowed" client of its host.
        public_key: Z85; "" where it can not be read.
        problem: what is wrong with it, and what mends it.
    """

    name: str
    kind: str
    public_key: str
    public_file: Path | None
    secret_file: Path | None
    problem: str | None


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "keys",
        "CURVE keys, so that programs on other machines may ask this host for the time",
        "  chronotick keys make-host                # on the host's machine\n"
        "  chronotick keys make-client laptop       # on the client's machine; copy laptop.key to the host's\n"
        "  chronotick keys allow laptop.key         # on the host's machine; then start the host anew\n"
        "  chronotick keys list",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    made = "exit codes: 0 made, 1 it exists already or can not be written"
    one = add_command(
        verbs,
        "make-host",
        "make the host's pair of keys, and show what to configure",
        f"  chronotick keys make-host\n  chronotick keys make-host --dir /etc/chronotick\n{made}",
    )
    one.set_defaults(run=run_make_host)
    two = add_command(
        verbs,
        "make-client",
        "make a client's pair of keys, and show how to use it",
        f"  chronotick keys make-client laptop\n  chronotick keys make-client agent-7 --dir ./keys --json\n"
        f"{made}, 2 no name",
    )
    two.add_argument("name", metavar="NAME", help="names the files and the client in lists")
    two.set_defaults(run=run_make_client)
    three = add_command(
        verbs,
        "allow",
        "let clients ask this host, by their public keys",
        "  chronotick keys allow laptop.key agent-7.key\n"
        "A host reads them when it starts.\n"
        "exit codes: 0 they are allowed, 1 a file is no public key, or its name is another key's",
    )
    three.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a client's NAME.key")
    three.set_defaults(run=run_allow)
    four = add_command(
        verbs,
        "list",
        "the keys that are here, and what is wrong with them",
        "  chronotick keys list\n  chronotick keys list --dir /etc/chronotick --json\n"
        "exit codes: 0 nothing is wrong, 1 something is",
    )
    four.set_defaults(run=run_list)
    for verb in (one, two, three, four):
        verb.add_argument(
            "--dir", type=Path, metavar="DIR", help="where the keys are (default: ~/.config/chronotick/keys)"
        )
        add_json(verb)


def run_make_host(args: argparse.Namespace) -> int:
    from chronotick.wire.keys import create_pair, load_public

    directory = _directory(args.dir)
    public, secret = create_pair(directory, HOST)
    clients = directory / CLIENTS
    clients.mkdir(mode=0o700, exist_ok=True)
    if args.json:
        print_json(
            {
                "name": HOST,
                "public_key": load_public(public).decode(),
                "public_file": str(public),
                "secret_file": str(secret),
                "allowed_keys_dir": str(clients),
            }
        )
        return exits.OK
    print(
        f"The host's secret key, which stays here: {paint(str(secret), 'bold')}\n"
        f"Its public key, to be copied to each client: {paint(str(public), 'bold')}\n\n"
        "In the host's configuration, with this machine's address:\n\n"
        f"    serve:\n      endpoint: tcp://ADDRESS:{PORT}\n"
        f"      secret_key_file: {secret}\n      allowed_keys_dir: {clients}\n"
    )
    allow = f"chronotick keys allow NAME.key{f' --dir {directory}' if args.dir else ''}"
    print(wrap(f"Let clients in, then start the host: {allow}; chronotick run --config FILE"))
    return exits.OK


def run_make_client(args: argparse.Namespace) -> int:
    from chronotick.wire.keys import create_pair, load_public

    if not _NAME.fullmatch(args.name) or args.name == HOST:
        raise OutOfRange(
            f"{args.name[:80]!r} is no name for a client: letters, digits, dot, dash and underscore, and not {HOST}."
        )
    public, secret = create_pair(_directory(args.dir), args.name)
    if args.json:
        print_json(
            {
                "name": args.name,
                "public_key": load_public(public).decode(),
                "public_file": str(public),
                "secret_file": str(secret),
            }
        )
        return exits.OK
    print(
        f"The client's secret key, which stays here: {paint(str(secret), 'bold')}\n"
        f"Its public key, to be copied to the host's machine: {paint(str(public), 'bold')}\n\n"
        f"On the host's machine, once it is there: chronotick keys allow {public.name}\n"
        f"Copy its {HOST}.key here, and in the program:\n\n"
        f'    Clock(\n        endpoint="tcp://ADDRESS:{PORT}",\n'
        f'        keys=("{secret}", "{secret.with_name(f"{HOST}.key")}"),\n    )'
    )
    return exits.OK


def run_allow(args: argparse.Namespace) -> int:
    from chronotick.wire.keys import holds_secret, load_public, write_public

    clients = _directory(args.dir) / CLIENTS
    keys: dict[Path, str] = {}
    for file in args.files:
        if holds_secret(file):
            raise RuntimeDirError(
                f"{file} is a secret key, which must not leave its own machine.",
                mend="Allow the file that ends in .key; if this one was copied about, make another pair.",
            )
        path = clients / f"{file.name.removesuffix('.key')}.key"
        keys[path] = load_public(file).decode()
        if path.exists() and load_public(path).decode() != keys[path]:
            raise RuntimeDirError(
                f"{path} is another client's key, and is kept.", mend="Choose another name, or remove it first."
            )
    rows: list[dict[str, str | bool]] = []
    for path, key in keys.items():
        added = not path.exists()
        if added:
            write_public(path, key)
        rows.append({"name": path.stem, "public_key": key, "file": str(path), "added": added})
    if args.json:
        print_json({"allowed": rows})
        return exits.OK
    for row in rows:
        print(f"{row['name']}: {'allowed' if row['added'] else 'was allowed already'}, {row['file']}")
    print("A host that runs takes them when it is started anew.")
    return exits.OK


def run_list(args: argparse.Namespace) -> int:
    directory = _directory(args.dir)
    keys = list(found(directory))
    if args.json:
        print_json({"directory": str(directory), "keys": [_document(key) for key in keys]})
    elif not keys:
        make = "chronotick keys make-host, or chronotick keys make-client NAME"
        print(wrap(f"There are no keys in {directory}. Make some: {make}"))
    else:
        print(f"in {directory}")
        rows = [(key.name, key.kind, _secret(key), key.public_key or "-") for key in keys]
        print(table(("key", "kind", "secret", "public key"), rows, drop=("kind",)))
        for key in keys:
            if key.problem:
                print(wrap(f"{paint('problem', 'bad')}: {key.problem}", "  "))
    return exits.NEGATIVE if any(key.problem for key in keys) else exits.OK


def found(directory: Path) -> "Iterator[Found]":
    """The keys in a directory: pairs (or halves of them) by name, then the clients that are allowed."""
    from chronotick.wire.keys import holds_secret, load_public, problem_of

    files = [path for path in directory.glob("*.key*") if path.suffix in (".key", ".key_secret")]
    for name in sorted({path.stem for path in files}):
        public, secret = directory / f"{name}.key", directory / f"{name}.key_secret"
        given = public if public.exists() else None, secret if secret.exists() else None
        problem = problem_of(secret) if given[1] else None
        key = ""
        try:
            key = load_public(public if given[0] else secret).decode()
            if given[0] and given[1] and problem is None and load_public(secret).decode() != key:
                problem = f"{public} is not the public half of {secret}. Make another pair."
        except RuntimeDirError as error:
            problem = problem or str(error)
        yield Found(name, "pair" if given[1] else "public", key, *given, problem)
    for path in sorted((directory / CLIENTS).glob("*.key")):
        key, problem = "", None
        try:
            key = load_public(path).decode()
            if holds_secret(path):
                problem = f"{path} holds a secret key. Put the client's public key there, and make it another pair."
        except RuntimeDirError as error:
            problem = str(error)
        yield Found(path.stem, "allowed", key, path, None, problem)


def _document(key: Found) -> dict[str, object]:
    return key._asdict() | {
        "public_file": None if key.public_file is None else str(key.public_file),
        "secret_file": None if key.secret_file is None else str(key.secret_file),
    }


def _secret(key: Found) -> str:
    if key.secret_file is None:
        return "-"
    return paint("here", "good") if key.problem is None else paint("here", "bad")


def _directory(given: Path | None) -> Path:
    if given is not None:
        return given.absolute()
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "chronotick" / "keys"
