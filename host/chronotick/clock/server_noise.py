"""How much noisier one server's fixes are than the others'.

`NoiseScale` sees all fixes in a row and makes one scale of them, though paths differ: beside a server in the next rack
one across an ocean is believed too much and the near one too little. So the size of each server's residuals from the
floor's line is averaged by itself, and the scale is multiplied for each by its mean over the median of all, within 1/4
and 8. The scale's own factor c in the bank finds the level that fits.

What is averaged is the logarithm of the size: two recorded servers whose usual errors are equal have means, ruled by
errors of tens of milliseconds, that differ by two for hours at a time, and a vote that follows them serves the cycles
of the clock worse. A mean of 64 logarithms is off by a tenth, and weighing equals unequally costs: a factor counts
only beyond exp(0.2), and none before 16 residuals. A server that is alone has factor 1.
"""

import math
from typing import Final

# Residuals over which the logarithm of their size is averaged, and how many make a mean.
RUNNING: Final = 64
ENOUGH: Final = 16
# A factor's logarithm is this much nearer to 0 than it was measured.
DOUBT: Final = 0.2
LEAST: Final = 0.25
MOST: Final = 8.0
# Residuals below this, s, are rounding.
LEAST_S: Final = 1e-10


class ServerNoise:
    """Mean logarithms of the residuals' sizes by server, and the factors that follow from them."""

    def __init__(self) -> None:
        self._mean: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def add(self, server: str, residual_s: float) -> None:
        """Take a fix minus the floor's line before it, s."""
        count = self._count.get(server, 0) + 1
        mean = self._mean.get(server, 0.0)
        self._count[server] = count
        self._mean[server] = mean + (math.log(max(abs(residual_s), LEAST_S)) - mean) / min(count, RUNNING)

    def factor(self, server: str) -> float:
        """What the scale of the noise is multiplied with for this server's fixes, 1/4..8."""
        if self._count.get(server, 0) < ENOUGH:
            return 1.0
        known = sorted(mean for name, mean in self._mean.items() if self._count[name] >= ENOUGH)
        log = self._mean[server] - 0.5 * (known[(len(known) - 1) // 2] + known[len(known) // 2])
        return min(max(math.exp(math.copysign(max(abs(log) - DOUBT, 0.0), log)), LEAST), MOST)
