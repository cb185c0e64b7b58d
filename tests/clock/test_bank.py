"""The bank against textbook filters: dense matrices, one member at a time, Joseph form, extended precision."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from chronotick.clock.bank import Bank
from chronotick.clock.tuning import Tuning

LONG = np.longdouble


class Member:
    """One Kalman filter, written from the textbook: x <- F x, P <- F P F' + Q; K = P H'/S; Joseph update."""

    def __init__(self, q: float, c: float, k: float, z: float, noise: float, excess: float, tuning: Tuning) -> None:
        self.q, self.c, self.k, self.white = LONG(q), LONG(c), LONG(k), LONG(min(tuning.white_fm, 30.0 * q))
        self.state = np.array([z, 0.0], LONG)
        self.cov = np.diag(np.array([self.r(noise, excess), LONG(tuning.rate_prior) ** 2], LONG))

    def r(self, noise: float, excess: float) -> LONG:
        return (self.c * LONG(noise)) ** 2 + (self.k * LONG(excess)) ** 2 + LONG(1e-20)

    def predict(self, dt: float) -> None:
        h = LONG(dt)
        f = np.array([[1, h], [0, 1]], LONG)
        noise = np.array([[h**3 / 3, h**2 / 2], [h**2 / 2, h]], LONG) * self.q**2
        noise[0, 0] += self.white**2 * h
        self.state = f @ self.state
        self.cov = f @ self.cov @ f.T + noise

    def update(self, z: float, noise: float, excess: float, lag: float, huber: bool) -> tuple[float, float]:
        h = np.array([1, -LONG(lag)], LONG)
        r = before = self.r(noise, excess)
        e = LONG(z) - h @ self.state
        s = h @ self.cov @ h + r
        if huber:
            r *= max(abs(e) / (LONG(2.5) * np.sqrt(s)), LONG(1))
        gain = self.cov @ h / (s - before + r)
        a = np.eye(2, dtype=LONG) - np.outer(gain, h)
        self.state = self.state + gain * e
        self.cov = a @ self.cov @ a.T + np.outer(gain, gain) * r
        return float(e), float(s)


class Mixture:
    """All members and their weights by Bayes' rule with forgetting."""

    def __init__(self, tuning: Tuning, z: float, noise: float, excess: float) -> None:
        wander = [10.0 ** (e / 2) for e in range(-24, -13)]
        grid = list(product(wander, (0.15, 0.4, 1.0, 2.0), (0.1, 0.3, 1.0)))
        self.members = [Member(q, c, k, z, noise, excess, tuning) for q, c, k in grid]
        # A filter of ten times the wander begins with a weight of 1/e; below 1e-11 a tenth has one of 1/e^5.
        self.prior = np.array([-abs(math.log10(q / 1e-11)) * (5.0 if q < 0.99e-11 else 1.0) for q, _, _ in grid])
        self.log_weight = self.prior.copy()
        self.seen = 1

    def feed(self, dt: float, z: float, noise: float, excess: float, lag: float) -> None:
        pairs = []
        for member in self.members:
            member.predict(dt)
            pairs.append(member.update(z, noise, excess, lag, huber=self.seen >= 5))
        e, s = np.array(pairs).T
        self.log_weight = 0.995 * self.log_weight + 0.005 * self.prior
        self.log_weight += student.logpdf(e / np.sqrt(s), 4) - 0.5 * np.log(s)
        self.seen += 1

    @property
    def weight(self) -> np.ndarray:
        w = np.exp(self.log_weight - self.log_weight.max())
        return w / w.sum()

    def offset_and_sigma(self, h: float) -> tuple[float, float]:
        w = self.weight
        means, variances = [], []
        for member in self.members:
            f = np.array([1, LONG(h)], LONG)
            means.append(float(f @ member.state))
            variances.append(float(f @ member.cov @ f + member.white**2 * LONG(h) + member.q**2 * LONG(h) ** 3 / 3))
        mean = float(w @ np.array(means))
        return mean, math.sqrt(float(w @ (np.array(variances) + (np.array(means) - mean) ** 2)))


@pytest.mark.parametrize("seed", range(3))
def test_the_bank_agrees_with_dense_textbook_filters_and_a_bayesian_mixture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tuning = Tuning()
    scale = 10.0 ** rng.uniform(-6, -3)
    noise = scale * rng.uniform(0.5, 2.0)
    bank, oracle = Bank(tuning, 0.0, noise, 0.0), Mixture(tuning, 0.0, noise, 0.0)
    t = 0.0
    for i in range(40):
        dt = float(rng.choice([0.0, 0.2, 16.0, 64.0, 1000.0]))
        t += dt
        outlier = 40.0 if i % 11 == 9 else 1.0
        z = 8e-6 * t + outlier * scale * float(rng.standard_normal())
        excess = scale * float(rng.exponential())
        lag = 3.5 if i % 7 == 6 else 0.0
        bank.predict(dt)
        bank.update(z, noise, excess, lag)
        oracle.feed(dt, z, noise, excess, lag)

        offset, rate = bank.mean()
        v = bank.variance()
        for h in (0.0, 60.0, 3600.0):
            expected, sigma = oracle.offset_and_sigma(h)
            assert offset + rate * h == pytest.approx(expected, abs=1e-6 * sigma)
            assert math.sqrt(v[0] + h * (v[1] + h * (v[2] + h * v[3]))) == pytest.approx(sigma, rel=1e-6)
    w = oracle.weight
    assert bank.wander() == pytest.approx(math.exp(w @ np.log([float(m.q) for m in oracle.members])), rel=1e-6)
    r = np.array([float(m.r(noise, scale)) for m in oracle.members])
    assert bank.measurement_variance(noise, scale) == pytest.approx(math.exp(w @ np.log(r)), rel=1e-6)
    assert bank.expected_noise_variance(noise, scale) == pytest.approx(w @ r, rel=1e-6)


