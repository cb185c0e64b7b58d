"""Versions, libraries, the configuration, uv, and the models' environments."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

from chronotick.cli.checkup.finding import Finding, Patient, fail, ok, warn
from chronotick.errors import PluginError

# What an environment with torch for CPU takes, bytes.
ENVIRONMENT_BYTES: Final = 2_000_000_000
UV_TIMEOUT_S: Final = 10.0
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9_.-]+)\s*(?:>=\s*([0-9.]+))?")


def versions(patient: Patient) -> Iterable[Finding]:
    """ChronoTick, Python and the system."""
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    sentence = f"chronotick {metadata.version('chronotick')}, Python {platform.python_version()}, {system}."
    facts = {"chronotick": metadata.version("chronotick"), "python": platform.python_version(), "system": system}
    if platform.system() != "Linux":
        return [fail("versions", sentence, "The host runs on Linux only.", **facts)]
    return [ok("versions", sentence, **facts, executable=sys.executable)]


def libraries(patient: Patient) -> Iterable[Finding]:
    """Whether what the host and the command line import is there, and new enough."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for name, least, extra in requirements():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            if extra != "mcp":
                wrong.append(f"{name} is not installed")
            continue
        found[name] = version
        if as_numbers(version) < as_numbers(least):
            wrong.append(f"{name} {version} is older than {least}")
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    if wrong:
        yield fail("libraries", f"{'; '.join(wrong)}.", "Run: pip install 'chronotick[cli]'", found=found)
    else:
        yield ok("libraries", f"{listed}.", found=found)
    yield from _zeromq()
    if "mcp" not in found:
        yield ok("mcp", "The MCP SDK is not installed; only `chronotick mcp` needs it.")


def requirements() -> list[tuple[str, str, str]]:
    """What the distribution asks for: name, least version or "0", and the extra, "" for the client itself."""
    found = []
    for line in metadata.requires("chronotick") or ():
        wanted, _, condition = line.partition(";")
        match = _REQUIREMENT.match(wanted.strip())
        name = match[1] if match else ""
        extra = re.search(r"extra\s*==\s*['\"](\w+)['\"]", condition)
        if match and name != "chronotick":
            found.append((name, (match[2] or "0").rstrip("."), extra[1] if extra else ""))
    return found


def as_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparing."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def configuration(patient: Patient) -> Iterable[Finding]:
    """Whether the configuration is sound, and where the log goes."""
    source = str(patient.config_file) if patient.config_file else "built-in defaults"
    config = patient.config
    if config is None:
        yield fail("configuration", patient.config_error, source=source)
        return
    servers = len(config.ntp.servers)
    yield ok(
        "configuration",
        f"{source}: {servers} servers, {len(config.roles)} roles, {len(config.plugins)} models.",
        source=source,
    )
    for note in patient.notes:
        yield warn("configuration", note, source=source)
    if not config.log.file:
        yield ok("log", "Standard error; under systemd: journalctl -u chronotick.")
        return
    file = Path(config.log.file).absolute()
    target = file if file.exists() else file.parent
    if not os.access(target, os.W_OK):
        yield fail("log", f"log.file {file} can not be written.", "Name a file in a folder that this user may write.")
    else:
        yield ok("log", f"{file}.", file=str(file))


def uv(patient: Patient) -> Iterable[Finding]:
    """Whether uv is there to build the models' environments."""
    from chronotick.plugins.uv import find_uv

    try:
        path = find_uv()
    except PluginError as error:
        return [warn("uv", f"{error.message} Only building models' environments needs it.", error.mend or "")]
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=UV_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return [warn("uv", f"{path} does not run ({error}).", "Install it anew: python3 -m pip install uv", path=path)]
    said = done.stdout.strip()
    return [ok("uv", f"{said}, {path}.", path=path, version=said)]


def models(patient: Patient) -> Iterable[Finding]:
    """The models' environments; one that is asked for and not sound is a warning, as the host does without."""
    from chronotick.plugins.discovery import discover, project_root
    from chronotick.plugins.environment import check_environment, sdk_version

    discovery = discover()
    wanted = {plugin.name for plugin in patient.config.plugins if plugin.enabled} if patient.config else set()
    building = False
    for manifest in discovery.manifests:
        problem = check_environment(manifest, sdk_version())
        name = f"model {manifest.name}"
        if problem is None:
            used = "configured" if manifest.name in wanted else "not configured"
            yield ok(name, f"Its environment is sound ({used}).", healthy=True)
        elif manifest.name in wanted:
            building = True
            yield warn(name, f"{problem.sentence} The host does without it.", problem.mend, healthy=False)
        else:
            yield ok(name, f"{problem.sentence} Nothing asks for it.", healthy=False)
    for missing in sorted(wanted - {manifest.name for manifest in discovery.manifests}):
        mend = "Correct the name, or name its folder in CHRONOTICK_PLUGIN_PATH."
        yield warn(f"model {missing}", "It is configured, and no such plugin is found.", mend, healthy=False)
    for sentence in discovery.problems:
        yield warn("models", sentence)
    free = shutil.disk_usage(project_root() or Path.home()).free
    if building and free < ENVIRONMENT_BYTES:
        yield warn(
            "disk", f"{free / 1e9:.1f} GB are free; an environment with torch takes about 1 GB.", free_bytes=free
        )
    else:
        yield ok("disk", f"{free / 1e9:.1f} GB are free for models' environments.", free_bytes=free)


def _zeromq() -> Iterable[Finding]:
    import zmq

    facts = {"libzmq": zmq.zmq_version(), "curve": zmq.has("curve"), "ipc": zmq.has("ipc")}
    if not facts["ipc"]:
        yield fail("libzmq", f"libzmq {facts['libzmq']} has no ipc.", "Install another build of pyzmq.", **facts)
    elif not facts["curve"]:
        mend = "Install a build of pyzmq with libsodium, if other machines are to ask."
        yield warn("libzmq", f"libzmq {facts['libzmq']} has no CURVE: no questions from other machines.", mend, **facts)
    else:
        yield ok("libzmq", f"libzmq {facts['libzmq']} with ipc and CURVE.", **facts)
