import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.cli.durations import MAX_NS, UNITS_NS, duration_ns, instant, waiting_s
from chronotick.cli.output import rfc3339


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1ms", 10**6),
        ("250us", 250_000),
        ("250 µs", 250_000),
        ("1ns", 1),
        ("1.5s", 15 * 10**8),
        ("60", 60 * 10**9),
        (".5", 5 * 10**8),
        ("10m", 600 * 10**9),
        ("2h", 7200 * 10**9),
        ("1d", 86_400 * 10**9),
        ("0.3us", 300),
    ],
)
def test_durations_are_read_exactly(text: str, ns: int) -> None:
    """A number and a unit is that many nanoseconds, without the errors of binary fractions."""
    assert duration_ns(text) == ns


@given(st.integers(1, 10**7), st.sampled_from([unit for unit in UNITS_NS if unit not in ("d", "h")]))
def test_whole_numbers_of_any_unit_come_back(number: int, unit: str) -> None:
    """Number and unit give number times unit."""
    assert duration_ns(f"{number}{unit}") == number * UNITS_NS[unit]


@pytest.mark.parametrize("text", ["", "ms", "1 parsec", "-1s", "1s2", "1e3", "nan", "inf", "1,5s", "1ms ms", "0x10"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    """The complaint repeats what was given and shows how it is written."""
    with pytest.raises(argparse.ArgumentTypeError, match=r"is no duration: .* e\.g\. 250us"):
        duration_ns(text)


@pytest.mark.parametrize("text", ["0", "0ms", "0.1ns", f"{MAX_NS}s"])
def test_durations_out_of_range_are_refused(text: str) -> None:
    """Zero, what rounds to it, and centuries are no waits."""
    with pytest.raises(argparse.ArgumentTypeError, match="is out of range: 1ns to"):
        duration_ns(text)


def test_a_wait_may_be_zero() -> None:
    """0 means not to wait at all."""
    assert (waiting_s("0"), waiting_s("0s"), waiting_s("90")) == (0.0, 0.0, 90.0)


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_instants_come_back_to_the_nanosecond(utc_ns: int) -> None:
    """What is printed as RFC 3339 is read as the same nanosecond."""
    assert instant(rfc3339(utc_ns)) == ("utc", utc_ns)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1970-01-01T00:00:01Z", ("utc", 10**9)),
        ("1970-01-01 02:00:00.5+02:00", ("utc", 5 * 10**8)),
        ("1795229638392149127", ("utc", 1795229638392149127)),
        ("10m", ("ago", 600 * 10**9)),
    ],
)
def test_instants_are_absolute_or_before_now(text: str, found: tuple[str, int]) -> None:
    """RFC 3339 in any zone and nanoseconds are instants; durations are so long ago."""
    assert instant(text) == found


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    """The complaint says what is expected."""
    with pytest.raises(argparse.ArgumentTypeError, match="is no instant: RFC 3339"):
        instant(text)
