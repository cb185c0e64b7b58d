"""The state directory: where it is, that it is private, and the lock that one host holds in it."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from chronotick.errors import StoreError
from chronotick.wire.runtime_dir import VARIABLE

LOG_FOLDER: Final = "events"
DATABASE: Final = "state.sqlite"
_LOCK: Final = "state.lock"


def locate(
    runtime_dir: Path,
    explicit: str | os.PathLike[str] = "",
    *,
    own_directory: bool,
    environ: Mapping[str, str] = os.environ,
) -> Path:
    """Where the state directory is, without looking whether it exists.

    The first of: `explicit`; `state` in the runtime directory, for a host whose runtime directory was chosen by hand
    (what a lab's clock was like must not be taken for the machine's); $STATE_DIRECTORY (systemd);
    $XDG_STATE_HOME/chronotick; ~/.local/state/chronotick.

    Args:
        own_directory: the configuration names the runtime directory; `CHRONOTICK_RUNTIME_DIR` is looked at here.
    """
    if explicit:
        return Path(explicit).absolute()
    if own_directory or environ.get(VARIABLE):
        return runtime_dir / "state"
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "chronotick"


@contextlib.contextmanager
def held(path: Path) -> Iterator[Path]:
    """Make the directory and the folder of the log in it, and hold its lock.

    Raises:
        StoreError: it can not be made or written, belongs to someone else, others may write to it, or another host
            holds it.
    """
    mend = "Name another directory in store.state_dir."
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = path.stat()
        if facts.st_uid != os.geteuid():
            raise StoreError(f"The state directory {path} belongs to user {facts.st_uid}, not to us.", mend=mend)
        if facts.st_mode & 0o022:
            mode = stat.S_IMODE(facts.st_mode)
            raise StoreError(
                f"Others may write to the state directory {path} (mode {mode:04o}).", mend=f"chmod 700 {path}"
            )
        (path / LOG_FOLDER).mkdir(mode=0o700, exist_ok=True)
        file = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(f"The state directory {path} can not be used: {error.strerror}.", mend=mend) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"Another ChronoTick host keeps its state in {path}.", mend=mend) from error
        yield path
    finally:
        os.close(file)
