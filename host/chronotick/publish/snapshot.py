"""The writing side of the snapshot file: one writer, whole records only, whenever it is killed."""

import contextlib
import mmap
import os
from pathlib import Path

from chronotick.errors import RuntimeDirError, SnapshotInvalid
from chronotick.wire import snapshot
from chronotick.wire.snapshot import Record


class SnapshotWriter:
    """Writes records into a file of its own, which takes the place of the last host's by rename.

    The file appears with its first record already in it. Readers that have mapped the file of an earlier host find the
    new one by its inode. The file stays when the writer goes: readers go on with it until its record is void.

    The caller holds the lock of the runtime directory: two writers of one file are not detected here.
    """

    def __init__(self, path: Path, boot: int, first: Record, *, mode: int = 0o644) -> None:
        """Make the file.

        Args:
            boot: `chronotick.wire.boot.boot_hash()`.
            mode: permissions; who can reach the file at all is up to its directory.

        Raises:
            RuntimeDirError: the file can not be made.
            ValueError: a number of `first` is not finite or out of range.
        """
        self._boot = boot
        slot = snapshot.encode(first, boot)
        header = snapshot.identity(boot).ljust(snapshot.HEADER_BYTES, b"\0")
        staging = path.with_name(path.name + ".new")
        try:
            with contextlib.suppress(FileNotFoundError):
                staging.unlink()
            file = os.open(staging, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
            try:
                os.fchmod(file, mode)
                # Written, not only truncated to size: a full disk must fail here and not as SIGBUS in a store later.
                os.write(file, header + slot + slot)
                self._map = mmap.mmap(file, snapshot.FILE_BYTES)
            finally:
                os.close(file)
            self._words = memoryview(self._map).cast("Q")
            self._number = 1
            self._words[snapshot.GENERATION_WORD] = 2
            os.replace(staging, path)
        except OSError as error:
            raise RuntimeDirError(
                f"The snapshot {path} can not be written: {error.strerror}.",
                mend="Check the directory's permissions and free space.",
            ) from error

    def write(self, record: Record) -> None:
        """Replace the published record.

        Raises:
            ValueError: a number is not finite or out of range; the last record stays.
        """
        self.write_slot(snapshot.encode(record, self._boot))

    def write_slot(self, slot: bytes) -> None:
        """Replace the published record by the bytes of another, from `snapshot.encode` for the same boot."""
        number = self._number + 1
        offset = snapshot.slot_offset(number)
        self._words[snapshot.GENERATION_WORD] = 2 * number - 1
        self._map[offset : offset + snapshot.SLOT_BYTES] = slot
        self._words[snapshot.GENERATION_WORD] = 2 * number
        self._number = number

    def close(self) -> None:
        """Give the mapping back. The file stays as it is."""
        self._words.release()
        self._map.close()


def read_file(path: Path, boot: int) -> Record:
    """The last whole record of a file, without mapping it.

    Raises:
        OSError: the file can not be read.
        SnapshotInvalid: it is damaged, of a foreign layout, or of another boot.
    """
    content = bytearray(path.read_bytes())
    snapshot.check_identity(bytes(content), boot)
    if len(content) != snapshot.FILE_BYTES:
        raise SnapshotInvalid(f"The snapshot has {len(content)} bytes, expected {snapshot.FILE_BYTES}.")
    view = memoryview(content)
    return snapshot.load(view, view.cast("Q"), boot)[1]
