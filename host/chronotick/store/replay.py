"""An event log through the same core again: every snapshot anew, beside the one that was published."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from chronotick.config.schema import Config
from chronotick.core import Core
from chronotick.errors import StoreError
from chronotick.forecast.request import Request
from chronotick.inputs import Answered, Disrupted, Due, Felt, Heard, Models, Refused
from chronotick.publish.issuer import Issuer, Writer
from chronotick.store import state
from chronotick.store.entries import Entry, Header, Published, digest_of, published
from chronotick.store.reader import config_of
from chronotick.store.segments import Segment, segments
from chronotick.wire.snapshot import Status

# Causes of a segment that goes on exactly where the one before it ended.
_SEAMLESS: Final = frozenset({"size", "age"})
# The longest `publish.interval_s`, twice.
_BEFORE_NS: Final = 120_000_000_000

Change = Callable[[Config], Config]


class Moment(msgspec.Struct, frozen=True):
    """One publication, replayed.

    Attributes:
        utc_ns: when it was, by what was published; by the system clock at the segment's head while no time was known.
        logged: what the log says.
        same: whether the replayed snapshot is the published one to the bit.
        core: the core that was replayed, as it stands now: it goes on with the next moment.
        other: the core of a what-if, likewise; None without one.
    """

    utc_ns: int
    logged: Published
    same: bool
    core: Core
    other: Core | None = None

    @property
    def replayed(self) -> Published:
        """What the replayed core published."""
        return published(self.logged.input, self.core)


class Replay:
    """One pass over a log.

    Attributes:
        segments: how many there are to replay.
        bytes_done, bytes_total: progress.
        torn_bytes: half-written ends that were skipped.
        skipped: segments that could not be replayed, with the reason.
        refreshed: parts of a what-if's core that began anew because its configuration changes what they rest on.
    """

    def __init__(
        self,
        place: Path,
        *,
        change: Change | None = None,
        since_utc_ns: int | None = None,
        until_utc_ns: int | None = None,
    ) -> None:
        """Find the segments.

        Args:
            change: makes the configuration of a second core, which meets the same inputs.
            since_utc_ns: begin with the last segment that begins before then.
            until_utc_ns: end before the first publication after then.

        Raises:
            StoreError: there is no event log.
        """
        self._segments = _from(segments(place), since_utc_ns)
        self._change = change
        self._until_utc_ns = until_utc_ns
        self._over = False
        self.segments: int = len(self._segments)
        self.bytes_total: int = sum(one.size_bytes for one in self._segments)
        self.bytes_done: int = 0
        self.torn_bytes: int = 0
        self.skipped: list[tuple[str, str]] = []
        self.refreshed: set[str] = set()

    def moments(self) -> Iterator[Moment]:
        """Each publication in its turn."""
        cores: tuple[Core, Core | None] | None = None
        before: Header | None = None
        for segment in self._segments:
            if self._over:
                return
            header = segment.header
            seamless = before is not None and header.instance == before.instance and header.cause in _SEAMLESS
            try:
                if cores is None or not seamless:
                    cores = self._begin(header, segment)
                yield from self._through(segment, *cores)
                before = header
            except StoreError as error:
                self.skipped.append((segment.path.name, error.message))
                cores = None
            self.torn_bytes += segment.torn_bytes
            if segment.torn_bytes:
                # What came after the last whole frame is missing: the next segment's own state has it.
                cores = None
            self.bytes_done += segment.size_bytes

    def _begin(self, header: Header, segment: Segment) -> tuple[Core, Core | None]:
        config = config_of(segment)
        core = _core(config, header)
        left = state.restore(core, header.state, header.prints)
        if left:
            raise StoreError(f"It was written by another version: {', '.join(left)} can not be taken over.")
        if self._change is None:
            return core, None
        other = _core(self._change(config), header)
        self.refreshed.update(state.restore(other, header.state, header.prints))
        return core, other

    def _through(self, segment: Segment, core: Core, other: Core | None) -> Iterator[Moment]:
        apart_ns = segment.header.realtime_ns - segment.header.raw_ns
        shadow = None if other is None else _Shadow(other)
        for entry in segment.entries():
            if isinstance(entry, Published):
                if entry.status != Status.UNKNOWN:
                    apart_ns = entry.theta_ns
                if self._until_utc_ns is not None and entry.raw_ns + apart_ns > self._until_utc_ns:
                    self._over = True
                    return
            if shadow is not None:
                shadow.meet(entry, core)
            _meet(core, entry)
            if isinstance(entry, Published):
                yield Moment(entry.raw_ns + apart_ns, entry, digest_of(core) == entry.digest, core, other)


def core_at(place: Path, utc_ns: int) -> Moment:
    """The core as it stood at an instant: after the last publication before it.

    Raises:
        StoreError: the log does not reach there.
    """
    # A little earlier: a segment can begin between two publications, the instant between it and the second of them.
    replay = Replay(place, since_utc_ns=utc_ns - _BEFORE_NS, until_utc_ns=utc_ns)
    last = next(iter(deque(replay.moments(), maxlen=1)), None)
    if last is None:
        raise StoreError(
            "The event log begins after that instant.", mend="`chronotick replay` says how far it reaches."
        )
    return last


def _meet(core: Core, entry: Entry) -> tuple[tuple[int, Request], ...]:
    """Give one logged input to a core; returns the questions that it led to."""
    match entry:
        case Published():
            core.publish(entry.input)
        case Due():
            return tuple((one.number, one.request) for one in core.due(entry))
        case Heard():
            core.hear(entry)
        case Answered():
            core.answer(entry)
        case Refused():
            core.refuse(entry)
        case Felt():
            core.feel(entry)
        case Models():
            core.models(entry)
        case Disrupted():
            core.disrupt(entry)
    return ()


class _Shadow:
    """A what-if's core, whose questions may have other numbers: it gets the answers that the log has for equal ones."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def meet(self, entry: Entry, real: Core) -> None:
        """Give it what the real core is about to meet."""
        if not isinstance(entry, Answered | Refused):
            _meet(self._core, entry)
            return
        asked = real.question(entry.question)
        if asked is None:
            return
        mine = self._core.number_of(asked)
        if mine is not None:
            _meet(self._core, msgspec.structs.replace(entry, question=mine))


def _core(config: Config, header: Header) -> Core:
    writer = Writer(header.instance, header.pid, header.boot)
    issuer = Issuer(config.publish, writer, raw_ns=header.raw_ns, suspended_ns=header.suspended_ns)
    return Core(config, issuer)


def _from(found: list[Segment], since_utc_ns: int | None) -> list[Segment]:
    if since_utc_ns is None:
        return found
    begun = [place for place, one in enumerate(found) if one.header.realtime_ns <= since_utc_ns]
    return found[max(begun, default=0) :]
