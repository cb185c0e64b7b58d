"""How good a checkpoint is on the part of a history that it has not seen, beside the floor and the last value."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.backtest.score import name_of
from chronotick.backtest.trace import Trace
from chronotick.errors import PluginError
from chronotick.forecast.request import Request, common_levels
from chronotick.forecast.types import Refusal
from chronotick.forecast.validate import validate
from chronotick.fusion.candidate import ForecastCurve
from chronotick.plugins.types import Answer
from chronotick.tuning.examples import Origin
from chronotick.units import NS_PER_S, s_to_ns

FLOOR: Final = "floor"
LAST: Final = "last_value"
UNTUNED: Final = "untuned"
TUNED: Final = "tuned"
# A checkpoint is called better when it is in at least this share of the resampled histories.
SURE: Final = 0.9
_RESAMPLES: Final = 400
# Blocks of the resampling, as a share of what is judged: errors of neighbouring origins are one error.
_BLOCK_SHARE: Final = 0.05


class Verdict(msgspec.Struct, frozen=True):
    """Tuned beside untuned.

    Attributes:
        ratio: geometric mean over the horizons of tuned over untuned mean absolute error.
        sure: share of resampled histories in which that is below 1.
        better: whether the tuned one may be called better.
    """

    ratio: float
    sure: float
    better: bool


def errors_s(
    trace: Trace, origins: Sequence[Origin], horizons_s: Sequence[float]
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """Errors of the floor and of the last value, s, shape (origins, horizons), and the true theta, s."""
    at_s = np.array([one.state.raw_ns / NS_PER_S for one in origins])
    # What no method can know, the constant between measurements and truth, is taken off for all.
    truth = np.stack([trace.truth.at(at_s + h) for h in horizons_s], 1) - trace.constant_s
    line = np.array([[one.state.theta_at_ns(one.state.raw_ns + s_to_ns(h)) for h in horizons_s] for one in origins])
    last = np.array([one.last_theta_ns for one in origins])[:, None]
    return {FLOOR: line / NS_PER_S - truth, LAST: last / NS_PER_S - truth}, truth


def model_errors_s(
    origins: Sequence[Origin],
    ask: Callable[[Request], Answer | Refusal],
    levels: tuple[float, ...],
    floor_error_s: NDArray[np.float64],
    horizons_s: Sequence[float],
    progress: Callable[[float], None] = lambda _: None,
) -> NDArray[np.float64]:
    """Errors of the bare model, s, shape (origins, horizons); NaN where it was refused.

    Args:
        levels: quantile levels that the model has.

    Raises:
        PluginError: it was refused everywhere.
    """
    found = np.full(floor_error_s.shape, np.nan)
    why = "it was asked nothing"
    for i, origin in enumerate(origins):
        request = msgspec.structs.replace(origin.request, levels=common_levels(origin.request.levels, levels))
        answer = ask(request)
        if isinstance(answer, Refusal):
            why = answer.reason
        else:
            checked = validate(request, answer.quantiles, infer_ms=answer.infer_ms, mean=answer.mean)
            if isinstance(checked, Refusal):
                why = checked.reason
            else:
                curve, state = ForecastCurve(checked[0]), origin.state
                bend = [curve.correction_s(state, state.raw_ns + s_to_ns(h)) for h in horizons_s]
                found[i] = floor_error_s[i] + np.array(bend)
        progress((i + 1) / len(origins))
    if not np.isfinite(found).any():
        raise PluginError(f"The model answered none of {len(origins)} questions: {why}")
    return found


def verdict(untuned_s: NDArray[np.float64], tuned_s: NDArray[np.float64], seed: int = 1) -> Verdict:
    """Compare, and resample blocks of neighbouring origins to know how sure that is (Kuensch 1989).

    Args:
        untuned_s, tuned_s: errors, shape (origins, horizons), NaN where unknown.
    """
    both = np.isfinite(untuned_s) & np.isfinite(tuned_s)
    rows = both.any(1)
    one = np.where(both, np.abs(untuned_s), np.nan)[rows]
    other = np.where(both, np.abs(tuned_s), np.nan)[rows]
    if len(one) == 0:
        return Verdict(ratio=float("nan"), sure=0.0, better=False)
    ratio = _ratio(one, other)
    n = len(one)
    size = max(1, round(_BLOCK_SHARE * n))
    rng = np.random.default_rng(seed)
    below = 0
    for _ in range(_RESAMPLES):
        starts = rng.integers(0, n - size + 1, -(-n // size))
        chosen = (starts[:, None] + np.arange(size)).ravel()[:n]
        below += _ratio(one[chosen], other[chosen]) < 1.0
    sure = below / _RESAMPLES
    return Verdict(ratio=ratio, sure=sure, better=ratio < 1.0 and sure >= SURE)


def _ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    seen = np.isfinite(one).any(0)
    before, after = np.nanmean(one[:, seen], 0), np.nanmean(other[:, seen], 0)
    # Two checkpoints without any error are equally good.
    return float(np.exp(np.mean(np.log((after + 1e-15) / (before + 1e-15)))))


def table(
    errors: Mapping[str, NDArray[np.float64]], horizons_s: Sequence[float]
) -> dict[str, dict[str, dict[str, float]]]:
    """{horizon: {method: {n, mae_us, over_floor}}}, of the origins at which all methods said something."""
    known = np.all([np.isfinite(one) for one in errors.values()], axis=0)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for column, horizon_s in enumerate(horizons_s):
        rows = known[:, column]
        if not rows.any():
            continue
        mae = {name: float(np.abs(one[rows, column]).mean()) for name, one in errors.items()}
        result[name_of(horizon_s)] = {
            name: {"n": int(rows.sum()), "mae_us": value * 1e6, "over_floor": value / max(mae[FLOOR], 1e-15)}
            for name, value in mae.items()
        }
    return result
