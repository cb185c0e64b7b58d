"""How much longer than its best a round trip took: queueing, which is what makes fixes wrong."""

from typing import Final

# Relative growth of the remembered minimum at each fix: a path that became longer for good is believed in the end.
LEAK: Final = 2e-4


class DelayFloor:
    """Running minimum of the round-trip delay of each server, with a leak."""

    def __init__(self) -> None:
        self._minimum: dict[str, float] = {}

    def excess_s(self, server: str, delay_s: float) -> float:
        """Take `delay_s` (finite, >= 0) into `server`'s minimum and say how far above it this delay lies, >= 0."""
        before = self._minimum.get(server)
        minimum = delay_s if before is None else min(before * (1.0 + LEAK), delay_s)
        self._minimum[server] = minimum
        return delay_s - minimum
