"""Instants as agents write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.mcp.instants import from_text, to_rfc3339


@given(st.integers(-(2**63), 2**63 - 1))
def test_what_is_written_is_read_back(utc_ns: int) -> None:
    """RFC 3339 and nanoseconds in a string both give back every nanosecond."""
    assert from_text(to_rfc3339(utc_ns)) == utc_ns
    assert from_text(str(utc_ns)) == utc_ns


@pytest.mark.parametrize(
    ("text", "utc_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t01:00:00.5+01:00", 500_000_000),
        ("2026-07-28T12:00:00.000000001-05:30", 1785259800_000000001),
    ],
)
def test_zones_and_fractions_are_understood(text: str, utc_ns: int) -> None:
    """The instants of RFC 3339's forms."""
    assert from_text(text) == utc_ns


@pytest.mark.parametrize(
    "text",
    ["", "now", "tomorrow", "2026-07-28", "2026-07-28T12:00:00", "2026-02-30T00:00:00Z", "1.5e18", "१२३", "9" * 20],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """Words, dates without a time, times without a zone, and numbers that are no whole nanoseconds are refused."""
    with pytest.raises(ValueError, match="is no instant"):
        from_text(text)


@pytest.mark.parametrize("text", [str(2**63), str(-(2**63) - 1), "2262-05-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_what_no_clock_can_count_is_refused(text: str) -> None:
    """Instants outside int64 nanoseconds are refused."""
    with pytest.raises(ValueError, match="more than a clock can count"):
        from_text(text)
