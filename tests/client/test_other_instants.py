"""future, elapsed and convert: other instants than now, with bounds that hold them."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick import Clock, ClockUnknown, HostAbsent, Instant, OutOfRange, Reading, Status, WidthExceeded
from chronotick.client import ahead
from chronotick.client import clock as clock_module
from chronotick.client.elapsed import elapsed
from chronotick.client.instant import instant_of
from chronotick.serve import Outlook
from chronotick.wire.boot import suspended_ns
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import Record

S = 1_000_000_000
THETA = 1_700_000_000 * S
BOUND = 5e-5
Later = Callable[[float], None]


def raw_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def reading(raw: int = 1000 * S, *, rate: float = 0.0, theta: int = THETA) -> Reading:
    """A reading of a machine that booted a quarter of an hour ago."""
    line = Record(
        raw, theta, rate, 0.0, raw, 1e-3, 1e-8, normal_widths(2e-3), normal_widths(2e-8), theta - S, theta + S, BOUND,
        raw + 4 * S, raw + 10_000 * S, raw - S, 0, 1, 5, 9, 1, Status.SYNCHRONISED, ("floor",),
    )  # fmt: skip
    return Reading((line.utc_ns(raw), raw, line))


def width(one: Any) -> int:
    return int(one.latest_ns - one.earliest_ns)


def test_a_reading_that_is_too_wide_is_refused(host: Any, clock: Clock) -> None:
    """now(max_width_ns) gives a reading whose hard interval fits, or an error that names both widths."""
    host.publish(width_ns=1_000_000)
    assert width(clock.now(max_width_ns=2_100_000)) <= 2_100_000
    for _ in range(2):
        with pytest.raises(WidthExceeded, match=r"is 2\d{6} ns wide, more than the 1900000 ns allowed"):
            clock.now(max_width_ns=1_900_000)


def test_an_unknown_time_is_wider_than_anything(host: Any, clock: Clock) -> None:
    """Where UNKNOWN was asked for, a width still can not be kept."""
    with pytest.raises(WidthExceeded):
        clock.now(max_width_ns=10**18, allow_unknown=True)


@pytest.mark.parametrize("serving", [True, False])
def test_the_future_is_never_more_certain_than_now(host: Any, clock: Clock, serving: bool) -> None:
    """No width is below now's, with the host's help and without, also while a correction is slewed in."""
    host.publish()
    host.publish(THETA + 300_000)
    if serving:
        host.outlook = Outlook.of(raw_ns(), lambda raw: (1e-6, 2e-6))
        host.serve()
    now = clock.now()
    for seconds in (0, 0.001, 0.1, 0.5, 1, 10, 600):
        then, after = clock.future(seconds), clock.now()
        # Readings get better while the correction is slewed in, so the later one is the better one.
        assert then.sigma_ns >= after.sigma_ns
        assert then.half_width_95_ns >= after.half_width_95_ns
        assert width(then) >= width(after) - round(2 * BOUND * (after.raw_ns - now.raw_ns)) - 4
        assert then.earliest_ns <= then.utc_ns <= then.latest_ns
        assert now.raw_ns - 1 <= then.utc_ns - THETA - seconds * S <= after.raw_ns + 300_001


def test_the_host_tells_how_its_estimate_spreads(host: Any, clock: Clock) -> None:
    """What the line of a second can not say, the outlook does: sigma and half width at that distance."""
    host.publish()
    begin = raw_ns()
    host.outlook = Outlook.of(begin, lambda raw: (1e-3 * (raw - begin) / S, 2e-3 * (raw - begin) / S))
    host.serve()
    asked = raw_ns() - begin
    ten = clock.future(10)
    answered = raw_ns() - begin
    assert 1e-3 * (10 * S + asked) - 1 <= ten.sigma_ns <= 1e-3 * (10 * S + answered) + answered - asked
    assert ten.half_width_95_ns == pytest.approx(2 * ten.sigma_ns, abs=answered - asked)


@pytest.mark.parametrize("seconds", [-1e-9, 3600.001, float("nan"), float("inf")])
def test_the_future_ends_after_an_hour(host: Any, clock: Clock, seconds: float) -> None:
    """A look ahead outside 0 to 3600 s is refused, typed and as a ValueError, before anybody is asked."""
    for kind in (OutOfRange, ValueError):
        with pytest.raises(kind, match="from 0 to 3600 s"):
            clock.future(seconds)


def test_what_will_be_void_is_not_promised(host: Any, clock: Clock) -> None:
    """A look beyond the instant at which the answer becomes void is UNKNOWN, with the host and without."""
    host.publish(void_s=100)
    assert clock.future(99).status is Status.SYNCHRONISED
    with pytest.raises(ClockUnknown):
        clock.future(101)
    host.serve()
    with pytest.raises(ClockUnknown):
        clock.future(101)


def test_a_dead_host_is_not_asked_for_the_future(host: Any, clock: Clock, later: Later) -> None:
    """Once the host has fallen silent the answer comes from its last line at once, with wide bounds."""
    host.publish()
    later(10)
    before = time.monotonic()
    assert clock.future(100).half_width_95_ns >= 100 * BOUND * S
    assert time.monotonic() - before < 4


def test_elapsed_is_the_raw_clocks_with_its_bounds(host: Any, clock: Clock) -> None:
    """A duration is known far better than UTC is: to the rate bound."""
    host.publish(width_ns=100 * S)
    begin = clock.now()
    before = raw_ns()
    took = clock.elapsed(begin)
    assert before - begin.raw_ns <= took.most_ns
    assert took.least_ns <= took.ns <= took.most_ns
    assert took.most_ns - took.least_ns <= 3 + 2 * BOUND * took.most_ns


def test_a_step_of_utc_is_no_passage_of_time(host: Any, clock: Clock) -> None:
    """When UTC steps by an hour between two readings, what elapsed is still what the raw clock counted."""
    host.publish(width_ns=1_000_000)
    begin = clock.now()
    host.publish(THETA + 3600 * S, epoch=1, width_ns=1_000_000)
    host.publish(THETA + 3600 * S, epoch=2, width_ns=1_000_000)
    assert clock.now().utc_ns - begin.utc_ns > 3599 * S
    assert clock.elapsed(begin).most_ns < 60 * S


def test_a_reading_of_the_future_has_not_elapsed() -> None:
    """A reading with a later raw clock is of another machine or boot."""
    with pytest.raises(OutOfRange, match="another boot"):
        elapsed(reading(1001 * S), reading(1000 * S))


def test_a_suspension_counts_as_elapsed() -> None:
    """The raw clock stood still: up to so much more time may have passed."""
    took = elapsed(reading(1000 * S), reading(1010 * S, theta=THETA + 2 * S), slept_ns=3 * S)
    assert took.least_ns <= 10 * S < 13 * S <= took.most_ns
    assert took.ns == 12 * S


@given(
    st.integers(0, 3600 * S),
    st.floats(-BOUND, BOUND),
    st.floats(-1, 1),
    st.floats(-BOUND, BOUND),
)
def test_bounds_hold_truth_at_other_instants(far: int, rate: float, off: float, true_rate: float) -> None:
    """Wherever truth lies in the hard interval now, and whatever the oscillator does within its bound, it is inside
    both ahead and back."""
    now = reading(4000 * S, rate=rate)
    truth = now.raw_ns + THETA + round(off * S)
    moved = round(far * (1 + true_rate))
    there = ahead.future(now, far)
    assert there.earliest_ns - 1 <= truth + moved <= there.latest_ns + 1
    back = ahead.past(now, now.raw_ns - far)
    assert back.earliest_ns - 1 <= truth - moved <= back.latest_ns + 1
    for one in (there, back):
        assert one.earliest_ns <= one.utc_ns <= one.latest_ns
        assert one.half_width_95_ns >= min(now.half_width_95_ns, width(one) // 2)


def test_a_past_raw_stamp_is_what_was_read_then(host: Any, clock: Clock) -> None:
    """A stamp of the raw clock gives the time that a reading gave then, from the host, and from the snapshot alone."""
    host.publish(rate=2e-5)
    then = clock.now()
    host.publish(rate=2e-5)
    alone = clock.convert(raw_ns=then.raw_ns)
    host.serve()
    told = clock.convert(raw_ns=then.raw_ns)
    for one in (alone, told):
        assert one.utc_ns == pytest.approx(then.utc_ns, abs=5000)
        assert one.earliest_ns <= then.utc_ns <= one.latest_ns
        assert one.status is Status.SYNCHRONISED
    assert width(told) <= width(alone)


def test_an_older_stamp_has_wider_bounds(host: Any, clock: Clock) -> None:
    """Bounds grow by the rate bound for each second back."""
    host.publish()
    now = raw_ns()
    far = [clock.convert(raw_ns=max(now - back * S, 0)) for back in (0, 1, 10, 60)]
    assert [width(one) for one in far] == sorted(width(one) for one in far)
    assert far[3].half_width_95_ns - far[0].half_width_95_ns == pytest.approx(60 * BOUND * S, rel=0.05)


def test_a_stamp_of_the_system_clock_is_brought_to_true_time(host: Any, clock: Clock) -> None:
    """The system clock may be an hour off: what counts is where its stamp lies on the raw clock."""
    host.publish(width_ns=1_000_000)
    time.sleep(0.02)
    raw, system = raw_ns(), time.time_ns()
    host.publish(width_ns=1_000_000)
    host.serve()
    made = clock.convert(realtime_ns=system)
    assert made.earliest_ns <= raw + THETA <= made.latest_ns
    assert made.utc_ns == pytest.approx(raw + THETA, abs=2_000_000)


@pytest.mark.parametrize("stamp", [{}, {"raw_ns": 1, "realtime_ns": 1}])
def test_a_stamp_is_of_one_clock(host: Any, clock: Clock, stamp: dict[str, int]) -> None:
    """Neither or both is no question."""
    host.publish()
    with pytest.raises(OutOfRange, match="either raw_ns or realtime_ns"):
        clock.convert(**stamp)


@pytest.mark.parametrize("serving", [True, False])
def test_stamps_that_can_not_be_are_refused(host: Any, clock: Clock, serving: bool) -> None:
    """A raw stamp of the future or of before this boot has no time."""
    host.publish()
    if serving:
        host.serve()
    with pytest.raises(OutOfRange, match="in the future"):
        clock.convert(raw_ns=raw_ns() + 3600 * S)
    with pytest.raises(OutOfRange, match="before this boot"):
        clock.convert(raw_ns=-1)


def test_a_system_stamp_needs_the_host_on_this_machine(host: Any, clock: Clock) -> None:
    """Nobody else has watched the system clock; and its future is not known."""
    host.publish()
    short = Clock(host.directory.path, timeout_s=0.1)
    with pytest.raises(HostAbsent):
        short.convert(realtime_ns=time.time_ns())
    host.serve()
    with pytest.raises(OutOfRange, match="in the future"):
        clock.convert(realtime_ns=time.time_ns() + 3600 * S)
    with pytest.raises(OutOfRange, match="has watched the system clock"):
        clock.convert(realtime_ns=time.time_ns() - 3600 * S)


def test_a_stamp_from_before_a_suspension_may_be_older_by_it(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the host, what the machine slept since boot widens the early side of stamps taken before, no others."""
    stamp = raw_ns()
    assert clock._slept_since(stamp) == 0
    slept = suspended_ns() + 60 * S
    monkeypatch.setattr(clock_module, "suspended_ns", lambda: slept)
    assert clock._slept_since(stamp) == slept
    assert clock._slept_since(raw_ns()) == 0
    now = reading()
    before, after = ahead.past(now, 900 * S), ahead.past(now, 900 * S, slept)
    assert before.earliest_ns - after.earliest_ns == slept
    assert after.latest_ns == before.latest_ns
    assert after.half_width_95_ns >= slept


