"""The whole path without any I/O: simulated exchanges in, fused estimates out, against a clock that is known."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from chronotick.clock.discontinuity import Kind
from chronotick.config.schema import CandidatesConfig, Config, NtpConfig, RoleConfig
from chronotick.forecast.request import Request
from chronotick.ntp.outcome import Outcome, Sample
from chronotick.pipeline import Pipeline

S = 1_000_000_000
POLL_S = 16.0
PERIOD_S = 1800.0
AMPLITUDE = 0.5e-6
BASE = 5e-6
START_RAW_NS = 1_000 * S
EPOCH_NS = 1_700_000_000 * S
SERVERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
ROLE = RoleConfig(name="cycle", plugin="oracle", step_s=32.0, context=128, min_context=32, horizon=32, interval_s=64.0)

Answer = Callable[[Request], np.ndarray]


def true_rate(raw_ns: float) -> float:
    t = (raw_ns - START_RAW_NS) / S
    return BASE + AMPLITUDE * math.sin(2 * math.pi * t / PERIOD_S)


def true_theta_ns(raw_ns: int) -> int:
    t = (raw_ns - START_RAW_NS) / S
    swing = AMPLITUDE * PERIOD_S / (2 * math.pi) * (1 - math.cos(2 * math.pi * t / PERIOD_S))
    return EPOCH_NS + round((BASE * t + swing) * S)


def oracle(request: Request) -> np.ndarray:
    """Continues the true rate exactly, on the grid it was asked about."""
    window = request.windows[0]
    at = [window.origin_raw_ns + (i + 1) * request.step_ns for i in range(request.horizon)]
    scaled = (np.array([true_rate(one) for one in at]) - request.mean[0]) / request.scale[0]
    return np.tile(scaled, (1, len(request.levels), 1))


class Simulation:
    """Exchanges with honest servers, one after the other, through a pipeline."""

    def __init__(self, answer: Answer | None, seed: int = 1) -> None:
        roles = (ROLE,) if answer is not None else ()
        # The cycle would be found by the local candidates too, and nothing would be left for a model to gain.
        alone = CandidatesConfig(harmonic=False, ageing=False, steered=False)
        self.pipeline = Pipeline(Config(ntp=NtpConfig(servers=SERVERS), roles=roles, candidates=alone))
        self.answer = answer
        self.rng = np.random.default_rng(seed)
        self.raw_ns = START_RAW_NS
        self.refusals = 0

    def run(self, seconds: float) -> None:
        end_ns = self.raw_ns + round(seconds * S)
        step_ns = round(POLL_S / len(SERVERS) * S)
        turn = 0
        while self.raw_ns < end_ns:
            self.raw_ns += step_ns
            self.exchange(SERVERS[turn % len(SERVERS)])
            turn += 1
            for request in self.pipeline.due(self.raw_ns, frozenset({"oracle"})):
                assert self.answer is not None
                self.refusals += self.pipeline.answer(request, self.answer(request), None, 1.0) is not None

    def theta_ns(self, raw_ns: int) -> int:
        """True theta."""
        return true_theta_ns(raw_ns)

    def exchange(self, server: str) -> None:
        out_s, back_s = 2e-4 + self.rng.exponential(2e-5, 2)
        delay_ns = round((out_s + back_s) * S)
        noise_ns = round((out_s - back_s) / 2 * S)
        sample = Sample(
            raw_ns=self.raw_ns,
            theta_ns=self.theta_ns(self.raw_ns) + noise_ns,
            delay_ns=delay_ns,
            span_ns=delay_ns,
            precision_s=1e-6,
            root_delay_s=0.0,
            root_dispersion_s=1e-4,
            stratum=1,
            leap=0,
            reference_id=b"GPS\0",
            transmit=self.raw_ns,
            realtime_theta_ns=EPOCH_NS,
        )
        outcome = Outcome(server=server, address=server, port=123, raw_ns=self.raw_ns, sample=sample)
        self.pipeline.take(outcome, self.raw_ns)

    def error_s(self, ahead_s: float) -> float:
        """Error of the fused estimate so long after the last fix, s."""
        at = self.raw_ns + round(ahead_s * S)
        fused = self.pipeline.estimate(at, at + S)
        assert fused is not None
        return (fused.theta_ns - self.theta_ns(at)) / S

    def floor_error_s(self, ahead_s: float) -> float:
        state = self.pipeline.state
        assert state is not None
        at = self.raw_ns + round(ahead_s * S)
        return (state.theta_at_ns(at) - self.theta_ns(at)) / S


@pytest.fixture(scope="module")
def with_oracle() -> Simulation:
    simulation = Simulation(oracle)
    simulation.run(3 * 3600)
    return simulation


def test_an_oracle_model_is_trusted_and_lands_on_time(with_oracle: Simulation) -> None:
    """A model that continues the true curve is believed, and 15 min ahead errs by a small share of the floor."""
    weights = dict(with_oracle.pipeline.estimate(with_oracle.raw_ns + 900 * S, with_oracle.raw_ns + 901 * S).weights)
    assert weights["oracle"] > 0.5
    assert abs(with_oracle.error_s(900)) < 0.25 * abs(with_oracle.floor_error_s(900))


def test_a_model_that_is_one_step_late_is_not_as_good(with_oracle: Simulation) -> None:
    """The alignment matters: the same curve four steps late errs more than twice as much."""

    def late(request: Request) -> np.ndarray:
        return np.concatenate([np.repeat(oracle(request)[..., :1], 4, axis=-1), oracle(request)[..., :-4]], axis=-1)

    simulation = Simulation(late)
    simulation.run(3 * 3600)
    errors = [(abs(simulation.error_s(h)), abs(with_oracle.error_s(h))) for h in (300, 600, 900)]
    assert sum(e for e, _ in errors) > 2 * sum(e for _, e in errors)


def test_the_hard_bound_holds_the_truth(with_oracle: Simulation) -> None:
    """At any time after the last fix the hard interval holds true theta."""
    for ahead_s in (0, 60, 3600, 86_400):
        at = with_oracle.raw_ns + ahead_s * S
        bound = with_oracle.pipeline.hard.at(at)
        assert bound is not None
        assert bound[0] <= true_theta_ns(at) <= bound[1]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("NaN", lambda q: q * np.nan),
        ("huge", lambda q: q * 0 + 1e9),
        ("constant", lambda q: q * 0),
        ("reversed", lambda q: q[..., ::-1].copy()),
        ("upside down", lambda q: -q),
    ],
)
def test_a_poisoned_model_never_makes_it_worse(name: str, spoil: Callable[[np.ndarray], np.ndarray]) -> None:
    """Whatever a bad model says, the answer errs at most 2 % more than the floor's, and is never given as wider."""
    poisoned = Simulation(lambda request: spoil(oracle(request)))
    fused, floor = 0.0, 0.0
    for _ in range(6):
        poisoned.run(1200)
        for ahead_s in (30, 300, 900):
            at = poisoned.raw_ns + round(ahead_s * S)
            estimate, state = poisoned.pipeline.estimate(at, at + S), poisoned.pipeline.state
            assert estimate is not None
            assert state is not None
            assert estimate.sigma_s <= state.sigma_s(at)
            fused += abs(poisoned.error_s(ahead_s))
            floor += abs(poisoned.floor_error_s(ahead_s))
    assert fused <= 1.02 * floor, name


