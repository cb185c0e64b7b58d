"""Is a plugin's environment the one that its lock asks for? The host only looks; `plugins sync` builds.

A built environment carries a marker, written last and by rename. Whatever stopped a build half-way (Ctrl-C, a full
disk, a power cut) therefore leaves an environment without a marker, which is not used.
"""

import hashlib
import os
from importlib import metadata
from pathlib import Path

import msgspec
from msgspec import Struct

from chronotick.plugins.manifest import Manifest, python_fits

MARKER = "chronotick-environment.json"
MARKER_SCHEMA = 1


class Marker(Struct, frozen=True, kw_only=True):
    """What was built.

    Attributes:
        schema: of this file.
        folder: absolute path of the environment: its scripts hold it, so it can not be moved.
        lock_sha256: of the lock that was synchronised.
        python: version of the interpreter, "3.11.7".
        torch: version that was installed, with its local part ("2.13.0+cpu"); "" for none.
        sdk: version of the `chronotick` distribution in the environment.
    """

    schema: int
    folder: str
    lock_sha256: str
    python: str
    torch: str
    sdk: str


class EnvironmentProblem(Struct, frozen=True):
    """Why an environment can not be used: one sentence, and the command that mends it."""

    sentence: str
    mend: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.mend}"


def marker_path(manifest: Manifest) -> Path:
    """Where the marker of a plugin's environment is."""
    return manifest.venv / MARKER


def sdk_version() -> str:
    """Version of the `chronotick` distribution that this process runs."""
    return metadata.version("chronotick")


def lock_sha256(lock: Path) -> str:
    """Hash of a lock file, hexadecimal."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def write_marker(path: Path, marker: Marker) -> None:
    """The commit point of a build: whole on disk before it has its name."""
    staging = path.with_name(path.name + ".new")
    with staging.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(marker), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    staging.replace(path)


def read_marker(path: Path) -> Marker | None:
    """The marker; None where there is none or it can not be read as one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Marker)
    except (OSError, msgspec.DecodeError):
        return None


def check_environment(manifest: Manifest, sdk: str) -> EnvironmentProblem | None:
    """None when the plugin's environment is healthy, else what is wrong with it.

    Reads a few small files; starts nothing.
    """
    sentence = _complaint(manifest, sdk)
    return None if sentence is None else EnvironmentProblem(sentence, mend_command(manifest.name))


def mend_command(name: str) -> str:
    """The words that end every complaint about an environment."""
    return f"Run: chronotick plugins sync {name}"


def fingerprint(manifest: Manifest) -> tuple[int, int]:
    """Changes when the environment is built anew: (inode, modification time in ns) of the marker; zeros for none."""
    try:
        status = marker_path(manifest).stat()
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


def _complaint(manifest: Manifest, sdk: str) -> str | None:
    name = manifest.name
    if not os.access(manifest.python, os.X_OK):
        if manifest.venv.is_dir() and manifest.environment.kind == "own":
            return f"The environment of {name} has no working interpreter ({manifest.python})."
        return f"The environment of {name} has not been built ({manifest.python} is missing)."
    if manifest.environment.kind == "host":
        return None
    marker = read_marker(marker_path(manifest))
    if marker is None or marker.schema != MARKER_SCHEMA:
        return f"The environment of {name} is unfinished or of another age (see {marker_path(manifest)})."
    if marker.folder != str(manifest.venv):
        return f"The environment of {name} was built in {marker.folder} and does not survive being moved."
    try:
        lock = lock_sha256(manifest.lock)
    except OSError as error:
        return f"The lock of {name} can not be read ({manifest.lock}: {error.strerror})."
    if marker.lock_sha256 != lock:
        return f"The environment of {name} is older than its lock ({manifest.lock})."
    if (found := python_of(manifest.venv)) != marker.python:
        return f"The environment of {name} was built for Python {marker.python} and now has {found or 'none'}."
    major, minor = (int(part) for part in marker.python.split(".")[:2])
    if not python_fits(manifest.environment.python, (major, minor)):
        return f"The environment of {name} has Python {marker.python}; the plugin needs {manifest.environment.python}."
    if (wanted := manifest.environment.torch) and marker.torch.split("+")[0] != wanted:
        return f"The environment of {name} has torch {marker.torch or 'not at all'}; the plugin needs {wanted}."
    if marker.torch and not _has_torch(manifest.venv, marker.torch):
        return f"The environment of {name} has lost torch {marker.torch}."
    if marker.sdk != sdk:
        return f"The environment of {name} was built for chronotick {marker.sdk}; this is {sdk}."
    return None


def python_of(venv: Path) -> str | None:
    """Python version that pyvenv.cfg names ("3.11.7"); None where there is none."""
    try:
        lines = (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    # uv writes version_info, the standard library's venv writes version.
    return values.get("version_info") or values.get("version")


def _has_torch(venv: Path, version: str) -> bool:
    return any(venv.glob(f"lib/python*/site-packages/torch-{version}.dist-info"))
