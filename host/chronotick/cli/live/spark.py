"""Sparklines: a row of characters for a row of numbers."""

from collections.abc import Sequence
from typing import Final

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = "_.-:=+*#"
"""For terminals whose encoding has no block characters."""


def sparkline(
    values: Sequence[float | None], *, low: float | None = None, high: float | None = None, bars: str = BARS
) -> str:
    """One character per value, from the lowest bar at `low` to the highest at `high`; a blank for None.

    Args:
        low, high: ends of the scale; None for the least and the greatest of the values. Values beyond are clipped.
            Where both ends are equal nothing varies, and every value gets the lowest bar.
    """
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    bottom = min(known) if low is None else low
    top = max(known) if high is None else high
    return "".join(" " if value is None else bars[_level(value, bottom, top, len(bars))] for value in values)


def _level(value: float, low: float, high: float, levels: int) -> int:
    if high <= low:
        return 0
    share = (value - low) / (high - low)
    return min(max(int(share * levels), 0), levels - 1)
