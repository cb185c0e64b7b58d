"""Discontinuities of the machine's clocks, from readings alone."""

import pytest

from chronotick.clock.discontinuity import Discontinuity, DiscontinuityDetector, Kind, Reading
from chronotick.clock.timebase import reading

S = 10**9
START = Reading(raw_ns=100 * S, realtime_ns=1_700_000_000 * S, boot_ns=500 * S, mono_ns=400 * S, window_ns=200)


def after(
    seconds: float,
    *,
    slept: float = 0.0,
    set_by: float = 0.0,
    raw_lost: float = 0.0,
    steered: float = 0.0,
    window: int = 200,
) -> Discontinuity | None:
    detector = DiscontinuityDetector()
    assert detector.feed(START) is None
    mono = seconds * (1 + steered)
    return detector.feed(
        Reading(
            raw_ns=START.raw_ns + round((seconds - raw_lost) * S),
            realtime_ns=START.realtime_ns + round((mono + slept + set_by) * S),
            boot_ns=START.boot_ns + round((mono + slept) * S),
            mono_ns=START.mono_ns + round(mono * S),
            window_ns=window,
        )
    )


def test_clocks_that_go_on_together_are_continuous() -> None:
    assert after(1.0) is None


@pytest.mark.parametrize("steered", [-5e-4, 5e-4])
def test_steering_within_what_daemons_do_is_no_discontinuity(steered: float) -> None:
    assert after(3600.0, steered=steered) is None


def test_sleep_disrupts_and_its_length_is_told() -> None:
    found = after(1.0, slept=3600.0)
    assert found == Discontinuity(kind=Kind.SUSPEND, size_s=3600.0, at_raw_ns=101 * S, disrupts=True)


def test_a_jump_of_the_raw_clock_disrupts() -> None:
    found = after(1.0, raw_lost=0.5)
    assert found is not None
    assert (found.kind, found.size_s, found.disrupts) == (Kind.TIME_BASE, 0.5, True)


def test_a_raw_clock_that_goes_back_disrupts() -> None:
    found = after(0.0, raw_lost=0.0005)
    assert found is not None
    assert found.kind is Kind.TIME_BASE


def test_a_rate_beyond_a_thousand_ppm_disrupts() -> None:
    found = after(100.0, steered=3e-3)
    assert found is not None
    assert found.kind is Kind.TIME_BASE


@pytest.mark.parametrize("by", [-3600.0, -0.01, 0.01, 3600.0])
def test_setting_the_system_clock_is_told_and_does_not_disrupt(by: float) -> None:
    found = after(1.0, set_by=by)
    assert found == Discontinuity(kind=Kind.SYSTEM_STEP, size_s=by, at_raw_ns=101 * S, disrupts=False)


def test_what_the_readings_can_not_resolve_is_not_claimed() -> None:
    assert after(1.0, set_by=0.05, window=60_000_000) is None
    assert after(1.0, slept=0.05, window=60_000_000) is None


def test_the_first_reading_says_nothing_and_each_is_compared_with_the_one_before() -> None:
    detector = DiscontinuityDetector()
    detector.feed(START)
    assert after(1.0, slept=9.0) is not None
    later = Reading(
        raw_ns=START.raw_ns + S,
        realtime_ns=START.realtime_ns + 10 * S,
        boot_ns=START.boot_ns + 10 * S,
        mono_ns=START.mono_ns + S,
    )
    assert detector.feed(later) is not None
    assert detector.feed(later) is None


def test_this_machine_is_continuous_now() -> None:
    detector = DiscontinuityDetector()
    detector.feed(reading())
    assert detector.feed(reading()) is None
