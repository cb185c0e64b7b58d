"""How much wider an interval must be while its sigma rests on few fixes."""

import math
from typing import Final

# Two-sided level at which the factor is exact.
LEVEL: Final = 0.95
_Z: Final = 1.959963984540054


def student_quantile(degrees: int) -> float:
    """Upper 97.5 % quantile of Student's t with `degrees` >= 1 degrees of freedom.

    Closed forms for 1 and 2 degrees; above, the expansion of Abramowitz and Stegun 26.7.5 in 1/degrees up to the
    fourth term, which is within 1 % at 3 and 0.01 % from 8 on.
    """
    if degrees == 1:
        return math.tan(math.pi * LEVEL / 2.0)
    if degrees == 2:
        return LEVEL * math.sqrt(2.0 / (1.0 - LEVEL**2))
    z, v = _Z, float(degrees)
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
