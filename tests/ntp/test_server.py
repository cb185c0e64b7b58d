"""The state of one server, folded from its outcomes."""

import math
import random
from typing import Any

import msgspec
import pytest

from chronotick.config.schema import NtpConfig
from chronotick.ntp.outcome import Outcome, Refusal
from chronotick.ntp.server import (
    Grade,
    ServerState,
    after_outcome,
    best_sample,
    fit_line,
    forget_samples,
    grade,
    network_noise_s,
    new_server,
)

CONFIG = NtpConfig()
S = 10**9
RATE_BOUND = 5e-5


def folded(outcomes: list[Outcome], state: ServerState | None = None) -> ServerState:
    state = state or new_server("x", CONFIG)
    for outcome in outcomes:
        state = after_outcome(state, outcome, CONFIG)
    return state


def test_reach_is_the_last_eight_exchanges(outcome: Any) -> None:
    """Newest in bit 0; the ninth exchange pushes the first one out."""
    pattern = [True, False, True, True, False, True, True, True, True]
    state = folded([outcome("x", i * S, 0 if ok else None) for i, ok in enumerate(pattern)])
    assert f"{state.reach:08b}" == "01101111"
    assert (state.exchanges, state.accepted) == (9, 7)
    assert state.identity.startswith("x (192.0.2.")


def test_the_minimum_delay_leaks_slowly(outcome: Any) -> None:
    """It falls at once, and after a change of route it closes half of the gap in 45 exchanges."""
    state = folded([outcome("x", 0, 0, delay_ns=1000_000), outcome("x", S, 0, delay_ns=500_000)])
    assert state.min_delay_s == 0.0005
    state = folded([outcome("x", i * S, 0, delay_ns=1500_000) for i in range(2, 47)], state)
    assert state.min_delay_s == pytest.approx(0.001, rel=0.02)


def test_jitter_is_what_is_left_of_the_oscillators_rate(sample: Any) -> None:
    """A raw clock that is 30 ppm off does not look like jitter; noise does."""
    straight = [sample(i * 64 * S, round(i * 64 * S * 30e-6)) for i in range(8)]
    line = fit_line(tuple(straight))
    assert line is not None
    assert line.slope == pytest.approx(30e-6, abs=1e-12)
    assert line.jitter_s < 2e-9
    rng, jitters = random.Random(5), []
    for _ in range(300):
        noisy = [msgspec.structs.replace(s, theta_ns=s.theta_ns + round(rng.gauss(0, 1e-3) * S)) for s in straight]
        line = fit_line(tuple(noisy))
        assert line is not None
        jitters.append(line.jitter_s**2)
    assert math.sqrt(sum(jitters) / len(jitters)) == pytest.approx(1e-3, rel=0.1)
    assert fit_line(tuple(straight[:2])) is None
    assert fit_line((straight[0],) * 3) is None


def test_network_noise_is_half_the_delays_scatter(sample: Any) -> None:
    """Two delays 2 ms apart around their mean give 1 ms and a little; without scatter the precision remains."""
    scattered = tuple(sample(i, 0, delay_ns=d) for i, d in enumerate([1_000_000, 3_000_000] * 4))
    assert network_noise_s(scattered) == pytest.approx(1e-3 / 2 * math.sqrt(8 / 7))
    assert network_noise_s(scattered[:2]) is None
    assert network_noise_s(tuple(sample(i, 0) for i in range(3))) == 1e-6


def test_the_best_sample_weighs_delay_against_age(sample: Any) -> None:
    """A short delay wins until its age costs more than it gained."""
    fast, slow = sample(0, 0, delay_ns=100_000), sample(10 * S, 0, delay_ns=2_100_000)
    assert best_sample((fast, slow), 10 * S, RATE_BOUND) == fast
    assert best_sample((fast, slow), 30 * S, RATE_BOUND) == fast
    slower = sample(600 * S, 0, delay_ns=2_100_000)
    assert best_sample((fast, slower), 600 * S, RATE_BOUND) == slower
    assert best_sample((), 0, RATE_BOUND) is None


