"""What of a model's answer is let in."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from chronotick.forecast import Forecast, Refusal, Request, batch, validate


@pytest.fixture
def request_two(role: Callable, window: Callable) -> Request:
    (request,) = batch([(role("a"), window("a")), (role("b"), window("b", seed=1))])
    return request


def good(request: Request) -> NDArray[np.float64]:
    """Quantiles that rise with the level and with time."""
    k, n = len(request.windows), request.horizon
    levels = np.array(request.levels)[None, :, None] - 0.5
    return np.broadcast_to(levels, (k, 9, n)) + 0.1 * np.arange(n) + np.arange(k)[:, None, None]


def test_a_good_answer_becomes_forecasts_in_the_clock_s_units(request_two: Request) -> None:
    """The median is unscaled by its own window, starts at the smoother's rate, and is anchored on the floor's."""
    answer = validate(request_two, good(request_two), infer_ms=2.5)
    assert not isinstance(answer, Refusal)
    for i, forecast in enumerate(answer):
        window = request_two.windows[i]
        assert (forecast.model, forecast.role, forecast.infer_ms) == ("chronos", window.role, 2.5)
        assert forecast.rate[0] == forecast.low[0] == forecast.high[0] == window.series_rate
        expected = request_two.mean[i] + request_two.scale[i] * (0.1 * np.arange(8) + i)
        np.testing.assert_allclose(forecast.rate[1:], expected, rtol=1e-12)
        np.testing.assert_allclose(forecast.high[1:] - forecast.low[1:], 0.8 * request_two.scale[i], rtol=1e-6)
        assert forecast.anchor == window.floor_rate - window.series_rate
        assert forecast.end_raw_ns == window.origin_raw_ns + 8 * window.step_ns


def spoil(values: NDArray[np.float64], how: str) -> NDArray[np.float64]:
    match how:
        case "nan":
            values[1, 4, 3] = np.nan
        case "infinite":
            values[0, 8, 0] = np.inf
        case "crossing":
            values[0, 3, 2] = values[0, 4, 2] + 0.01
        case "huge":
            values[1] += 1e9
        case "short":
            return values[:, :, :-1]
        case "one series":
            return values[:1]
        case "flat":
            values[1] = np.arange(9.0)[:, None]
        case "no levels":
            return values[:, 4]
        case "float32":
            return values.astype(np.float32)  # type: ignore[return-value]
    return values


@pytest.mark.parametrize(
    "how", ["nan", "infinite", "crossing", "huge", "flat", "short", "one series", "no levels", "float32"]
)
def test_a_bad_answer_is_refused_whole_with_a_sentence(how: str, request_two: Request) -> None:
    """Whatever is wrong, and in whichever series, nothing is let in, and the refusal names code and roles."""
    answer = validate(request_two, spoil(good(request_two).copy(), how), infer_ms=1.0)
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.model, answer.roles) == ("bad_output", "chronos", ("a", "b"))
    assert answer.reason.endswith(".")


def test_a_mean_that_is_not_finite_is_refused(request_two: Request) -> None:
    """The mean is not used, but a model that says NaN anywhere is not believed."""
    assert isinstance(validate(request_two, good(request_two), infer_ms=1.0, mean=np.full((2, 8), np.nan)), Refusal)


def test_a_point_model_has_equal_quantiles(role: Callable, window: Callable) -> None:
    """A model with the median only gives low and high equal to it."""
    (request,) = batch([(role(), window())], levels=(0.5,))
    answer = validate(request, np.linspace(0.5, 0.6, 8)[None, None], infer_ms=1.0)
    assert not isinstance(answer, Refusal)
    forecast: Forecast = answer[0]
    assert (forecast.low == forecast.rate).all()
    assert (forecast.high == forecast.rate).all()


def test_a_flat_answer_is_let_in_where_it_may_be_right(role: Callable, window: Callable) -> None:
    """To a window that does not move itself; and where the quantiles spread, for a model that expects no change."""
    still = msgspec.structs.replace(window(), rate=np.full(32, 12e-6))
    (request,) = batch([(role(), still)])
    assert not isinstance(validate(request, np.zeros((1, 9, 8)), infer_ms=1.0), Refusal)
    (request,) = batch([(role(), window())])
    spread = np.linspace(-1.0, 1.0, 9)[:, None] * np.sqrt(np.arange(1, 9))
    assert not isinstance(validate(request, spread[None], infer_ms=1.0), Refusal)
