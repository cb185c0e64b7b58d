"""One smoothed line through fixes: a two-state Kalman filter and the Rauch-Tung-Striebel smoother.

State: offset x and rate f, with dx = f dt + white FM, df = wander. Over a step d the process noise is
[[w d + q d^3/3, q d^2/2], [q d^2/2, q d]] with w = white_fm^2 and q = wander^2 (Zucca and Tavella 2005, the clock
model without aging). Outliers are met with a Huber update: an innovation beyond 2.5 standard deviations is weighed
as if its variance were what makes it cost linearly. A knot of infinite variance is no measurement: it only asks for the
line there.

Everything is in plain floats: at the sizes used here (some hundred knots) a loop over floats is faster than
two-by-two numpy, and a few microseconds a knot.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

# Innovations beyond this many standard deviations cost linearly. The floor's value.
HUBER_SIGMA = 2.5
# The first innovations set the rate from a wide prior and are taken as they are.
_TRUSTED_KNOTS = 4
# Variance of the offset before the first measurement, s^2: a second, far wider than any residual from the floor's line.
_OFFSET_PRIOR = 1.0


class Line(msgspec.Struct, frozen=True, eq=False):
    """A smoothed line at its knots; all float64 of shape (n,), oldest first.

    Attributes:
        t_s: time of the knots, s.
        offset_s: smoothed offset, s.
        rate: smoothed rate, s/s.
        variance_s2: variance of the smoothed offset, s^2.
    """

    t_s: NDArray[np.float64]
    offset_s: NDArray[np.float64]
    rate: NDArray[np.float64]
    variance_s2: NDArray[np.float64]


def bin_fixes(
    t_s: NDArray[np.float64], z_s: NDArray[np.float64], variance_s2: NDArray[np.float64], width_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Average the fixes of each `width_s` into one, by inverse variance; time, value and variance, each of shape (m,).

    Times and values are averaged with the same weights, so a straight line stays on itself. `t_s` is ascending.
    """
    if len(t_s) < 2 or not width_s > 0:
        return t_s, z_s, variance_s2
    bins = np.floor(t_s / width_s)
    starts = np.flatnonzero(np.r_[True, np.diff(bins) > 0])
    if len(starts) == len(t_s):
        return t_s, z_s, variance_s2
    weight = 1.0 / variance_s2
    total = np.add.reduceat(weight, starts)
    # Relative to each bin's first value: sums of large equal numbers would lose digits.
    count = np.diff(np.r_[starts, len(t_s)])
    t0, z0 = t_s[starts], z_s[starts]
    t = t0 + np.add.reduceat(weight * (t_s - np.repeat(t0, count)), starts) / total
    z = z0 + np.add.reduceat(weight * (z_s - np.repeat(z0, count)), starts) / total
    return t, z, 1.0 / total


def smooth(
    t_s: NDArray[np.float64],
    z_s: NDArray[np.float64],
    variance_s2: NDArray[np.float64],
    *,
    wander: float,
    white_fm: float,
    rate: float,
    rate_variance: float,
) -> Line:
    """Smooth fixes into a line.

    Args:
        t_s: float64, shape (n,), n >= 1, ascending, s.
        z_s: float64, shape (n,), measured offsets, s; ignored where the variance is infinite.
        variance_s2: float64, shape (n,), s^2; infinite for a knot without a measurement.
        wander: process noise of the rate, s/s/sqrt(s).
        white_fm: white frequency noise, s/sqrt(s).
        rate, rate_variance: prior of the rate at the first knot.
    """
    n = len(t_s)
    times, values, noises = t_s.tolist(), z_s.tolist(), variance_s2.tolist()
    q, w = wander * wander, white_fm * white_fm
    x, f, p, b, c = 0.0, rate, _OFFSET_PRIOR, 0.0, rate_variance
    before: list[tuple[float, float, float, float, float]] = []
    after: list[tuple[float, float, float, float, float]] = []
    seen = 0
    for i in range(n):
        if i:
            d = times[i] - times[i - 1]
            x += f * d
            p += d * (2.0 * b + d * c + w + q * d * d / 3.0)
            b += d * (c + 0.5 * q * d)
            c += q * d
        before.append((x, f, p, b, c))
        r = noises[i]
        if r < math.inf:
            e = values[i] - x
            s = p + r
            if seen > _TRUSTED_KNOTS and e * e > HUBER_SIGMA * HUBER_SIGMA * s:
                s = abs(e) * math.sqrt(s) / HUBER_SIGMA
            seen += 1
            kx, kf = p / s, b / s
            x += kx * e
            f += kf * e
            c -= kf * b
            rest = (s - p) / s  # not 1 - p/s: exact where the prior is a million times wider than the noise
            p *= rest
            b *= rest
        after.append((x, f, p, b, c))

    offsets, rates, variances = [x], [f], [p]
    sx, sf, sp, sb, sc = x, f, p, b, c
    for i in range(n - 2, -1, -1):
        d = times[i + 1] - times[i]
        x, f, p, b, c = after[i]
        px, pf, pp, pb, pc = before[i + 1]
        det = pp * pc - pb * pb
        u, v = p + d * b, b + d * c
        if det > 0:
            gxx, gxf = (u * pc - b * pb) / det, (b * pp - u * pb) / det
            gfx, gff = (v * pc - c * pb) / det, (c * pp - v * pb) / det
            dx, df = sx - px, sf - pf
            dp, db, dc = sp - pp, sb - pb, sc - pc
            sx = x + gxx * dx + gxf * df
            sf = f + gfx * dx + gff * df
            sp = p + gxx * gxx * dp + 2.0 * gxx * gxf * db + gxf * gxf * dc
            sb = b + gxx * gfx * dp + (gxx * gff + gxf * gfx) * db + gxf * gff * dc
            sc = c + gfx * gfx * dp + 2.0 * gfx * gff * db + gff * gff * dc
        else:  # no process noise and no distance: the two knots are one
            sx, sf = sx - d * sf, sf
        offsets.append(sx)
        rates.append(sf)
        variances.append(max(sp, 0.0))
    return Line(t_s, np.array(offsets[::-1]), np.array(rates[::-1]), np.array(variances[::-1]))
