"""What a view remembers of one number: bounded, with gaps where it was not known."""

import math
from typing import Final

MOST: Final = 4096
"""Values kept. Beyond it neighbours are merged, so that a view may stay open for days."""


class Series:
    """Numbers with the instants at which they were seen, s, not decreasing."""

    def __init__(self, span_s: float, hold_s: float = 0.0) -> None:
        """Args: how far back is shown, s; how long a value stands where none was seen after it, s."""
        self._span_s = span_s
        self._hold_s = hold_s
        # Instant, mean, and how many values that is the mean of; what is closer together than the step is merged.
        self._kept: list[tuple[float, float, int]] = []
        self._step_s = 0.0

    def add(self, at_s: float, value: float | None) -> None:
        """Remember one; None and what is not finite leave a gap."""
        if value is not None and math.isfinite(value):
            self._put((at_s, value, 1))
        if self._kept and self._kept[0][0] < at_s - self._span_s:
            del self._kept[0]
        if len(self._kept) > MOST:
            self._step_s = 2 * (self._kept[-1][0] - self._kept[0][0]) / len(self._kept)
            kept, self._kept = self._kept, []
            for one in kept:
                self._put(one)

    def _put(self, one: tuple[float, float, int]) -> None:
        at_s, value, weight = one
        if self._kept and at_s - self._kept[-1][0] < self._step_s:
            since_s, mean, count = self._kept[-1]
            total = count + weight
            self._kept[-1] = (since_s, mean + (value - mean) * weight / total, total)
        else:
            self._kept.append(one)

    def cells(self, count: int, begun_s: float, now_s: float) -> list[float | None]:
        """The mean of what was seen in each of `count` equal parts of the time shown; None where nothing was.

        What is shown ends at `now_s` and begins at `begun_s`, or one span before `now_s` where that is later.
        """
        first_s = max(begun_s, now_s - self._span_s)
        width_s = (now_s - first_s) / count if count else 0.0
        shown = [(at_s, value) for at_s, value, _ in self._kept if at_s >= first_s]
        if width_s <= 0:
            return [*[None] * (count - 1), shown[-1][1] if shown else None][:count]
        found: list[float | None] = []
        held: tuple[float, float] | None = None
        place, hold_s = 0, max(self._hold_s, self._step_s)
        for cell in range(count):
            begin_s, end_s = first_s + cell * width_s, first_s + (cell + 1) * width_s
            inside = []
            # What was seen at this very moment belongs to the last cell.
            while place < len(shown) and (shown[place][0] < end_s or cell == count - 1):
                inside.append(shown[place][1])
                held = shown[place]
                place += 1
            if inside:
                found.append(sum(inside) / len(inside))
            else:
                found.append(held[1] if held is not None and begin_s - held[0] <= hold_s else None)
        return found
