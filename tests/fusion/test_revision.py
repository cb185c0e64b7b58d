"""A model that contradicts itself is seen on arrival."""

from collections.abc import Callable

import numpy as np
import pytest

from chronotick.fusion.candidate import ForecastCurve
from chronotick.fusion.revision import Revisions

S = 10**9
RAW0_NS = 1_000 * S
LADDER = (64.0, 256.0, 1024.0)
HEARD = (1, 2)


@pytest.fixture
def said(forecast: Callable) -> Callable[..., ForecastCurve]:
    """What a model that sees a cycle of an hour says at a time, with a little noise; turned as asked."""
    rng = np.random.default_rng(1)

    def make(t_s: float, how: str = "good") -> ForecastCurve:
        t = t_s + 64.0 * np.arange(33)
        rate = 1e-6 * np.sin(2 * np.pi * t / 3600.0) + 2e-8 * rng.standard_normal()
        rate = {"good": rate, "constant": np.full(33, rate[0]), "negated": -rate, "reversed": rate[::-1].copy()}[how]
        return ForecastCurve(forecast(rate, origin_raw_ns=RAW0_NS + round(t_s * S)))

    return make


def learned(said: Callable, state: Callable) -> tuple[Revisions, ForecastCurve, float]:
    """After an hour of good forecasts, none of them sudden."""
    revisions, old, t_s = Revisions(LADDER), said(0.0), 0.0
    for i in range(1, 57):
        t_s = 64.0 * i
        new = said(t_s)
        assert revisions.judge(new, old, state(RAW0_NS + round(t_s * S)), HEARD) is not None
        old = new
    return revisions, old, t_s


@pytest.mark.parametrize("how", ["constant", "negated", "reversed"])
def test_a_turned_curve_is_sudden_each_time_it_comes(how: str, said: Callable, state: Callable) -> None:
    """It is held against the last good one, so a second and a third of its kind are no more welcome."""
    revisions, old, t_s = learned(said, state)
    for i in range(1, 4):
        # A quarter of a period on, where the cycle bends most and even its end turned to its beginning shows.
        at_s = t_s + 900.0 * (how == "reversed") + 64.0 * i
        assert revisions.judge(said(at_s, how), old, state(RAW0_NS + round(at_s * S)), HEARD) is None


def test_only_where_it_is_heard(said: Callable, state: Callable) -> None:
    """A rung at which a model has no say is no reason to refuse it."""
    revisions, old, t_s = learned(said, state)
    assert revisions.judge(said(t_s + 64.0, "negated"), old, state(RAW0_NS + round((t_s + 64.0) * S)), ()) == {}


@pytest.mark.parametrize(("usual", "nats"), [(0.9, None), (2.0, 0.8), (3.0, 2.9), (4.5, 8.1)])
def test_an_unusual_revision_speaks_against_its_model_by_its_size(
    usual: float, nats: float | None, forecast: Callable, state: Callable
) -> None:
    """Of r usual squares, (r - 1 - ln r) / 2 nats; nothing for one that is as usual."""
    at, revisions = state(RAW0_NS), Revisions(LADDER)

    def bent(slope: float) -> ForecastCurve:
        return ForecastCurve(forecast(np.linspace(0.0, slope, 33)))

    for _ in range(10):
        assert revisions.judge(bent(1e-7), bent(0.0), at, HEARD) is not None
    found = revisions.judge(bent(usual * 1e-7), bent(0.0), at, HEARD)
    assert found == ({} if nats is None else pytest.approx(dict.fromkeys(HEARD, nats), abs=0.1))
