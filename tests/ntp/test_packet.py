"""Packets and timestamps: exact in both directions, in every era."""

import ntplib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.ntp.packet import (
    HEADER_BYTES,
    Packet,
    decode,
    ntp_difference,
    ntp_from_unix_ns,
    reference_meaning,
    reference_text,
    request,
    short_s,
    unix_ns_from_ntp,
)

ERA_1_NS = (2**32 - 2_208_988_800) * 10**9  # 2036-02-07T06:28:16 UTC
YEAR_NS = 31_556_952 * 10**9
U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
I8 = st.integers(-128, 127)
PACKETS = st.builds(
    Packet,
    leap=st.integers(0, 3),
    version=st.integers(0, 7),
    mode=st.integers(0, 7),
    stratum=st.integers(0, 255),
    poll=I8,
    precision=I8,
    root_delay=U32,
    root_dispersion=U32,
    reference_id=st.binary(min_size=4, max_size=4),
    reference=U64,
    origin=U64,
    receive=U64,
    transmit=U64,
)


@given(packet=PACKETS)
def test_packets_survive_encoding(packet: Packet) -> None:
    """Every header decodes to what was encoded, in 48 bytes."""
    data = packet.encode()
    assert len(data) == HEADER_BYTES
    assert decode(data) == packet


@given(data=st.binary(min_size=48, max_size=48))
def test_bytes_survive_decoding(data: bytes) -> None:
    """Every 48 bytes are a header, and encode to the same bytes: no bit is lost."""
    assert decode(data).encode() == data


@given(packet=PACKETS)
def test_the_header_agrees_with_ntplib(packet: Packet) -> None:
    """An independent decoder reads the same fields, as far as its float timestamps go."""
    other = ntplib.NTPPacket()
    other.from_data(packet.encode())
    assert (other.leap, other.version, other.mode) == (packet.leap, packet.version, packet.mode)
    # ntplib takes the poll for an unsigned number; RFC 5905 says signed.
    assert (other.poll, other.precision) == (packet.poll % 256, packet.precision)
    assert other.root_delay == pytest.approx(short_s(packet.root_delay))
    assert other.ref_id == int.from_bytes(packet.reference_id, "big")
    assert other.orig_timestamp == pytest.approx(packet.origin / 2**32)
    assert other.tx_timestamp == pytest.approx(packet.transmit / 2**32)


def test_a_short_header_is_an_error() -> None:
    """Forty-seven bytes are refused with both numbers in the message."""
    with pytest.raises(ValueError, match="48 bytes, not 47"):
        decode(bytes(47))


@given(nonce=st.integers(1, 2**64 - 1))
def test_a_request_tells_nothing_but_its_nonce(nonce: int) -> None:
    """Two requests differ in the nonce only, and the rest is constant: version 4, mode 3, precision 32, zeros."""
    data = request(nonce)
    assert data[:40] == bytes([0x23, 0, 0, 32]) + bytes(36)
    assert int.from_bytes(data[40:], "big") == nonce


@given(utc_ns=st.integers(0, 500 * YEAR_NS), away_ns=st.integers(-60 * YEAR_NS, 60 * YEAR_NS))
def test_instants_survive_the_wire_in_every_era(utc_ns: int, away_ns: int) -> None:
    """A nanosecond comes back exactly if the local estimate is within 60 years and not before 2026."""
    near_ns = max(utc_ns + away_ns, 56 * YEAR_NS)
    if abs(near_ns - utc_ns) < 68 * YEAR_NS:
        assert unix_ns_from_ntp(ntp_from_unix_ns(utc_ns), near_ns) == utc_ns


def test_the_second_era_begins_in_2036() -> None:
    """The timestamp is zero at the rollover, and both sides of it are told apart by the local estimate."""
    assert ntp_from_unix_ns(ERA_1_NS) == 0
    for near_ns in (ERA_1_NS - YEAR_NS, ERA_1_NS + YEAR_NS):
        assert unix_ns_from_ntp(1 << 32, near_ns) == ERA_1_NS + 10**9
        assert unix_ns_from_ntp(2**64 - (1 << 32), near_ns) == ERA_1_NS - 10**9


def test_a_clock_without_a_battery_still_finds_the_era() -> None:
    """With a local clock at 1970 a server's 2040 is 2040, not 1904."""
    in_2040 = ERA_1_NS + 4 * YEAR_NS
    assert unix_ns_from_ntp(ntp_from_unix_ns(in_2040), near_utc_ns=0) == in_2040


@given(earlier=U64, step=st.integers(-(2**62), 2**62))
def test_differences_are_right_across_the_rollover(earlier: int, step: int) -> None:
    """The signed difference of two timestamps does not see the end of an era."""
    assert ntp_difference((earlier + step) % 2**64, earlier) == step


def test_references_are_readable() -> None:
    """Codes for strata 0 and 1, a dotted number above, hexadecimal for what is neither."""
    assert reference_text(b"GPS\0", 1) == "GPS"
    assert reference_text(b"RATE", 0) == "RATE"
    assert reference_text(bytes([192, 0, 2, 7]), 2) == "192.0.2.7"
    assert reference_text(b"\x01\x02\x1b\xff", 1) == "01021bff"
    assert reference_text(bytes(4), 1) == "00000000"
    assert reference_meaning(b"PPS\0", 1) == "Generic pulse-per-second"
    assert reference_meaning(b"\xff\xfe\x00\x01", 1) == ""
    assert reference_meaning(b"GPS\0", 2) == ""
