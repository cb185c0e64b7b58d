"""Covariates for models that take none: the part of a series that they explain is regressed away and put back.

A clock's rate follows its temperature, late by some minutes, and a thermometer is much less noisy than a rate that is
measured over a network. So the series is fitted by each covariate and its running means (a crystal's thermal lag is one
of those, or lies between two), by ridge regression (Hoerl and Kennard 1970). The model forecasts the rest and the
covariates; from these the running means go on, and what they explain is added again.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from chronotick.sdk.scaling import fill_gaps, standardise

# Time constants of the running means, steps; 0 is the covariate itself.
LAGS: Final = (0.0, 2.0, 6.0, 18.0, 54.0)
RIDGE: Final = 1e-3
# What is fitted on the rest must explain this much of the variance of the newest quarter, else it is not used.
LEAST_EXPLAINED: Final = 0.5
# Fewer points can not carry a fit and its trial.
LEAST_POINTS: Final = 48

Array = NDArray[np.float64]


class Explained(Struct, frozen=True, eq=False):
    """A series in two parts: what covariates explain, and the rest.

    Attributes:
        rest: float64, shape (n,), NaN in gaps.
        covariates: float64, shape (c, n), those that are used, in units of their spread, without gaps.
        means: float64, shape (c, lags): the running means at the end.
        weights: float64, shape (c, lags).
        places: which of the given covariates are used; mean, scale: shape (c, 1), of their scaling.
        level: added to what they explain.
    """

    rest: Array
    covariates: Array
    means: Array
    weights: Array
    level: float
    places: NDArray[np.int64]
    mean: Array
    scale: Array

    def scaled(self, future: Array) -> Array:
        """A known future of all given covariates, shape (all, horizon), as `ahead` takes it; gaps are filled."""
        rows: Array = (future[self.places] - self.mean) / self.scale
        return fill_gaps(np.concatenate((self.covariates[:, -1:], rows), axis=1))[:, 1:]

    def ahead(self, future: Array) -> Array:
        """What they explain of the next points, shape (horizon,).

        Args:
            future: shape (c, horizon), the covariates' own forecasts, scaled as they are.
        """
        out, means = np.empty(future.shape[1]), self.means
        for i, now in enumerate(future.T):
            means = _step(means, now)
            out[i] = self.level + (self.weights * means).sum()
        return out

    def spread(self, future: Array) -> Array:
        """What an error of the covariates' forecasts is worth, shape (horizon,); shape of `future` as in `ahead`.

        The means are linear, so the spread of one covariate, sent through them, is the spread of what it explains.
        """
        out, means = np.zeros((len(future), future.shape[1])), np.zeros_like(self.means)
        for i, now in enumerate(future.T):
            means = _step(means, now)
            out[:, i] = (self.weights * means).sum(1)
        return np.sqrt((out**2).sum(0))


def explain(values: Array, covariates: Array) -> Explained | None:
    """Fit one window, or None where its covariates do not explain enough of it.

    Args:
        values: shape (n,), NaN in gaps.
        covariates: shape (c, n), NaN in gaps.
    """
    known = np.isfinite(values)
    if known.sum() < LEAST_POINTS:
        return None
    first = int(np.argmax(known))
    scaled = standardise(covariates[:, first:])
    # One that never changes is scaled to nothing.
    places = np.flatnonzero(np.nan_to_num(np.abs(scaled.values)).max(1) > 0)
    if not len(places):
        return None
    used = fill_gaps(scaled.values[places]).copy()
    # What is missing at the beginning was as it was first seen.
    for row in used:
        row[: np.argmax(np.isfinite(row))] = row[np.argmax(np.isfinite(row))]
    means = _running(used)
    features = means.reshape(-1, means.shape[2]).T
    y, where = values[first:], np.flatnonzero(known[first:])
    old, new = where[: -len(where) // 4], where[-len(where) // 4 :]
    trial, level = _fit(features[old], y[old])
    left = y[new] - features[new] @ trial - level
    if np.var(left) > (1.0 - LEAST_EXPLAINED) * np.var(y[new]):
        return None
    weights, level = _fit(features[where], y[where])
    rest = np.full(len(values), np.nan)
    rest[first:] = y - features @ weights - level
    shape = (len(used), len(LAGS))
    return Explained(
        rest=rest,
        covariates=used,
        means=means[:, :, -1],
        weights=weights.reshape(shape),
        level=level,
        places=places,
        mean=scaled.mean[places],
        scale=scaled.scale[places],
    )


def _step(means: Array, now: Array) -> Array:
    """Running means one step later: shape (c, lags), and (c,) for what is there now."""
    keep = np.exp(-1.0 / np.maximum(np.array(LAGS), 1e-9))
    return keep * means + (1.0 - keep) * now[:, None]


def _running(covariates: Array) -> Array:
    """Shape (c, lags, n); before the beginning everything was as at the beginning."""
    means = np.repeat(covariates[:, :1], len(LAGS), 1)
    out = np.empty((*means.shape, covariates.shape[1]))
    for i, now in enumerate(covariates.T):
        means = _step(means, now)
        out[:, :, i] = means
    return out


def _fit(features: Array, y: Array) -> tuple[Array, float]:
    """Ridge weights, and the level."""
    centre, level = features.mean(0), float(y.mean())
    x = features - centre
    gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
    weights: Array = np.linalg.solve(gram, x.T @ (y - level))
    return weights, level - float(centre @ weights)
