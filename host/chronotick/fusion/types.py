"""What fusion hands to publishing: theta at any instant ahead, its spread, and who had weight."""

import msgspec

from chronotick.wire.levels import AT_95

# The status is part of the snapshot's layout, where readers without msgspec find it.
from chronotick.wire.snapshot import Status as Status


class FusedForecast(msgspec.Struct, frozen=True):
    """The fused estimate around `raw_ns`, valid until `until_raw_ns` or the next one.

    Attributes:
        raw_ns: raw clock of the anchor.
        theta_ns: fused UTC minus raw at the anchor.
        rate: growth of theta until `until_raw_ns`, s/s.
        sigma_s: standard deviation at the anchor, s.
        sigma_growth: growth of sigma per second of age, s/s.
        floor_theta_ns: what the floor alone says at the anchor.
        floor_sigma_s: what the floor alone says of its spread at the anchor.
        half_widths_s: half widths of the calibrated intervals at `wire.levels.LEVELS` at the anchor, s, ascending;
            before clipping to the hard one.
        half_growths: their growth per second of age, s/s, ascending.
        weights: (candidate, weight) of everything that had weight at this horizon, floor included; they sum to 1.
        horizon_s: seconds from the last fix to the anchor.
        until_raw_ns: raw clock at which the line stops being the curve.
    """

    raw_ns: int
    theta_ns: int
    rate: float
    sigma_s: float
    sigma_growth: float
    floor_theta_ns: int
    floor_sigma_s: float
    half_widths_s: tuple[float, ...]
    half_growths: tuple[float, ...]
    weights: tuple[tuple[str, float], ...]
    horizon_s: float
    until_raw_ns: int

    @property
    def half_width_95_s(self) -> float:
        """Half width of the calibrated 95 % interval at the anchor, s."""
        return self.half_widths_s[AT_95]
