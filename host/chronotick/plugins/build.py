"""One plugin's environment in the making: interpreter, locked packages, torch, the plugin, a smoke import, the marker.

An environment can not be moved (its scripts hold its path), so it is built in place; the marker makes it whole. It is
removed first and written last. An environment without it is built from nothing: a full disk, or a kill, leaves packages
that lack files, and no installer looks at those again. What was fetched is in uv's cache, so that this costs seconds.
"""

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from chronotick.errors import PluginError
from chronotick.plugins.discovery import project_root
from chronotick.plugins.environment import (
    MARKER_SCHEMA,
    Marker,
    check_environment,
    lock_sha256,
    marker_path,
    mend_command,
    python_of,
    read_marker,
    sdk_version,
    write_marker,
)
from chronotick.plugins.manifest import Manifest, python_fits
from chronotick.plugins.torch_source import Attempt, Machine, TorchChoice, find_links, plan_torch
from chronotick.plugins.uv import Command, Outcome, Runner, uv_environ

STEP_LIMIT_S = 3600.0
PROBE_LIMIT_S = 90.0
_SAID = "chronotick-smoke "

# Runs inside the new environment. Libraries print what they like, so the answer has a mark.
_SMOKE = f"""
import importlib, json, platform, sys
from importlib import metadata
for name in sys.argv[1:]:
    importlib.import_module(name)
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
said = {{"python": platform.python_version(), "torch": version("torch"), "sdk": version("chronotick")}}
print({_SAID!r} + json.dumps(said), flush=True)
"""


class Progress(Struct, frozen=True):
    """Where a build is.

    Attributes:
        plugin: name; step: one of venv, packages, torch, plugin, smoke, marker.
        detail: what the step says, one line; "" when there is nothing new.
        elapsed_s: since this plugin's build began.
        disk_bytes: taken from the file system since then, by whoever; never negative.
    """

    plugin: str
    step: str
    detail: str
    elapsed_s: float
    disk_bytes: int


class SyncResult(Struct, frozen=True):
    """How one plugin fared.

    Attributes:
        ok: its environment is healthy now.
        built: something was done; False for one that was healthy before.
        sentence: for people.
        torch: version installed, "" for none.
    """

    plugin: str
    ok: bool
    built: bool
    sentence: str
    elapsed_s: float
    disk_bytes: int
    torch: str


class _Smoke(Struct):
    python: str
    torch: str
    sdk: str


