"""A clock with a known rate, as history and floor state."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from chronotick.clock.state import ClockState
from chronotick.window import History

S = 10**9
BASE_THETA_NS = 1_700_000_000 * S
BASE_RAW_NS = 5_000 * S


def make_state(raw_ns: int, **changes: object) -> ClockState:
    """A floor's belief at `raw_ns`: zero rate, 1 us, unless changed."""
    fields: dict[str, object] = {
        "raw_ns": raw_ns,
        "theta_ns": BASE_THETA_NS,
        "rate": 0.0,
        "variance": (1e-12, 0.0, 1e-16, 1e-18),
        "widen": 1.0,
        "fixes": 100,
        "noise_s": 1e-6,
        "wander": 1e-9,
        "restarts": 0,
        "epoch": 1,
    }
    return ClockState(**(fields | changes))  # type: ignore[arg-type]


def make_history(
    times_s: NDArray[np.float64],
    theta_s: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    noise_s: float = 0.0,
    seed: int = 0,
    epoch: int = 1,
    span_s: float = 1e6,
) -> History:
    """Fixes at `times_s` of a clock whose theta, relative to the base, is `theta_s(t)`."""
    rng = np.random.default_rng(seed)
    history = History(span_s=span_s)
    for t, x in zip(times_s, theta_s(times_s) + noise_s * rng.standard_normal(len(times_s)), strict=True):
        history.append(BASE_RAW_NS + round(t * S), BASE_THETA_NS + round(x * S), max(noise_s, 1e-9) ** 2, epoch)
    return history


@pytest.fixture
def state() -> Callable[..., ClockState]:
    return make_state


@pytest.fixture
def clock() -> Callable[..., History]:
    return make_history
