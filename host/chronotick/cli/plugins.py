"""`chronotick plugins`: what models there are, whether their environments are sound, and how to build them."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json, add_runtime_dir
from chronotick.cli.output import paint, print_error, print_json, table
from chronotick.errors import PluginError


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "plugins",
        "model plugins and their environments",
        "  chronotick plugins list\n  chronotick plugins sync chronos\n  chronotick plugins check chronos\n"
        "  chronotick plugins restart chronos",
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
        "  chronotick plugins check chronos\n"
        "  chronotick plugins check chronos --quick --json\n"
        "  chronotick plugins check ttm --param path=/models/ttm-r2\n"
        "exit codes: 0 all checks passed or did not apply, 1 one failed",
    )
    check.add_argument("name", nargs="*", metavar="NAME", help="plugins (default: all whose environment is sound)")
    check.add_argument("--quick", action="store_true", help="only how it starts, answers and ends")
    check.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="given to the plugin as a parameter (repeatable)",
    )
    add_json(check)
    check.set_defaults(run=run_check)

    restart = add_command(
        verbs,
        "restart",
        "start a running host's plugin anew, also out of quarantine",
        "  chronotick plugins restart chronos\n"
        "exit codes: 0 it is being started, 1 the host has no such plugin, 69 no host",
    )
    restart.add_argument("name", metavar="NAME", help="plugin to start anew")
    add_runtime_dir(restart)
    add_json(restart)
    restart.set_defaults(run=run_restart)


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
        step = f"{progress.plugin}: {progress.step}"
        line = f"{step}: {progress.detail}" if progress.detail else step
        if live:
            meter = f" [{progress.elapsed_s:.0f} s, {progress.disk_bytes / 1e6:.0f} MB]"
            room = shutil.get_terminal_size().columns - len(meter) - 1
            print(f"\r\x1b[K{line[:room]}{meter}", end="", file=sys.stderr, flush=True)
        elif step != said:
            said = step
            print(line[:160], file=sys.stderr, flush=True)

    results = sync(names, torch=None if torch == "auto" else torch, progress=show, force=force)  # type: ignore[arg-type]
    if live:
        print("\r\x1b[K", end="", file=sys.stderr)
    if as_json:
        print_json({"plugins": [msgspec.to_builtins(result) for result in results]})
    else:
        for result in results:
            mark = paint("ok     ", "good") if result.ok else paint("failed ", "bad")
            cost = f" ({result.elapsed_s:.0f} s, {result.disk_bytes / 1e6:.0f} MB, torch {result.torch or 'none'})"
            print(f"{mark}{result.sentence}{cost if result.built and result.ok else ''}", file=sys.stderr)
    return exits.OK if all(result.ok for result in results) else exits.NEGATIVE


def run_check(args: argparse.Namespace) -> int:
    import os

    import msgspec

    from chronotick.plugins.child_environ import child_environ
    from chronotick.plugins.discovery import discover
    from chronotick.plugins.environment import check_environment, sdk_version
    from chronotick.sdk.conformance import END_CHECKS, START_CHECKS, Settings, check_plugin
    from chronotick.wire.launch import Launch

    found = discover()
    manifests = [found.find(name) for name in args.name] or found.manifests
    params: dict[str, str | int | float | bool] = dict(_pair(text) for text in args.param)
    results: dict[str, Any] = {}
    for manifest in manifests:
        problem = check_environment(manifest, sdk_version())
        if problem is not None:
            results[manifest.name] = {"ok": False if args.name else None, "problem": str(problem), "checks": []}
            continue
        if not args.json:
            print(f"{manifest.name}: checking; loading its libraries can take a minute", file=sys.stderr)
        checks = check_plugin(
            manifest.argv,
            Settings(name=manifest.name, params=params, start_timeout_s=manifest.limits.start_timeout_s),
            env=child_environ(os.environ, manifest, Launch(endpoint=""), 1),
            cwd=str(manifest.folder),
            only=(*START_CHECKS, "ready", "shapes", *END_CHECKS) if args.quick else (),
        )
        results[manifest.name] = {
            "ok": all(check.verdict != "fail" for check in checks),
            "problem": None,
            "checks": [msgspec.to_builtins(check) for check in checks],
        }
    if args.json:
        print_json({"plugins": results})
    else:
        print("\n".join(_checked(name, result) for name, result in results.items()) or "No plugins were found.")
    return exits.NEGATIVE if any(result["ok"] is False for result in results.values()) else exits.OK


def run_restart(args: argparse.Namespace) -> int:
    from chronotick.cli import host

    result = host.command(args.runtime_dir, "restart_plugin", name=args.name)
    if args.json:
        print_json(result)
    else:
        print(f"{args.name} is started anew. See: chronotick models")
    return exits.OK


def _checked(name: str, result: dict[str, Any]) -> str:
    if result["problem"]:
        return f"{name}: not checked. {result['problem']}"
    styles = {"pass": "good", "fail": "bad", "skip": "dim"}
    rows = [
        (
            check["name"],
            paint(check["verdict"], styles[check["verdict"]]),
            f"{check['seconds']:.1f} s",
            check["sentence"],
        )
        for check in result["checks"]
    ]
    return f"{name}: {'conforms' if result['ok'] else 'does not conform'}\n" + table(("check", "", "", ""), rows)


def _pair(text: str) -> tuple[str, str]:
    key, found, value = text.partition("=")
    if not found or not key:
        raise PluginError(f"--param {text!r} is no KEY=VALUE.", mend="Write, e.g., --param path=/models/mine.")
    return key, value
