"""The publishing shell: reads the clock, and keeps the snapshot file up to date with what is issued."""

import os
import time
from pathlib import Path

from chronotick.config.schema import PublishConfig
from chronotick.errors import SnapshotInvalid
from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish.issuer import Issuer, Writer
from chronotick.publish.snapshot import SnapshotWriter, read_file
from chronotick.publish.types import HardBound, Publication
from chronotick.wire.boot import SUSPENDED_TOLERANCE_NS, boot_hash, suspended_ns
from chronotick.wire.runtime_dir import MODES
from chronotick.wire.snapshot import Record


class Publisher:
    """The one writer of the snapshot. Use from one thread; `current` and `record` may be read from any.

    What is published is the issuer's to decide. Whoever drives the issuer itself calls `flush` afterwards.
    """

    def __init__(
        self,
        path: Path,
        config: PublishConfig,
        host_instance: int,
        *,
        resume: bool = True,
        mode: int = MODES["snapshot"],
    ) -> None:
        """Make the file and publish at once.

        Args:
            path: of the snapshot; the caller holds the lock of its directory.
            host_instance: random 64-bit id of this run.
            resume: go on from the last host's record. False where that host may have served another truth: a lab's.
            mode: permissions of the file.

        Raises:
            RuntimeDirError: the file can not be made.
        """
        boot = boot_hash()
        self.issuer: Issuer = Issuer(
            config,
            Writer(host_instance, os.getpid(), boot),
            raw_ns=_raw_ns(),
            suspended_ns=suspended_ns(),
            last=_last_record(path, boot),
            resume=resume,
        )
        self._file = SnapshotWriter(path, boot, self.issuer.record, mode=mode)
        self._written = self.issuer.slot

    @property
    def current(self) -> Publication:
        """What readers are told now."""
        return self.issuer.current

    @property
    def record(self) -> Record:
        """The same as the file holds it, with the methods that evaluate it at an instant."""
        return self.issuer.record

    def awake_record(self) -> Record:
        """The same for those who are told over a socket: UNKNOWN once the machine has slept, also in the moment before
        the host has noticed, as readers of the file find out for themselves. From any thread."""
        record = self.issuer.record
        slept_ns = abs(suspended_ns() - record.suspended_ns)
        return record if slept_ns <= SUSPENDED_TOLERANCE_NS else record._replace(status=Status.UNKNOWN)

    @property
    def resumed(self) -> bool:
        """Whether what is published now is still the last host's."""
        return self.issuer.resumed

    def remainder_s(self, raw_ns: int) -> float:
        """See `Issuer.remainder_s`."""
        return self.issuer.remainder_s(raw_ns)

    def publish(
        self,
        fused: FusedForecast,
        bound: HardBound,
        *,
        status: Status,
        fix_raw_ns: int,
        void_raw_ns: int,
        epoch: int,
        raw_ns: int | None = None,
    ) -> Publication:
        """Issue a new estimate (see `Issuer.issue`), at `raw_ns` or now, and write it down.

        Raises:
            ValueError: the estimate makes no sense; nothing was published.
        """
        publication = self.issuer.issue(
            fused,
            bound,
            status=status,
            fix_raw_ns=fix_raw_ns,
            void_raw_ns=void_raw_ns,
            epoch=epoch,
            raw_ns=_raw_ns() if raw_ns is None else raw_ns,
            suspended_ns=suspended_ns(),
        )
        self.flush()
        return publication

    def publish_unknown(self, *, fix_raw_ns: int = 0, raw_ns: int | None = None) -> Publication:
        """Publish that no time is known. What the last host left is taken back too."""
        publication = self.issuer.issue_unknown(fix_raw_ns=fix_raw_ns, raw_ns=_raw_ns() if raw_ns is None else raw_ns)
        self.flush()
        return publication

    def flush(self) -> None:
        """Bring the file up to what was issued."""
        if self.issuer.slot is not self._written:
            self._file.write_slot(self.issuer.slot)
            self._written = self.issuer.slot

    def close(self) -> None:
        """Stop writing. The file stays: readers go on with growing bounds, and the next host with it."""
        self._file.close()


def _raw_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def _last_record(path: Path, boot: int) -> Record | None:
    try:
        return read_file(path, boot)
    except (OSError, SnapshotInvalid):
        return None
