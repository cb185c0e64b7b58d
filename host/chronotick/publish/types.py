"""What publishing takes and makes: a hard bound, and the published reading."""

import math

import msgspec

from chronotick.fusion.types import Status


class HardBound(msgspec.Struct, frozen=True):
    """The interval that holds true theta while the majority of servers is right and the oscillator inside its bound.

    Attributes:
        raw_ns: raw clock at which it was found.
        earliest_theta_ns, latest_theta_ns: the interval, outward rounded.
        growth: of each side, s/s, >= 0: the rate bound of the oscillator.
    """

    raw_ns: int
    earliest_theta_ns: int
    latest_theta_ns: int
    growth: float

    def at(self, raw_ns: int) -> "HardBound":
        """The same bound at another raw instant, grown by its age, outward rounded."""
        grown = math.ceil(self.growth * abs(raw_ns - self.raw_ns))
        return HardBound(raw_ns, self.earliest_theta_ns - grown, self.latest_theta_ns + grown, self.growth)


class Publication(msgspec.Struct, frozen=True):
    """One snapshot: a line from the raw clock to UTC with a slew on top, two intervals and how they grow.

    For a reader at raw clock r, with age a = r - raw_ns and s = min(a, slew_until_raw_ns - raw_ns), both in seconds:

        utc      = r + theta_ns + rate * a + slew_rate * s
        earliest = r + earliest_theta_ns - bound_growth * a
        latest   = r + latest_theta_ns   + bound_growth * a
        sigma    = sigma_s + sigma_growth * a - |slew_rate| * s
        half[i]  = half_widths_s[i] + half_growths[i] * a - |slew_rate| * s

    A host that dies while slewing leaves a line that stops slewing where it should. The methods that compute these are
    those of `chronotick.publish.to_record(publication)`.

    Attributes:
        raw_ns: raw clock of the anchor.
        theta_ns: UTC minus raw at the anchor, slewed: monotone output.
        rate: growth of theta without the slew, s/s; always > -1, also with the slew.
        sigma_s, sigma_growth: calibrated spread of what is published at the anchor, s, with all that is still to be
            slewed; and its growth, s/s.
        half_widths_s, half_growths: half widths of the calibrated intervals at `wire.levels.LEVELS` at the anchor, in
            the same way, ascending; and their growth, s/s, ascending too, so that they never cross.
        earliest_theta_ns, latest_theta_ns: hard interval of theta at the anchor, outward rounded, not slewed. Holds
            `theta_ns`: where a correction is still to be slewed that a new bound demands, it reaches out to the output.
        bound_growth: growth of each side of the hard interval, s/s; at least |rate|, so that the output stays inside.
        void_raw_ns: from this raw clock on a reader says UNKNOWN.
        fix_raw_ns: raw clock of the last fix behind this reading; 0 for none.
        status: what the reading is worth.
        source: names of the candidates with weight, e.g. ("floor",) or ("floor", "chronos").
        epoch: grows by one at each declared discontinuity: the output may step between epochs.
        sequence: number of this publication since the host started.
        host_instance: random 64-bit id of the host's run.
        slew_rate: correction being spread, s/s.
        slew_until_raw_ns: raw clock at which it is done.
        stale_raw_ns: from this raw clock on a reader takes the host for dead: SYNCHRONISED becomes HOLDOVER.
    """

    raw_ns: int
    theta_ns: int
    rate: float
    sigma_s: float
    sigma_growth: float
    half_widths_s: tuple[float, ...]
    half_growths: tuple[float, ...]
    earliest_theta_ns: int
    latest_theta_ns: int
    bound_growth: float
    void_raw_ns: int
    fix_raw_ns: int
    status: Status
    source: tuple[str, ...]
    epoch: int
    sequence: int
    host_instance: int
    slew_rate: float = 0.0
    slew_until_raw_ns: int = 0
    stale_raw_ns: int = 2**63 - 1
