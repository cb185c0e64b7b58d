"""Clocks with a known rate behind a queueing network, through the real floor."""

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from chronotick.clock.floor import Floor, FloorUpdate
from chronotick.clock.tuning import Tuning
from chronotick.ntp.fix import Fix

S = 10**9
THETA0_NS = 1_700_000_000 * S
DT_S = 8.0


class Clock(msgspec.Struct, frozen=True, eq=False):
    """What the floor made of a clock's fixes, and the truth.

    Attributes:
        t_s, theta_s: float64, shape (n,): truth on a grid of `DT_S`, relative to `THETA0_NS`.
    """

    updates: list[FloorUpdate]
    t_s: NDArray[np.float64]
    theta_s: NDArray[np.float64]

    def true_ns(self, raw_ns: int) -> int:
        return THETA0_NS + round(float(np.interp(raw_ns / S, self.t_s, self.theta_s)) * S)


def make_clock(
    rate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    hours: float,
    seed: int = 1,
    poll_s: float = 64.0,
    queue_s: float = 50e-6,
    wander: float = 1e-10,
    step_at_s: float = math.inf,
    step_s: float = 0.0,
) -> Clock:
    """Poll one server every `poll_s`, queues of mean `queue_s` each way; `rate(t)` in s/s, plus a random walk."""
    rng = np.random.default_rng(seed)
    t = np.arange(0.0, hours * 3600 + 2 * DT_S, DT_S)
    f = rate(t) + wander * math.sqrt(DT_S) * np.cumsum(rng.standard_normal(len(t)))
    theta = np.concatenate(([0.0], np.cumsum((f[1:] + f[:-1]) / 2 * DT_S))) + step_s * (t >= step_at_s)
    floor, updates = Floor(Tuning()), []
    for at in np.arange(5.0, hours * 3600, poll_s) + rng.uniform(0, 2.0, len(np.arange(5.0, hours * 3600, poll_s))):
        out_s, back_s = rng.exponential(queue_s, 2)
        theta_ns = THETA0_NS + round((float(np.interp(at, t, theta)) + (out_s - back_s) / 2) * S)
        half_ns = round((1e-3 + out_s + back_s) * S)
        updates.append(
            floor.update(
                Fix(
                    raw_ns=round(at * S),
                    theta_ns=theta_ns,
                    delay_s=5e-4 + out_s + back_s,
                    root_distance_s=half_ns / S,
                    server="a",
                    survivors=("a",),
                    earliest_theta_ns=theta_ns - half_ns,
                    latest_theta_ns=theta_ns + half_ns,
                )
            )
        )
    return Clock(updates=updates, t_s=t, theta_s=theta)


@pytest.fixture(scope="session")
def clock() -> Callable[..., Clock]:
    return make_clock
