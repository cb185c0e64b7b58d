"""The judgement on a reply: a sample, or the reason why it does not count. Pure.

The order matters. First what any stranger's datagram can be tested for, then whether the datagram answers our
request (the nonce), and only then what it says: a kiss-o'-death or a root distance means nothing in a forged packet.
"""

from typing import Final

import msgspec

from chronotick.config.schema import NtpConfig
from chronotick.ntp.address import Endpoint, same_address
from chronotick.ntp.outcome import Refusal, Sample
from chronotick.ntp.packet import (
    HEADER_BYTES,
    LEAP_UNSYNCHRONISED,
    MAX_REPLY_BYTES,
    MODE_SERVER,
    Packet,
    decode,
    ntp_difference,
    short_s,
    trailer_is_valid,
    unix_ns_from_ntp,
)
from chronotick.ntp.stamps import Stamps
from chronotick.units import NS_PER_S, ns_to_s

_VERSIONS: Final = (3, 4)
_MAX_STRATUM: Final = 15
_KISS: Final = {b"RATE": Refusal.KISS_RATE, b"DENY": Refusal.KISS_DENY, b"RSTR": Refusal.KISS_RSTR}
# Two clocks that differ by this much in rate may make the delay of a short path look negative.
_RATE_TOLERANCE: Final = 5e-4


class Request(msgspec.Struct, frozen=True):
    """What was asked.

    Attributes:
        endpoint: who was asked.
        nonce: the transmit timestamp sent, 1..2^64-1.
        previous_transmit: transmit timestamp of the last reply accepted from this server.
    """

    endpoint: Endpoint
    nonce: int
    previous_transmit: int | None = None


class Arrival(msgspec.Struct, frozen=True):
    """A datagram as received.

    Attributes:
        data: its bytes; cut off somewhere above the size limit.
        address, port: where it says it comes from.
        stamps: T1, T4 and what belongs to them.
    """

    data: bytes
    address: str
    port: int
    stamps: Stamps


def judge(request: Request, arrival: Arrival, config: NtpConfig) -> Sample | Refusal:
    """Accept a datagram as the reply to `request`, or say why not. Never raises, whatever the bytes."""
    refusal = _datagram(request, arrival)
    if refusal is not None:
        return refusal
    packet = decode(arrival.data)
    refusal = (
        _form(packet, arrival.data)
        or _provenance(packet, request)
        or _kiss(packet)
        or _claims(packet, config)
        or _timestamps(packet)
    )
    if refusal is not None:
        return refusal
    return _measure(packet, arrival.stamps, config)


def _datagram(request: Request, arrival: Arrival) -> Refusal | None:
    if not same_address(arrival.address, request.endpoint.address):
        return Refusal.FOREIGN_ADDRESS
    if arrival.port != request.endpoint.port:
        return Refusal.FOREIGN_PORT
    if len(arrival.data) < HEADER_BYTES:
        return Refusal.RUNT
    if len(arrival.data) > MAX_REPLY_BYTES:
        return Refusal.OVERSIZE
    return None


def _form(packet: Packet, data: bytes) -> Refusal | None:
    if packet.version not in _VERSIONS:
        return Refusal.BAD_VERSION
    if packet.mode != MODE_SERVER:
        return Refusal.BAD_MODE
    if not trailer_is_valid(data, packet.version):
        return Refusal.GARBAGE_EXTENSION
    return None


def _provenance(packet: Packet, request: Request) -> Refusal | None:
    # Duplicate first, as in RFC 5905 section 8: a replay has the wrong origin as well, and this says more.
    if packet.transmit and packet.transmit == request.previous_transmit:
        return Refusal.DUPLICATE
    if packet.origin == 0:
        return Refusal.ZERO_ORIGIN
    if packet.origin != request.nonce:
        return Refusal.WRONG_ORIGIN
    return None


def _kiss(packet: Packet) -> Refusal | None:
    if packet.stratum != 0:
        return None
    code = packet.reference_id
    if code in _KISS:
        return _KISS[code]
    return Refusal.KISS_OTHER if code.isascii() and code.isalnum() else Refusal.BAD_STRATUM


def _claims(packet: Packet, config: NtpConfig) -> Refusal | None:
    if not 1 <= packet.stratum <= _MAX_STRATUM:
        return Refusal.BAD_STRATUM
    if not config.min_stratum <= packet.stratum <= config.max_stratum:
        return Refusal.STRATUM_LIMIT
    if packet.leap == LEAP_UNSYNCHRONISED:
        return Refusal.UNSYNCHRONISED
    return None


def _timestamps(packet: Packet) -> Refusal | None:
    if packet.receive == 0:
        return Refusal.ZERO_RECEIVE
    if packet.transmit == 0:
        return Refusal.ZERO_TRANSMIT
    if ntp_difference(packet.transmit, packet.receive) < 0:
        return Refusal.TRANSMIT_BEFORE_RECEIVE
    if packet.reference and ntp_difference(packet.transmit, packet.reference) < 0:
        return Refusal.REFERENCE_AFTER_TRANSMIT
    return None


def _measure(packet: Packet, stamps: Stamps, config: NtpConfig) -> Sample | Refusal:
    t1, t4 = stamps.sent_raw_ns, stamps.received_raw_ns
    t2 = unix_ns_from_ntp(packet.receive, stamps.realtime_ns)
    # Near T2, not near the local clock: both belong to one exchange even where the two eras meet.
    t3 = unix_ns_from_ntp(packet.transmit, t2)
    precision_s = 2.0**packet.precision + ns_to_s(stamps.uncertainty_ns)
    span_ns = t4 - t1
    delay_ns = span_ns - (t3 - t2)
    if span_ns < 0 or delay_ns < -(precision_s + _RATE_TOLERANCE * ns_to_s(span_ns)) * NS_PER_S:
        return Refusal.NEGATIVE_DELAY
    if ns_to_s(delay_ns) > config.max_delay_s:
        return Refusal.LONG_DELAY
    sample = Sample(
        raw_ns=(t1 + t4) // 2,
        theta_ns=((t2 - t1) + (t3 - t4)) // 2,
        delay_ns=max(delay_ns, 0),
        span_ns=span_ns,
        precision_s=precision_s,
        root_delay_s=short_s(packet.root_delay),
        root_dispersion_s=short_s(packet.root_dispersion),
        stratum=packet.stratum,
        leap=packet.leap,
        reference_id=packet.reference_id,
        transmit=packet.transmit,
        realtime_theta_ns=stamps.realtime_theta_ns,
        sent_stamp=stamps.sent_by,
        received_stamp=stamps.received_by,
    )
    return Refusal.ROOT_DISTANCE if sample.root_distance_s > config.max_root_distance_s else sample