def test_instants_travel_as_json(host: Any, clock: Clock) -> None:
    """as_dict and from_dict are each other's inverse, whole nanoseconds included, for instants and readings alike."""
    import json

    host.publish()
    made = clock.future(10)
    assert Instant.from_dict(json.loads(json.dumps(made.as_dict()))) == made
    now = clock.now()
    assert Instant.from_dict(json.loads(json.dumps(now.as_dict()))) == instant_of(now)
    assert isinstance(made.as_dict()["utc_ns"], str)


@pytest.mark.parametrize(
    "change",
    [{"utc_ns": None}, {"utc_ns": "soon"}, {"status": "FINE"}, {"earliest_ns": "9" * 19}, {"sigma_ns": "-1"}],
)
def test_what_is_no_instant_is_refused(change: dict[str, Any]) -> None:
    """A missing, malformed or impossible value is an error, not an instant."""
    good = instant_of(reading()).as_dict()
    with pytest.raises(OutOfRange, match="no instant"):
        Instant.from_dict(good | change)
    with pytest.raises(OutOfRange, match="no instant"):
        Instant.from_dict({})


def test_instants_have_levels_and_no_order() -> None:
    """An instant's interval is a reading's; a level outside (0, 1) and `<` are errors."""
    now = reading()
    made = instant_of(now)
    for level in (0.5, 0.9, 0.95, 0.999):
        assert made.interval(level) == now.interval(level)
    for level in (0, 1, 95, -0.5):
        with pytest.raises(OutOfRange, match="between 0 and 1"):
            made.interval(level)
    with pytest.raises(TypeError, match="have no order"):
        assert made < made
