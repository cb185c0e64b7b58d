"""Run uv, or anything else that takes long, and tell how it goes. Used by the command line only, never by the host."""

import os
import selectors
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from chronotick.errors import PluginError
from chronotick.plugins.discovery import project_root
from chronotick.plugins.torch_source import find_links

TAIL_LINES = 30
TICK_S = 0.5


class Command(Struct, frozen=True):
    """A program to run. `limit_s`: it is ended when it takes longer."""

    argv: tuple[str, ...]
    environ: dict[str, str]
    cwd: Path
    limit_s: float


class Outcome(Struct, frozen=True):
    """How it ended: its exit code (negative for a signal), and its last lines."""

    code: int
    tail: tuple[str, ...]


# Runs a command; the callback gets each line that it writes, and "" about twice a second.
Runner = Callable[[Command, Callable[[str], None]], Outcome]


def run_command(command: Command, heard: Callable[[str], None]) -> Outcome:
    """Run one program to its end; whatever stops us (Ctrl-C too) stops it first.

    Raises:
        PluginError: the program can not be started.
    """
    try:
        process = subprocess.Popen(
            command.argv,
            env=command.environ,
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise PluginError(f"{command.argv[0]} can not be started: {error.strerror}.") from error
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        _listen(process, command.limit_s, tail, heard)
        return Outcome(process.wait(), tuple(tail))
    finally:
        _end(process)


def find_uv(environ: Mapping[str, str] = os.environ) -> str:
    """Path of uv: CHRONOTICK_UV, PATH, beside this interpreter, or where the launcher installed it.

    Raises:
        PluginError: there is none.
    """
    given = environ.get("CHRONOTICK_UV")
    found = given or shutil.which("uv", path=environ.get("PATH"))
    if found:
        return found
    root = project_root()
    for folder in (Path(sys.executable).parent, *((root / ".tools/bin",) if root else ())):
        if os.access(folder / "uv", os.X_OK):
            return str(folder / "uv")
    raise PluginError("uv was not found.", mend="Install it (python3 -m pip install uv), or name it in CHRONOTICK_UV.")


def uv_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv: the user's, without an active environment, and with pip's settings where uv has none.

    uv ignores every setting of pip, so a machine that is set up for pip alone would not reach its index or wheels.
    """
    result = {name: value for name, value in environ.items() if name not in _NOT_FOR_UV}
    for uv_name, pip_name in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("SSL_CERT_FILE", "PIP_CERT")):
        if pip_name in environ and uv_name not in environ and "UV_INDEX_URL" not in environ:
            result[uv_name] = environ[pip_name]
    if links := find_links(environ):
        result["UV_FIND_LINKS"] = ",".join(links)
    result.setdefault("UV_PYTHON_DOWNLOADS", "never")
    result["UV_NO_PROGRESS"] = "1"
    result["NO_COLOR"] = "1"
    return result


# UV_TORCH_BACKEND is passed as an argument where it is meant.
_NOT_FOR_UV = frozenset({"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT", "UV_TORCH_BACKEND"})


def _listen(process: subprocess.Popen[bytes], limit_s: float, tail: deque[str], heard: Callable[[str], None]) -> None:
    assert process.stdout is not None
    end = time.monotonic() + limit_s
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < end:
            if not selector.select(TICK_S):
                heard("")
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            # The end of the stream ends the last line, too.
            *lines, pending = (pending + (chunk or b"\n")).split(b"\n")
            for raw in lines:
                if line := raw.decode("utf-8", "replace").strip():
                    tail.append(line)
                    heard(line)
            if not chunk:
                return
    tail.append(f"It was ended after {limit_s:.0f} s.")
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
