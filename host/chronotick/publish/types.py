"""The published reading: everything a reader needs to turn its own raw clock into now."""

import msgspec

from chronotick.fusion.types import Status


class Publication(msgspec.Struct, frozen=True):
    """One snapshot: an affine map from the raw clock to UTC, two intervals and how they grow.

    For a reader at raw clock r, with age a = r - raw_ns in seconds:

        utc      = r + theta_ns + rate * a
        earliest = r + earliest_theta_ns - bound_growth * a
        latest   = r + latest_theta_ns   + bound_growth * a
        sigma    = sigma_s + sigma_growth * a

    Attributes:
        raw_ns: raw clock of the anchor.
        theta_ns: UTC minus raw at the anchor, slewed: monotone output.
        rate: growth of theta, s/s; always > -1.
        sigma_s, sigma_growth: calibrated spread at the anchor, s, and its growth, s/s.
        half_width_95_s: half width of the calibrated 95 % interval at the anchor; grows with 1.96 * sigma_growth.
        earliest_theta_ns, latest_theta_ns: hard interval of theta at the anchor, outward rounded.
        bound_growth: growth of each side of the hard interval, s/s.
        void_raw_ns: from this raw clock on a reader says UNKNOWN.
        fix_raw_ns: raw clock of the last fix behind this reading; 0 for none.
        status: what the reading is worth.
        source: names of the candidates with weight, e.g. ("floor",) or ("floor", "chronos").
        epoch: grows by one at each declared discontinuity: the output may step between epochs.
        sequence: number of this publication since the host started.
        host_instance: random 64-bit id of the host's run.
    """

    raw_ns: int
    theta_ns: int
    rate: float
    sigma_s: float
    sigma_growth: float
    half_width_95_s: float
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
