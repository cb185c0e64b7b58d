"""Weights that stand in for published ones: tiny models with random numbers, made by the plugins' own libraries.

They show that a model loads, answers and dies as it should, on a machine that has no network and no gigabytes. What
they forecast says nothing about the model. Made by a plugin's `tests/worker.py`, so there are none without a checkout.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from chronotick.errors import PluginError
from chronotick.plugins.environment import check_environment, sdk_version
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.uv import Command, Runner, run_command
from chronotick.sdk import weights

NOTE: Final = "self-made weights: nothing about accuracy"
MAKE_LIMIT_S: Final = 600.0
SEED: Final = 3


class Shape(Struct, frozen=True):
    """What a stand-in can be asked.

    Attributes:
        context, horizon: points at most.
        params: that its plugin needs beside the folder.
    """

    context: int
    horizon: int
    params: dict[str, str | int | float | bool] = {}


# The makers choose small dimensions; these are theirs.
SHAPES: Final = {
    "timesfm": Shape(context=128, horizon=32),
    "toto": Shape(context=128, horizon=32, params={"horizon_max": 32}),
    "ttm": Shape(context=64, horizon=16),
    "time_moe": Shape(context=64, horizon=32),
}


def make_stand_in(
    manifest: Manifest, folder: Path, *, environ: Mapping[str, str] = os.environ, runner: Runner = run_command
) -> Path:
    """Make them in `folder` unless they are there; returns it. Loading a model library takes seconds, or a minute.

    Raises:
        PluginError: the plugin has no maker, no sound environment, or its maker failed.
    """
    if weights.files(folder):
        return folder
    worker = manifest.folder / "tests" / "worker.py"
    if manifest.name not in SHAPES or not worker.is_file():
        raise PluginError(f"{manifest.name} has nothing to make weights with.", mend="Use published ones.")
    if problem := check_environment(manifest, sdk_version()):
        raise PluginError(problem.sentence, mend=problem.mend)
    staging = folder.with_name(folder.name + ".part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        question = json.dumps({"do": f"make_{manifest.name}", "folder": str(staging), "seed": SEED})
        # The worker reads questions until its input ends.
        words = ("/bin/sh", "-c", 'printf "%s\n" "$1" | "$2" "$3"', "sh", question, str(manifest.python), str(worker))
        variables = dict(environ) | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        outcome = runner(Command(words, variables, manifest.folder, MAKE_LIMIT_S), lambda _: None)
        if not weights.files(staging):
            last = next((line for line in reversed(outcome.tail)), f"exit code {outcome.code}")
            raise PluginError(f"No weights could be made for {manifest.name}: {last[-300:]}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def kept_stand_in(manifest: Manifest) -> Path:
    """Where the demo keeps them: with the environment, and gone with it."""
    return manifest.venv / "chronotick-stand-in"
