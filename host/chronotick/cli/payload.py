"""What is stamped, and the tokens that stamps are, as they are given on a command line."""

import argparse
import hashlib
import sys
from contextlib import nullcontext
from pathlib import Path

from chronotick.errors import OutOfRange

PREFIX = "ctk1."
CHUNK_BYTES = 1 << 20


def add_payload(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """A payload: a file, `-` for standard input, or a text."""
    one = parser.add_mutually_exclusive_group(required=required)
    one.add_argument("file", nargs="?", metavar="FILE", help="what is stamped; - for standard input")
    one.add_argument("--text", metavar="TEXT", help="this text, as UTF-8, instead of a file")


def digest(args: argparse.Namespace) -> str | None:
    """SHA-256 of the payload, hex; None where none was named. A file may be of any size.

    Raises:
        OutOfRange: the file can not be read.
    """
    if args.text is not None:
        return hashlib.sha256(args.text.encode()).hexdigest()
    if args.file is None:
        return None
    try:
        with nullcontext(sys.stdin.buffer) if args.file == "-" else Path(args.file).open("rb") as file:
            hashed = hashlib.sha256()
            while chunk := file.read(CHUNK_BYTES):
                hashed.update(chunk)
            return hashed.hexdigest()
    except OSError as error:
        raise OutOfRange(f"{args.file} can not be read: {error.strerror}.") from error


def text_of(word: str) -> str:
    """A word of the command line, or what is in the file that it names; `-` for standard input.

    Raises:
        OutOfRange: the file can not be read.
    """
    if word.startswith(PREFIX):
        return word
    try:
        return (sys.stdin.read() if word == "-" else Path(word).read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise OutOfRange(
            f"{word[:80]} can not be read: {why}.", mend="Name a file, a token that begins with ctk1., or -."
        ) from error
