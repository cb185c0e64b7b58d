"""A model's answer to forecasts in the units of the clock, or the sentence why it is refused."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from chronotick.errors import ProtocolError
from chronotick.forecast.request import Request
from chronotick.forecast.types import Forecast, Refusal
from chronotick.wire.codes import Code
from chronotick.wire.validate import check_quantiles

# An answer further than this many of its window's standard deviations from the window's mean is no forecast of it.
ABSURD_SCALES: Final = 1e3


def validate(
    request: Request, quantiles: NDArray[np.float64], *, infer_ms: float, mean: NDArray[np.float64] | None = None
) -> tuple[Forecast, ...] | Refusal:
    """Check and unscale the answer to `request`.

    Args:
        quantiles: float64, shape (k, levels, horizon), scaled as the request's values.
        infer_ms: what the inference took.
        mean: float64, shape (k, horizon), or None; checked, and otherwise not used: the median is the forecast.

    Returns:
        One forecast per window, or a refusal with code `bad_output`: wrong shape, not finite, crossing quantiles,
        absurd size, flat at every level. One bad window refuses the whole answer.
    """
    try:
        check_quantiles(
            quantiles, mean, series=len(request.windows), levels=len(request.levels), horizon=request.horizon
        )
    except ProtocolError as error:
        return Refusal(model=request.plugin, roles=request.roles, code=error.code, reason=error.message)
    largest = float(np.abs(quantiles).max())
    if largest > ABSURD_SCALES:
        reason = (
            f"The answer goes {largest:.3g} standard deviations from the window's mean, more than {ABSURD_SCALES:g}."
        )
        return Refusal(model=request.plugin, roles=request.roles, code=Code.BAD_OUTPUT, reason=reason)
    if _flat(request, quantiles):
        reason = "The answer is the same at every point, though the window moves: it says nothing of what comes."
        return Refusal(model=request.plugin, roles=request.roles, code=Code.BAD_OUTPUT, reason=reason)
    return tuple(_forecast(request, i, quantiles[i], infer_ms) for i in range(len(request.windows)))


def _flat(request: Request, quantiles: NDArray[np.float64]) -> bool:
    """Whether the answer to a window that moves is constant, down to the last digit, at all levels.

    A model that expects no change still spreads with the horizon, and rounding alone moves what has been computed.
    """
    if request.horizon < 2:
        return False
    still = np.ptp(quantiles, axis=2).max(axis=1) == 0.0
    return any(
        still[i] and np.ptp(values[mask]) > 0.0
        for i, (values, mask) in enumerate(zip(request.values, request.mask, strict=True))
        if mask.any()
    )


def _forecast(request: Request, i: int, scaled: NDArray[np.float64], infer_ms: float) -> Forecast:
    window = request.windows[i]
    rates = request.mean[i] + request.scale[i] * scaled

    def curve(level: float) -> NDArray[np.float64]:
        # Between the levels asked for, so that other levels than the usual nine still have a median; the ends are held.
        place = float(np.interp(level, request.levels, np.arange(len(request.levels))))
        below = int(place)
        above = min(below + 1, len(rates) - 1)
        at_level: NDArray[np.float64] = rates[below] + (place - below) * (rates[above] - rates[below])
        return np.concatenate(([window.series_rate], at_level))

    return Forecast(
        model=request.plugin,
        role=window.role,
        epoch=window.epoch,
        origin_raw_ns=window.origin_raw_ns,
        step_ns=window.step_ns,
        rate=curve(0.5),
        low=curve(0.1),
        high=curve(0.9),
        anchor=window.floor_rate - window.series_rate,
        span_s=window.span_s,
        infer_ms=infer_ms,
    )
