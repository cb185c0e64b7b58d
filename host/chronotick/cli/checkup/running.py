"""The runtime directory, its sockets and its snapshot, and the host behind them."""

import os
import stat
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from chronotick.cli.checkup.finding import Finding, Patient, fail, ok, warn
from chronotick.cli.models import NEEDS_MENDING
from chronotick.cli.output import duration
from chronotick.errors import ChronoTickError, ClockError, RuntimeDirError
from chronotick.wire import runtime_dir as directories

YOUNG_S = 60.0
"""A host may be without a time for so long after its start."""


def runtime_directory(patient: Patient) -> Iterable[Finding]:
    """Where sockets and snapshot are, whose it is, and whether its paths are short enough."""
    path = directories.locate(patient.runtime_dir)
    facts = {"path": str(path), "user": os.geteuid()}
    try:
        for name in directories.MODES:
            directories.check_ipc_path(path / name)
        if path.exists():
            directories.find(patient.runtime_dir)
    except RuntimeDirError as error:
        yield fail("runtime directory", error.message, error.mend or "", **facts)
        return
    if path.exists():
        yield ok("runtime directory", f"{path}, of user {path.stat().st_uid}.", **facts)
        return
    parent = next(folder for folder in path.parents if folder.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        yield ok("runtime directory", f"{path} does not exist yet; `chronotick run` makes it.", **facts)
    else:
        mend = f"Set {directories.VARIABLE} or publish.runtime_dir to a directory that this user may make."
        yield fail("runtime directory", f"{path} does not exist, and {parent} can not be written.", mend, **facts)


def sockets(patient: Patient) -> Iterable[Finding]:
    """Kind and permissions of what lies in the runtime directory, and the key that signs stamps."""
    path = directories.locate(patient.runtime_dir)
    wrong, found = [], []
    for name, mode in directories.MODES.items():
        try:
            facts = (path / name).lstat()
        except OSError:
            continue
        found.append(name)
        if name.endswith(".sock") != stat.S_ISSOCK(facts.st_mode):
            wrong.append(f"{path / name} is not a {'socket' if name.endswith('.sock') else 'file'}")
        # What is more open than meant lets others in; what is less open keeps them out, which may be wanted.
        elif stat.S_IMODE(facts.st_mode) & ~mode:
            wrong.append(f"{path / name} has mode {stat.S_IMODE(facts.st_mode):04o} instead of {mode:04o}")
    if wrong:
        yield fail("sockets", f"{'; '.join(wrong)}.", "Remove them and restart the host.", found=found)
    elif found:
        yield ok("sockets", f"{', '.join(found)}.", found=found)
    yield from _key(patient, path)


def host(patient: Patient) -> Iterable[Finding]:
    """Whether a host answers, of which version, and what it says of its time and its models."""
    from chronotick.cli import host as asking

    path = directories.locate(patient.runtime_dir)
    try:
        sections = asking.status(patient.runtime_dir)
    except ChronoTickError as error:
        left = [name for name in directories.MODES if name.endswith(".sock") and (path / name).exists()]
        if left and os.access(path, os.R_OK):
            sentence = f"Nobody answers at {path}, where a host left its sockets: {error.message}"
        else:
            sentence = f"No host runs. {error.message}"
        yield warn("host", sentence, error.mend or "Start the host: chronotick run.", running=False)
        return
    if not sections:
        yield warn("host", "The host has only just started.", "Ask again in a second.", running=True)
        return
    about, clock = sections["host"], sections["clock"]
    facts = {"running": True, "pid": about["pid"], "version": about["version"]}
    here = metadata.version("chronotick")
    if about["version"] != here:
        sentence = f"The host (process {about['pid']}) is version {about['version']}, this is {here}."
        yield warn("host", sentence, "Restart the host.", **facts)
    else:
        sentence = f"Process {about['pid']}, up {duration(about['uptime_s'])}, {about['rss_mb']:.0f} MB."
        yield ok("host", sentence, **facts)
    young = about["uptime_s"] < YOUNG_S
    sentence, facts = f"{clock['status']}: {clock['sentence']}", {"status": clock["status"]}
    if clock["status"] == "SYNCHRONISED":
        yield ok("time", sentence, **facts)
    elif clock["status"] == "UNKNOWN" and not young:
        yield fail("time", sentence, "See: chronotick sources", **facts)
    else:
        yield warn("time", sentence, "Wait, or see: chronotick sources", **facts)
    for row in sections["plugins"]:
        if row["state"] in NEEDS_MENDING:
            yield warn(f"model {row['name']}", f"{row['state']}: {row['detail']}", state=row["state"])


def snapshot(patient: Patient) -> Iterable[Finding]:
    """Whether this user can read the published time."""
    from chronotick.client import Clock, Status

    path = directories.locate(patient.runtime_dir) / "snapshot"
    if not path.exists():
        return
    try:
        with Clock(patient.runtime_dir, fall_back=False) as clock:
            reading = clock.now(allow_unknown=True)
    except ClockError as error:
        yield fail("snapshot", error.message, error.mend or "", path=str(path))
        return
    if reading.status is Status.UNKNOWN:
        yield warn("snapshot", f"{path} can be read, and holds no time now.", "See: chronotick status", path=str(path))
        return
    width = duration((reading.latest_ns - reading.earliest_ns) / 1e9)
    yield ok("snapshot", f"{path} can be read; its hard interval is {width} wide.", path=str(path))


def _key(patient: Patient, directory: Path) -> Iterable[Finding]:
    from chronotick.wire import host_key

    serve = getattr(patient.config, "serve", None)
    own = bool(patient.runtime_dir)
    path = host_key.locate(directory, getattr(serve, "stamp_key_file", ""), own_directory=own)
    if not path.exists():
        return
    try:
        host_key.load(path)
    except RuntimeDirError as error:
        yield warn("stamp key", error.message, error.mend or "", path=str(path))
        return
    yield ok("stamp key", f"{path}, readable by its owner only.", path=str(path))
