"""What readers are told now, and what they are told next. Pure: the publisher writes it down, replay compares it."""

import msgspec

from chronotick.config.schema import PublishConfig
from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish.record import to_publication, to_record
from chronotick.publish.slew import next_publication, unknown_publication
from chronotick.publish.types import HardBound, Publication
from chronotick.units import ns_to_s, s_to_ns
from chronotick.wire import snapshot
from chronotick.wire.boot import SUSPENDED_TOLERANCE_NS
from chronotick.wire.snapshot import Record

# A host that has been silent for this many intervals, and this long besides, is taken for dead, s.
STALE_INTERVALS = 3
STALE_S = 1.0


class Writer(msgspec.Struct, frozen=True):
    """Who publishes.

    Attributes:
        instance: random 64-bit id of the host's run.
        pid: its process.
        boot: `chronotick.wire.boot.boot_hash()`.
    """

    instance: int
    pid: int
    boot: int


class Issuer:
    """Holds the current publication and makes the next one from it.

    It begins with an answer: where the last host left a record of this boot that still stands, that one goes on as
    HOLDOVER, and the first estimate is slewed from it, so that a restart of the host is no discontinuity for readers.
    Otherwise it begins with UNKNOWN.

    Attributes:
        writer: who publishes.
        current: what readers are told now.
        record: the same as the snapshot file holds it; `slot`: its bytes there.
        resumed: whether that is still the last host's.
    """

    def __init__(
        self,
        config: PublishConfig,
        writer: Writer,
        *,
        raw_ns: int,
        suspended_ns: int,
        last: Record | None = None,
        resume: bool = True,
    ) -> None:
        """Begin at `raw_ns`.

        Args:
            suspended_ns: what the machine has slept so far.
            last: what the last host of this boot left, if anything.
            resume: go on from it. False where that host may have served another truth: a lab's.
        """
        self._config = config
        self.writer: Writer = writer
        self._clock_epoch: int | None = None
        self._suspended_ns = suspended_ns
        self.resumed: bool = resume and last is not None and _still_stands(last, raw_ns, suspended_ns)
        previous = None if last is None else to_publication(last)
        if previous is not None and self.resumed:
            first = self._taken_over(previous, raw_ns)
        else:
            first = unknown_publication(
                previous, raw_ns=raw_ns, fix_raw_ns=0, host_instance=writer.instance, sequence=1
            )
        self.current: Publication = first
        self.record: Record = self._to_record(first)
        self.slot: bytes = snapshot.encode(self.record, writer.boot)

    def remainder_s(self, raw_ns: int) -> float:
        """What is still to be slewed at a raw instant, s. A host may find it large enough to declare a new epoch."""
        left_ns = self.current.slew_until_raw_ns - max(raw_ns, self.current.raw_ns)
        return self.current.slew_rate * ns_to_s(max(left_ns, 0))

    def issue(
        self,
        fused: FusedForecast,
        bound: HardBound,
        *,
        status: Status,
        fix_raw_ns: int,
        void_raw_ns: int,
        epoch: int,
        raw_ns: int,
        suspended_ns: int,
    ) -> Publication:
        """A new estimate, slewed from what readers are told now.

        Args:
            bound: the hard bound, found at any instant.
            fix_raw_ns: raw clock of the last fix behind the estimate.
            void_raw_ns: raw clock at which the answer becomes UNKNOWN, unless something is published before.
            epoch: the clock's epoch. Another one than last time declares a discontinuity: the output steps.
            raw_ns: the anchor: now. Not before the previous anchor.
            suspended_ns: what the machine has slept by now; told to readers only with a new epoch, since a host that
                has not noticed yet that the machine slept must not hide it from them.

        Raises:
            ValueError: the estimate makes no sense (see `next_publication`), or does not fit the snapshot's numbers;
                nothing was issued.
        """
        declared = self._clock_epoch is not None and epoch != self._clock_epoch
        publication = next_publication(
            self.current,
            fused,
            bound,
            raw_ns=raw_ns,
            status=status,
            fix_raw_ns=fix_raw_ns,
            void_raw_ns=void_raw_ns,
            stale_raw_ns=self._stale_raw_ns(raw_ns),
            slew_ppm=self._config.slew_ppm,
            step=declared or (self.resumed and self._refuted(bound, raw_ns)),
            host_instance=self.writer.instance,
            sequence=self.current.sequence + 1,
        )
        self._put(publication, suspended_ns if publication.epoch != self.current.epoch else self._suspended_ns)
        self._clock_epoch = epoch
        return publication

    def issue_unknown(self, *, fix_raw_ns: int = 0, raw_ns: int) -> Publication:
        """No time is known. What the last host left is taken back too."""
        publication = unknown_publication(
            self.current,
            raw_ns=raw_ns,
            fix_raw_ns=fix_raw_ns,
            host_instance=self.writer.instance,
            sequence=self.current.sequence + 1,
        )
        self._put(publication, self._suspended_ns)
        return publication

    def _put(self, publication: Publication, suspended_ns: int) -> None:
        record = to_record(publication, suspended_ns=suspended_ns, host_pid=self.writer.pid)
        # What can not be written down raises here, before anything has changed.
        self.slot = snapshot.encode(record, self.writer.boot)
        self._suspended_ns = suspended_ns
        self.current = publication
        self.record = record
        self.resumed = False

    def _to_record(self, publication: Publication) -> Record:
        return to_record(publication, suspended_ns=self._suspended_ns, host_pid=self.writer.pid)

    def _stale_raw_ns(self, raw_ns: int) -> int:
        return raw_ns + s_to_ns(STALE_INTERVALS * self._config.interval_s + STALE_S)

    def _taken_over(self, last: Publication, raw_ns: int) -> Publication:
        status = Status.HOLDOVER if last.status is Status.SYNCHRONISED else last.status
        return msgspec.structs.replace(
            last,
            status=status,
            sequence=1,
            host_instance=self.writer.instance,
            stale_raw_ns=self._stale_raw_ns(raw_ns),
        )

    def _refuted(self, bound: HardBound, raw_ns: int) -> bool:
        hard = bound.at(raw_ns)
        theta_ns = self.record.utc_ns(raw_ns) - raw_ns
        return not hard.earliest_theta_ns <= theta_ns <= hard.latest_theta_ns


def _still_stands(last: Record, raw_ns: int, suspended_ns: int) -> bool:
    slept_ns = abs(last.suspended_ns - suspended_ns)
    return last.raw_ns <= raw_ns and last.status_at(raw_ns) is not Status.UNKNOWN and slept_ns <= SUSPENDED_TOLERANCE_NS
