"""Records, estimates and bounds to publish."""

from collections.abc import Callable

import pytest

from chronotick.fusion.types import FusedForecast
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import Record, Status

S = 1_000_000_000


@pytest.fixture
def record() -> Record:
    """An ordinary record, sequence 5."""
    return Record(
        raw_ns=1000 * S,
        theta_ns=1_700_000_000 * S,
        rate=2e-5,
        slew_rate=0.0,
        slew_until_raw_ns=1000 * S,
        sigma_s=1e-5,
        sigma_growth=1e-8,
        half_widths_s=normal_widths(3e-5),
        half_growths=normal_widths(1.96 * 1e-8),
        earliest_theta_ns=1_700_000_000 * S - 1_000_000,
        latest_theta_ns=1_700_000_000 * S + 1_000_000,
        bound_growth=5e-5,
        stale_raw_ns=1004 * S,
        void_raw_ns=2000 * S,
        fix_raw_ns=990 * S,
        suspended_ns=0,
        epoch=1,
        sequence=5,
        host_instance=2**64 - 1,
        host_pid=4711,
        status=Status.SYNCHRONISED,
        source=("floor", "chronos"),
    )


@pytest.fixture
def fuse() -> Callable[..., FusedForecast]:
    """Makes an estimate: theta at a raw instant, and a rate."""

    def make(raw_ns: int, theta_ns: int, rate: float = 0.0, sigma_s: float = 1e-5) -> FusedForecast:
        return FusedForecast(
            raw_ns=raw_ns,
            theta_ns=theta_ns,
            rate=rate,
            sigma_s=sigma_s,
            sigma_growth=1e-8,
            floor_theta_ns=theta_ns,
            floor_sigma_s=sigma_s,
            half_widths_s=normal_widths(2 * sigma_s),
            half_growths=normal_widths(1.96e-8),
            weights=(("floor", 1.0), ("chronos", 0.0)),
            horizon_s=0.0,
            until_raw_ns=raw_ns + 100 * S,
        )

    return make
