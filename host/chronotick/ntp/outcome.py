"""What comes of an exchange: a sample or the reason why there is none."""

from enum import StrEnum
from typing import Final

import msgspec

from chronotick.units import ns_to_s


class Refusal(StrEnum):
    """Why a reply does not count, or why there was none. Closed: every reason has a sentence in `explain`."""

    # The datagram
    RUNT = "runt"
    OVERSIZE = "oversize"
    FOREIGN_ADDRESS = "foreign_address"
    FOREIGN_PORT = "foreign_port"
    BAD_VERSION = "bad_version"
    BAD_MODE = "bad_mode"
    GARBAGE_EXTENSION = "garbage_extension"
    # Whether it answers our request
    DUPLICATE = "duplicate"
    ZERO_ORIGIN = "zero_origin"
    WRONG_ORIGIN = "wrong_origin"
    # Kiss-o'-death that answers our request
    KISS_RATE = "kiss_rate"
    KISS_DENY = "kiss_deny"
    KISS_RSTR = "kiss_rstr"
    KISS_OTHER = "kiss_other"
    # What the server says of itself
    BAD_STRATUM = "bad_stratum"
    STRATUM_LIMIT = "stratum_limit"
    UNSYNCHRONISED = "unsynchronised"
    ZERO_RECEIVE = "zero_receive"
    ZERO_TRANSMIT = "zero_transmit"
    TRANSMIT_BEFORE_RECEIVE = "transmit_before_receive"
    REFERENCE_AFTER_TRANSMIT = "reference_after_transmit"
    # What was measured
    NEGATIVE_DELAY = "negative_delay"
    LONG_DELAY = "long_delay"
    ROOT_DISTANCE = "root_distance"
    # No reply
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    NO_ROUTE = "no_route"
    NO_ADDRESS = "no_address"
    SUSPENDED = "suspended"


_SENTENCES: Final = {
    Refusal.RUNT: "The reply is shorter than an NTP header.",
    Refusal.OVERSIZE: "The reply is longer than any plain NTP reply.",
    Refusal.FOREIGN_ADDRESS: "The reply came from another address than the one asked.",
    Refusal.FOREIGN_PORT: "The reply came from another port than the one asked.",
    Refusal.BAD_VERSION: "The reply's version is neither 3 nor 4.",
    Refusal.BAD_MODE: "The reply's mode is not that of a server.",
    Refusal.GARBAGE_EXTENSION: "The bytes after the header are neither extension fields nor a MAC.",
    Refusal.DUPLICATE: "The reply repeats the server's last one.",
    Refusal.ZERO_ORIGIN: "The reply's origin timestamp is zero: it answers no request.",
    Refusal.WRONG_ORIGIN: "The reply's origin timestamp is not the one sent: it is forged, replayed or late.",
    Refusal.KISS_RATE: "The server asks for fewer polls (kiss code RATE).",
    Refusal.KISS_DENY: "The server denies service to this client (kiss code DENY).",
    Refusal.KISS_RSTR: "The server restricts access (kiss code RSTR).",
    Refusal.KISS_OTHER: "The server sent a kiss code that carries no time.",
    Refusal.BAD_STRATUM: "The server's stratum is 0 or 16 and more: it has no time.",
    Refusal.STRATUM_LIMIT: "The server's stratum is outside the configured limits.",
    Refusal.UNSYNCHRONISED: "The server says that it is not synchronised (leap indicator 3).",
    Refusal.ZERO_RECEIVE: "The reply's receive timestamp is zero.",
    Refusal.ZERO_TRANSMIT: "The reply's transmit timestamp is zero.",
    Refusal.TRANSMIT_BEFORE_RECEIVE: "The server says that it answered before it was asked.",
    Refusal.REFERENCE_AFTER_TRANSMIT: "The server says that its clock was last set in the future.",
    Refusal.NEGATIVE_DELAY: "The server claims more processing time than the whole exchange took.",
    Refusal.LONG_DELAY: "The round trip took longer than configured.",
    Refusal.ROOT_DISTANCE: "The server's root distance is larger than configured.",
    Refusal.TIMEOUT: "No reply came in time.",
    Refusal.UNREACHABLE: "The network says that nobody can be reached there (ICMP).",
    Refusal.NO_ROUTE: "This machine could not send: no route, no permission or no free socket.",
    Refusal.NO_ADDRESS: "The name has no usable address.",
    Refusal.SUSPENDED: "The machine slept during the exchange.",
}

KISSES: Final = frozenset({Refusal.KISS_RATE, Refusal.KISS_DENY, Refusal.KISS_RSTR, Refusal.KISS_OTHER})
DENIALS: Final = frozenset({Refusal.KISS_DENY, Refusal.KISS_RSTR})


def explain(refusal: Refusal) -> str:
    """One sentence for a user."""
    return _SENTENCES[refusal]


class StampSource(StrEnum):
    """Who took a timestamp: the kernel's network stack, or this process around its system call."""

    KERNEL = "kernel"
    USER = "user"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted exchange.

    Attributes:
        raw_ns: raw clock at the middle of the exchange, (T1 + T4) / 2.
        theta_ns: UTC minus raw clock, ((T2 - T1) + (T3 - T4)) / 2 (RFC 5905 section 8).
        delay_ns: (T4 - T1) - (T3 - T2), not negative.
        span_ns: T4 - T1.
        precision_s: the server's precision and what translating kernel stamps to the raw clock may have cost, s.
        root_delay_s, root_dispersion_s: as the server says, s.
        stratum: 1..15. leap: 0..2.
        reference_id: four bytes.
        transmit: the reply's 64-bit transmit timestamp.
        realtime_theta_ns: CLOCK_REALTIME minus raw clock, read right after the reply.
        sent_stamp, received_stamp: who took T1 and T4.
    """

    raw_ns: int
    theta_ns: int
    delay_ns: int
    span_ns: int
    precision_s: float
    root_delay_s: float
    root_dispersion_s: float
    stratum: int
    leap: int
    reference_id: bytes
    transmit: int
    realtime_theta_ns: int
    sent_stamp: StampSource = StampSource.USER
    received_stamp: StampSource = StampSource.USER

    @property
    def delay_s(self) -> float:
        """Round-trip delay, seconds."""
        return ns_to_s(self.delay_ns)

    @property
    def system_offset_s(self) -> float:
        """Server minus CLOCK_REALTIME, seconds: positive when the system clock is behind."""
        return ns_to_s(self.theta_ns - self.realtime_theta_ns)

    @property
    def root_distance_s(self) -> float:
        """Root distance at the exchange itself, seconds (RFC 5905 section 11.1, without ageing)."""
        return (self.root_delay_s + self.delay_s) / 2 + self.root_dispersion_s + self.precision_s

    def root_distance_at_s(self, raw_ns: int, rate_bound: float) -> float:
        """Root distance at another instant: it grows by what the local oscillator may have drifted, s/s."""
        return self.root_distance_s + rate_bound * ns_to_s(self.span_ns + abs(raw_ns - self.raw_ns))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one exchange ended. All that the decision code ever learns about the network: log these and replay.

    Attributes:
        server: the server as configured.
        address, port: who was asked; "" and 0 when the name had no address.
        raw_ns: raw clock at the end of the exchange.
        sample: the accepted reply, if any.
        reason: why there is no sample; None when there is one.
        refused: refused replies of this exchange, counted by reason; also beside a sample.
    """

    server: str
    address: str
    port: int
    raw_ns: int
    sample: Sample | None = None
    reason: Refusal | None = None
    refused: tuple[tuple[Refusal, int], ...] = ()
