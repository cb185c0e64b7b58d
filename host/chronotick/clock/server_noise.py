"""How much noisier one server's fixes are than the others'.

`NoiseScale` sees all fixes in a row and makes one scale of them, though paths differ: beside a server in the next rack
one across an ocean is believed too much and the near one too little. So each server's residuals from the floor's line
are averaged by themselves (their size, not their square: outliers shall not decide), and the scale is multiplied for
each by its mean over the median of all, within 1/4 and 8. The scale's own factor c in the bank finds the level that
fits.

A mean of 64 residuals is off by a tenth, and weighing equals unequally costs: a factor counts only beyond exp(0.2),
and none before 16 residuals. A server that is alone has factor 1.
"""

import math
from typing import Final

# Residuals over which their size is averaged, and how many make a mean.
RUNNING: Final = 64
ENOUGH: Final = 16
# A factor's logarithm is this much nearer to 0 than it was measured.
DOUBT: Final = 0.2
LEAST: Final = 0.25
MOST: Final = 8.0


class ServerNoise:
    """Mean residual sizes, s, by server, and the factors that follow from them."""

    def __init__(self) -> None:
        self._mean_s: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def add(self, server: str, residual_s: float) -> None:
        """Take a fix minus the floor's line before it, s."""
        count = self._count.get(server, 0) + 1
        mean_s = self._mean_s.get(server, 0.0)
        self._count[server] = count
        self._mean_s[server] = mean_s + (abs(residual_s) - mean_s) / min(count, RUNNING)

    def factor(self, server: str) -> float:
        """What the scale of the noise is multiplied with for this server's fixes, 1/4..8."""
        if self._count.get(server, 0) < ENOUGH:
            return 1.0
        known = sorted(mean_s for name, mean_s in self._mean_s.items() if self._count[name] >= ENOUGH)
        median_s = 0.5 * (known[(len(known) - 1) // 2] + known[len(known) // 2])
        if median_s <= 0.0 or self._mean_s[server] <= 0.0:
            return 1.0
        log = math.log(self._mean_s[server] / median_s)
        return min(max(math.exp(math.copysign(max(abs(log) - DOUBT, 0.0), log)), LEAST), MOST)
