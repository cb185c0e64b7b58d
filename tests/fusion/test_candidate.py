"""A forecast as a curve of theta: exact, aligned, anchored."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from chronotick.fusion.candidate import ForecastCurve, clipped_s

S = 10**9
RAW0_NS = 1_000 * S
STEP_S = 64.0
rates = st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=20)
shares = st.floats(0.0, 1.0)


def at(curve: ForecastCurve, share: float) -> int:
    return curve.origin_raw_ns + int(share * (curve.end_raw_ns - curve.origin_raw_ns))


@given(rates, shares, shares, shares)
def test_integrals_add_up(forecast: Callable, rate: list[float], a: float, b: float, c: float) -> None:
    """From a to b and on to c is from a to c, whatever their order and wherever in a step they lie."""
    curve = ForecastCurve(forecast(rate))
    a_ns, b_ns, c_ns = at(curve, a), at(curve, b), at(curve, c)
    whole = curve.integral_s(a_ns, c_ns)
    assert curve.integral_s(a_ns, b_ns) + curve.integral_s(b_ns, c_ns) == pytest.approx(whole, abs=1e-9)
    assert curve.integral_s(a_ns, b_ns) == -curve.integral_s(b_ns, a_ns)


@settings(deadline=None, max_examples=30)
@given(rates, shares, shares)
def test_the_integral_agrees_with_quadrature(forecast: Callable, rate: list[float], a: float, b: float) -> None:
    """The closed form equals scipy's adaptive quadrature of the interpolated rate."""
    curve = ForecastCurve(forecast(rate))
    points = np.arange(len(rate)) * STEP_S
    from_s, to_s = sorted(((at(curve, x) - RAW0_NS) / S) for x in (a, b))
    inside = [p for p in points if from_s < p < to_s] or None
    expected, _ = quad(lambda t: np.interp(t, points, rate), from_s, to_s, points=inside, limit=200)
    assert curve.integral_s(*sorted((at(curve, a), at(curve, b)))) == pytest.approx(expected, abs=1e-6)


def test_outside_its_span_a_forecast_says_nothing(forecast: Callable) -> None:
    """Before the origin and after the last point there is no integral."""
    curve = ForecastCurve(forecast([0.0, 1.0]))
    for wrong in (curve.origin_raw_ns - 1, curve.end_raw_ns + 1):
        with pytest.raises(ValueError, match="outside"):
            curve.integral_s(curve.origin_raw_ns, wrong)


PERIOD_S, AMPLITUDE = 3600.0, 1e-6
W = 2 * np.pi / PERIOD_S


def rate_at(t: np.ndarray) -> np.ndarray:
    return 5e-6 + AMPLITUDE * np.sin(W * t + 1.0)


def theta_at(t: float) -> float:
    return 5e-6 * t - AMPLITUDE / W * (np.cos(W * t + 1.0) - np.cos(1.0))


@pytest.mark.parametrize(("shift", "aligned"), [(0, True), (1, False), (-1, False)])
def test_forecast_i_lands_on_time_i(shift: int, aligned: bool, forecast: Callable, state: Callable) -> None:
    """A model that continues the true curve exactly leaves next to no error in theta; one step early or late it does.

    The state is a later one than the origin, as it is when fixes have come since: only what follows it counts.
    """
    points = (np.arange(65) + shift) * STEP_S
    curve = ForecastCurve(forecast(rate_at(points)))
    since_s = 200.0
    now = state(RAW0_NS + round(since_s * S), rate=5.3e-6)
    errors = []
    for h_s in np.linspace(1.0, 3000.0, 50):
        line_s = theta_at(since_s) + now.rate * h_s
        said = line_s + curve.correction_s(now, now.raw_ns + round(h_s * S))
        errors.append(abs(said - theta_at(since_s + h_s)))
    assert bool(max(errors) < 3e-6) is aligned
    assert aligned or max(errors) > 3e-5


def test_the_anchor_takes_the_difference_of_floor_and_smoother_away(forecast: Callable, state: Callable) -> None:
    """Where the model repeats the smoother's rate, the candidate is the floor's line, whatever their difference was."""
    curve = ForecastCurve(forecast(np.full(9, 7e-6), anchor=5e-6 - 7e-6))
    assert curve.correction_s(state(rate=5e-6), RAW0_NS + 300 * S) == pytest.approx(0.0, abs=1e-15)


def test_past_its_end_the_floor_s_rate_goes_on(forecast: Callable, state: Callable) -> None:
    """The correction stays what it was at the last point: no jump back to the floor, no invention."""
    curve = ForecastCurve(forecast([0.0, 1e-6, 1e-6]))
    now = state()
    at_end = curve.correction_s(now, curve.end_raw_ns)
    assert at_end == pytest.approx(96e-6)
    assert curve.correction_s(now, curve.end_raw_ns + 1000 * S) == at_end
    late = msgspec.structs.replace(now, raw_ns=curve.end_raw_ns + 10 * S)
    assert curve.correction_s(late, late.raw_ns + 100 * S) == 0.0


@given(st.floats(allow_nan=False), st.floats(0.0, 1.0))
def test_a_correction_is_kept_within_its_clip(correction_s: float, sigma_s: float) -> None:
    """Whatever a candidate says, it is heard within three sigma of the floor."""
    assert abs(clipped_s(correction_s, sigma_s, 3.0)) <= 3.0 * sigma_s
