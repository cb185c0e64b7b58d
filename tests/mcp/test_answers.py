"""The contract's properties, on any published line."""

import itertools
from types import SimpleNamespace

import pytest

pytest.importorskip("mcp")

from hypothesis import given
from hypothesis import strategies as st

from chronotick.client import Reading, Status
from chronotick.client.ahead import future as carried
from chronotick.client.instant import Instant
from chronotick.mcp import answers, clock_tools, results
from chronotick.mcp.answers import Event
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import Record

S = 1_000_000_000
RAW = 5_000 * S
UTC = 1_790_000_000 * S


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """A reading on any line that a host may publish: slewing or not, up to an hour old."""
    age = draw(st.integers(0, 3600 * S))
    sigma = draw(st.floats(1e-7, 1e-2))
    slew = draw(st.sampled_from([0.0, 5e-6, -5e-6]))
    span = draw(st.integers(0, 2 * S))
    spread = 2 * sigma + abs(slew) * span / S
    hard = round((spread + draw(st.floats(1e-4, 1.0))) * S)
    line = Record(
        raw_ns=RAW,
        theta_ns=UTC - RAW,
        rate=draw(st.floats(-1e-4, 1e-4)),
        slew_rate=slew,
        slew_until_raw_ns=RAW + span,
        sigma_s=sigma + abs(slew) * span / S,
        sigma_growth=draw(st.floats(0, 1e-6)),
        half_widths_s=normal_widths(spread),
        half_growths=normal_widths(0.0),
        earliest_theta_ns=UTC - RAW - hard,
        latest_theta_ns=UTC - RAW + hard,
        bound_growth=2e-4,
        stale_raw_ns=RAW + S,
        void_raw_ns=RAW + 10**15,
        fix_raw_ns=RAW,
        suspended_ns=0,
        epoch=0,
        sequence=1,
        host_instance=7,
        host_pid=1,
        status=Status.SYNCHRONISED,
        source=("floor",),
    )
    return Reading((line.utc_ns(RAW + age), RAW + age, line))


systems = st.integers(UTC - 10 * S, UTC + 10 * S)


@given(readings(), systems)
def test_offset_and_drift_are_applied_exactly_once(reading: Reading, system_ns: int) -> None:
    """corrected = system + offset + drift * (system - prediction_time), to the nanosecond."""
    told = results.CorrectedTime(**answers.corrected(reading, system_ns, 0.1, None))
    system, offset = int(told.system_time_ns), int(told.offset_correction_ns)
    since = system - int(told.prediction_time_ns)
    assert int(told.corrected_time_ns) == system + offset + round(told.drift_rate * since)
    assert int(told.corrected_time_ns) == reading.utc_ns


@given(readings(), systems)
def test_the_corrected_time_lies_within_its_bounds(reading: Reading, system_ns: int) -> None:
    """lower <= corrected <= upper, inside the hard bounds, at every level."""
    for level in (0.001, 0.5, 0.9, 0.999999):
        told = answers.confidence_interval(reading, system_ns, level)
        low, high = int(told.lower_bound_ns), int(told.upper_bound_ns)
        assert reading.earliest_ns <= low <= reading.utc_ns <= high <= reading.latest_ns
        assert told.offset_lower <= (reading.utc_ns - system_ns) / S <= told.offset_upper
        assert told.range == pytest.approx((high - low) / S)


@given(readings(), st.lists(st.floats(1e-6, 1 - 1e-9), min_size=2, max_size=6))
def test_the_width_never_falls_as_the_level_grows(reading: Reading, levels: list[float]) -> None:
    """A higher level gives an interval that is at least as wide."""
    widths = [answers.confidence_interval(reading, UTC, level).range for level in sorted(levels)]
    assert all(narrow <= wide for narrow, wide in itertools.pairwise(widths))


@given(readings(), st.lists(st.floats(0, 3600), min_size=2, max_size=6))
def test_uncertainty_never_falls_as_the_future_is_further_away(reading: Reading, aheads: list[float]) -> None:
    """A later instant is at least as uncertain, and none less than now."""
    told = [answers.future(reading, carried(reading, round(s * S)), s) for s in sorted(aheads)]
    widths = [reading.half_width_95_ns / S, *(one["future_uncertainty"] for one in told)]
    assert all(near <= far for near, far in itertools.pairwise(widths))
    assert all(one["uncertainty_increase"] >= 0 for one in told)


@given(readings())
def test_nanoseconds_are_exact_and_seconds_are_near(reading: Reading) -> None:
    """The strings hold every nanosecond; the floats of the earlier contract are within 0.25 us."""
    told = results.CorrectedTime(**answers.corrected(reading, UTC, 0.0, None))
    assert int(told.corrected_time_ns) == reading.utc_ns
    assert abs(told.corrected_time - reading.utc_ns / S) <= 2.5e-7
    assert answers.time_reading(reading).utc.endswith(f"{reading.utc_ns % S:09d}Z")


def event(utc_ns: int, half_ns: int = 5, *, raw_ns: int | None = None, instance: int = 1) -> Event:
    return Event(utc_ns, utc_ns - 10, utc_ns + 10, half_ns, raw_ns, instance)


@pytest.mark.parametrize(
    ("a", "b", "order"),
    [
        (event(0), event(21), "BEFORE"),
        (event(21), event(0), "AFTER"),
        (event(0), event(20), "AMBIGUOUS"),
        (event(0, raw_ns=1), event(1, raw_ns=2), "BEFORE"),
        (event(5, raw_ns=2), event(9, raw_ns=1), "AFTER"),
        (event(0, raw_ns=1), event(1, raw_ns=2, instance=2), "AMBIGUOUS"),
        (event(0, raw_ns=1), event(1, raw_ns=1), "AMBIGUOUS"),
    ],
)
def test_only_disjoint_intervals_or_one_raw_clock_prove_an_order(a: Event, b: Event, order: str) -> None:
    """Touching intervals are ambiguous; two readings of one machine are ordered by its raw clock."""
    told = answers.comparison(a, b, verified=False)
    assert told.order == order
    assert told.probability == {"BEFORE": 1, "AFTER": 0}.get(order, told.probability)
    assert order != "AMBIGUOUS" or 0 < told.probability < 1


def test_two_tokens_of_one_host_share_what_shifts_it() -> None:
    """A verified token brings its host and epoch along, so that the order of two is as likely as calibrated."""

    def likely(second_host: int, second_epoch: int) -> float:
        found = {
            "one": Instant(UTC, UTC - S, UTC + S, 50, 98, 0, Status.SYNCHRONISED, epoch=1, host_instance=7),
            "two": Instant(UTC + 100, UTC - S, UTC + S, 50, 98, 0, Status.SYNCHRONISED, (), second_epoch, second_host),
        }
        asked = SimpleNamespace(clock=SimpleNamespace(verify=lambda token: SimpleNamespace(instant=found[token])))
        events = [clock_tools.event(asked, token) for token in found]  # type: ignore[arg-type]
        return answers.comparison(*events, verified=True).probability

    assert 0.9 < likely(7, 1) < 0.99
    assert likely(8, 1) < 0.51
    assert likely(7, 2) < 0.51
