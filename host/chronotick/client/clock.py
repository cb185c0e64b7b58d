"""The clock of an agent: now, from the host's snapshot, or else from the host itself."""

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from chronotick.client.connection import Connection
from chronotick.client.mapping import Mapping
from chronotick.client.reading import Reading
from chronotick.client.remote import ask
from chronotick.errors import ClockError, ClockUnknown, HostAbsent, RuntimeDirError, SnapshotInvalid
from chronotick.wire.boot import SUSPENDED_TOLERANCE_NS, boot_hash, suspended_ns
from chronotick.wire.snapshot import GENERATION_WORD, MIN_NS, Record, Status

if TYPE_CHECKING:
    from chronotick.wire.runtime_dir import RuntimeDir

# How long a busy reader trusts its mapping before it looks whether the file was replaced or the machine slept, ns.
LOOK_AGAIN_NS = 50_000_000

_gettime = time.clock_gettime_ns
_RAW = time.CLOCK_MONOTONIC_RAW
_new = tuple.__new__


class _View(NamedTuple):
    """What `now()` needs, in one immutable piece, so that threads may share it without a lock.

    Attributes:
        words: the mapped file as uint64, generation: what it was when the line was read from it.
        until: raw clock until which the line may be used as it is.
        anchor to span: the line's raw_ns, theta_ns, rate, slew_rate, and ns of slewing after the anchor.
        least: nothing below it may be answered in this epoch, because the line before said it already.
        line: the record, with the status that it has now.
    """

    words: Sequence[int] | memoryview
    generation: int
    until: int
    anchor: int
    theta: int
    rate: float
    slew: float
    span: int
    least: int
    line: Record


_NO_LINE = Record(
    0, 0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0, 0, 0, 0, -1, 0, 0, 0, Status.UNKNOWN, ()
)  # fmt: skip
_NOTHING = _View((0,) * (GENERATION_WORD + 1), 0, MIN_NS, 0, 0, 0.0, 0.0, 0, MIN_NS, _NO_LINE)


