"""Allan deviation of a clock: how far its rate differs between one stretch of time and the next."""

import numpy as np
from numpy.typing import NDArray


def allan_deviation(
    raw_s: NDArray[np.float64], theta_s: NDArray[np.float64], *, points: int = 24
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Overlapping Allan deviation (NIST SP 1065, section 5.2.4).

        sigma^2(tau) = mean over i of (x[i+2m] - 2 x[i+m] + x[i])^2 / (2 tau^2),   tau = m tau0

    Args:
        raw_s: float64, shape (n,), ascending, s; brought to an even grid of its usual spacing by interpolation.
        theta_s: float64, shape (n,), s.
        points: at most this many values of tau, evenly in its logarithm.

    Returns:
        tau, s, and the deviation at it, without unit; both empty below 9 points of the grid. tau ends at a fifth of the
        trace, beyond which too few stretches are left.
    """
    if len(raw_s) < 9:
        return np.empty(0), np.empty(0)
    tau0 = float(np.median(np.diff(raw_s)))
    grid = np.arange(raw_s[0], raw_s[-1], tau0)
    x = np.interp(grid, raw_s, theta_s)
    most = len(x) // 5
    if most < 1:
        return np.empty(0), np.empty(0)
    factors = np.unique(np.round(np.geomspace(1, most, points)).astype(int))
    deviation = [np.sqrt(np.mean((x[2 * m :] - 2 * x[m:-m] + x[: -2 * m]) ** 2) / 2) / (m * tau0) for m in factors]
    return factors * tau0, np.array(deviation)
