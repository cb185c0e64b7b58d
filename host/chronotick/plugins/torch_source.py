"""Where does torch come from? Pure: settings and a folder listing in, attempts in order out.

torch stays out of the plugins' locks, because which build is right depends on the machine. Asked in this order, so that
nobody is stranded: what the user says; a wheel on disk; the CPU build; and, when the index of the CPU builds does not
answer, the registry's own build, which on Linux brings CUDA and takes about 5 GB.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

from msgspec import Struct, field

from chronotick.errors import PluginError

TorchChoice = Literal["auto", "cpu", "cuda", "wheel"]
CHOICES: Final = get_args(TorchChoice)

_GB: Final = 1_000_000_000


class Attempt(Struct, frozen=True, kw_only=True):
    """One way to install torch.

    Attributes:
        name: user, wheel, cpu, cuda or registry.
        requirement: what `uv pip install` is asked for.
        arguments: further arguments of it.
        environ: variables to set for it; a value of None unsets one.
        probe: first ask whether the index answers, with short time-outs, before waiting for it in earnest.
        notice: said before it is tried; "" for nothing worth saying.
        disk_bytes: what it takes, roughly.
    """

    name: str
    requirement: str
    arguments: tuple[str, ...] = ()
    environ: dict[str, str | None] = field(default_factory=dict)
    probe: bool = False
    notice: str = ""
    disk_bytes: int = _GB


class Machine(Struct, frozen=True):
    """What decides whether a build fits: Python (major, minor), architecture as wheels name it, an NVIDIA driver."""

    python: tuple[int, int]
    architecture: str
    nvidia: bool = False


def find_links(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Folders and pages that may hold wheels: UV_FIND_LINKS, else PIP_FIND_LINKS, which uv itself ignores."""
    own = environ.get("UV_FIND_LINKS", "")
    return tuple(own.replace(",", " ").split()) if own else tuple(environ.get("PIP_FIND_LINKS", "").split())


def plan_torch(
    version: str,
    choice: TorchChoice | None,
    environ: Mapping[str, str],
    wheels: Sequence[Path],
    machine: Machine,
) -> tuple[Attempt, ...]:
    """The ways to try, first to last; the next one is for when the one before fails.

    Args:
        version: exact, without local part, e.g. "2.13.0".
        choice: what the command line said; None for nothing.
        environ: UV_TORCH_BACKEND is the user's word where the command line has none.
        wheels: every file in the local folders of `find_links`.

    Raises:
        PluginError: `choice` is "wheel" and there is none that fits.
    """
    pinned = f"torch=={version}"
    backend = environ.get("UV_TORCH_BACKEND", "")
    if choice is None and backend:
        # The user's word is not second-guessed: no other way is tried after it.
        return (
            Attempt(name="user", requirement=pinned, arguments=("--torch-backend", backend), notice=_say_user(backend)),
        )
    on_disk = _wheel_attempt(version, wheels, machine)
    cpu = Attempt(
        name="cpu",
        requirement=pinned,
        arguments=("--torch-backend", "cpu"),
        probe=True,
        notice="torch: the build for CPUs (about 200 MB to fetch, 1 GB on disk)",
    )
    registry = Attempt(
        name="registry",
        requirement=pinned,
        environ={"UV_TORCH_BACKEND": None},
        notice="torch: the registry's own build, which brings CUDA: about 5 GB to fetch and on disk",
        disk_bytes=6 * _GB,
    )
    if choice == "wheel":
        if on_disk is None:
            raise PluginError(
                f"No wheel of torch {version} for Python {_dotted(machine.python)}, {machine.architecture} was found.",
                mend="Name the folder that holds one in UV_FIND_LINKS, or choose --torch cpu.",
            )
        return (on_disk,)
    if choice == "cpu":
        # A CUDA build is not what was asked for, so there is nothing after it.
        return (on_disk, cpu) if on_disk is not None and "+cpu" in on_disk.requirement else (cpu,)
    if choice == "cuda":
        by_driver = Attempt(
            name="cuda",
            requirement=pinned,
            arguments=("--torch-backend", "auto"),
            probe=True,
            notice="torch: the CUDA build for this machine's driver, about 5 GB",
            disk_bytes=6 * _GB,
        )
        return (by_driver, registry) if machine.nvidia else (registry,)
    return (cpu, registry) if on_disk is None else (on_disk, cpu, registry)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _say_user(backend: str) -> str:
    return f"torch: the build that UV_TORCH_BACKEND={backend} asks for"


def _wheel_attempt(version: str, wheels: Sequence[Path], machine: Machine) -> Attempt | None:
    fitting = sorted(
        (path for path in wheels if _fits(path.name, version, machine)),
        key=lambda path: ("+cpu" not in path.name, path.name),
    )
    if not fitting:
        return None
    best = fitting[0]
    # By path, not by name: with a name alone a registry's build of the same version could win.
    return Attempt(
        name="wheel", requirement=str(best), environ={"UV_TORCH_BACKEND": None}, notice=f"torch: the wheel {best}"
    )


def _fits(file_name: str, version: str, machine: Machine) -> bool:
    match = re.fullmatch(r"torch-([^-]+)(?:-\d[^-]*)?-([^-]+)-([^-]+)-([^-]+)\.whl", file_name)
    if match is None:
        return False
    found, python, _, platforms = match.groups()
    tag = f"cp{machine.python[0]}{machine.python[1]}"
    return (
        found.replace("%2B", "+").split("+")[0] == version
        and tag in python.split(".")
        and any("linux" in platform and platform.endswith(machine.architecture) for platform in platforms.split("."))
    )
