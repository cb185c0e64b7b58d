"""How much longer than its best a round trip took: queueing, which is what makes fixes wrong.

The best that was seen is not the path's own. Of n round trips whose two queues are drawn alike the least lies above it
by a queue's length over sqrt(n) (the density of a sum of two such queues begins as a straight line), and is therefore
wrong by as much: its excess of 0 is no proof that it did not queue.
"""

import math
from typing import Final

# Relative growth of the remembered minimum at each fix: a path that became longer for good is believed in the end.
LEAK: Final = 2e-4


class DelayFloor:
    """Running minimum of the round-trip delay of each server, with a leak."""

    def __init__(self) -> None:
        self._minimum: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def excess_s(self, server: str, delay_s: float) -> float:
        """Take `delay_s` (finite, >= 0) into `server`'s minimum and say how far above it this delay lies, >= 0."""
        before = self._minimum.get(server)
        minimum = delay_s if before is None else min(before * (1.0 + LEAK), delay_s)
        self._minimum[server] = minimum
        self._count[server] = self._count.get(server, 0) + 1
        return delay_s - minimum

    def least_s(self, server: str) -> float:
        """The minimum of a server that was heard, s."""
        return self._minimum[server]

    def doubt(self, server: str) -> float:
        """How far the minimum may lie above the path's own, in units of a queue's usual length, 0..1."""
        return 1.0 / math.sqrt(self._count[server])
