"""The runtime directory: where it is, who may own it, its names, and the lock that one host holds. Stdlib only."""

import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from chronotick.errors import RuntimeDirError

# An ipc path ends here: sun_path has 108 bytes, one of them the closing zero.
IPC_PATH_BYTES: Final = 107
VARIABLE: Final = "CHRONOTICK_RUNTIME_DIR"

# Permission bits of what lies in the directory; its own mode decides who gets that far.
MODES: Final = {
    "plugins.sock": 0o600,
    "client.sock": 0o666,
    "admin.sock": 0o600,
    "events.sock": 0o666,
    "snapshot": 0o644,
    "lock": 0o600,
}


class RuntimeDir(NamedTuple):
    """A runtime directory that has been found fit for use, and the names in it."""

    path: Path

    @property
    def plugins(self) -> Path:
        """Socket of the plugins."""
        return self.path / "plugins.sock"

    @property
    def client(self) -> Path:
        """Socket of the read-only verbs."""
        return self.path / "client.sock"

    @property
    def admin(self) -> Path:
        """Socket of the changing verbs."""
        return self.path / "admin.sock"

    @property
    def events(self) -> Path:
        """Socket of the events."""
        return self.path / "events.sock"

    @property
    def snapshot(self) -> Path:
        """The published reading."""
        return self.path / "snapshot"

    def lock(self) -> "RuntimeLock":
        """Take the lock that a host holds while it runs.

        Raises:
            RuntimeDirError: another host holds it.
        """
        return RuntimeLock(self.path)


class RuntimeLock:
    """Exclusive right to bind and publish in one runtime directory, until closed or the process ends.

    libzmq takes over an existing ipc path without a word, so two hosts must be kept apart before the first bind.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODES["lock"])
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            self._file = -1
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise RuntimeDirError(f"{directory / 'lock'} can not be locked: {error.strerror}.") from error
            raise RuntimeDirError(
                f"Another ChronoTick host (process {owner}) uses {directory}.",
                mend="Stop it, or give this one another directory with publish.runtime_dir.",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, b"%d\n" % os.getpid(), 0)

    @property
    def held(self) -> bool:
        """Whether the lock is still ours."""
        return self._file >= 0

    def close(self) -> None:
        """Give the lock back. The file stays: removing it would let two hosts lock two different files."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> "RuntimeLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def locate(explicit: str | os.PathLike[str] = "", environ: Mapping[str, str] = os.environ) -> Path:
    """Where the runtime directory is, without looking whether it exists.

    The first of: `explicit`, $CHRONOTICK_RUNTIME_DIR, $RUNTIME_DIRECTORY (systemd; the first of several),
    $XDG_RUNTIME_DIR/chronotick, and `chronotick-UID` under $TMPDIR or /tmp.
    """
    if explicit or environ.get(VARIABLE):
        return Path(explicit or environ[VARIABLE]).absolute()
    given = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    session = environ.get("XDG_RUNTIME_DIR", "")
    if session:
        return Path(session) / "chronotick"
    return Path(environ.get("TMPDIR") or "/tmp") / f"chronotick-{os.getuid()}"


def create(explicit: str | os.PathLike[str] = "", environ: Mapping[str, str] = os.environ) -> RuntimeDir:
    """The host's way in: make the directory (0700) if need be, and check it.

    Raises:
        RuntimeDirError: it can not be made, is not a directory, belongs to someone else, others may write to it, or its
            path is too long for sockets.
    """
    path = locate(explicit, environ)
    check_ipc_path(path / "plugins.sock")
    try:
        path.mkdir(mode=0o700, exist_ok=True, parents=bool(explicit))
    except OSError as error:
        raise RuntimeDirError(
            f"The runtime directory {path} can not be made: {error.strerror}.",
            mend=f"Set {VARIABLE} to a directory of your own.",
        ) from error
    _check(path, allowed_owners=(os.geteuid(),), shared=not _is_fallback(path, environ))
    return RuntimeDir(path)


def find(explicit: str | os.PathLike[str] = "", environ: Mapping[str, str] = os.environ) -> RuntimeDir:
    """A reader's way in: the directory of a host that runs or ran.

    Raises:
        RuntimeDirError: there is none, or it could be another user's forgery.
    """
    path = locate(explicit, environ)
    if not path.exists():
        raise RuntimeDirError(f"There is no runtime directory {path}.", mend="Start the host: chronotick run.")
    named = bool(explicit or environ.get(VARIABLE))
    # A directory that the caller names may be a system service's; one that we guessed must be our own.
    _check(path, allowed_owners=None if named else (os.geteuid(), 0), shared=not _is_fallback(path, environ))
    return RuntimeDir(path)


def check_ipc_path(path: Path) -> None:
    """Refuse a socket path that the kernel would cut off.

    Raises:
        RuntimeDirError: it is longer than 107 bytes.
    """
    length = len(os.fsencode(path))
    if length > IPC_PATH_BYTES:
        raise RuntimeDirError(
            f"The socket path {path} has {length} bytes, the system allows {IPC_PATH_BYTES}.",
            mend=f"Set {VARIABLE} or publish.runtime_dir to a shorter directory.",
        )


def _is_fallback(path: Path, environ: Mapping[str, str]) -> bool:
    return path.name == f"chronotick-{os.getuid()}" and path.parent == Path(environ.get("TMPDIR") or "/tmp")


def _check(path: Path, *, allowed_owners: tuple[int, ...] | None, shared: bool) -> None:
    facts = os.lstat(path)
    if allowed_owners is None and stat.S_ISLNK(facts.st_mode):
        facts = os.stat(path)
    if not stat.S_ISDIR(facts.st_mode):
        raise RuntimeDirError(f"The runtime directory {path} is not a directory.", mend="Remove it.")
    if allowed_owners is not None and facts.st_uid not in allowed_owners:
        raise RuntimeDirError(
            f"The runtime directory {path} belongs to user {facts.st_uid}, not to {os.geteuid()}.",
            mend=f"Set {VARIABLE} to a directory of your own.",
        )
    # Under a directory that everyone writes to, nobody else may even look in.
    forbidden = 0o022 if shared else 0o077
    if facts.st_mode & forbidden:
        mode = stat.S_IMODE(facts.st_mode)
        raise RuntimeDirError(
            f"The runtime directory {path} has mode {mode:04o}: others could tamper with it.",
            mend=f"chmod {0o755 if shared else 0o700:o} {path}",
        )
