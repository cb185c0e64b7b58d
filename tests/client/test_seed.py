"""The earlier client, by its contract."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chronotick import ChronoTickClient, CorrectedTime, get_current_time
from chronotick.client import seed


@pytest.fixture
def client(host: Any) -> Any:
    """A client of a host that believes it to be the system clock's time, 5 s later."""
    host.publish(time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) + 5_000_000_000)
    with ChronoTickClient(host.directory.path) as made:
        yield made


def test_the_fields_are_the_seeds_in_their_order() -> None:
    """Code that unpacks or names them goes on working."""
    assert CorrectedTime._fields == (
        "corrected_timestamp",
        "system_timestamp",
        "uncertainty_seconds",
        "confidence",
        "source",
        "offset_correction",
        "drift_rate",
    )


def test_corrected_is_system_plus_offset(client: ChronoTickClient) -> None:
    """The offset is applied once; the system time is that of the same instant."""
    before = time.time()
    made = client.get_time()
    after = time.time()
    assert before - 0.001 <= made.system_timestamp <= after + 0.001
    assert made.corrected_timestamp == pytest.approx(made.system_timestamp + made.offset_correction, abs=1e-6)
    assert made.offset_correction == pytest.approx(5, abs=0.01)
    assert made.uncertainty_seconds > 0
    assert (made.confidence, made.source) == (0.95, "floor+chronos")


def test_the_future_is_not_more_certain(client: ChronoTickClient) -> None:
    """Uncertainty does not fall with the distance, and the time moves on by it."""
    far = [client.get_future_time(seconds) for seconds in (0, 1, 60, 900)]
    values = [one.uncertainty_seconds for one in far]
    assert all(late >= early * 0.999 for early, late in itertools.pairwise(values))
    for one, seconds in zip(far, (0, 1, 60, 900), strict=True):
        assert one.corrected_timestamp - far[0].corrected_timestamp == pytest.approx(seconds, abs=5)
        assert one.corrected_timestamp == pytest.approx(one.system_timestamp + one.offset_correction, abs=1e-6)


@pytest.mark.parametrize("seconds", [-1, 3601])
def test_the_future_is_an_hour(client: ChronoTickClient, seconds: float) -> None:
    """ValueError outside 0 to 3600 s."""
    with pytest.raises(ValueError, match="from 0 to 3600 s"):
        client.get_future_time(seconds)


def test_waits_end_in_time(client: ChronoTickClient) -> None:
    """wait_until returns within its tolerance of the target, and not before."""
    target = client.get_time().corrected_timestamp + 0.05
    assert client.wait_until(target, tolerance_ms=2) is True
    assert client.get_time().corrected_timestamp >= target - 0.002
    assert client.wait_until(client.get_time().corrected_timestamp + 0.02, tolerance_ms=60_000) is True
    with pytest.raises(ValueError, match="is past by"):
        client.wait_until(target - 10)


def test_without_a_host_it_is_a_runtime_error(tmp_path: Path) -> None:
    """The sentence says what to start; is_daemon_ready just says no."""
    with ChronoTickClient(tmp_path / "none", timeout_s=0.1) as client:
        assert client.is_daemon_ready() is False
        asks: tuple[Callable[[], object], ...] = (
            client.get_time,
            client.get_daemon_info,
            lambda: client.get_future_time(5),
            lambda: client.wait_until(time.time() + 5),
        )
        for ask in asks:
            with pytest.raises(RuntimeError, match="chronotick run"):
                ask()


def test_the_daemons_status_is_a_map(client: ChronoTickClient, host: Any) -> None:
    """Section by section, as the host tells it."""
    host.serve()
    assert client.is_daemon_ready()
    assert client.get_daemon_info()["clock"]["status"] == "SYNCHRONISED"


def test_the_module_function_shares_a_client(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """get_current_time needs nothing but a host in the usual place."""
    host.publish()
    monkeypatch.setenv("CHRONOTICK_RUNTIME_DIR", str(host.directory.path))
    monkeypatch.setattr(seed, "_shared", [])
    assert get_current_time().corrected_timestamp < get_current_time().corrected_timestamp
    assert len(seed._shared) == 1
    seed._shared[0].close()
