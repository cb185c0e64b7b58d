"""wait_until and wait_past: not a moment too early."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from chronotick import Clock, ClockUnknown, OutOfRange, WaitTimeout
from chronotick.client import wait

S = 1_000_000_000


def test_a_wait_ends_at_its_target_and_not_before(host: Any, clock: Clock) -> None:
    """The reading that ends it is at the target by the estimate, and with certain=True by the whole hard interval."""
    host.publish(width_ns=20_000_000)
    target = clock.now().utc_ns + 50_000_000
    ended = clock.wait_until(target)
    assert ended.utc_ns >= target > ended.earliest_ns
    target = clock.now().utc_ns + 10_000_000
    sure = clock.wait_until(target, certain=True)
    assert sure.earliest_ns >= target


def test_commit_wait_ends_when_the_event_is_past(host: Any, clock: Clock) -> None:
    """earliest of the result is after latest of the event; a second wait for the same event returns at once."""
    host.publish(width_ns=20_000_000)
    event = clock.now()
    before = time.monotonic()
    ended = clock.wait_past(event)
    assert ended.earliest_ns > event.latest_ns
    assert time.monotonic() - before > 0.035
    assert clock.wait_past(event, timeout_s=0).earliest_ns > event.latest_ns


@pytest.mark.parametrize("certain", [True, False])
def test_a_past_target_is_refused(host: Any, clock: Clock, certain: bool) -> None:
    """It is an error, typed and as a ValueError, that says by how much."""
    host.publish()
    target = clock.now().utc_ns - S
    for kind in (OutOfRange, ValueError):
        with pytest.raises(kind, match=r"is past by 1\.0\d* s"):
            clock.wait_until(target, certain=certain)


def test_a_target_is_whole_nanoseconds(host: Any, clock: Clock) -> None:
    """Float seconds, or float nanoseconds, are a mistake that would wait for years or not at all."""
    host.publish()
    with pytest.raises(OutOfRange, match="whole number of nanoseconds"):
        clock.wait_until(1.7e18)  # type: ignore[arg-type]


def test_a_wait_may_be_given_up(host: Any, clock: Clock) -> None:
    """After timeout_s it ends in an error that says what was left; it is a TimeoutError too."""
    host.publish()
    before = time.monotonic()
    for kind in (WaitTimeout, TimeoutError):
        with pytest.raises(kind, match=r"given up after 0\.05 s; 9\.\d* s were left"):
            clock.wait_until(clock.now().utc_ns + 10 * S, timeout_s=0.05)
    assert time.monotonic() - before < 5
    with pytest.raises(WaitTimeout):
        clock.wait_past(clock.now(), timeout_s=0.01)


def test_a_wait_follows_a_step_of_time(host: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """When UTC steps past the target, the wait ends; nobody sleeps through it."""
    host.publish()
    target = clock.now().utc_ns + 1000 * S
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        host.publish(1_700_002_000 * S, epoch=len(naps))

    monkeypatch.setattr(time, "sleep", nap)
    assert clock.wait_until(target).utc_ns >= target
    assert max(naps) <= wait.LONGEST_NAP_S


def test_a_wait_ends_when_time_is_lost(host: Any, clock: Clock, later: Callable[[float], None]) -> None:
    """When the answer becomes void during the wait, it is an error and no reading."""
    host.publish(void_s=0.2)
    with pytest.raises(ClockUnknown):
        clock.wait_until(clock.now().utc_ns + 100 * S)
