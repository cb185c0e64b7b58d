"""NTP replies of the lab's servers (RFC 5905 section 7.3), right ones and wrong ones.

Written apart from `chronotick.ntp` on purpose: a mistake shared by both sides would cancel and stay unseen.
"""

import struct
from collections.abc import Collection

import msgspec

from chronotick.lab.scenario import FaultKind
from chronotick.units import NS_PER_S

UNTIL_1970_S = 2_208_988_800
REQUEST_BYTES = 48
HEAD = struct.Struct(">BBBbII4sQQQ")
MODE_CLIENT = 3
MODE_SERVER = 4
PRECISION = -20
RUNT_BYTES = 40
OVERSIZE_BYTES = 4096
# Neither an extension field (the length in bytes 2..3 is absurd) nor as long as a MAC, 20 or 24 (RFC 7822 section 3).
GARBAGE = bytes([0xFF, 0x07, 0xFF, 0xFF]) + bytes(range(0xA0, 0xB8))


class Request(msgspec.Struct, frozen=True):
    """What a server needs of a request."""

    version: int
    poll: int
    transmit: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply, all but its transmit timestamp, in the header's own units.

    Attributes:
        root_delay, root_dispersion: NTP short format, 2^-16 s.
        reference, origin, t2: NTP timestamps, 2^-32 s since 1900, modulo 2^64.
    """

    leap: int = 0
    version: int
    mode: int = MODE_SERVER
    stratum: int
    poll: int
    root_delay: int
    root_dispersion: int
    refid: bytes
    reference: int
    origin: int
    t2: int


def timestamp(utc_ns: int) -> int:
    """UTC as NTP timestamp of 64 bits; eras wrap."""
    return (((utc_ns + UNTIL_1970_S * NS_PER_S) << 32) + NS_PER_S // 2) // NS_PER_S % (1 << 64)


def short(milliseconds: float) -> int:
    """Milliseconds in NTP short format, rounded up: a claim of dispersion must not shrink."""
    return min(-int(-milliseconds * 65.536 // 1), 0xFFFFFFFF)


def parse(data: bytes) -> Request | None:
    """A client's request, or None for what a server does not answer: runts, other modes, versions but 1..4."""
    if len(data) < REQUEST_BYTES:
        return None
    version, mode = data[0] >> 3 & 7, data[0] & 7
    if mode != MODE_CLIENT or not 1 <= version <= 4:
        return None
    return Request(version=version, poll=data[2], transmit=int.from_bytes(data[40:48], "big"))


def spoil(reply: Reply, faults: Collection[FaultKind]) -> Reply:
    """The reply with all header faults of `faults` put in; they combine."""
    changes: dict[str, int | bytes] = {}
    for fault in faults:
        match fault:
            case "kiss_deny" | "kiss_rstr" | "kiss_rate":
                changes |= {"stratum": 0, "leap": 3, "refid": fault.removeprefix("kiss_").upper().encode()}
            case "bad_origin":
                changes["origin"] = reply.origin ^ 0x5A5A_5A5A_5A5A_5A5A
            case "zero_origin":
                changes["origin"] = 0
            case "zero_t2":
                changes["t2"] = 0
            case "future_reference":
                changes["reference"] = (reply.t2 + (3600 << 32)) % (1 << 64)
            case "stratum_0":
                changes |= {"stratum": 0, "refid": bytes(4)}
            case "stratum_16":
                changes["stratum"] = 16
            case "leap_3":
                changes["leap"] = 3
            case "mode_3":
                changes["mode"] = MODE_CLIENT
            case "version_0":
                changes["version"] = 0
            case "version_7":
                changes["version"] = 7
            case "huge_root_distance":
                changes |= {"root_delay": short(40_000), "root_dispersion": short(20_000)}
            case _:
                pass
    return msgspec.structs.replace(reply, **changes)


def head(reply: Reply) -> bytes:
    """The 40 bytes before the transmit timestamp."""
    return HEAD.pack(
        reply.leap << 6 | reply.version << 3 | reply.mode,
        reply.stratum,
        reply.poll,
        PRECISION,
        reply.root_delay,
        reply.root_dispersion,
        reply.refid,
        reply.reference,
        reply.origin,
        reply.t2,
    )


def finish(head_bytes: bytes, t3: int, faults: Collection[FaultKind]) -> bytes:
    """The whole packet: head, transmit timestamp, and what `faults` do to the timestamp and to the packet's end."""
    if faults:
        if "t3_before_t2" in faults:
            t3 = int.from_bytes(head_bytes[32:40], "big") - (1 << 32)
        if "zero_t3" in faults:
            t3 = 0
    packet = head_bytes + (t3 % (1 << 64)).to_bytes(8, "big")
    if faults:
        if "garbage_extension" in faults:
            packet += GARBAGE
        if "oversize" in faults:
            packet = packet.ljust(OVERSIZE_BYTES, b"\0")
        if "runt" in faults:
            packet = packet[:RUNT_BYTES]
    return packet
