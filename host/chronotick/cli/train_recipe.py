"""`chronotick train --recipe`: the shipped checkpoint from random numbers, by the plugin's own recipe."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from chronotick.cli import exits
from chronotick.cli.output import print_error, print_json
from chronotick.errors import PluginError


def run_recipe(args: argparse.Namespace) -> int:
    from chronotick.plugins.child_environ import child_environ
    from chronotick.plugins.environment import check_environment, sdk_version
    from chronotick.sdk import weights

    manifest = _chronos()
    if problem := check_environment(manifest, sdk_version()):
        raise PluginError(problem.sentence, mend=problem.mend)
    training = manifest.folder / "training"
    out = args.out.expanduser().absolute()
    from os import environ, sched_getaffinity

    from chronotick.wire.launch import Launch

    variables = child_environ(environ, manifest, Launch(endpoint=""), args.threads)
    recipe = json.loads((training / "recipe.json").read_text())
    for words in commands(recipe, out, args.limit, len(sched_getaffinity(0))):
        print(" ".join(words), file=sys.stderr, flush=True)
        done = subprocess.run(
            [str(manifest.python), *words], cwd=training, env=variables, stdout=sys.stderr, check=False
        )
        if done.returncode:
            print_error(f"{words[0]} ended with exit code {done.returncode}; the same command goes on from {out}.")
            return exits.NEGATIVE
    model = _last(recipe, out) / "model"
    made = weights.sha256(model)
    shipped = weights.sha256(next(iter(sorted(manifest.folder.glob("src/*/weights")))))
    body = {"folder": str(model), "sha256": made, "shipped_sha256": shipped, "same": made == shipped}
    if args.json:
        print_json(body)
    else:
        print(text(body, limited=bool(args.limit)))
    return exits.OK


def commands(recipe: dict[str, Any], out: Path, limit: int = 0, jobs: int = 1) -> list[list[str]]:
    """The command lines of a recipe, in order: each part's pool of windows, then its training.

    Args:
        recipe: {"parts": [{"pool": {...}, "train": {...}}]}, options by name; each part begins with the weights of
            the one before.
        limit: each training stops after this many steps, and has one shard to learn from; 0 for all.
        jobs: processes that make a pool.
    """
    lines: list[list[str]] = []
    for number, part in enumerate(recipe["parts"]):
        pool = part["pool"] | ({"shards": 1} if limit else {})
        train = part["train"] | {"pool": out / f"pool{number}", "pool-seed": pool["seed"], "shards": pool["shards"]}
        if number:
            train["init"] = out / f"part{number - 1}" / "model"
        if limit:
            train["stop-at"] = limit
        lines.append(["simulate.py", str(out / f"pool{number}"), *_options(pool | {"jobs": jobs})])
        lines.append(["train.py", str(out / f"part{number}"), *_options(train)])
    return lines


def text(body: dict[str, Any], *, limited: bool) -> str:
    """What it came to."""
    lines = [f"The checkpoint is {body['folder']}", f"SHA-256 {body['sha256']}"]
    if body["same"]:
        lines.append("These are the shipped weights, bit for bit.")
    elif limited:
        lines.append("It is not the shipped one: --limit has cut the training short.")
    else:
        lines.append(
            "The shipped weights have other bits, as another processor or library makes them. Compare the skill:\n"
            f"  python tests/bench/checkpoint_skill.py --weights again={body['folder']}"
        )
    return "\n".join(lines)


def _options(given: dict[str, Any]) -> list[str]:
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def _last(recipe: dict[str, Any], out: Path) -> Path:
    return out / f"part{len(recipe['parts']) - 1}"


def _chronos() -> Any:
    from chronotick.plugins.discovery import discover

    for manifest in discover().manifests:
        if manifest.name == "chronos" and (manifest.folder / "training" / "recipe.json").is_file():
            return manifest
    raise PluginError("The recipe is not here.", mend="Run the command in a checkout of the project.")
