"""What the watcher saw, held against the truth. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

METHODS = ("chronotick", "floor", "hold_last")


class Sample(msgspec.Struct, frozen=True):
    """One reading beside the truth and beside what simpler methods said at the same instant.

    Attributes:
        raw_ns: raw clock of the reading.
        true_ns: true UTC there.
        utc_ns, earliest_ns, latest_ns, low_95_ns, high_95_ns: the reading.
        floor_ns: UTC by the Kalman floor alone, as of the last publication before.
        hold_last_ns: UTC by the last accepted sample, held.
        holdover: whether the servers were out of reach by the scenario.
    """

    raw_ns: int
    true_ns: int
    utc_ns: int
    earliest_ns: int
    latest_ns: int
    low_95_ns: int
    high_95_ns: int
    floor_ns: int
    hold_last_ns: int
    holdover: bool

    def errors_us(self) -> tuple[float, float, float]:
        """Signed errors by METHODS, us: positive when ahead of true time."""
        return (
            (self.utc_ns - self.true_ns) / 1e3,
            (self.floor_ns - self.true_ns) / 1e3,
            (self.hold_last_ns - self.true_ns) / 1e3,
        )


def score(samples: Sequence[Sample]) -> dict[str, Any]:
    """Errors by method and coverage of both intervals, over all samples and apart for hold-over.

    Returns:
        samples; mae_us, p95_us, max_us: {method: value}; hard_coverage, coverage_95: share of samples whose interval
        holds true time; hard_width_us, width_95_us: medians; synchronised and holdover: {samples, mae_us, coverage_95}.
    """
    if not samples:
        return {"samples": 0}
    errors = np.abs(np.array([one.errors_us() for one in samples]))
    apart = np.array([one.holdover for one in samples])
    hard = [one.earliest_ns <= one.true_ns <= one.latest_ns for one in samples]
    soft = np.array([one.low_95_ns <= one.true_ns <= one.high_95_ns for one in samples])
    return {
        "samples": len(samples),
        "mae_us": _by_method(errors.mean(axis=0)),
        "p95_us": _by_method(np.quantile(errors, 0.95, axis=0)),
        "max_us": _by_method(errors.max(axis=0)),
        "hard_coverage": float(np.mean(hard)),
        "coverage_95": float(np.mean(soft)),
        "hard_width_us": float(np.median([one.latest_ns - one.earliest_ns for one in samples])) / 1e3,
        "width_95_us": float(np.median([one.high_95_ns - one.low_95_ns for one in samples])) / 1e3,
        "synchronised": _part(errors[~apart], soft[~apart]),
        "holdover": _part(errors[apart], soft[apart]),
    }


def _by_method(values: NDArray[np.float64]) -> dict[str, float]:
    return {method: round(float(value), 3) for method, value in zip(METHODS, values, strict=True)}


def _part(errors: NDArray[np.float64], soft: NDArray[np.bool_]) -> dict[str, Any]:
    if not len(errors):
        return {"samples": 0, "mae_us": None, "coverage_95": None}
    return {
        "samples": len(errors),
        "mae_us": _by_method(errors.mean(axis=0)),
        "coverage_95": round(float(soft.mean()), 4),
    }