class Clock:
    """Trusted time from the host on this machine.

        from chronotick import Clock

        clock = Clock()
        reading = clock.now()
        print(reading.utc_ns, reading.earliest_ns, reading.latest_ns, reading.status)

    `now()` reads the host's memory-mapped snapshot, about a microsecond; where that can not be read it asks the host
    over ZeroMQ, tens of microseconds. It never talks to the network and changes nothing in the host.

    What holds:

    - The answer always lies in its hard interval, and the interval grows with the age of the last measurement.
    - One clock never runs backwards within an epoch, whatever happens to the host. It may step when `epoch` changes:
      the host has declared a discontinuity; and when another run of the host refutes, by its hard interval, what the
      one before had said.
    - A host that dies, is killed or is stopped leaves its last line: status HOLDOVER a few publishing intervals later,
      with bounds that grow, until it is void; then UNKNOWN. A new host is found within 50 ms.
    - After the machine was suspended nothing is known until the host has measured anew. A reader in a tight loop finds
      out within 50 ms of running time, any other at once.

    Thread-safe, and usable in a forked child. Holds one mapping, and one socket once it had to ask.
    """

    def __init__(
        self,
        runtime_dir: str | os.PathLike[str] = "",
        *,
        endpoint: str = "",
        fall_back: bool = True,
        timeout_s: float = 1.0,
    ) -> None:
        """Nothing is opened before the first reading.

        Args:
            runtime_dir: the host's directory; "" for the usual places.
            endpoint: ask the host here, e.g. `ipc:///run/x/client.sock`, and use no snapshot at all.
            fall_back: ask over ZeroMQ where the snapshot can not be read.
            timeout_s: longest wait for an answer over ZeroMQ, > 0, s.
        """
        if timeout_s <= 0:
            raise ValueError(f"A time-out is above 0 s, not {timeout_s}.")
        self._given_dir = runtime_dir
        self._endpoint = endpoint
        self._may_ask = fall_back
        self._timeout_s = timeout_s
        self._boot = boot_hash()
        self._mapping: Mapping | None = None
        self._connection: Connection | None = None
        self._look_again_raw_ns = MIN_NS
        self._closed = False
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._view = _NOTHING

    def now(self, *, allow_unknown: bool = False) -> Reading:
        """What time it is.

        Args:
            allow_unknown: give a reading with status UNKNOWN (`utc_ns == 0`, intervals without bounds) instead of
                raising. Not the default: a time that nobody stands for should not be used by forgetting to look.

        Raises:
            ClockUnknown: the host has no time that it can stand for, or its last answer has become void.
            HostAbsent: no host runs, or none that this user can reach.
            SnapshotInvalid: there is a snapshot, but not one that this reader may use, and no host that answers.
        """
        words, generation, until, anchor, theta, rate, slew, span, least, line = self._view
        raw = _gettime(_RAW)
        if raw >= until or words[GENERATION_WORD] != generation:
            return self._look_again(allow_unknown)
        age = raw - anchor
        utc = raw + theta + int(rate * age + slew * (age if age < span else span))
        if utc < least:
            utc = least
        return _new(Reading, (utc, raw, line))

    def close(self) -> None:
        """Give up mapping and socket. Readings stay valid, the clock does not."""
        self._closed = True
        self._view = _NOTHING
        self._mapping = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> "Clock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_again(self, allow_unknown: bool) -> Reading:
        if os.getpid() != self._pid:
            # A lock that another thread of the parent held would be held for ever here.
            self._pid, self._lock = os.getpid(), threading.Lock()
        with self._lock:
            if self._closed:
                raise ClockError("This clock has been closed.", mend="Make another one.")
            if self._endpoint:
                reading = self._ask(self._endpoint)
            else:
                try:
                    reading = self._read()
                except (HostAbsent, SnapshotInvalid) as error:
                    reading = self._fall_back(error)
        if reading.status is Status.UNKNOWN and not allow_unknown:
            raise _unknown(reading)
        return reading

    def _read(self) -> Reading:
        mapping = self._mapping or Mapping(self._directory().snapshot, self._boot)
        look = _gettime(_RAW) >= self._look_again_raw_ns
        if look and mapping.replaced():
            # One that can not be used does not invalidate what we have: the old line still holds, with growing bounds.
            with contextlib.suppress(HostAbsent, SnapshotInvalid):
                mapping = Mapping(mapping.path, self._boot)
        self._mapping = mapping
        generation, record = mapping.load()
        raw = _gettime(_RAW)
        status = record.status_at(raw)
        if look:
            slept_ns = abs(suspended_ns() - record.suspended_ns)
            if slept_ns > SUSPENDED_TOLERANCE_NS:
                status = Status.UNKNOWN
            else:
                self._look_again_raw_ns = raw + LOOK_AGAIN_NS
        line = record._replace(status=status)
        ends = (self._look_again_raw_ns, *(end for end in (line.stale_raw_ns, line.void_raw_ns) if end > raw))
        self._view = _View(
            words=mapping.words,
            generation=generation,
            until=MIN_NS if status is Status.UNKNOWN else min(ends),
            anchor=line.raw_ns,
            theta=line.theta_ns,
            rate=line.rate,
            slew=line.slew_rate,
            span=line.slew_until_raw_ns - line.raw_ns,
            least=_least_ns(self._view, line, raw),
            line=line,
        )
        return self._reading(line, raw)

    def _fall_back(self, error: HostAbsent | SnapshotInvalid) -> Reading:
        self._mapping = None
        if not self._may_ask:
            raise error
        try:
            return self._ask(f"ipc://{self._directory().client}")
        except HostAbsent:
            # What is wrong with the snapshot says more than that nobody answers either.
            raise error from None

    def _ask(self, endpoint: str) -> Reading:
        if self._connection is None or self._connection.endpoint != endpoint:
            self._connection = Connection(endpoint, self._timeout_s)
        line = ask(self._connection)
        self._view = _NOTHING._replace(line=line, least=_least_ns(self._view, line, line.raw_ns))
        reading = self._reading(line, line.raw_ns)
        if line.status is not Status.UNKNOWN:
            self._view = self._view._replace(least=reading.utc_ns)
        return reading

    def _reading(self, line: Record, raw_ns: int) -> Reading:
        utc = 0 if line.status is Status.UNKNOWN else max(line.utc_ns(raw_ns), self._view.least)
        return Reading((utc, raw_ns, line))

    def _directory(self) -> "RuntimeDir":
        # Imported late, like all that only the first reading needs: it would be a third of the import.
        from chronotick.wire.runtime_dir import find

        try:
            return find(self._given_dir)
        except RuntimeDirError as error:
            raise HostAbsent(error.message, mend=error.mend) from error
        except OSError as error:
            raise HostAbsent(
                f"The runtime directory {error.filename} can not be looked into: {error.strerror}.",
                mend="Run as the host's user, or give this user access to it.",
            ) from error


def _least_ns(view: _View, line: Record, raw_ns: int) -> int:
    """What the readings of `line` must not fall below: what the line before it says at the same instant."""
    before = view.line
    if before.epoch != line.epoch:
        return MIN_NS
    if (before.host_instance, before.sequence) == (line.host_instance, line.sequence):
        return view.least
    least = view.least
    if before.status is not Status.UNKNOWN and view.until != MIN_NS:
        # All that was read from the line before was read by now. Over ZeroMQ, every line was one reading.
        least = max(least, before.utc_ns(raw_ns))
    refuted = line.status is not Status.UNKNOWN and least > line.latest_ns(raw_ns)
    return MIN_NS if refuted and before.host_instance != line.host_instance else least


def _unknown(reading: Reading) -> ClockUnknown:
    line = reading[2]
    mend = "See: chronotick status."
    if line.void_raw_ns == line.raw_ns or line.host_pid == 0:
        return ClockUnknown("The host has no time yet: no majority of servers has answered.", mend=mend)
    if reading.raw_ns >= line.void_raw_ns:
        silent_s = (reading.raw_ns - line.raw_ns) / 1e9
        return ClockUnknown(f"The host (process {line.host_pid}) fell silent {silent_s:.0f} s ago.", mend=mend)
    return ClockUnknown("The machine was suspended, and the host has not measured since.", mend=mend)
