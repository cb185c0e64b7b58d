"""`chronotick plugins`: what models there are, whether their environments are sound, and how to build them."""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
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
    sync.add_argument(
        "--jobs", type=int, choices=range(1, 9), default=None, metavar="N", help="builds at the same time"
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

    pull = add_command(
        verbs,
        "pull",
        "fetch a plugin's weights, check them, and show their licence",
        "  chronotick plugins pull timesfm\n"
        "  chronotick plugins pull ttm --size 512-96 --to /models/ttm-r2\n"
        "  chronotick plugins pull ttm --from /mirror/ttm-r2 --to /models/ttm-r2\n"
        "Afterwards HF_HUB_OFFLINE=1 can be set; for --to, name the folder as the plugin's `path`.",
    )
    pull.add_argument("name", metavar="NAME", help="plugin whose weights")
    pull.add_argument("--repo", default="", help="repository on the hub (default: the plugin's own)")
    pull.add_argument("--revision", default="", help="commit, tag or branch there")
    pull.add_argument("--size", default="", help="size, where the plugin knows several")
    pull.add_argument("--from", dest="path", default="", metavar="FOLDER", help="take them from here, not from the hub")
    pull.add_argument(
        "--to", default="", metavar="FOLDER", help="copy them here (default: where the hub's client does)"
    )
    add_json(pull)
    pull.set_defaults(run=run_pull)

    made = add_command(
        verbs,
        "make-test-weights",
        "make tiny models with random numbers, to try plugins without their weights (from a checkout)",
        "  chronotick plugins make-test-weights /tmp/weights\n"
        "  chronotick plugins make-test-weights /tmp/weights toto time_moe\n"
        "Each in a folder of its own, FOLDER/NAME. Their forecasts say nothing about the published models.",
    )
    made.add_argument("folder", metavar="FOLDER", help="where to")
    made.add_argument("name", nargs="*", metavar="NAME", help="plugins (default: all that have a maker)")
    made.set_defaults(run=run_make)

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
        head = ("plugin", "environment", "disk", "torch", "transformers", "library", "python", "weights", "licence")
        print(
            table(
                head,
                [
                    (
                        row["name"],
                        paint("sound", "good") if row["healthy"] else paint("not usable", "warn"),
                        f"{row['disk_bytes'] / 1e6:.0f} MB" if row["disk_bytes"] else "-",
                        row["torch"] or "-",
                        row["transformers"] or "-",
                        " ".join(row["library"].values()) or "-",
                        row["python"] or "-",
                        f"{row['weights'] or 'of its own choice'} {row['weights_state']}".strip(),
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
    from chronotick.plugins.inventory import disk_bytes, library_versions, weights_state

    problem = check_environment(manifest, sdk_version())
    marker = read_marker(marker_path(manifest))
    weights = manifest.weights
    library = library_versions(manifest)
    transformers = library.pop("transformers", "")
    return {
        "name": manifest.name,
        "version": manifest.version,
        "healthy": problem is None,
        "problem": None if problem is None else str(problem),
        "python": marker.python if marker else "",
        "torch": marker.torch if marker else "",
        "transformers": transformers,
        "library": library,
        "disk_bytes": disk_bytes(manifest.venv),
        "weights": weights.path or (f"{weights.repo}@{weights.revision[:8]}" if weights.repo else ""),
        "weights_state": weights_state(manifest),
        "licence": manifest.licence,
        "folder": str(manifest.folder),
    }


def run_sync(args: argparse.Namespace) -> int:
    if not args.name and not args.all:
        print_error("name the plugins to build, or say --all. `chronotick plugins list` shows them.")
        return exits.USAGE
    return sync_plugins(
        [] if args.all else args.name, as_json=args.json, torch=args.torch, force=args.force, jobs=args.jobs
    )


def sync_plugins(
    names: Sequence[str], *, as_json: bool, torch: str = "auto", force: bool = False, jobs: int | None = None
) -> int:
    """Build, with progress on standard error; returns the exit code."""
    import msgspec

    from chronotick.plugins.sync import JOBS, Progress, sync

    live = sys.stderr.isatty()
    said: set[str] = set()

    def show(progress: Progress) -> None:
        step = f"{progress.plugin}: {progress.step}"
        line = f"{step}: {progress.detail}" if progress.detail else step
        if live:
            meter = f" [{progress.elapsed_s:.0f} s, {progress.disk_bytes / 1e6:.0f} MB]"
            room = shutil.get_terminal_size().columns - len(meter) - 1
            print(f"\r\x1b[K{line[:room]}{meter}", end="", file=sys.stderr, flush=True)
        elif step not in said:
            said.add(step)
            print(line[:160], file=sys.stderr, flush=True)

    choice = None if torch == "auto" else torch
    results = sync(names, torch=choice, progress=show, force=force, jobs=jobs or JOBS)  # type: ignore[arg-type]
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


def run_pull(args: argparse.Namespace) -> int:
    from pathlib import Path

    import msgspec

    from chronotick.plugins.discovery import discover
    from chronotick.plugins.pull import pull

    params = {"repo": args.repo, "revision": args.revision, "size": args.size, "path": args.path}
    manifest = discover().find(args.name)
    said = pull(manifest, params, to=Path(args.to) if args.to else None, heard=_heard(args.name))
    if args.json:
        print_json(msgspec.to_builtins(said))
        return exits.OK
    if said.folder is None:
        print(f"{said.plugin}: its weights are part of the package; nothing is to be fetched.")
    else:
        print(f"{said.plugin}: {said.source}{f' at {said.commit}' if said.commit else ''}, {said.bytes / 1e6:.1f} MB")
        print(f"  folder   {said.folder}")
        print(f"  SHA-256  {said.sha256} ({'as published' if said.checked else 'none is known to compare it with'})")
        print(f"  licence  {said.licence or 'plugin.toml names none'}")
    return exits.OK


def run_make(args: argparse.Namespace) -> int:
    from pathlib import Path

    from chronotick.plugins.discovery import discover
    from chronotick.plugins.stand_in import NOTE, SHAPES, make_stand_in

    found = discover()
    for name in args.name or SHAPES:
        folder = make_stand_in(found.find(name), Path(args.folder).expanduser().absolute() / name)
        params = "".join(f", {key}: {value}" for key, value in SHAPES[name].params.items())
        print(f"{name}: {folder} ({NOTE}; at most {SHAPES[name].horizon} points ahead{params})")
    return exits.OK


def _heard(name: str) -> Callable[[str], None]:
    """Progress of a download, on one line of a terminal."""
    if not sys.stderr.isatty():
        return lambda _: None

    def show(line: str) -> None:
        if line:
            room = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{f'{name}: {line}'[:room]}", end="", file=sys.stderr, flush=True)

    return show


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
