"""The wire format of replies: timestamps, claims, and which requests are answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.lab.reply import Request, parse, short, timestamp


@given(st.integers(0, 2_085_978_495 * 10**9))
def test_timestamps_are_exact_to_a_quarter_of_a_nanosecond(utc_ns: int) -> None:
    """An NTP timestamp of era 0 stands for the nanosecond it was made of."""
    assert round(timestamp(utc_ns) * 10**9 / 2**32 - 0.0) - 2_208_988_800 * 10**9 == pytest.approx(utc_ns, abs=1024)
    assert (timestamp(utc_ns) * 10**9 + 2**31) // 2**32 - 2_208_988_800 * 10**9 == utc_ns


def test_the_era_rolls_over_in_2036() -> None:
    """One second into era 1 the seconds field is 1, and 1970 is 2 208 988 800."""
    assert timestamp(2_085_978_497 * 10**9) >> 32 == 1
    assert timestamp(0) >> 32 == 2_208_988_800


@pytest.mark.parametrize(("milliseconds", "units"), [(0, 0), (1000, 65536), (0.2, 14), (0.01, 1), (1e9, 0xFFFFFFFF)])
def test_short_format_rounds_up(milliseconds: float, units: int) -> None:
    """A claim of dispersion never shrinks by rounding, and saturates."""
    assert short(milliseconds) == units


def test_only_clients_requests_are_answered() -> None:
    """Mode 3 in versions 1..4 with 48 bytes and more; nothing else."""
    body = bytes(39) + b"ABCDEFGH"
    assert parse(b"\x23" + body) == Request(version=4, poll=0, transmit=0x4142434445464748)
    assert parse(b"\x1b" + body + b"more") == Request(version=3, poll=0, transmit=0x4142434445464748)
    assert parse(b"\x23" + body[:-1]) is None
    assert parse(b"\x24" + body) is None
    assert parse(b"\x03" + body) is None
    assert parse(b"\x3b" + body) is None
    assert parse(b"") is None
