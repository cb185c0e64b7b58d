"""What is known for and against one candidate at one horizon: exponentially forgotten sums over the same origins.

Two questions, two statistics. How much of the floor's loss does it save? The ratio of summed losses. How sure is that?
The mean saving over its standard error is a poor judge: the floor's loss comes in bursts, so even a candidate that is
nearly perfect has a small mean over spread. Instead the target y is regressed on the candidate's correction d, both
relative to the floor's line and in units of the expected error:

    y = k d + e,    k = sum(d y) / sum(d^2).

In squared error the candidate beats the floor exactly when k > 1/2, so t = (k - 1/2) / se(k), which counts the noise of
the targets and what the candidate can not explain, and not the bursts. se is heteroscedasticity-consistent (White
1980) and counts as many scores as have a say in k (one large d is one score), fewer for scores that follow one another:
by the first autocorrelation of d e, between what the span of time holds of horizons that do not touch, targets' fixes
and all, and what it holds of horizons.
"""

import math
from typing import Final

from chronotick.units import NS_PER_S

# Targets and corrections beyond this many expected errors count as this many: one outlier must not decide.
_MOST: Final = 3.0
_MOST_AUTOCORRELATION: Final = 0.95


class Evidence:
    """Paired, weighted losses of a candidate and the floor, and the regression, halved every `half_life_s`.

    Args:
        overlap_s: targets nearer than this share fixes, s.

    Attributes:
        open: whether the candidate has a say; `on_credit`: only because the fixes speak for its shape.
        shut_until_raw_ns: it can not open before this.
        since_raw_ns: origins before this do not count any more; None for all.
    """

    __slots__ = (
        "_d2",
        "_d2y2",
        "_d3y",
        "_d4",
        "_dy",
        "_first_ns",
        "_half_life_s",
        "_last_ns",
        "_last_u",
        "_mine",
        "_overlap_s",
        "_u2",
        "_uu",
        "_w",
        "_ww",
        "_zero",
        "on_credit",
        "open",
        "shut_until_raw_ns",
        "since_raw_ns",
    )

    def __init__(self, half_life_s: float, overlap_s: float = 0.0) -> None:
        self._half_life_s = half_life_s
        self._overlap_s = overlap_s
        self._w = self._ww = self._mine = self._zero = 0.0
        self._d2 = self._dy = self._d2y2 = self._d3y = self._d4 = 0.0
        self._u2 = self._uu = self._last_u = 0.0
        self._first_ns: int | None = None
        self._last_ns = 0
        self.open: bool = False
        self.on_credit: bool = False
        self.shut_until_raw_ns: int | None = None
        self.since_raw_ns: int | None = None

    def add(
        self, origin_raw_ns: int, weight: float, loss: float, floor_loss: float, target: float, correction: float
    ) -> None:
        """Count one origin.

        Args:
            weight: how much its target is worth, 0..1.
            loss, floor_loss: of the candidate and of the floor.
            target, correction: y and d, in standard deviations of the floor's error and the target's together.
        """
        if self.since_raw_ns is not None and origin_raw_ns < self.since_raw_ns:
            return
        if self._first_ns is None:
            self._first_ns = self._last_ns = origin_raw_ns
        fade = 0.5 ** (max(origin_raw_ns - self._last_ns, 0) / NS_PER_S / self._half_life_s)
        self._last_ns = max(self._last_ns, origin_raw_ns)
        y, d = min(max(target, -_MOST), _MOST), min(max(correction, -_MOST), _MOST)
        self._w = self._w * fade + weight
        self._mine = self._mine * fade + weight * loss
        self._zero = self._zero * fade + weight * floor_loss
        d2 = d * d
        self._d2 = self._d2 * fade + d2
        self._dy = self._dy * fade + d * y
        # Sums over squares of weights fade twice as fast.
        twice = fade * fade
        self._ww = self._ww * twice + weight * weight
        self._d2y2 = self._d2y2 * twice + d2 * y * y
        self._d3y = self._d3y * twice + d2 * d * y
        self._d4 = self._d4 * twice + d2 * d2
        u = d * (y - self.share * d)
        self._u2 = self._u2 * fade + u * u
        self._uu = self._uu * fade + u * self._last_u
        self._last_u = u

    def rebase(self, shift_ns: int) -> None:
        """The raw clock has begun anew: what was at r is at r + `shift_ns` now."""
        self._last_ns += shift_ns
        if self._first_ns is not None:
            self._first_ns += shift_ns
        if self.shut_until_raw_ns is not None:
            self.shut_until_raw_ns += shift_ns
        if self.since_raw_ns is not None:
            self.since_raw_ns += shift_ns

    def doubt(self, kept: float, since_raw_ns: int) -> None:
        """Forget all but a share of everything, as if it were long ago, and count only what was said from now on."""
        self.since_raw_ns = since_raw_ns
        self._w *= kept
        self._mine *= kept
        self._zero *= kept
        self._d2 *= kept
        self._dy *= kept
        self._u2 *= kept
        self._uu *= kept
        twice = kept * kept
        self._ww *= twice
        self._d2y2 *= twice
        self._d3y *= twice
        self._d4 *= twice

    @property
    def scores(self) -> float:
        """Sum of the weights: how many scores' worth there is."""
        return self._w

    @property
    def share(self) -> float:
        """k: how much of the correction explains the targets best; 1 for a perfect candidate. Within 0..2: what only a
        multiple of the correction would explain counts as unexplained."""
        return min(max(self._dy / self._d2, 0.0), 2.0) if self._d2 > 0 else 0.0

    @property
    def gain(self) -> float:
        """Mean saving as a share of the floor's mean loss; negative when the candidate is worse."""
        return 1.0 - self._mine / self._zero if self._zero > 0 else 0.0

    def spans(self, horizon_s: float) -> float:
        """Effective number of independent scores: overlapping horizons and shared fixes are not many witnesses."""
        if self._first_ns is None or self._ww <= 0:
            return 0.0
        seen_s = min((self._last_ns - self._first_ns) / NS_PER_S, self._half_life_s / math.log(2.0))
        r = min(max(self._uu / self._u2, 0.0), _MOST_AUTOCORRELATION) if self._u2 > 0 else 0.0
        scores = self._w * self._w / self._ww
        if self._d4 > 0:
            scores = min(scores, self._d2 * self._d2 / self._d4)
        apart = max(scores * (1.0 - r) / (1.0 + r), seen_s / (horizon_s + self._overlap_s) + 1.0)
        return max(1.0, min(scores, apart, seen_s / horizon_s + 1.0))

    def t(self, horizon_s: float) -> float:
        """How surely the candidate beats the floor, in standard errors of k - 1/2; 0 where there is one score only."""
        spans = self.spans(horizon_s)
        if spans <= 1.0 or self._d2 <= 0:
            return 0.0
        k = self.share
        meat = max(self._d2y2 - 2.0 * k * self._d3y + k * k * self._d4, 1e-24)
        widened = self._w * self._w / self._ww / spans
        return (self._dy - 0.5 * self._d2) / math.sqrt(meat * max(widened, 1.0))

    def ratio(self, sureness: float, limit: float) -> float:
        """Floor's loss over the candidate's, with `sureness` (0..1) of the gain believed; at most `limit`, at least 1.

        A gain that was only just proved moves the answer only a little.
        """
        believed = max(self.gain, 0.0) * min(max(sureness, 0.0), 1.0)
        return min(1.0 / max(1.0 - believed, 1e-9), limit)
