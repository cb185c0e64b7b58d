"""The file with the host's key for signing stamps: made once, readable by its owner only. Stdlib only."""

import contextlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chronotick.errors import RuntimeDirError
from chronotick.wire.runtime_dir import VARIABLE
from chronotick.wire.token import KEY_BYTES

NAME: Final = "stamp.key"


def locate(
    runtime_dir: Path,
    explicit: str | os.PathLike[str] = "",
    *,
    own_directory: bool,
    environ: Mapping[str, str] = os.environ,
) -> Path:
    """Where the key is. It must outlive the runtime directory, or old stamps could not be verified after a reboot.

    The first of: `explicit`; beside the snapshot, for a host whose runtime directory was chosen by hand (a lab's stamps
    must not pass for the machine's); $STATE_DIRECTORY (systemd); $XDG_STATE_HOME/chronotick; ~/.local/state/chronotick.

    Args:
        own_directory: the configuration or `CHRONOTICK_RUNTIME_DIR` names the runtime directory.
    """
    if explicit:
        return Path(explicit).absolute()
    if own_directory or environ.get(VARIABLE):
        return runtime_dir / NAME
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given) / NAME
    home = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "chronotick" / NAME


def load(path: str | os.PathLike[str]) -> bytes:
    """The key in a file.

    Raises:
        RuntimeDirError: there is no such file, it can not be read, others may read it, or it holds no key.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            mode = stat.S_IMODE(os.fstat(file).st_mode)
            content = os.read(file, 1024)
        finally:
            os.close(file)
    except OSError as error:
        raise RuntimeDirError(f"The key {os.fspath(path)} can not be read: {error.strerror}.") from error
    if mode & 0o077:
        raise RuntimeDirError(f"The key {os.fspath(path)} can be read by others.", mend=f"chmod 600 {os.fspath(path)}")
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise RuntimeDirError(f"{os.fspath(path)} holds no key of {KEY_BYTES} bytes in hex.", mend="Remove it.")
    return key


def load_or_create(path: Path) -> bytes:
    """The key in a file, made if there is none. Of several that make it at once one wins and all get its key.

    Raises:
        RuntimeDirError: as `load`, or the file can not be made.
    """
    if not path.exists():
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(path)
        except OSError as error:
            raise RuntimeDirError(
                f"The key {path} can not be made: {error.strerror}.", mend="Name another file in serve.stamp_key_file."
            ) from error
    return load(path)


def _create(path: Path) -> None:
    staging = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    file = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(file, secrets.token_hex(KEY_BYTES).encode() + b"\n")
        os.fsync(file)
        # A link, not a rename: it does not replace the key of whoever was faster.
        with contextlib.suppress(FileExistsError):
            os.link(staging, path)
    finally:
        os.close(file)
        os.unlink(staging)
