"""A snapshot file, mapped for reading."""

import mmap
import os
from typing import TYPE_CHECKING

from chronotick.errors import HostAbsent
from chronotick.wire import snapshot
from chronotick.wire.snapshot import Record

if TYPE_CHECKING:
    from pathlib import Path


class Mapping:
    """One host's snapshot file. It stays readable when the host dies and when another file takes its name."""

    def __init__(self, path: "Path", boot: int) -> None:
        """Map the file.

        Raises:
            HostAbsent: there is no file, or this user may not read it.
            SnapshotInvalid: it is not a snapshot of this boot and layout.
        """
        self.path = path
        self._boot = boot
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _unreachable(path, error) from error
        try:
            facts = os.fstat(file)
            snapshot.check_identity(os.pread(file, snapshot.FILE_BYTES, 0), boot)
            # The mapping goes when the last view of it does; closing it by hand would pull it from under other threads.
            mapped = mmap.mmap(file, snapshot.FILE_BYTES, access=mmap.ACCESS_READ)
        except OSError as error:
            raise _unreachable(path, error) from error
        finally:
            os.close(file)
        self._identity = (facts.st_dev, facts.st_ino)
        self._buffer = memoryview(mapped)
        self.words: memoryview = self._buffer[: snapshot.HEADER_BYTES].cast("Q")

    def load(self) -> tuple[int, Record]:
        """The generation and the last whole record.

        Raises:
            SnapshotInvalid: there is none.
        """
        return snapshot.load(self._buffer, self.words, self._boot)

    def replaced(self) -> bool:
        """Whether another file has this one's name now. A file that is gone is not replaced."""
        try:
            facts = os.stat(self.path)
        except OSError:
            return False
        return (facts.st_dev, facts.st_ino) != self._identity


def _unreachable(path: "Path", error: OSError) -> HostAbsent:
    if isinstance(error, FileNotFoundError):
        return HostAbsent(f"There is no snapshot {path}: no host runs here.", mend="Start the host: chronotick run.")
    if isinstance(error, PermissionError):
        return HostAbsent(
            f"The snapshot {path} can not be read by user {os.geteuid()}: permission denied.",
            mend="Run as the host's user, or give this user access to the runtime directory.",
        )
    return HostAbsent(f"The snapshot {path} can not be read: {error.strerror}.", mend="Restart the host.")