def test_root_distance_ages(sample: Any) -> None:
    """(root delay + delay)/2 + root dispersion + precision, growing by the rate bound both ways from the exchange."""
    s = sample(100 * S, 0, delay_ns=2_000_000, root_delay_s=0.01, root_dispersion_s=0.003, span_ns=0)
    assert s.root_distance_s == pytest.approx(0.005 + 0.001 + 0.003 + 1e-6)
    assert s.root_distance_at_s(200 * S, RATE_BOUND) == pytest.approx(s.root_distance_s + 0.005)
    assert s.root_distance_at_s(0, RATE_BOUND) == pytest.approx(s.root_distance_s + 0.005)


def test_kisses_leave_their_mark(outcome: Any) -> None:
    """DENY and RSTR drop the server; RATE does not; the counts are kept by reason."""

    def kissed(reason: Refusal) -> ServerState:
        refused = msgspec.structs.replace(outcome("x", S, None), reason=reason, refused=((reason, 1),))
        return folded([outcome("x", 0, 0), refused])

    assert kissed(Refusal.KISS_DENY).denied
    assert kissed(Refusal.KISS_RSTR).denied
    assert not kissed(Refusal.KISS_RATE).denied
    assert kissed(Refusal.KISS_RATE).poll.floor_s == CONFIG.min_poll_s
    assert kissed(Refusal.KISS_RATE).refused == ((Refusal.KISS_RATE, 1),)


def test_another_address_starts_afresh(outcome: Any) -> None:
    """Samples, reach and denial belong to the address; the backoff goes on, so that names are no way around it."""
    state = folded([outcome("x", i * S, 0) for i in range(3)] + [outcome("x", 9 * S, None) for _ in range(5)])
    moved = folded([outcome("x", 20 * S, None, address="192.0.2.254")], state)
    assert (moved.address, moved.reach, moved.samples, moved.exchanges) == ("192.0.2.254", 0, (), 1)
    assert moved.poll.lost == 6
    nowhere = Outcome(server="x", address="", port=0, raw_ns=0, reason=Refusal.NO_ADDRESS)
    assert folded([nowhere], state).address == state.address


def test_a_discontinuity_leaves_no_samples(outcome: Any) -> None:
    """What the server demands stays, what was measured goes, and the warm-up begins anew unless RATE was said."""
    state = folded([outcome("x", i * S, 0) for i in range(9)])
    again = forget_samples(state, CONFIG)
    assert (again.samples, again.reach, again.exchanges) == ((), 0, 0)
    assert again.poll.warm_up_left == CONFIG.warm_up_polls
    rate = msgspec.structs.replace(outcome("x", 9 * S, None), reason=Refusal.KISS_RATE)
    again = forget_samples(folded([rate], state), CONFIG)
    assert (again.poll.warm_up_left, again.poll.floor_s) == (0, 128.0)


@pytest.mark.parametrize(
    ("delay_ms", "noise_ms", "lost", "expected"),
    [
        (1, 0.0, 0, Grade.EXCELLENT),
        (20, 0.0, 0, Grade.GOOD),
        (1, 1.0, 0, Grade.GOOD),
        (150, 0.0, 0, Grade.FAIR),
        (1, 6.0, 0, Grade.FAIR),
        (1, 0.0, 2, Grade.GOOD),
        (1, 0.0, 4, Grade.FAIR),
        (1, 0.0, 6, Grade.POOR),
        (400, 0.0, 0, Grade.POOR),
        (1, 500.0, 0, Grade.BAD),
        (1, 0.0, 8, Grade.BAD),
    ],
)
def test_the_grade_is_the_worst_of_three(
    outcome: Any, delay_ms: int, noise_ms: float, lost: int, expected: Grade
) -> None:
    """Root distance, jitter and reach each set a limit."""
    good = [
        outcome("x", i * S, round((-1) ** i * noise_ms * 1e6), delay_ns=delay_ms * 1_000_000, root_dispersion_s=0.0)
        for i in range(8)
    ]
    state = folded(good + [outcome("x", 8 * S, None)] * lost)
    assert grade(state, 8 * S, RATE_BOUND) is expected


def test_a_new_server_has_no_grade_to_boast_of(outcome: Any) -> None:
    """Nothing known is BAD; two samples are FAIR at best, since their jitter is unknown."""
    assert grade(new_server("x", CONFIG), 0, RATE_BOUND) is Grade.BAD
    assert grade(folded([outcome("x", 0, 0), outcome("x", S, 0)]), S, RATE_BOUND) is Grade.FAIR
