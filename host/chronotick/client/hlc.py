"""Hybrid logical clock: stamps that respect cause and effect and stay within the clock's bounds.

Kulkarni, Demirbas, Madeppa, Avva, Leone: Logical Physical Clocks (OPODIS 2014), figure 5. A stamp is a time and a
counter. The time is the largest that this node has seen, its own clock included; the counter breaks ties. If a caused
b, by a message or on one node, then stamp(a) < stamp(b), however wrong the clocks are.

While every node's hard interval holds, no stamp lies further ahead of true time than the widest such interval: nodes
refuse stamps that only a broken clock can have made, before these can carry everybody away.
"""

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from chronotick.errors import OutOfRange, RemoteRefused

if TYPE_CHECKING:
    from chronotick.client.clock import Clock

MOST_AHEAD_NS: Final = 1_000_000_000
MOST_EVENTS: Final = 2**32 - 1
_DIGITS_NS: Final = 20
_DIGITS_COUNT: Final = 10


class HlcStamp(NamedTuple):
    """A stamp. Stamps are ordered, and so are their texts: first the time, then the counter, then the node's name.

    Attributes:
        utc_ns: largest time seen, ns since 1970. Not a measurement: only the order counts.
        counter: of events at that time.
        node: who made it.
    """

    utc_ns: int
    counter: int
    node: str = ""

    def __str__(self) -> str:
        return f"{self.utc_ns:0{_DIGITS_NS}d}.{self.counter:0{_DIGITS_COUNT}d}.{self.node}"

    @classmethod
    def parse(cls, text: str) -> "HlcStamp":
        """The stamp that `str()` wrote.

        Raises:
            OutOfRange: it is none.
        """
        time, _, rest = text.partition(".")
        count, dot, node = rest.partition(".")
        digits = time + count
        if not (
            dot and digits.isascii() and digits.isdigit() and (len(time), len(count)) == (_DIGITS_NS, _DIGITS_COUNT)
        ):
            raise OutOfRange(f"{text[:64]!r} is no hybrid stamp: expected TIME.COUNTER.NODE.")
        return cls(int(time), int(count), node)


class Hlc:
    """The hybrid clock of one node. Thread-safe; one per process.

    hlc = Hlc(clock, "writer-1")
    message["at"] = str(hlc.send())
    hlc.receive(HlcStamp.parse(message["at"]))
    """

    def __init__(
        self, clock: "Clock", node: str = "", *, most_ahead_ns: int = MOST_AHEAD_NS, after: HlcStamp | None = None
    ) -> None:
        """Args:
        clock: what time it is.
        node: name of this node, unique where stamps must be.
        most_ahead_ns: a remote stamp further ahead of this clock's hard interval than this is refused, >= 0, ns. Must
            be at least the widest hard interval of any node, beyond which correct nodes would refuse each other.
        after: the last stamp of this node's last run: the new ones will be later.
        """
        if most_ahead_ns < 0:
            raise OutOfRange(f"most_ahead_ns is 0 or more, not {most_ahead_ns}.")
        self._clock = clock
        self._node = node
        self._most_ahead_ns = most_ahead_ns
        self._lock = threading.Lock()
        self._last = HlcStamp(0, 0, node) if after is None else after._replace(node=node)

    @property
    def last(self) -> HlcStamp:
        """The latest stamp made here."""
        return self._last

    def send(self) -> HlcStamp:
        """The stamp of an event here, or of a message that is being sent. Later than all before it.

        Raises:
            ClockError: as `Clock.now()`.
        """
        now_ns = self._clock.now().utc_ns
        with self._lock:
            return self._advance(now_ns, None)

    def receive(self, remote: HlcStamp) -> HlcStamp:
        """The stamp of the event that a message with stamp `remote` has come in. Later than both.

        Raises:
            RemoteRefused: the stamp is too far ahead for any correct clock; nothing has changed.
            ClockError: as `Clock.now()`.
        """
        now = self._clock.now()
        ahead_ns = remote.utc_ns - now.latest_ns
        if ahead_ns > self._most_ahead_ns:
            raise RemoteRefused(
                f"The stamp of {remote.node or 'the sender'} is {ahead_ns} ns ahead of the latest that true time can be"
                f" here, more than the {self._most_ahead_ns} ns allowed.",
                mend="Look at the sender's clock: chronotick status.",
            )
        if not 0 <= remote.counter < MOST_EVENTS or remote.utc_ns < 0:
            raise RemoteRefused(f"The stamp of {remote.node or 'the sender'} has impossible numbers: {remote}.")
        with self._lock:
            return self._advance(now.utc_ns, remote)

    def _advance(self, now_ns: int, remote: HlcStamp | None) -> HlcStamp:
        seen = self._last if remote is None else max(self._last[:2], remote[:2])
        time, counter = (now_ns, 0) if now_ns > seen[0] else (seen[0], seen[1] + 1)
        self._last = HlcStamp(time, counter, self._node)
        return self._last