def test_the_bank_has_eleven_by_four_by_three_members() -> None:
    assert Bank(Tuning(), 0.0, 1e-6, 0.0).members == 132


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.floats(0, 1e5), st.floats(-1, 1), st.floats(0, 0.1), st.floats(0, 10)), min_size=1, max_size=30
    ),
    noise=st.floats(1e-10, 1e-2),
)
def test_covariances_stay_positive_definite_whatever_comes(
    steps: list[tuple[float, float, float, float]], noise: float
) -> None:
    bank = Bank(Tuning(), 0.0, noise, 0.0)
    for dt, z, excess, lag in steps:
        bank.predict(dt)
        bank.update(z, noise, excess, lag)
        v0, _, v2, v3 = bank.variance()
        assert v0 > 0
        assert v2 > 0
        assert v3 > 0
        assert math.isfinite(sum(bank.mean()))


def test_a_member_that_is_not_finite_is_dropped_and_the_rest_go_on() -> None:
    bank = Bank(Tuning(), 0.0, 1e-6, 0.0)
    bank._x[3] = math.nan
    bank._p11[7] = math.inf
    bank.predict(16.0)
    bank.update(1e-6, 1e-6, 0.0)
    assert bank.members == 130
    assert bank.log_weight is None
    assert all(map(math.isfinite, (*bank.mean(), *bank.variance(), bank.wander())))


def test_a_bank_without_finite_members_says_so() -> None:
    bank = Bank(Tuning(), 0.0, 1e-6, 0.0)
    with pytest.raises(FloatingPointError):
        bank.update(math.nan, 1e-6, 0.0)


@pytest.mark.parametrize("noise", [1e-10, 2e-8])
def test_ten_thousand_precise_fixes_leave_the_covariance_healthy(noise: float) -> None:
    bank = Bank(Tuning(), 0.0, noise, 0.0)
    for i in range(1, 10_001):
        bank.predict(16.0)
        bank.update(4e-6 * 16.0 * i, noise, 0.0)
    assert bank.members == 132
    assert bank.mean()[1] == pytest.approx(4e-6, abs=1e-10)


@pytest.mark.parametrize(("noise", "least", "most"), [(1e-3, 0.0, 0.1), (1e-9, 0.9, 1.0)])
def test_a_surprise_is_the_networks_where_fixes_are_poor_and_the_clocks_where_they_are_good(
    noise: float, least: float, most: float
) -> None:
    """A fix ten deviations off hardly moves a line that is better than it, and moves one that is worse almost fully."""
    rng = np.random.default_rng(3)
    bank, rate, theta = Bank(Tuning(), 0.0, noise, 0.0), 0.0, 0.0
    for _ in range(300):
        rate += 1e-8 * 8.0 * float(rng.standard_normal())
        theta += 64.0 * rate
        bank.predict(64.0)
        bank.update(theta + noise * float(rng.standard_normal()), noise, 0.0)
    bank.predict(64.0)
    before = bank.mean()[0]
    off = 10.0 * math.sqrt(bank.variance()[0] + bank.expected_noise_variance(noise, 0.0))
    bank.update(before + off, noise, 0.0)
    assert least < (bank.mean()[0] - before) / off < most


def test_an_oven_controlled_oscillator_is_followed_to_a_fraction_of_a_nanosecond() -> None:
    rng = np.random.default_rng(4)
    bank, rate, theta = Bank(Tuning(), 0.0, 1e-10, 0.0), 1e-8, 0.0
    errors = []
    for _ in range(1000):
        rate += 1e-12 * math.sqrt(8.0) * float(rng.standard_normal())
        theta += 8.0 * rate
        bank.predict(8.0)
        bank.update(theta + 1e-10 * float(rng.standard_normal()), 1e-10, 0.0)
        offset, found = bank.mean()
        errors.append(abs(offset + 60.0 * found - (theta + 60.0 * rate)))
    assert np.mean(errors[300:]) < 5e-10
    assert bank.wander() < 3e-12


def test_recentring_moves_the_offset_and_nothing_else() -> None:
    bank = Bank(Tuning(), 0.5, 1e-6, 0.0)
    before = bank.variance()
    bank.recentre(0.5)
    assert bank.mean()[0] == 0.0
    assert bank.variance() == before


def test_what_the_vote_has_learned_can_be_carried_over() -> None:
    old = Bank(Tuning(), 0.0, 1e-6, 0.0)
    for i in range(50):
        old.predict(16.0)
        old.update(1e-6 * (-1) ** i, 1e-6, 0.0)
    new = Bank(Tuning(), 0.0, 1e-6, 0.0, log_weight=old.log_weight)
    assert new.wander() == old.wander()
