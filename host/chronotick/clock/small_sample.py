"""How much wider an interval must be while its sigma rests on few fixes."""

import math
from functools import lru_cache
from typing import Final

from chronotick.wire.levels import LEVELS, Z

# Two-sided level at which the factor is exact.
LEVEL: Final = 0.95
_Z: Final = 1.959963984540054
# From here on the expansion is exact to 0.1 % at every level.
_MANY: Final = 30
_BISECTIONS: Final = 60


def student_quantile(degrees: int) -> float:
    """Upper 97.5 % quantile of Student's t with `degrees` >= 1 degrees of freedom.

    Closed forms for 1 and 2 degrees; above, the expansion of Abramowitz and Stegun 26.7.5 in 1/degrees up to the
    fourth term, which is within 1 % at 3 and 0.01 % from 8 on.
    """
    if degrees == 1:
        return math.tan(math.pi * LEVEL / 2.0)
    if degrees == 2:
        return LEVEL * math.sqrt(2.0 / (1.0 - LEVEL**2))
    return _expanded(_Z, degrees)


def _expanded(z: float, degrees: int) -> float:
    """Student's quantile from the normal one."""
    v = float(degrees)
    g1 = (z**3 + z) / 4.0
    g2 = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    g3 = (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0
    g4 = (79.0 * z**9 + 776.0 * z**7 + 1482.0 * z**5 - 1920.0 * z**3 - 945.0 * z) / 92160.0
    return z + (g1 + (g2 + (g3 + g4 / v) / v) / v) / v


def widen(fixes: int) -> float:
    """Factor >= 1 on sigma after `fixes` fixes: t(0.975, fixes - 2) / z(0.975).

    A line through n fixes leaves n - 2 degrees of freedom to learn the noise from; the quotient of Student's and the
    normal quantile turns the normal interval into the exact one of linear regression. Two fixes leave none: they
    count as one, whose 95 % interval is 6.5 times the normal one.
    """
    return student_quantile(max(fixes - 2, 1)) / _Z


@lru_cache(maxsize=256)
def tails(fixes: int) -> tuple[float, ...]:
    """Factors >= 1 at each of `LEVELS` on half widths that `widen` has made right at 95 %.

    Student's distribution with few degrees of freedom has longer tails than the normal one: what is exact at 95 % is
    too narrow at 99.9 %. The factor is the quotient of t/z there and at 95 %; below 95 % it is 1, which leaves those
    levels too wide rather than too narrow. Degrees of freedom are half as many as `widen` has, because the noise is no
    mean of squares but a median of residuals that share fixes, and says half as much: with all of them 99.9 % held
    99.8 % of simulated first half minutes.
    """
    degrees = max((fixes - 1) // 2, min(fixes - 2, 2), 1)
    return tuple(
        max(_two_sided(level, z, degrees) / z * _Z / _two_sided(LEVEL, _Z, degrees), 1.0) if level > LEVEL else 1.0
        for level, z in zip(LEVELS, Z, strict=True)
    )


def _two_sided(level: float, z: float, degrees: int) -> float:
    """Student's quantile that leaves 1 - level outside, on both sides together."""
    if degrees >= _MANY:
        return _expanded(z, degrees)
    low, high = 0.0, math.pi / 2.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _inside(middle, degrees) < level else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def _inside(theta: float, degrees: int) -> float:
    """Probability of |t| <= sqrt(degrees) tan(theta): Abramowitz and Stegun 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = degrees % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(2 + odd, degrees + 1, 2):
        total += term
        term *= cosine * cosine * (k - 1) / k
    return 2.0 / math.pi * (theta + sine * total) if odd else sine * total
