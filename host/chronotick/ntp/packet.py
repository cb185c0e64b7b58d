"""NTP packets on the wire (RFC 5905 section 7.3, RFC 7822) and their timestamps, in integers throughout.

A timestamp is 64 bits: seconds since 1900-01-01 in the high half, 2^-32 s in the low one. It wraps every 2^32 s, the
first time on 2036-02-07; which era a timestamp belongs to is decided by what lies nearest to a local estimate.
"""

import datetime
import struct
from typing import Final

import msgspec
import ntplib

from chronotick.units import NS_PER_S

HEADER_BYTES: Final = 48
# Chrony and ntpd-rs read about as much; a plain reply to a plain request has 48.
MAX_REPLY_BYTES: Final = 1024
VERSION: Final = 4
MODE_CLIENT: Final = 3
MODE_SERVER: Final = 4
LEAP_UNSYNCHRONISED: Final = 3

_HEADER: Final = struct.Struct("!BBbbII4sQQQQ")
_EXTENSION: Final = struct.Struct("!HH")
_WRAP: Final = 1 << 64
_HALF: Final = 1 << 63
_UNIX_EPOCH_S: Final = 2_208_988_800
# A clock that stands before this is wrong (no battery, no RTC): eras are then resolved around this instant.
_NO_EARLIER_NS: Final = int(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp()) * NS_PER_S
# RFC 7822 section 7.5: key identifier and an MD5 or SHA-1 digest (or AES-CMAC, as long as MD5).
_MAC_BYTES: Final = (20, 24)
_MIN_EXTENSION_BYTES: Final = 16
_MIN_LAST_EXTENSION_BYTES: Final = 28


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """The 48-byte header.

    Attributes:
        leap: leap indicator, 0..3; 3 says unsynchronised.
        version: 0..7. mode: 0..7.
        stratum: 0..255; 0 in a reply is a kiss-o'-death.
        poll, precision: log2 of seconds, -128..127.
        root_delay, root_dispersion: NTP short format, 2^-16 s, 0..2^32-1.
        reference_id: four bytes.
        reference, origin, receive, transmit: 64-bit timestamps, 0..2^64-1.
    """

    leap: int = 0
    version: int = VERSION
    mode: int = MODE_CLIENT
    stratum: int = 0
    poll: int = 0
    precision: int = 0
    root_delay: int = 0
    root_dispersion: int = 0
    reference_id: bytes = bytes(4)
    reference: int = 0
    origin: int = 0
    receive: int = 0
    transmit: int = 0

    def encode(self) -> bytes:
        """The 48 bytes of the header."""
        return _HEADER.pack(
            self.leap << 6 | self.version << 3 | self.mode,
            self.stratum,
            self.poll,
            self.precision,
            self.root_delay,
            self.root_dispersion,
            self.reference_id,
            self.reference,
            self.origin,
            self.receive,
            self.transmit,
        )


def decode(data: bytes) -> Packet:
    """Read the header; what follows it is `trailer_is_valid`'s.

    Raises:
        ValueError: fewer than 48 bytes.
    """
    if len(data) < HEADER_BYTES:
        raise ValueError(f"an NTP header has {HEADER_BYTES} bytes, not {len(data)}")
    first, stratum, poll, precision, delay, dispersion, refid, *stamps = _HEADER.unpack_from(data)
    reference, origin, receive, transmit = stamps
    return Packet(
        leap=first >> 6,
        version=first >> 3 & 7,
        mode=first & 7,
        stratum=stratum,
        poll=poll,
        precision=precision,
        root_delay=delay,
        root_dispersion=dispersion,
        reference_id=refid,
        reference=reference,
        origin=origin,
        receive=receive,
        transmit=transmit,
    )


def request(nonce: int) -> bytes:
    """A client's request that tells nothing about the client: all fields zero but `nonce` as transmit timestamp.

    The reply's origin must be this very number, so it is the only secret that an off-path forger has to guess. The
    precision field is the 32 that other data-minimising clients send, so as not to stand out.
    """
    return Packet(transmit=nonce, precision=32).encode()


def trailer_is_valid(data: bytes, version: int) -> bool:
    """Whether the bytes after the header are extension fields and at most one MAC, or nothing.

    RFC 7822: from 28 bytes on an extension field comes next; 20 or 24 are a MAC. A crypto-NAK (4 bytes) can not
    answer a request without authentication. Version 3 knows no extension fields. No MAC is verified: there is no key.
    """
    rest = len(data) - HEADER_BYTES
    if version < VERSION:
        return rest == 0 or rest in _MAC_BYTES
    at = HEADER_BYTES
    while rest >= _MIN_LAST_EXTENSION_BYTES:
        _, length = _EXTENSION.unpack_from(data, at)
        if length < _MIN_EXTENSION_BYTES or length % 4 or length > rest:
            return False
        at += length
        rest -= length
    return rest == 0 or rest in _MAC_BYTES


def ntp_from_unix_ns(utc_ns: int) -> int:
    """The 64-bit timestamp nearest to `utc_ns`, in whatever era that is."""
    return _ntp_unwrapped(utc_ns) % _WRAP


def unix_ns_from_ntp(timestamp: int, near_utc_ns: int) -> int:
    """The instant of a 64-bit timestamp that lies within 68 years of `near_utc_ns`, nearest whole nanosecond."""
    near = _ntp_unwrapped(max(near_utc_ns, _NO_EARLIER_NS))
    whole = near + ntp_difference(timestamp, near % _WRAP)
    return ((whole * NS_PER_S + (1 << 31)) >> 32) - _UNIX_EPOCH_S * NS_PER_S


def ntp_difference(later: int, earlier: int) -> int:
    """`later - earlier` in 2^-32 s, signed, across the end of an era (RFC 5905 section 6)."""
    return (later - earlier + _HALF) % _WRAP - _HALF


def short_s(short: int) -> float:
    """NTP short format (2^-16 s) in seconds."""
    return short / 65536


def reference_text(reference_id: bytes, stratum: int) -> str:
    """What the reference identifier says: a source's code for stratum 0 and 1, else the upstream server's number."""
    if stratum <= 1:
        code = reference_id.rstrip(b"\0")
        return code.decode("ascii") if code and all(32 < c < 127 for c in code) else reference_id.hex()
    return ".".join(str(byte) for byte in reference_id)


def reference_meaning(reference_id: bytes, stratum: int) -> str:
    """One phrase on the reference, from ntplib's table; "" where it knows none."""
    if stratum > 1:
        return ""
    return str(ntplib.NTP.REF_ID_TABLE.get(reference_id.decode("latin-1"), ""))


def _ntp_unwrapped(utc_ns: int) -> int:
    """2^-32 s since 1900, not wrapped."""
    return (((utc_ns + _UNIX_EPOCH_S * NS_PER_S) << 32) + NS_PER_S // 2) // NS_PER_S
