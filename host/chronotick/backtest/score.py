"""What was said against what was true, per horizon: of the fused answer, the floor, each candidate and the baselines.

An origin is an instant at which a fix was taken. A forecast for horizon H made there is compared with the truth H
later; where the truth is dense there is also `serve`: every known instant between a fix and the next, as a reader of
the clock would have asked.

Where truth was measured apart, each method's own constant is taken off its errors: the median of its errors at the
fixes, over the second half of the part that is not scored. It is what an asymmetric path leaves, which no method can
know, and it differs between methods: who follows the fastest exchanges has another one than who follows all. The
absolute figures stand beside.

Where it was not, the truth is another fix, and what is said of true time is held against something noisier. Then each
interval is widened to one of that fix, sqrt(w^2 + (z sigma)^2): w its half width, z the normal quantile of its level,
sigma the noise of one fix as the floor knew it when the interval was given.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.backtest.baselines import BASELINES, Baseline, PlainKalman
from chronotick.backtest.drive import Models, drive
from chronotick.backtest.trace import Trace
from chronotick.config.schema import Config
from chronotick.fusion.gate import FLOOR
from chronotick.pipeline import Pipeline
from chronotick.units import NS_PER_S, ns_to_s, s_to_ns
from chronotick.wire.levels import LEVELS as LEVELS
from chronotick.wire.levels import Z

OURS: Final = "chronotick"
SERVE: Final = "serve"
# Origins of one trace are no closer than this share of its length, and scored instants between two fixes no more than
# this many: more say the same.
_MOST_ORIGINS: Final = 4000
_MOST_SERVED: Final = 24


class Column(msgspec.Struct):
    """Everything that was said for one horizon; lists of equal length, appended in time.

    Attributes:
        origin_s: raw clock of the origins, s.
        error_s: by method, said minus true, s; NaN where a method said nothing.
        half_width_s: by method, of the interval at each of `LEVELS`, s; of a fix where that is the truth.
        hard_s: earliest and latest of the hard interval minus true, s.
        weights: of each candidate in the fused answer.
    """

    origin_s: list[float] = []
    error_s: dict[str, list[float]] = {}
    half_width_s: dict[str, list[tuple[float, ...]]] = {}
    hard_s: list[tuple[float, float]] = []
    weights: list[dict[str, float]] = []


class Scores(msgspec.Struct, frozen=True):
    """All columns of one trace, by horizon: `serve`, and seconds.

    Attributes:
        constants_s: by method, what was taken off its errors.
    """

    trace: Trace
    columns: dict[str, Column]
    constants_s: dict[str, float]


def score(
    trace: Trace,
    config: Config,
    horizons_s: Sequence[float],
    models: Models | None = None,
    *,
    serve: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Scores:
    """Drive a trace through the pipeline and collect what was said and true.

    Args:
        horizons_s: > 0, s.
        serve: also score between the fixes, where the truth is denser than they are.
        progress: told the share done, 0..1.
    """
    horizons = {name_of(h): h for h in horizons_s}
    dense = serve and len(trace.truth.raw_s) > 2 * len(trace.fixes)
    columns = {name: Column() for name in ([SERVE] if dense else []) + list(horizons)}
    baselines = {name: kind() for name, kind in BASELINES.items()}
    truth_s = {name: trace.truth.at(_raw_s(trace) + h) for name, h in horizons.items()}
    length_s = ns_to_s(trace.fixes[-1].raw_ns - trace.fixes[0].raw_ns)
    spacing_s = length_s / _MOST_ORIGINS
    settled, at_fixes_s = Column(), trace.truth.at(_raw_s(trace))
    last_s = -np.inf
    for i, (fix, pipeline) in enumerate(drive(trace, config, models)):
        for baseline in baselines.values():
            baseline.take(fix)
        at_s = ns_to_s(fix.raw_ns)
        if at_s < trace.score_from_s:
            if trace.constant_s and at_s >= trace.score_from_s / 2 and np.isfinite(at_fixes_s[i]):
                _add(settled, pipeline, baselines, at_s, float(at_fixes_s[i]), at_s)
            continue
        if dense and i + 1 < len(trace.fixes):
            for raw_s, theta_s in _between(trace, at_s, ns_to_s(trace.fixes[i + 1].raw_ns)):
                _add(columns[SERVE], pipeline, baselines, raw_s, theta_s, at_s, measured=not trace.independent)
        if at_s - last_s >= spacing_s:
            last_s = at_s
            for name, h in horizons.items():
                if np.isfinite(truth_s[name][i]):
                    true_s = float(truth_s[name][i])
                    _add(columns[name], pipeline, baselines, at_s + h, true_s, at_s, measured=not trace.independent)
            if progress is not None:
                progress((i + 1) / len(trace.fixes))
    constants_s = {name: float(np.nanmedian(errors)) for name, errors in settled.error_s.items()}
    for column in columns.values():
        for name, errors in column.error_s.items():
            # Who had nothing to say before has the constant of what was published.
            constant_s = constants_s.setdefault(name, constants_s.get(OURS, 0.0))
            column.error_s[name] = [error_s - constant_s for error_s in errors]
    for name, error_s in trace.others.items():
        if dense:
            _add_other(columns[SERVE], name, trace, error_s)
    return Scores(trace, columns, constants_s)


def name_of(horizon_s: float) -> str:
    """5 -> "5s", 600 -> "10m", 3600 -> "1h"."""
    for unit, size in (("h", 3600.0), ("m", 60.0)):
        # A minute is "60s" to everybody who compares clocks.
        if horizon_s >= (size if unit == "h" else 2 * size) and horizon_s % size == 0:
            return f"{horizon_s / size:g}{unit}"
    return f"{horizon_s:g}s"


def _raw_s(trace: Trace) -> NDArray[np.float64]:
    return np.array([fix.raw_ns for fix in trace.fixes]) / NS_PER_S


def _between(trace: Trace, from_s: float, until_s: float) -> list[tuple[float, float]]:
    first, end = np.searchsorted(trace.truth.raw_s, (from_s, until_s), side="right")
    step = max(1, int(end - first) // _MOST_SERVED)
    span = slice(int(first), int(end), step)
    return list(zip(trace.truth.raw_s[span].tolist(), trace.truth.theta_s[span].tolist(), strict=True))


def _add(
    column: Column,
    pipeline: Pipeline,
    baselines: dict[str, Baseline],
    raw_s: float,
    theta_s: float,
    origin_s: float,
    *,
    measured: bool = False,
) -> None:
    """One instant at which truth is known: what everybody says of it. `measured`: truth is a fix, with its noise."""
    raw_ns = s_to_ns(raw_s)
    fused = pipeline.estimate(raw_ns, raw_ns + NS_PER_S)
    if fused is None or pipeline.state is None:
        return
    true_ns = s_to_ns(theta_s)
    # Some clocks are better than a nanosecond: what rounding has left out of truth and line is put back.
    rest_s = theta_s - ns_to_s(true_ns)
    line_s = pipeline.state.offset_s(raw_ns, true_ns) - rest_s
    apart = {OURS: fused.theta_ns, FLOOR: fused.floor_theta_ns} | pipeline.fusion.alone(raw_ns)
    said = {name: line_s + ns_to_s(theta_ns - fused.floor_theta_ns) for name, theta_ns in apart.items()}
    said |= {name: one.at_s(raw_ns, true_ns) - rest_s for name, one in baselines.items()}
    before = len(column.origin_s)
    for name in said.keys() - column.error_s.keys():
        column.error_s[name] = [np.nan] * before
    for name, errors in column.error_s.items():
        errors.append(said.get(name, np.nan))
    kalman = baselines["kalman"]
    assert isinstance(kalman, PlainKalman)
    sigma_s = {FLOOR: fused.floor_sigma_s, "kalman": kalman.sigma_s(raw_ns)}
    widths = {OURS: fused.half_widths_s}
    widths |= {name: tuple(z * one for z in Z) for name, one in sigma_s.items()}
    if measured:
        noise_s = pipeline.state.noise_s
        widths = {
            name: tuple(math.hypot(one, z * noise_s) for one, z in zip(width, Z, strict=True))
            for name, width in widths.items()
        }
    for name, width in widths.items():
        column.half_width_s.setdefault(name, []).append(width)
    hard = pipeline.hard.at(raw_ns)
    low_ns, high_ns = hard if hard is not None else (0, 0)
    column.hard_s.append((ns_to_s(low_ns - s_to_ns(theta_s)), ns_to_s(high_ns - s_to_ns(theta_s))))
    column.weights.append(dict(fused.weights))
    column.origin_s.append(origin_s)


def _add_other(column: Column, name: str, trace: Trace, error_s: NDArray[np.float64]) -> None:
    """The recorded errors of another clock, where the fixes were scored; in no order with the others."""
    judged = (trace.truth.raw_s > trace.score_from_s) & (trace.truth.raw_s < ns_to_s(trace.fixes[-1].raw_ns))
    values = error_s[judged]
    count = len(column.origin_s)
    picked = np.linspace(0, len(values) - 1, count).astype(int) if len(values) else np.empty(0, int)
    column.error_s[name] = values[picked].tolist() if len(values) else [np.nan] * count