def test_without_models_the_estimate_is_the_floors_line_to_the_bit() -> None:
    """With no model configured the fused theta is the floor's, and so is its spread."""
    simulation = Simulation(None)
    simulation.run(1200)
    state = simulation.pipeline.state
    assert state is not None
    at = simulation.raw_ns + 100 * S
    fused = simulation.pipeline.estimate(at, at + S)
    assert fused is not None
    assert (fused.theta_ns, fused.sigma_s) == (state.theta_at_ns(at), state.sigma_s(at))
    assert fused.weights == (("floor", 1.0),)


def test_a_disruption_voids_what_was_known_and_what_was_under_way() -> None:
    """After the time base was disturbed nothing is known, and an exchange from before it changes nothing."""
    simulation = Simulation(None)
    simulation.run(600)
    simulation.pipeline.disrupt(simulation.raw_ns + 1, Kind.SUSPEND)
    assert simulation.pipeline.hard.at(simulation.raw_ns) is None
    simulation.exchange(SERVERS[0])
    assert simulation.pipeline.state is not None
    assert simulation.pipeline.state.fixes == 0
    simulation.raw_ns += 60 * S
    simulation.run(120)
    assert simulation.pipeline.state.fixes > 2
    assert abs(simulation.error_s(0)) < 1e-4


def test_the_same_outcomes_give_the_same_answers_to_the_bit() -> None:
    """Two runs over equal exchanges end in equal beliefs."""
    first, second = Simulation(oracle, seed=3), Simulation(oracle, seed=3)
    first.run(1800)
    second.run(1800)
    at = first.raw_ns + 300 * S
    assert first.pipeline.estimate(at, at + S) == second.pipeline.estimate(at, at + S)
    assert first.pipeline.state == second.pipeline.state
