"""`chronotick test`: the suite, as the gate runs it."""

import argparse
import os
import subprocess
import sys

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command
from chronotick.cli.output import print_error

# Told to the tests: an environment that is not there is a failure, not a reason to skip.
ALL_MODELS = "CHRONOTICK_TEST_ALL_MODELS"


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "test",
        "install what the tests need, then run them (from a checkout)",
        "  ./chronotick test\n  ./chronotick test -- -k ntp -x\n"
        "  ./chronotick test --no-models\n  ./chronotick test --all-models\n"
        "Without a flag the environment of chronos is built; tests of other plugins run where their environments are\n"
        "sound, and say so where they are not.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--no-models", action="store_true", help="leave out what needs a plugin's environment")
    which.add_argument(
        "--all-models",
        action="store_true",
        help="build all environments; no plugin's tests may be skipped for want of one",
    )
    parser.add_argument("pytest", nargs="*", metavar="ARG", help="handed to pytest (after --)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.plugins.discovery import project_root

    root = project_root()
    if root is None or not (root / "tests").is_dir():
        print_error("there are no tests here: `test` works in a checkout of the project.")
        return exits.UNAVAILABLE
    extra = list(args.pytest)
    if args.no_models:
        extra += ["-m", "not model"]
    else:
        from chronotick.cli.plugins import sync_plugins

        failed = sync_plugins([] if args.all_models else ["chronos"], as_json=False)
        if failed:
            return failed
    environ = dict(os.environ) | ({ALL_MODELS: "1"} if args.all_models else {})
    return subprocess.run([sys.executable, "-m", "pytest", *extra], cwd=root, env=environ, check=False).returncode
