"""What is known for and against one candidate at one horizon: exponentially forgotten sums of paired losses."""

import math

from chronotick.units import NS_PER_S


class Evidence:
    """Paired, weighted losses of a candidate and the floor over the same origins, halved every `half_life_s`.

    Attributes:
        open: whether the candidate has a say.
        shut_until_raw_ns: it can not open before this.
    """

    __slots__ = (
        "_d",
        "_dd",
        "_first_ns",
        "_half_life_s",
        "_last_ns",
        "_mine",
        "_w",
        "_ww",
        "_zero",
        "open",
        "shut_until_raw_ns",
    )

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._w = self._ww = self._mine = self._zero = self._d = self._dd = 0.0
        self._first_ns: int | None = None
        self._last_ns = 0
        self.open: bool = False
        self.shut_until_raw_ns: int | None = None

    def add(self, origin_raw_ns: int, weight: float, loss: float, floor_loss: float) -> None:
        """Count one origin: both losses, and how much this origin's target is worth, 0..1."""
        if self._first_ns is None:
            self._first_ns = self._last_ns = origin_raw_ns
        fade = 0.5 ** (max(origin_raw_ns - self._last_ns, 0) / NS_PER_S / self._half_life_s)
        self._last_ns = max(self._last_ns, origin_raw_ns)
        better = floor_loss - loss
        self._w = self._w * fade + weight
        self._ww = self._ww * fade * fade + weight * weight
        self._mine = self._mine * fade + weight * loss
        self._zero = self._zero * fade + weight * floor_loss
        self._d = self._d * fade + weight * better
        self._dd = self._dd * fade + weight * better * better

    @property
    def scores(self) -> float:
        """Sum of the weights: how many scores' worth there is."""
        return self._w

    def spans(self, horizon_s: float) -> float:
        """Effective number of independent scores: overlapping horizons are not many witnesses."""
        if self._first_ns is None or self._ww <= 0:
            return 0.0
        seen_s = (self._last_ns - self._first_ns) / NS_PER_S
        remembered_s = self._half_life_s / math.log(2.0)
        return min(self._w * self._w / self._ww, min(seen_s, remembered_s) / horizon_s + 1.0)

    @property
    def gain(self) -> float:
        """Mean saving as a share of the floor's mean loss; negative when the candidate is worse."""
        return self._d / self._zero if self._zero > 0 else 0.0

    def t(self, horizon_s: float) -> float:
        """The mean saving in standard errors; 0 where there is one score only."""
        spans = self.spans(horizon_s)
        if spans <= 1.0:
            return 0.0
        mean = self._d / self._w
        spread = math.sqrt(max(self._dd / self._w - mean * mean, 1e-30))
        return mean / spread * math.sqrt(spans)

    def ratio(self, limit: float) -> float:
        """Floor's loss over the candidate's, at most `limit`."""
        if self._mine * limit <= self._zero:
            return limit if self._zero > 0 else 1.0
        return self._zero / self._mine
