"""The levels at which an interval is calibrated, and what lies between two of them. Stdlib only: readers need it."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, TypeVar

Number = TypeVar("Number", int, float)

LEVELS: Final = (0.5, 0.9, 0.95, 0.99, 0.999)
# Standard deviations of a normal distribution on each side of its mean that hold these shares of it.
Z: Final = (0.6744897501960817, 1.6448536269514722, 1.959963984540054, 2.5758293035489004, 3.2905267314919255)
AT_95: Final = LEVELS.index(0.95)
Z95: Final = Z[AT_95]


def normal_widths(half_width_95: float) -> tuple[float, ...]:
    """Half widths at `LEVELS` of the normal distribution whose 95 % half width this is."""
    return tuple(half_width_95 * z / Z95 for z in Z)


def width_at(widths: Sequence[float], z: float) -> float:
    """Half width at the level of the normal quantile `z` >= 0, from those at `LEVELS`.

    Straight in z between the levels, because then a normal distribution is met exactly; from 0 at z = 0, and beyond the
    last level in proportion to z. Not decreasing in z where `widths` ascend.
    """
    if z >= Z[-1]:
        return widths[-1] * z / Z[-1]
    low_z, low = 0.0, 0.0
    for high_z, high in zip(Z, widths, strict=True):
        if z <= high_z:
            return low + (high - low) * (z - low_z) / (high_z - low_z)
        low_z, low = high_z, high
    raise ValueError(f"{z} is no number of standard deviations")


def never_crossing(widths: Sequence[Number]) -> tuple[Number, ...]:
    """The same, each at least as large as the one before."""
    return tuple(accumulate(widths, max))
