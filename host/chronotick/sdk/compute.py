"""One job through a model: a request becomes a batch, quantiles become an answer, an exception becomes an error."""

import logging
import time

import numpy as np

from chronotick.errors import ProtocolError
from chronotick.sdk.errors import Cancelled, to_error
from chronotick.sdk.forecaster import Batch, Forecaster, Params, Quantiles
from chronotick.sdk.work import Job
from chronotick.wire.codes import Code, rule_for
from chronotick.wire.messages import Capabilities, Error, ForecastOk, ForecastRequest
from chronotick.wire.validate import check_quantiles

logger: logging.Logger = logging.getLogger(__name__)


def compute(forecaster: Forecaster, job: Job, capabilities: Capabilities, seed: int) -> ForecastOk | Error:
    """The one answer to a job. Never raises for anything that a model does."""
    request = job.request
    if job.cancelled:
        return _refusal(request.id, Code.CANCELLED, "Cancelled before it was computed.")
    started_ns = time.monotonic_ns()
    if started_ns >= job.deadline_ns:
        return _refusal(request.id, Code.DEADLINE_EXCEEDED, "The deadline passed in the queue.")
    try:
        quantiles = run(forecaster, _batch(job, seed))
    except Cancelled:
        # `Batch.cancelled` is true after the deadline, too, and a model that is too slow is not one that was stopped.
        if job.cancelled or time.monotonic_ns() < job.deadline_ns:
            return _refusal(request.id, Code.CANCELLED, "Cancelled while it was computed.")
        return _refusal(request.id, Code.DEADLINE_EXCEEDED, "Given up at the deadline.")
    # A library that calls sys.exit in the middle of a forecast is a fault like any other.
    except (Exception, SystemExit) as error:
        if not isinstance(error, ProtocolError):
            logger.exception("Forecast %d failed.", request.id)
        return to_error(error, request_id=request.id)
    ended_ns = time.monotonic_ns()
    if job.cancelled:
        return _refusal(request.id, Code.CANCELLED, "Cancelled while it was computed.")
    if ended_ns >= job.deadline_ns:
        late_ms = (ended_ns - job.deadline_ns) / 1e6
        return _refusal(request.id, Code.DEADLINE_EXCEEDED, f"Computed {late_ms:.0f} ms after the deadline.")
    return ForecastOk(
        id=request.id,
        quantiles=quantiles.values,
        mean=quantiles.mean,
        model_id=capabilities.model_id,
        revision=capabilities.revision,
        queue_ms=(started_ns - job.arrived_ns) / 1e6,
        infer_ms=(ended_ns - started_ns) / 1e6,
    )


def run(forecaster: Forecaster, batch: Batch) -> Quantiles:
    """Forecast and check.

    Raises:
        ProtocolError: `bad_output`. And whatever the model raises.
    """
    quantiles = forecaster.forecast(batch)
    values = np.asarray(quantiles.values)
    mean = None if quantiles.mean is None else np.asarray(quantiles.mean)
    check_quantiles(values, mean, series=len(batch.values), levels=len(batch.levels), horizon=batch.horizon)
    return Quantiles(values, mean)


def warm_up(forecaster: Forecaster, capabilities: Capabilities, params: Params) -> float:
    """Run two forecasts of a gentle ramp and return the milliseconds of the second.

    The first call of some libraries takes seconds. And a model that can not do this must not be called ready.

    Raises:
        ProtocolError: `bad_output`. And whatever the model raises.
    """
    n = max(capabilities.context_min, min(capabilities.context_max, 256))
    batch = Batch(
        values=np.linspace(0.0, 1e-6, n)[np.newaxis, :],
        horizon=min(capabilities.horizon_max, 64),
        levels=capabilities.levels,
        seed=params.seed,
        warm_up=True,
    )
    run(forecaster, batch)
    started_ns = time.monotonic_ns()
    run(forecaster, batch)
    return (time.monotonic_ns() - started_ns) / 1e6


def _batch(job: Job, seed: int) -> Batch:
    request: ForecastRequest = job.request
    values = request.series.values
    if request.series.mask is not None:
        values = np.where(request.series.mask, values, np.nan)
    return Batch(
        values=values,
        horizon=request.horizon,
        levels=request.levels,
        t0_ns=request.series.t0_ns,
        step_ns=request.series.step_ns,
        covariates=request.covariates,
        future=request.future,
        seed=seed,
        deadline_mono_ns=job.deadline_ns,
        cancelled=lambda: job.cancelled or time.monotonic_ns() >= job.deadline_ns,
    )


def _refusal(request_id: int, code: Code, message: str) -> Error:
    return Error(id=request_id, code=code, message=message, retryable=rule_for(code).retryable)
