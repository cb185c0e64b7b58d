"""`chronotick plugins pull`: weights on this machine, checked, so that nothing is looked up at run time.

The plugin's own environment fetches (it has the hub's client, and knows repositories, revisions and hashes); the host
has no network code for it. What is asked to lie in a folder of one's own is copied beside it, hashed as copied, and
renamed: a folder of that name is whole.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from chronotick.errors import PluginError
from chronotick.plugins.environment import check_environment, sdk_version
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.uv import Command, Runner, run_command
from chronotick.sdk import weights
from chronotick.sdk.errors import PluginFault
from chronotick.sdk.pull import MARK

PULL_LIMIT_S = 3600.0
EMBEDDED = "embedded"
_MEND = "Check --repo, --revision, the network and HF_HUB_OFFLINE, or take a folder with them: --from FOLDER."
_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")


class Pulled(Struct, frozen=True):
    """Weights that are here.

    Attributes:
        folder: with config.json and safetensors; None for weights inside the package.
        source: the repository, or the folder that they were taken from.
        commit: of the repository; "" for a folder.
        sha256: of the weights, as `sdk.weights.sha256`.
        checked: it was known beforehand what they hash to.
        licence: of the weights, as plugin.toml says.
        bytes: that they take.
    """

    plugin: str
    folder: str | None
    source: str
    commit: str
    sha256: str
    checked: bool
    licence: str
    bytes: int


def pull(
    manifest: Manifest,
    params: Mapping[str, str],
    *,
    to: Path | None = None,
    offline: bool = False,
    heard: Callable[[str], None] = lambda _: None,
    environ: Mapping[str, str] = os.environ,
    runner: Runner = run_command,
) -> Pulled:
    """Find or fetch a plugin's weights.

    Args:
        params: repo, revision, size as in the configuration; `path` takes a folder in place of the hub (a mirror).
        to: copied there; None leaves them where the hub's client keeps them, and where the plugin finds them by itself.
        offline: say where they are, and fetch nothing.

    Raises:
        PluginError: no sound environment, no such weights, no network, another hash, no room.
    """
    if manifest.weights.path == EMBEDDED and not any(params.values()):
        return Pulled(manifest.name, None, EMBEDDED, "", "", False, manifest.weights.licence, 0)
    if problem := check_environment(manifest, sdk_version()):
        raise PluginError(problem.sentence, mend=problem.mend)
    said = _ask(manifest, params, offline, heard, environ, runner)
    folder = Path(said["folder"])
    try:
        digest = weights.checked_sha256(folder, said["sha256"])
        if to is not None:
            folder = _copied(folder, to.expanduser().absolute(), digest)
        size = sum(file.stat().st_size for file in weights.files(folder))
    except PluginFault as fault:
        mend = (
            "Name a folder with the published weights." if params.get("path") else "Delete that folder and pull again."
        )
        raise PluginError(fault.message, mend=mend) from fault
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PluginError(f"The disk is full ({to}); nothing was kept.", mend="Free some space.") from error
        raise PluginError(f"The weights can not be copied to {to}: {error.strerror}.", mend="Name another.") from error
    return Pulled(
        plugin=manifest.name,
        folder=str(folder),
        source=params.get("path") or said["repo"],
        commit=said["commit"],
        sha256=digest,
        checked=bool(said["sha256"]),
        licence=manifest.weights.licence,
        bytes=size,
    )


def _ask(
    manifest: Manifest,
    params: Mapping[str, str],
    offline: bool,
    heard: Callable[[str], None],
    environ: Mapping[str, str],
    runner: Runner,
) -> dict[str, str]:
    """The plugin's environment does it; its answer is the line with the mark."""
    argv = manifest.argv
    given = {key: value for key, value in params.items() if value}
    if "path" in given:
        given["path"] = str(Path(given["path"]).expanduser().absolute())
    if not {"repo", "size"} & given.keys():
        given = {"repo": manifest.weights.repo, "revision": manifest.weights.revision} | given
    question = {
        "module": argv[argv.index("-m") + 1] if "-m" in argv else f"chronotick_{manifest.name}",
        "name": manifest.name,
        "params": {key: value for key, value in given.items() if value},
    }
    words = (str(manifest.python), "-I", "-m", "chronotick.sdk.pull", json.dumps(question))
    variables = dict(environ) | {"HF_HUB_DISABLE_TELEMETRY": "1"} | ({"HF_HUB_OFFLINE": "1"} if offline else {})
    outcome = runner(Command(words, variables, manifest.folder, PULL_LIMIT_S), heard)
    for line in reversed(outcome.tail):
        if line.startswith(MARK):
            said: dict[str, str] = json.loads(line.removeprefix(MARK))
            if "message" in said:
                raise PluginError(said["message"], mend=_MEND if said["code"] == "weights_missing" else said["mend"])
            return said
    last = next((line for line in reversed(outcome.tail)), f"exit code {outcome.code}")
    raise PluginError(
        f"The environment of {manifest.name} could not fetch weights: {last.rstrip('.')}.",
        mend=f"Run: chronotick plugins sync --force {manifest.name}",
    )


def _copied(folder: Path, to: Path, digest: str) -> Path:
    """A copy of the weights under that name, whole or not there."""
    if to.exists() and any(to.iterdir()):
        if weights.sha256(to) == digest if weights.files(to) else False:
            return to
        raise PluginError(f"{to} is there already and holds something else.", mend="Name a folder that is not there.")
    staging = to.with_name(to.name + ".part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        for pattern in _FILES:
            for file in sorted(folder.glob(pattern)):
                # The hub's client keeps links; a folder of one's own has files.
                shutil.copyfile(file.resolve(), staging / file.name)
        weights.checked_sha256(staging, digest)
        if to.is_dir():
            to.rmdir()
        staging.rename(to)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return to
