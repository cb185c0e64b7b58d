"""From one publication to the next: the output goes on where it was and is slewed to the new estimate. Pure.

The promise to readers, as long as the epoch stays the same: at the new anchor the output is, to the nanosecond, what
the old line says there; from there it moves towards the fused estimate by at most `slew_ppm` beside the estimate's own
rate; the correction ends by itself, also when no other publication follows. What is not slewed yet counts as error, in
sigma and in the half widths.

The output never lies outside the published hard interval, and true time is never lost from it:

- an estimate outside the hard bound is moved to its edge, and the distance counts as error;
- where the *output* lies outside a new bound, the published interval reaches out to it until it has been slewed in. A
  wider bound is still a bound; moving the output at once would be a step, and readers sort events by it;
- an estimate that drifts faster than the bound grows widens the growth.

Only a new epoch steps: the first known time, and a discontinuity that the host declares.
"""

import math

from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish.record import to_record
from chronotick.publish.types import HardBound, Publication
from chronotick.units import PPM, ns_to_s, s_to_ns
from chronotick.wire.levels import LEVELS
from chronotick.wire.snapshot import MAX_NS

# No clock drifts by half: such a rate is a fault upstream, and near -1 the output would stand still.
MAX_RATE = 0.5
NO_WIDTHS = (0.0,) * len(LEVELS)


def next_publication(
    previous: Publication | None,
    fused: FusedForecast,
    bound: HardBound,
    *,
    raw_ns: int,
    status: Status,
    fix_raw_ns: int,
    void_raw_ns: int,
    stale_raw_ns: int,
    slew_ppm: float,
    step: bool,
    host_instance: int,
    sequence: int,
) -> Publication:
    """The publication that follows `previous` at `raw_ns`.

    Args:
        previous: the one that readers use now; None for none. One that is UNKNOWN or void by now is stepped from.
        fused: the new estimate.
        bound: the hard bound, found at any instant.
        raw_ns: now, the new anchor; not before the previous anchor.
        slew_ppm: fastest correction, > 0, at most 100,000.
        step: declare a discontinuity: begin a new epoch at the estimate itself.

    Raises:
        ValueError: an estimate that is not finite, negative spread, a rate of half and more, an empty bound, an anchor
            before the previous one.
    """
    _check(previous, fused, bound, raw_ns)
    hard = bound.at(raw_ns)
    age_s = ns_to_s(raw_ns - fused.raw_ns)
    estimate = fused.theta_ns + s_to_ns(fused.rate * age_s)
    target = min(max(estimate, hard.earliest_theta_ns), hard.latest_theta_ns)
    known = previous is not None and to_record(previous).status_at(raw_ns) is not Status.UNKNOWN
    if previous is None or not known or step:
        theta = target
        epoch = 1 if previous is None else previous.epoch + 1
    else:
        theta = to_record(previous).utc_ns(raw_ns) - raw_ns
        epoch = previous.epoch
    remainder = target - theta
    # At full rate, not spread over the interval to the next: then the output would always lag by half an interval.
    slewing_ns = max(math.ceil(abs(remainder) / (slew_ppm * PPM)), 1)
    unsaid_s = ns_to_s(abs(estimate - target) + abs(remainder))
    grown_s = fused.sigma_growth * abs(age_s)
    return Publication(
        raw_ns=raw_ns,
        theta_ns=theta,
        rate=fused.rate,
        sigma_s=fused.sigma_s + grown_s + unsaid_s,
        sigma_growth=fused.sigma_growth,
        half_widths_s=tuple(
            half_s + growth * abs(age_s) + unsaid_s
            for half_s, growth in zip(fused.half_widths_s, fused.half_growths, strict=True)
        ),
        half_growths=fused.half_growths,
        earliest_theta_ns=min(hard.earliest_theta_ns, theta),
        latest_theta_ns=max(hard.latest_theta_ns, theta),
        bound_growth=max(bound.growth, abs(fused.rate)),
        void_raw_ns=void_raw_ns,
        fix_raw_ns=fix_raw_ns,
        status=status,
        source=tuple(name for name, weight in fused.weights if weight > 0),
        epoch=epoch,
        sequence=sequence,
        host_instance=host_instance,
        slew_rate=remainder / slewing_ns,
        # A correction of weeks would be slewed beyond the range of the clocks.
        slew_until_raw_ns=min(raw_ns + slewing_ns, MAX_NS),
        stale_raw_ns=stale_raw_ns,
    )


def unknown_publication(
    previous: Publication | None, *, raw_ns: int, fix_raw_ns: int, host_instance: int, sequence: int
) -> Publication:
    """The publication that says that no time is known. It keeps the epoch; the next that knows begins a new one."""
    return Publication(
        raw_ns=raw_ns,
        theta_ns=0,
        rate=0.0,
        sigma_s=0.0,
        sigma_growth=0.0,
        half_widths_s=NO_WIDTHS,
        half_growths=NO_WIDTHS,
        earliest_theta_ns=0,
        latest_theta_ns=0,
        bound_growth=0.0,
        void_raw_ns=raw_ns,
        fix_raw_ns=fix_raw_ns,
        status=Status.UNKNOWN,
        source=(),
        epoch=0 if previous is None else previous.epoch,
        sequence=sequence,
        host_instance=host_instance,
    )


def _check(previous: Publication | None, fused: FusedForecast, bound: HardBound, raw_ns: int) -> None:
    spreads = (fused.sigma_s, fused.sigma_growth, *fused.half_widths_s, *fused.half_growths, bound.growth)
    if not all(math.isfinite(value) and value >= 0 for value in spreads):
        raise ValueError(f"A spread or growth is negative or not finite: {spreads}.")
    if not abs(fused.rate) < MAX_RATE:
        raise ValueError(f"A rate of {fused.rate} s/s is no clock's, expected less than {MAX_RATE}.")
    if bound.earliest_theta_ns > bound.latest_theta_ns:
        raise ValueError(f"The hard bound is empty: {bound}.")
    if previous is not None and raw_ns < previous.raw_ns:
        raise ValueError(f"The anchor {raw_ns} lies before the previous one, {previous.raw_ns}.")
