"""The fake plugin under the smallest host."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chronotick.sdk.tiny_host import TinyHost
from chronotick.wire.messages import ForecastRequest, Scalar, Series

LAUNCHER = Path(__file__).parents[1] / "fakes" / "echo_plugin" / "launch.py"
# Long enough for a loaded machine; nothing here waits for it unless something hangs.
WAIT_S = 30.0
FAR_NS = 2**62


def command(*faults: str) -> list[str]:
    """The fake plugin's command line."""
    return [sys.executable, "-I", str(LAUNCHER), *(word for fault in faults for word in ("--fault", fault))]


def request(request_id: int, values: NDArray[np.float64] | None = None, deadline_ns: int = FAR_NS) -> ForecastRequest:
    """Three points ahead at two levels."""
    values = np.arange(16.0) if values is None else values
    series = Series(t0_ns=0, step_ns=1_000_000_000, values=np.atleast_2d(values))
    return ForecastRequest(id=request_id, deadline_ns=deadline_ns, series=series, horizon=3, levels=(0.1, 0.5))


def start(stack: ExitStack, *faults: str, params: dict[str, Scalar] | None = None) -> TinyHost:
    """A fake plugin with these faults that is ready."""
    host = stack.enter_context(TinyHost(command(*faults)))
    host.start()
    host.hello(WAIT_S)
    host.welcome(params)
    assert host.ready(WAIT_S)[-1].state == "ready", host.output("stderr")
    return host


@pytest.fixture
def plugin() -> Iterator[Callable[..., TinyHost]]:
    """Makes hosts of fake plugins with these faults, not started."""
    with ExitStack() as stack:
        yield lambda *faults: stack.enter_context(TinyHost(command(*faults)))


@pytest.fixture
def ready() -> Iterator[Callable[..., TinyHost]]:
    """Makes hosts of fake plugins with these faults that are ready."""
    with ExitStack() as stack:
        yield partial(start, stack)


@pytest.fixture(scope="module")
def sound() -> Iterator[TinyHost]:
    """A fake plugin without faults, for all tests that leave it as it was."""
    with ExitStack() as stack:
        yield start(stack, params={"mode": "oracle", "offset": 5.0, "slope": 2.0})


@pytest.fixture(scope="module")
def patient() -> Iterator[TinyHost]:
    """A fake plugin that takes a minute unless cancelled, for all tests that leave nothing in its queue."""
    with ExitStack() as stack:
        yield start(stack, "patient=60")
