"""Poll intervals: fast first, then as slow as the network's noise allows, and never against a server's will."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.config.schema import NtpConfig
from chronotick.ntp.outcome import Refusal
from chronotick.ntp.poll import PollState, after_accepted, after_lost, first_poll, patience_s, wait_s

CONFIG = NtpConfig()
LOSSES = st.sampled_from([Refusal.TIMEOUT, Refusal.NO_ADDRESS, Refusal.WRONG_ORIGIN, Refusal.KISS_RATE])


def warm(**changes: float) -> PollState:
    return PollState(interval_s=CONFIG.min_poll_s, **changes)  # type: ignore[arg-type]


def after(poll: PollState, count: int, noise_s: float, wander_s: float) -> PollState:
    for _ in range(count):
        poll = after_accepted(poll, noise_s, wander_s, CONFIG)
    return poll


def test_the_warm_up_is_fast_and_ends() -> None:
    """Eight accepted exchanges two seconds apart, then the shortest regular interval."""
    poll, waits = first_poll(CONFIG), []
    for _ in range(10):
        waits.append(wait_s(poll, CONFIG, 0.0))
        poll = after_accepted(poll, None, None, CONFIG)
    assert waits == [2.0] * 8 + [64.0] * 2


def test_noise_makes_polls_rarer_up_to_the_limit() -> None:
    """Where the network's noise hides the oscillator, the interval doubles again and again to the largest."""
    poll, seen = warm(), []
    for _ in range(40):
        poll = after(poll, 1, noise_s=1e-3, wander_s=1e-4)
        seen.append(poll.interval_s)
    assert sorted(set(seen)) == [64.0, 128.0, 256.0, 512.0, 1024.0]
    assert seen == sorted(seen)


def test_a_restless_oscillator_makes_them_more_frequent() -> None:
    """Where the oscillator shows above the noise, the interval halves down to the shortest."""
    poll = after(warm(), 40, noise_s=1e-3, wander_s=1e-4)
    poll = after(poll, 2, noise_s=1e-3, wander_s=2e-3)
    assert poll.interval_s == 512.0
    assert after(poll, 40, noise_s=1e-3, wander_s=2e-3).interval_s == 64.0


def test_a_silent_server_is_asked_less_and_less() -> None:
    """One loss is forgiven; then the wait doubles up to the largest poll, and the first reply ends it."""
    poll, waits = after_accepted(first_poll(CONFIG), None, None, CONFIG), []
    for _ in range(12):
        poll = after_lost(poll, Refusal.TIMEOUT, CONFIG)
        waits.append(wait_s(poll, CONFIG, 0.0))
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 1024.0, 1024.0]
    assert wait_s(after_accepted(poll, None, None, CONFIG), CONFIG, 0.0) == 2.0


def test_a_server_that_was_never_heard_is_asked_again_early_three_times() -> None:
    """A second apart, and no longer waited for than a useful reply takes; after that the losses count as any others."""
    poll, waits, patient = first_poll(CONFIG), [], []
    for _ in range(8):
        patient.append(patience_s(poll, CONFIG))
        poll = after_lost(poll, Refusal.TIMEOUT, CONFIG)
        waits.append(wait_s(poll, CONFIG, 0.0))
    assert waits == [1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    assert patient == [1.0] * 4 + [2.0] * 4


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_who_was_heard_is_not_asked_early(lost: int) -> None:
    """One sample is enough for a time: a loss after it waits as long as ever."""
    poll = after_accepted(first_poll(CONFIG), None, None, CONFIG)
    for _ in range(lost):
        poll = after_lost(poll, Refusal.TIMEOUT, CONFIG)
    assert wait_s(poll, CONFIG, 0.0) == CONFIG.warm_up_poll_s * 2 ** (lost - 1)
    assert patience_s(poll, CONFIG) == CONFIG.timeout_s


@pytest.mark.parametrize("reason", [Refusal.NO_ADDRESS, Refusal.NO_ROUTE])
def test_what_never_left_is_tried_sooner(reason: Refusal) -> None:
    """Without a route or an address nobody is bothered: the wait ends at the shortest poll."""
    poll = first_poll(CONFIG)
    for _ in range(30):
        poll = after_lost(poll, reason, CONFIG)
    assert wait_s(poll, CONFIG, 0.0) == CONFIG.min_poll_s


def test_rate_doubles_the_interval_and_stays() -> None:
    """After RATE the interval is at least twice what it was, and no success brings it back."""
    poll = after_lost(after(warm(), 4, 1e-3, 0.0), Refusal.KISS_RATE, CONFIG)
    assert wait_s(poll, CONFIG, 0.0) == 256.0
    poll = after(poll, 50, noise_s=1e-6, wander_s=1e-3)
    assert poll.interval_s == 64.0
    assert wait_s(poll, CONFIG, 0.0) == 256.0
    assert wait_s(after_lost(poll, Refusal.KISS_RATE, CONFIG), CONFIG, 0.0) == 512.0


def test_rate_ends_the_warm_up() -> None:
    """A server that says RATE during the warm-up is asked no more often than the shortest regular poll."""
    poll = after_lost(first_poll(CONFIG), Refusal.KISS_RATE, CONFIG)
    assert wait_s(poll, CONFIG, 0.0) == CONFIG.min_poll_s
    assert poll.warm_up_left == 0


def test_rate_may_go_beyond_the_largest_poll() -> None:
    """RATE again and again doubles again and again, up to RFC 5905's 36 hours."""
    poll = warm()
    for _ in range(30):
        poll = after_lost(poll, Refusal.KISS_RATE, CONFIG)
    assert wait_s(poll, CONFIG, 0.0) == 131_072.0


@given(
    losses=st.lists(st.none() | LOSSES, max_size=60),
    draw=st.floats(0, 1, exclude_max=True),
    wander_s=st.floats(0, 1),
)
def test_nobody_is_ever_asked_too_often(losses: list[Refusal | None], draw: float, wander_s: float) -> None:
    """No history leads below half of the warm-up's interval, and that three times at most; below the whole only while
    nothing was heard; and after the warm-up or RATE not below the shortest poll."""
    poll, allowed, early, heard = first_poll(CONFIG), 0.0, 0, False
    for loss in losses:
        if loss is None:
            heard = True
            poll = after_accepted(poll, 1e-3, wander_s, CONFIG)
        else:
            poll = after_lost(poll, loss, CONFIG)
        wait = wait_s(poll, CONFIG, draw)
        if loss is Refusal.KISS_RATE:
            allowed = CONFIG.min_poll_s
        base = CONFIG.warm_up_poll_s if poll.warm_up_left else CONFIG.min_poll_s
        early += wait < base
        assert early <= 3
        assert wait >= max(base if heard else base / 2.0, allowed)
        assert wait >= wait_s(poll, CONFIG, 0.0)


def test_a_laboratorys_intervals_are_taken_as_they_are() -> None:
    """Polls many times a second are allowed where the configuration says so."""
    lab = NtpConfig(min_poll_s=0.1, max_poll_s=0.2, warm_up_poll_s=0.05, warm_up_polls=1)
    assert wait_s(first_poll(lab), lab, 0.0) == 0.05
    assert wait_s(after_accepted(first_poll(lab), None, None, lab), lab, 0.0) == 0.1
