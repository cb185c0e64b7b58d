"""The publishing shell: holds what is published now, and keeps the snapshot file up to date."""

import os
import time
from pathlib import Path

import msgspec

from chronotick.config.schema import PublishConfig
from chronotick.errors import SnapshotInvalid
from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish.record import to_publication, to_record
from chronotick.publish.slew import next_publication, unknown_publication
from chronotick.publish.snapshot import SnapshotWriter, read_file
from chronotick.publish.types import HardBound, Publication
from chronotick.units import ns_to_s, s_to_ns
from chronotick.wire.boot import SUSPENDED_TOLERANCE_NS, boot_hash, suspended_ns
from chronotick.wire.runtime_dir import MODES
from chronotick.wire.snapshot import Record

# A host that has been silent for this many intervals, and this long besides, is taken for dead, s.
STALE_INTERVALS = 3
STALE_S = 1.0


class Publisher:
    """The one writer of the snapshot.

    It begins with an answer: where the last host left a record of this boot that still stands, that one goes on as
    HOLDOVER, and the first estimate is slewed from it, so that a restart of the host is no discontinuity for readers.
    Otherwise it begins with UNKNOWN. Use from one thread; `current` may be read from any.
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
        self._config = config
        self._host_instance = host_instance
        self._clock_epoch: int | None = None
        self._suspended_ns = suspended_ns()
        boot = boot_hash()
        raw_ns = _raw_ns()
        last = _last_record(path, boot)
        self._resumed = resume and last is not None and self._still_stands(last, raw_ns)
        previous = None if last is None else to_publication(last)
        if previous is not None and self._resumed:
            self._current = self._taken_over(previous, raw_ns)
        else:
            self._current = unknown_publication(
                previous, raw_ns=raw_ns, fix_raw_ns=0, host_instance=host_instance, sequence=1
            )
        self._record = self._to_record(self._current)
        self._writer = SnapshotWriter(path, boot, self._record, mode=mode)

    @property
    def current(self) -> Publication:
        """What readers are told now."""
        return self._current

    @property
    def record(self) -> Record:
        """The same as the file holds it, with the methods that evaluate it at an instant."""
        return self._record

    def awake_record(self) -> Record:
        """The same for those who are told over a socket: UNKNOWN once the machine has slept, also in the moment before
        the host has noticed, as readers of the file find out for themselves. From any thread."""
        record = self._record
        slept_ns = abs(suspended_ns() - record.suspended_ns)
        return record if slept_ns <= SUSPENDED_TOLERANCE_NS else record._replace(status=Status.UNKNOWN)

    @property
    def resumed(self) -> bool:
        """Whether what is published now is still the last host's."""
        return self._resumed

    def remainder_s(self, raw_ns: int) -> float:
        """What is still to be slewed at a raw instant, s. A host may find it large enough to declare a new epoch."""
        left_ns = self._current.slew_until_raw_ns - max(raw_ns, self._current.raw_ns)
        return self._current.slew_rate * ns_to_s(max(left_ns, 0))

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
        """Publish a new estimate, slewed from what readers are told now.

        Args:
            bound: the hard bound, found at any instant.
            fix_raw_ns: raw clock of the last fix behind the estimate.
            void_raw_ns: raw clock at which the answer becomes UNKNOWN, unless something is published before.
            epoch: the clock's epoch. Another one than last time declares a discontinuity: the output steps.
            raw_ns: the anchor; now, where it is not given. Not before the previous anchor.

        Raises:
            ValueError: the estimate makes no sense (see `next_publication`); nothing was published.
        """
        raw_ns = _raw_ns() if raw_ns is None else raw_ns
        declared = self._clock_epoch is not None and epoch != self._clock_epoch
        publication = next_publication(
            self._current,
            fused,
            bound,
            raw_ns=raw_ns,
            status=status,
            fix_raw_ns=fix_raw_ns,
            void_raw_ns=void_raw_ns,
            stale_raw_ns=self._stale_raw_ns(raw_ns),
            slew_ppm=self._config.slew_ppm,
            step=declared or (self._resumed and self._refuted(bound, raw_ns)),
            host_instance=self._host_instance,
            sequence=self._current.sequence + 1,
        )
        if publication.epoch != self._current.epoch:
            # Only here: a host that has not noticed yet that the machine slept must not hide it from readers.
            self._suspended_ns = suspended_ns()
        self._put(publication)
        self._clock_epoch = epoch
        self._resumed = False
        return publication

    def publish_unknown(self, *, fix_raw_ns: int = 0, raw_ns: int | None = None) -> Publication:
        """Publish that no time is known. What the last host left is taken back too."""
        publication = unknown_publication(
            self._current,
            raw_ns=_raw_ns() if raw_ns is None else raw_ns,
            fix_raw_ns=fix_raw_ns,
            host_instance=self._host_instance,
            sequence=self._current.sequence + 1,
        )
        self._put(publication)
        self._resumed = False
        return publication

    def close(self) -> None:
        """Stop writing. The file stays: readers go on with growing bounds, and the next host with it."""
        self._writer.close()

    def _put(self, publication: Publication) -> None:
        record = self._to_record(publication)
        self._writer.write(record)
        self._current = publication
        self._record = record

    def _to_record(self, publication: Publication) -> Record:
        return to_record(publication, suspended_ns=self._suspended_ns, host_pid=os.getpid())

    def _stale_raw_ns(self, raw_ns: int) -> int:
        return raw_ns + s_to_ns(STALE_INTERVALS * self._config.interval_s + STALE_S)

    def _still_stands(self, last: Record, raw_ns: int) -> bool:
        slept_ns = abs(last.suspended_ns - self._suspended_ns)
        return (
            last.raw_ns <= raw_ns
            and last.status_at(raw_ns) is not Status.UNKNOWN
            and slept_ns <= SUSPENDED_TOLERANCE_NS
        )

    def _taken_over(self, last: Publication, raw_ns: int) -> Publication:
        status = Status.HOLDOVER if last.status is Status.SYNCHRONISED else last.status
        return msgspec.structs.replace(
            last,
            status=status,
            sequence=1,
            host_instance=self._host_instance,
            stale_raw_ns=self._stale_raw_ns(raw_ns),
        )

    def _refuted(self, bound: HardBound, raw_ns: int) -> bool:
        hard = bound.at(raw_ns)
        theta_ns = self._record.utc_ns(raw_ns) - raw_ns
        return not hard.earliest_theta_ns <= theta_ns <= hard.latest_theta_ns


def _raw_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def _last_record(path: Path, boot: int) -> Record | None:
    try:
        return read_file(path, boot)
    except (OSError, SnapshotInvalid):
        return None
