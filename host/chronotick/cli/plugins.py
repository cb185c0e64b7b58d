"""`chronotick plugins`: what models there are, whether their environments are sound, and how to build them."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json
from chronotick.cli.output import paint, print_error, print_json, table


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "plugins",
        "model plugins and their environments",
        "  chronotick plugins list\n  chronotick plugins sync chronos\n  chronotick plugins check chronos",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    listing = add_command(
        verbs, "list", "plugins found, with the state of their environments", "  chronotick plugins list --json"
    )
    add_json(listing)
    listing.set_defaults(run=run_list)

    sync = add_command(
        verbs,
        "sync",
        "build the environments of plugins from their locks",
        "  chronotick plugins sync chronos\n  chronotick plugins sync --all --torch cpu",
    )
    sync.add_argument("name", nargs="*", metavar="NAME", help="plugins to build")
    sync.add_argument("--all", action="store_true", help="build all that are found")
    sync.add_argument(
        "--torch",
        choices=("auto", "cpu", "cuda", "wheel"),
        default="auto",
        help="where torch comes from (default auto)",
    )
    sync.add_argument("--force", action="store_true", help="build sound environments anew, too")
    add_json(sync)
    sync.set_defaults(run=run_sync)

    check = add_command(
        verbs,
        "check",
        "run a plugin and hold it to the protocol (the conformance kit)",
        "  chronotick plugins check chronos\n  chronotick plugins check chronos --quick --json",
    )
    check.add_argument(
        "name", nargs="*", metavar="NAME", help="plugins to check (default: all whose environment is sound)"
    )
    check.add_argument("--quick", action="store_true", help="leave out the long checks")
    add_json(check)
    check.set_defaults(run=run_check)


def run_list(args: argparse.Namespace) -> int:
    from chronotick.plugins.discovery import discover

    found = discover()
    rows = [describe(manifest) for manifest in found.manifests]
    if args.json:
        print_json({"plugins": rows, "problems": found.problems, "searched": [str(path) for path in found.searched]})
        return exits.OK
    if rows:
        head = ("plugin", "environment", "torch", "python", "weights", "licence")
        print(
            table(
                head,
                [
                    (
                        row["name"],
                        paint("sound", "good") if row["healthy"] else paint("not usable", "warn"),
                        row["torch"] or "-",
                        row["python"] or "-",
                        row["weights"],
                        row["licence"],
                    )
                    for row in rows
                ],
            )
        )
    else:
        print("No plugins were found.")
    for line in [row["problem"] for row in rows if row["problem"]] + list(found.problems):
        print(f"  {line}")
    return exits.OK


def describe(manifest: Any) -> dict[str, Any]:
    """One plugin for `list`: what its manifest says and what its environment is."""
    from chronotick.plugins.environment import check_environment, marker_path, read_marker, sdk_version

    problem = check_environment(manifest, sdk_version())
    marker = read_marker(marker_path(manifest))
    weights = manifest.weights
    return {
        "name": manifest.name,
        "version": manifest.version,
        "healthy": problem is None,
        "problem": None if problem is None else str(problem),
        "python": marker.python if marker else "",
        "torch": marker.torch if marker else "",
        "weights": weights.path or f"{weights.repo}@{weights.revision[:8]}",
        "licence": manifest.licence,
        "folder": str(manifest.folder),
    }


def run_sync(args: argparse.Namespace) -> int:
    if not args.name and not args.all:
        print_error("name the plugins to build, or say --all. `chronotick plugins list` shows them.")
        return exits.USAGE
    return sync_plugins([] if args.all else args.name, as_json=args.json, torch=args.torch, force=args.force)


def sync_plugins(names: Sequence[str], *, as_json: bool, torch: str = "auto", force: bool = False) -> int:
    """Build, with progress on standard error; returns the exit code."""
    import msgspec

    from chronotick.plugins.sync import Progress, sync

    live = sys.stderr.isatty()
    said = ""

    def show(progress: Progress) -> None:
        nonlocal said
        line = (
            f"{progress.plugin}: {progress.step}: {progress.detail}"
            if progress.detail
            else f"{progress.plugin}: {progress.step}"
        )
        if live:
            meter = f" [{progress.elapsed_s:.0f} s, {progress.disk_bytes / 1e6:.0f} MB]"
            print(f"\r\x1b[K{line[:100]}{meter}", end="", file=sys.stderr, flush=True)
        elif (step := f"{progress.plugin}: {progress.step}") != said:
            said = step
            print(f"{line[:160]}", file=sys.stderr, flush=True)

    results = sync(names, torch=None if torch == "auto" else torch, progress=show, force=force)  # type: ignore[arg-type]
    if live:
        print("\r\x1b[K", end="", file=sys.stderr)
    if as_json:
        print_json({"plugins": [msgspec.to_builtins(result) for result in results]})
    else:
        for result in results:
            built = (
                f" ({result.elapsed_s:.0f} s, {result.disk_bytes / 1e6:.0f} MB, torch {result.torch})"
                if result.built and result.ok
                else ""
            )
            print(
                f"{paint('ok ', 'good') if result.ok else paint('failed ', 'bad')}{result.sentence}{built}",
                file=sys.stderr,
            )
    return exits.OK if all(result.ok for result in results) else exits.NEGATIVE