class Build:
    """One environment in the making."""

    def __init__(
        self,
        manifest: Manifest,
        torch: TorchChoice | None,
        progress: Callable[[Progress], None],
        environ: Mapping[str, str],
        runner: Runner,
        uv: str,
    ) -> None:
        self._manifest, self._choice, self._progress = manifest, torch, progress
        self._environ, self._runner, self._uv = environ, runner, uv
        self._began = time.monotonic()
        self._free_before = shutil.disk_usage(manifest.folder).free
        self._step = "venv"
        marker = read_marker(marker_path(manifest))
        self._torch = marker.torch if marker is not None else ""

    def run(self, *, fresh: bool = False) -> None:
        """All steps. The marker goes first and comes last.

        Args:
            fresh: keep nothing of an environment that was whole, either.
        """
        manifest = self._manifest
        self._torch = ""
        whole = read_marker(marker_path(manifest)) is not None
        marker_path(manifest).unlink(missing_ok=True)
        self._make_venv(keep=whole and not fresh)
        lock = lock_sha256(manifest.lock) if manifest.lock.is_file() else None
        if lock is None:
            raise PluginError(f"{manifest.name} has no lock ({manifest.lock}).", mend="Restore the file.")
        self._say("packages", f"packages of {manifest.lock.name}")
        self._pip("sync", "--allow-empty-requirements", "--require-hashes", str(manifest.lock))
        if manifest.environment.torch:
            self._install_torch(manifest.environment.torch)
        self._say("plugin", "the plugin and the SDK")
        self._pip("install", "--no-deps", *self._own_packages())
        smoke = self._smoke()
        self._say("marker", "")
        write_marker(
            marker_path(manifest),
            Marker(
                schema=MARKER_SCHEMA,
                folder=str(manifest.venv),
                lock_sha256=lock,
                python=python_of(manifest.venv) or smoke.python,
                torch=smoke.torch,
                sdk=smoke.sdk,
            ),
        )
        if problem := check_environment(manifest, sdk_version()):
            marker_path(manifest).unlink(missing_ok=True)
            raise PluginError(f"The environment was built but is not sound: {problem.sentence}")

    def result(self, *, ok: bool, built: bool, sentence: str) -> SyncResult:
        """What is reported of this build."""
        return SyncResult(
            plugin=self._manifest.name,
            ok=ok,
            built=built,
            sentence=sentence,
            elapsed_s=time.monotonic() - self._began,
            disk_bytes=self._disk_bytes(),
            torch=self._torch,
        )

    def _make_venv(self, *, keep: bool) -> None:
        manifest = self._manifest
        here = (sys.version_info.major, sys.version_info.minor)
        fits = python_fits(manifest.environment.python, here)
        had = python_of(manifest.venv)
        if keep and had and os.access(manifest.venv / "bin/python", os.X_OK):
            major, minor = (int(part) for part in had.split(".")[:2])
            if python_fits(manifest.environment.python, (major, minor)) and (manifest.venv / "bin/activate").is_file():
                self._say("venv", f"going on with the environment that is there (Python {had})")
                return
        # The host's interpreter where the plugin allows it: it is known to work here.
        wanted = sys.executable if fits else manifest.environment.python
        self._say("venv", f"environment with Python {platform.python_version() if fits else wanted}")
        self._uv_run("venv", "--no-config", "--no-project", "--clear", "--python", wanted, str(manifest.venv))

    def _install_torch(self, version: str) -> None:
        attempts = plan_torch(version, self._choice, self._environ, _local_wheels(self._environ), self._machine())
        failures: list[str] = []
        for attempt in attempts:
            self._say("torch", attempt.notice)
            free = shutil.disk_usage(self._manifest.folder).free
            if free < attempt.disk_bytes:
                failures.append(f"{attempt.name}: needs {_gb(attempt.disk_bytes)} of disk, {_gb(free)} are free")
                continue
            outcome = self._try(attempt)
            if outcome.code == 0:
                return
            self._refuse_full_disk(outcome)
            failures.append(f"{attempt.name}: {_gist(outcome)}")
            self._say("torch", f"that did not work ({_gist(outcome)})")
        raise PluginError(
            f"torch {version} could not be installed for {self._manifest.name}. {'; '.join(failures)}.",
            mend="Check the network, or name a folder with a wheel in UV_FIND_LINKS, or choose --torch.",
        )

    def _try(self, attempt: Attempt) -> Outcome:
        words = ("install", *attempt.arguments, attempt.requirement)
        if attempt.probe:
            # An index that does not answer must cost seconds, not uv's usual minutes of retries.
            quick = {**attempt.environ, "UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "1"}
            outcome = self._run_pip(("install", "--dry-run", *words[1:]), quick, PROBE_LIMIT_S)
            if outcome.code != 0:
                return outcome
        return self._run_pip(words, attempt.environ, STEP_LIMIT_S)

    def _own_packages(self) -> list[str]:
        words: list[str] = []
        if (self._manifest.folder / "pyproject.toml").is_file():
            words += ["--editable", str(self._manifest.folder)]
        root = project_root()
        return [*words, "--editable", str(root)] if root is not None else [*words, f"chronotick=={sdk_version()}"]

    def _smoke(self) -> _Smoke:
        manifest = self._manifest
        self._say("smoke", "first import (slow once: Python compiles what was installed)")
        argv = manifest.argv
        modules = [argv[argv.index("-m") + 1]] if "-m" in argv else []
        # Nothing is looked up on any hub: an import is not the moment to fetch.
        environ = {"PATH": os.defpath, "HF_HUB_OFFLINE": "1", "HOME": self._environ.get("HOME", "/")}
        words = (str(manifest.python), "-I", "-c", _SMOKE, "chronotick.sdk", *manifest.environment.imports, *modules)
        outcome = self._runner(Command(words, environ, manifest.folder, STEP_LIMIT_S), self._hear)
        for line in reversed(outcome.tail):
            if outcome.code == 0 and line.startswith(_SAID):
                smoke = msgspec.json.decode(line.removeprefix(_SAID), type=_Smoke)
                self._torch = smoke.torch
                return smoke
        self._refuse_full_disk(outcome)
        raise PluginError(
            f"The environment of {manifest.name} was built, but its first import failed: {_gist(outcome)}.",
            mend=mend_command(manifest.name),
        )

    def _pip(self, *words: str) -> None:
        outcome = self._run_pip(words, {}, STEP_LIMIT_S)
        if outcome.code == 0:
            return
        self._refuse_full_disk(outcome)
        if any("hash" in line.lower() for line in outcome.tail):
            # A package other than the one that was locked, or a lock that was written without hashes.
            raise PluginError(
                f"The lock of {self._manifest.name} does not fit what was to be installed: {_gist(outcome)}.",
                mend=f"Restore {self._manifest.lock}. {mend_command(self._manifest.name)}",
            )
        raise PluginError(
            f"The environment of {self._manifest.name} could not be built (uv pip {words[0]}): {_gist(outcome)}.",
            mend=f"Check the network and the package index. {mend_command(self._manifest.name)}",
        )

    def _run_pip(self, words: Sequence[str], change: Mapping[str, str | None], limit_s: float) -> Outcome:
        python = str(self._manifest.venv / "bin/python")
        verb, *rest = words
        return self._run_uv(("pip", verb, "--no-config", "--python", python, *rest), change, limit_s)

    def _uv_run(self, *words: str) -> None:
        outcome = self._run_uv(words, {}, STEP_LIMIT_S)
        if outcome.code != 0:
            self._refuse_full_disk(outcome)
            raise PluginError(
                f"No virtual environment could be made for {self._manifest.name}: {_gist(outcome)}.",
                mend=f"Install a Python {self._manifest.environment.python}, or set UV_PYTHON_DOWNLOADS=automatic.",
            )

    def _run_uv(self, words: Sequence[str], change: Mapping[str, str | None], limit_s: float) -> Outcome:
        environ = uv_environ(self._environ)
        for name, value in change.items():
            if value is None:
                environ.pop(name, None)
            else:
                environ[name] = value
        return self._runner(Command((self._uv, *words), environ, self._manifest.folder, limit_s), self._hear)

    def _machine(self) -> Machine:
        major, minor = (int(part) for part in (python_of(self._manifest.venv) or "3.11").split(".")[:2])
        return Machine((major, minor), platform.machine(), nvidia=Path("/proc/driver/nvidia/version").exists())

    def _refuse_full_disk(self, outcome: Outcome) -> None:
        if any("No space left on device" in line or "os error 28" in line for line in outcome.tail):
            raise PluginError(
                f"The disk is full ({self._manifest.venv}); the environment of {self._manifest.name} is unfinished.",
                mend=f"Free some space. {mend_command(self._manifest.name)}",
            )

    def _say(self, step: str, detail: str) -> None:
        self._step = step
        self._hear(detail)

    def _hear(self, line: str) -> None:
        if line.startswith(_SAID):
            return
        elapsed_s = time.monotonic() - self._began
        self._progress(Progress(self._manifest.name, self._step, line, elapsed_s, self._disk_bytes()))

    def _disk_bytes(self) -> int:
        return max(0, self._free_before - shutil.disk_usage(self._manifest.folder).free)


def _local_wheels(environ: Mapping[str, str]) -> list[Path]:
    wheels: list[Path] = []
    for link in find_links(environ):
        folder = Path(link.removeprefix("file://"))
        if folder.is_dir():
            wheels += sorted(folder.glob("*.whl"))
    return wheels


def _gist(outcome: Outcome) -> str:
    """The line that says most: the last one that names an error, else the last one."""
    lines = [line for line in outcome.tail if not line.lower().startswith(("using python", "hint:"))]
    errors = [line for line in lines if "error" in line.lower() or not line.isascii()]
    line = (errors[-1] if errors else lines[-1] if lines else f"exit code {outcome.code}").strip()
    return line.rstrip(".")[:300]


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
