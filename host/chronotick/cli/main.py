"""The `chronotick` command: one module per verb, found here."""

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence

from chronotick.cli import (
    backtest,
    compare,
    completion,
    config,
    demo,
    doctor,
    exits,
    explain,
    history,
    keys,
    lab,
    mcp,
    models,
    now,
    ntp,
    plugins,
    replay,
    run,
    sources,
    stamp,
    status,
    test,
    train,
    verify,
    waitsync,
    watch,
)
from chronotick.cli.output import print_error, print_json
from chronotick.errors import ChronoTickError, ConfigError, HostAbsent, OutOfRange, SnapshotInvalid

COMMANDS = (
    demo, run, now, waitsync, status, sources, models, watch, history, explain,
    compare, stamp, verify, replay, backtest, train, doctor, ntp, mcp, keys, lab, plugins, config, test, completion,
)  # fmt: skip

# What the `host` and `cli` extras install; the client alone does without.
EXTRAS = frozenset({"msgspec", "ntplib", "numpy", "psutil", "yaml", "rich", "shtab"})


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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that can not show a character gets a question mark instead of a traceback.
            stream.reconfigure(errors="replace")
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
    except ChronoTickError as error:
        return fail(error, code_of(error), as_json=getattr(args, "json", False))
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in EXTRAS:
            raise
        lacking = ChronoTickError(
            f"This command needs {error.name}, which is not installed.", mend="Run: pip install 'chronotick[cli]'"
        )
        return fail(lacking, exits.UNAVAILABLE, as_json=getattr(args, "json", False))
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        print_error(f"this is a fault of ChronoTick's own ({versions()}). Please report it with the lines above.")
        return exits.INTERNAL
    return code


def code_of(error: ChronoTickError) -> int:
    """The exit code that says the same as an error."""
    if isinstance(error, ConfigError):
        return exits.CONFIG
    if isinstance(error, OutOfRange):
        return exits.USAGE
    # A snapshot that can not be used, and nobody who answers instead: there is no host for this user.
    return exits.UNAVAILABLE if isinstance(error, HostAbsent | SnapshotInvalid) else exits.NEGATIVE


def fail(error: ChronoTickError, code: int, *, as_json: bool) -> int:
    """Say what is wrong: always in a sentence on standard error, and as an object where JSON was asked for."""
    if as_json:
        mend = (error.mend or "").strip() or None
        print_json({"error": {"type": type(error).__name__, "message": error.message, "mend": mend}})
    print_error(str(error))
    return code


def versions() -> str:
    """One line with the versions that matter in a report of a fault."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    try:
        ours = version("chronotick")
    except PackageNotFoundError:
        # While an environment is being built anew; a report of a fault must not fail for it.
        ours = "of unknown version"
    system = f"{platform.system()} {platform.release()}"
    return f"chronotick {ours}, Python {platform.python_version()}, {system}"
