"""Windows and roles to ask about."""

from collections.abc import Callable

import numpy as np
import pytest

from chronotick.config.schema import RoleConfig
from chronotick.window import Window

S = 10**9


def make_role(name: str = "one", **changes: object) -> RoleConfig:
    fields = {"plugin": "chronos", "step_s": 64.0, "context": 32, "horizon": 8, "interval_s": 64.0, "deadline_s": 10.0}
    return RoleConfig(name=name, **(fields | changes))  # type: ignore[arg-type]


def make_window(role: str = "one", *, seed: int = 0, n: int = 32, origin_raw_ns: int = 10_000 * S) -> Window:
    """A window with a gap in it, around 12 ppm."""
    rate = 12e-6 + 1e-8 * np.random.default_rng(seed).standard_normal(n)
    rate[3:5] = np.nan
    step = 64 * S
    return Window(
        role=role,
        epoch=1,
        origin_raw_ns=origin_raw_ns,
        t0_raw_ns=origin_raw_ns - (n - 1) * step,
        step_ns=step,
        rate=rate,
        series_rate=float(rate[-1]),
        floor_rate=float(rate[-1]) + 1e-9,
        span_s=1000.0,
    )


@pytest.fixture
def role() -> Callable[..., RoleConfig]:
    return make_role


@pytest.fixture
def window() -> Callable[..., Window]:
    return make_window
