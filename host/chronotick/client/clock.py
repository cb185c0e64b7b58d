"""The clock of an agent: now, from the host's snapshot, or else from the host itself."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from chronotick.client import ahead, wait
from chronotick.client.connection import Connection, KeyFiles
from chronotick.client.elapsed import Elapsed, elapsed
from chronotick.client.instant import Bounded, Instant, instant_of
from chronotick.client.mapping import Mapping
from chronotick.client.reading import Reading
from chronotick.client.remote import Told, ask, ask_instant
from chronotick.errors import (
    ClockError,
    ClockUnknown,
    HostAbsent,
    OutOfRange,
    RuntimeDirError,
    SnapshotInvalid,
    WidthExceeded,
)
from chronotick.wire.boot import SUSPENDED_TOLERANCE_NS, boot_hash, suspended_ns
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import GENERATION_WORD, MIN_NS, Record, Status

if TYPE_CHECKING:
    from chronotick.client.stamped import Stamped
    from chronotick.client.watch import Change
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
    0, 0, 0.0, 0.0, 0, 0.0, 0.0, normal_widths(0.0), normal_widths(0.0), 0, 0, 0.0, 0, 0, 0, 0, -1, 0, 0, 0,
    Status.UNKNOWN, (),
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
        keys: KeyFiles | None = None,
        fall_back: bool = True,
        timeout_s: float = 1.0,
    ) -> None:
        """Nothing is opened before the first reading.

        Args:
            runtime_dir: the host's directory; "" for the usual places.
            endpoint: ask the host here, `ipc:///run/x/client.sock` or, on another machine, `tcp://HOST:PORT`, and use
                no snapshot at all. What the way there and back took is added to the bounds.
            keys: for tcp: file with this side's secret CURVE key, and file with the host's public one.
            fall_back: `now()` asks over ZeroMQ where the snapshot can not be read.
            timeout_s: longest wait for an answer over ZeroMQ, > 0, s.
        """
        if timeout_s <= 0:
            raise ValueError(f"A time-out is above 0 s, not {timeout_s}.")
        self._given_dir = runtime_dir
        self._endpoint = endpoint
        self._keys = keys
        self._may_ask = fall_back
        self._timeout_s = timeout_s
        self._boot = boot_hash()
        self._mapping: Mapping | None = None
        self._connection: Connection | None = None
        self._look_again_raw_ns = MIN_NS
        # The machine has not slept since, and how long it had before: what was stamped earlier may be older by that.
        self._awake_since_raw_ns, self._slept_ns = _gettime(_RAW), suspended_ns()
        self._closed = False
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._view = _NOTHING

    def now(self, *, max_width_ns: int | None = None, allow_unknown: bool = False) -> Reading:
        """What time it is.

        Args:
            max_width_ns: refuse a reading whose hard interval is wider than this, ns; None for any.
            allow_unknown: give a reading with status UNKNOWN (`utc_ns == 0`, intervals without bounds) instead of
                raising. Not the default: a time that nobody stands for should not be used by forgetting to look.

        Raises:
            ClockUnknown: the host has no time that it can stand for, or its last answer has become void.
            WidthExceeded: the hard interval is wider than `max_width_ns`.
            HostAbsent: no host runs, or none that this user can reach.
            SnapshotInvalid: there is a snapshot, but not one that this reader may use, and no host that answers.
        """
        words, generation, until, anchor, theta, rate, slew, span, least, line = self._view
        raw = _gettime(_RAW)
        if raw >= until or words[GENERATION_WORD] != generation:
            return _within(self._look_again(allow_unknown), max_width_ns)
        age = raw - anchor
        utc = raw + theta + int(rate * age + slew * (age if age < span else span))
        if utc < least:
            utc = least
        if max_width_ns is None:
            return _new(Reading, (utc, raw, line))
        return _within(_new(Reading, (utc, raw, line)), max_width_ns)

    def future(self, seconds: float) -> Instant:
        """What will be known of the time `seconds` (0..3600) from now if nothing is measured until then.

        Its intervals are never narrower than now's. The host tells how its estimate spreads; where no host answers, the
        calibrated interval grows as fast as the hard one.

        Raises:
            OutOfRange: outside 0..3600 s.
            ClockUnknown: nothing is known now, or what is known will be void by then.
            HostAbsent, SnapshotInvalid: as `now()`.
        """
        later_ns = ahead.ahead_ns(seconds)
        now = self.now()
        if later_ns == 0:
            return instant_of(now)
        try:
            told = self._told(now, "forecast_at", ahead_ns=later_ns)
        except HostAbsent:
            return ahead.future(now, later_ns)
        if now[2].host_pid:
            # Its raw clock is this one.
            then = told.instant.moved(now.raw_ns + later_ns - told.raw_ns)
        else:
            then = told.instant.travelled(told.travel_ns)
        return then.no_narrower_than(now)

    def elapsed(self, since: Reading) -> Elapsed:
        """True time since a reading of this machine, with hard bounds.

        Raises:
            OutOfRange: the reading is not of this machine's clock, or of another boot.
            ClockUnknown, HostAbsent, SnapshotInvalid: as `now()`.
        """
        now = self.now()
        return elapsed(since, now, self._slept_since(since.raw_ns))

    def convert(self, *, raw_ns: int | None = None, realtime_ns: int | None = None) -> Instant:
        """When a past stamp was taken: of CLOCK_MONOTONIC_RAW, or of CLOCK_REALTIME (the system clock).

        Bounds grow with the distance to what was measured. The host remembers what it published and how the system
        clock was steered and stepped meanwhile, for some hours, so a stamp next to a step gets bounds that hold both
        readings of it. Without an answer of the host a raw stamp is carried back from now, with bounds that grow by the
        oscillator's rate bound, and by the time for which the machine slept since; a system stamp is refused.

        Raises:
            OutOfRange: a future stamp, one that the system clock never showed, one from before the host began to
                watch the system clock, or not exactly one of the two.
            ClockUnknown: nothing is known of that time.
            HostAbsent, SnapshotInvalid: as `now()`; also a system stamp while no host answers on this machine.
        """
        if (raw_ns is None) == (realtime_ns is None):
            raise OutOfRange("A stamp is converted from either raw_ns or realtime_ns.")
        now = self.now()
        if raw_ns is None and self._endpoint.startswith("tcp:"):
            raise HostAbsent("A stamp of this machine's system clock means nothing to a host on another machine.")
        if raw_ns is None:
            return self._told(now, "convert", realtime_ns=realtime_ns).instant
        carried = ahead.past(now, raw_ns, self._slept_since(raw_ns))
        if self._endpoint.startswith("tcp:"):
            return carried
        try:
            return self._told(now, "convert", raw_ns=raw_ns).instant
        except HostAbsent:
            return carried

    def wait_until(self, target_utc_ns: int, *, certain: bool = False, timeout_s: float | None = None) -> Reading:
        """Wait until UTC is `target_utc_ns`.

        Args:
            certain: wait until it is so beyond doubt, by the hard interval; otherwise by the estimate.
            timeout_s: longest wait, s; None for any.

        Returns:
            The reading that ended the wait.

        Raises:
            OutOfRange: the target is past.
            WaitTimeout: the target was not reached in time.
            ClockUnknown, HostAbsent, SnapshotInvalid: as `now()`, at any time during the wait.
        """
        return self._wait(wait.for_target(target_utc_ns, self.now(), certain=certain, timeout_s=timeout_s))

    def wait_past(self, event: Bounded, *, timeout_s: float | None = None) -> Reading:
        """Commit-wait: return when `event` is past beyond doubt, so `earliest_ns` of the result > its `latest_ns`.

        Whoever reads a correct clock after this returned gets an interval that ends after the event.

        Raises:
            WaitTimeout: it was not so in time.
            ClockUnknown, HostAbsent, SnapshotInvalid: as `now()`, at any time during the wait.
        """
        return self._wait(wait.for_past(event, timeout_s))

    def stamp(self, payload: bytes | str) -> str:
        """A token, made and signed by the host, that this payload existed now. Opaque, and safe in URLs.

        Only a hash of the payload goes to the host.

        Raises:
            ClockUnknown: the host has no time that it can stand for.
            HostAbsent: no host answers.
        """
        from chronotick.wire.token import payload_hash

        return str(self._host().request("stamp", payload_sha256=payload_hash(payload))["token"])

    def verify(self, token: str, payload: bytes | str | None = None) -> "Stamped":
        """What a token says, when this host made it.

        Args:
            payload: refuse a stamp of anything else; None to leave that to `payload_sha256`.

        Raises:
            TokenRefused: invented, altered, made by another host, or of another payload.
            HostAbsent: no host answers; `verify_offline` needs none.
        """
        from chronotick.client.stamped import stamped
        from chronotick.wire.token import check_payload, read

        content = read(token)
        if payload is not None:
            check_payload(content, payload)
        self._host().request("verify", token=token)
        return stamped(content, token)

    def watch(self, interval_s: float = 1.0) -> Iterator["Change"]:
        """Changes of status, epoch and host, the present condition first. Does not end; also tells when nobody answers.

        Args:
            interval_s: look this often also without an event, > 0, s. A host that is killed sends no event.
        """
        from chronotick.client.watch import News, look

        news, before = News(self), None
        try:
            while True:
                change = look(self)
                if change.differs(before):
                    before = change
                    yield change
                news.wait(interval_s)
        finally:
            news.close()

    def status(self, *sections: str) -> dict[str, Any]:
        """The host's status by section (host, clock, sources, plugins, forecasts), or only these.

        Raises:
            HostAbsent: no host answers.
        """
        answer: dict[str, Any] = self._host().request("status_query", sections=sections)["sections"]
        return answer

    @property
    def mapped(self) -> bool:
        """Whether the last reading came from the snapshot, so that the next one will hardly block."""
        return self._mapping is not None

    def events_endpoint(self) -> str:
        """Where the host's events are; "" for a host that was given by its endpoint.

        Raises:
            HostAbsent: there is no runtime directory.
        """
        return "" if self._endpoint else f"ipc://{self._directory().events}"

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

    def _wait(self, this: wait.Wait) -> Reading:
        while True:
            reading = self.now()
            nap_s = this.nap_s(reading)
            if nap_s is None:
                return reading
            time.sleep(nap_s)

    def _told(self, now: Reading, verb: str, **fields: object) -> Told:
        if now[2].stale_raw_ns <= now.raw_ns:
            raise HostAbsent("The host has fallen silent.", mend="Start the host: chronotick run.")
        return ask_instant(self._host(), verb, **fields)

    def _host(self) -> Connection:
        with self._guard():
            if self._endpoint:
                return self._connect(self._endpoint)
            path = self._directory().client
            if not path.exists():
                # Said at once: a connection would wait for it to appear until the time-out.
                raise HostAbsent(
                    f"There is no socket {path}: no host runs here.", mend="Start the host: chronotick run."
                )
            return self._connect(f"ipc://{path}")

    def _connect(self, endpoint: str) -> Connection:
        if self._connection is None or self._connection.endpoint != endpoint:
            self._connection = Connection(endpoint, self._timeout_s, self._keys)
        return self._connection

    def _slept_since(self, raw_ns: int) -> int:
        """How long the machine may have been suspended after a raw instant, ns."""
        total = suspended_ns()
        if total - self._slept_ns > SUSPENDED_TOLERANCE_NS:
            self._slept_ns, self._awake_since_raw_ns = total, _gettime(_RAW)
        if raw_ns >= self._awake_since_raw_ns or total <= SUSPENDED_TOLERANCE_NS:
            return 0
        return total

    def _guard(self) -> threading.Lock:
        if os.getpid() != self._pid:
            # A lock that another thread of the parent held would be held for ever here.
            self._pid, self._lock = os.getpid(), threading.Lock()
        if self._closed:
            raise ClockError("This clock has been closed.", mend="Make another one.")
        return self._lock

    def _look_again(self, allow_unknown: bool) -> Reading:
        with self._guard():
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
        path = self._directory().client
        if not path.exists():
            # Said at once: a connection would wait for it to appear until the time-out.
            raise error
        try:
            return self._ask(f"ipc://{path}")
        except HostAbsent:
            # What is wrong with the snapshot says more than that nobody answers either.
            raise error from None

    def _ask(self, endpoint: str) -> Reading:
        line = ask(self._connect(endpoint))
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


def _within(reading: Reading, max_width_ns: int | None) -> Reading:
    if max_width_ns is not None and (width := reading.latest_ns - reading.earliest_ns) > max_width_ns:
        raise WidthExceeded(
            f"The hard interval is {width} ns wide, more than the {max_width_ns} ns allowed.",
            mend="Wait for more measurements, or use servers that are nearer.",
        )
    return reading


def _unknown(reading: Reading) -> ClockUnknown:
    line = reading[2]
    mend = "See: chronotick status."
    if line.void_raw_ns == line.raw_ns or line.host_pid == 0:
        return ClockUnknown("The host has no time yet: no majority of servers has answered.", mend=mend)
    if reading.raw_ns >= line.void_raw_ns:
        silent_s = (reading.raw_ns - line.raw_ns) / 1e9
        return ClockUnknown(f"The host (process {line.host_pid}) fell silent {silent_s:.0f} s ago.", mend=mend)
    return ClockUnknown("The machine was suspended, and the host has not measured since.", mend=mend)
