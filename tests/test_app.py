"""The host's shell around the pipeline, without network and models: what no server's answer may do to it."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from chronotick.app import App
from chronotick.clock import timebase
from chronotick.clock.discontinuity import Discontinuity, Kind
from chronotick.config.schema import Config, NtpConfig, RoleConfig, StoreConfig
from chronotick.fusion.types import Status
from chronotick.ntp.outcome import Outcome, Sample
from chronotick.pipeline import Pipeline
from chronotick.publish.publisher import Publisher
from chronotick.store.keeper import Keeper
from chronotick.wire import runtime_dir

S = 1_000_000_000
SERVER = "192.0.2.1"
NOTHING = StoreConfig(warm_start=False, event_log_mb=0, history_fixes=0)
THETA_NS = 1_790_000_000 * S
GPS_ROLLOVER_NS = 1024 * 7 * 86_400 * S


@pytest.fixture
def app(tmp_path: Path) -> Any:
    """A host with a real pipeline and a real snapshot, and nothing else."""
    config = Config(ntp=NtpConfig(servers=(SERVER,)))
    made = cast(Any, App(config, runtime_dir.create(tmp_path)))
    made._begin(Publisher(tmp_path / "snapshot", config.publish, 1), Keeper(NOTHING, tmp_path))
    made._events = SimpleNamespace(publish=lambda *_: None)
    made._outputs = SimpleNamespace(publish=lambda _: None)
    made._pool = SimpleNamespace(snapshot=lambda: ())
    yield made
    made._publisher.close()


def heard(transmit: int, raw_ns: int, theta_ns: int) -> Outcome:
    """A good reply of the server, 1 ms there and back."""
    sample = Sample(
        raw_ns=raw_ns,
        theta_ns=theta_ns,
        delay_ns=1_000_000,
        span_ns=1_000_000,
        precision_s=1e-6,
        root_delay_s=0.0,
        root_dispersion_s=0.0,
        stratum=1,
        leap=0,
        reference_id=b"GPS\0",
        transmit=transmit,
        realtime_theta_ns=THETA_NS,
    )
    return Outcome(server=SERVER, address=SERVER, port=123, raw_ns=raw_ns, sample=sample)


@pytest.mark.parametrize("leap_ns", [-GPS_ROLLOVER_NS, GPS_ROLLOVER_NS])
@pytest.mark.parametrize("after", [1, 3, 12])
def test_a_server_that_leaps_by_years_does_not_end_the_host(app: Any, leap_ns: int, after: int) -> None:
    """Every answer is survived, before and after the floor trusts itself, and in the end the new time is told."""
    begin_ns = timebase.raw_ns() - 100 * S
    for number in range(60):
        theta_ns = THETA_NS + (leap_ns if number >= after else 0)
        app._on_outcome(heard(number + 1, begin_ns + number * S, theta_ns))
    app._publish()
    record = app._publisher.record
    if record.status is not Status.UNKNOWN:
        now_ns = timebase.raw_ns()
        assert record.earliest_ns(now_ns) <= now_ns + THETA_NS + leap_ns <= record.latest_ns(now_ns)


def test_an_estimate_that_is_no_clocks_is_not_told(app: Any) -> None:
    """A server whose time alternates by years at each answer leads to UNKNOWN or a bound, never to the host's end."""
    begin_ns = timebase.raw_ns() - 100 * S
    seen = set()
    for number in range(7):
        app._on_outcome(heard(number + 1, begin_ns + number * S, THETA_NS + number % 2 * GPS_ROLLOVER_NS))
        seen.add(app._publisher.current.status)
    assert Status.UNKNOWN in seen


def alone(name: str, poll_s: float) -> SimpleNamespace:
    return SimpleNamespace(name=name, reach=1, poll_s=poll_s, accepted=1, reason=None)


def test_one_server_that_asks_for_rare_polls_does_not_make_silence_look_synchronised(app: Any) -> None:
    """RATE pushes one server's poll to 36 hours; after three of the longest configured polls it is HOLDOVER still."""
    app._pool = SimpleNamespace(snapshot=lambda: (alone("192.0.2.9", 131_072.0), alone(SERVER, 64.0)))
    begin_ns = timebase.raw_ns()
    app._on_outcome(heard(1, begin_ns, THETA_NS))
    silent_ns = begin_ns + round((3 * app._config.ntp.max_poll_s + app._config.ntp.timeout_s + 1) * S)
    assert app._core.condition.at(silent_ns, app._core.pipeline.state) is Status.HOLDOVER


def test_a_contradicted_hard_interval_is_told(app: Any) -> None:
    """When a fix refutes all before it, whoever listens hears an alarm."""
    heard_events: list[tuple[str, dict[str, Any]]] = []
    app._events = SimpleNamespace(publish=lambda topic, _, body: heard_events.append((topic, body)))
    begin_ns = timebase.raw_ns() - 100 * S
    app._on_outcome(heard(1, begin_ns, THETA_NS))
    app._on_outcome(heard(2, begin_ns + S, THETA_NS))
    assert "alarm" not in [topic for topic, _ in heard_events]
    app._on_outcome(heard(3, begin_ns + 2 * S, THETA_NS + S))
    assert ("alarm", {"kind": "contradiction", "server": f"{SERVER} ({SERVER})", "times": 1}) in heard_events


def test_a_disturbance_before_the_first_fix_takes_back_what_the_last_host_left(app: Any, tmp_path: Path) -> None:
    """The line of the host before goes on over a restart, but not over a jump of the raw clock under it."""
    app._pool.restart = lambda: None
    app._on_outcome(heard(1, timebase.raw_ns(), THETA_NS))
    app._publisher.close()
    app._begin(Publisher(tmp_path / "snapshot", app._config.publish, 2), Keeper(NOTHING, tmp_path))
    app._publish()
    assert app._publisher.record.status is Status.HOLDOVER
    app._on_discontinuity(Discontinuity(Kind.TIME_BASE, 3.0, timebase.raw_ns(), disrupts=True))
    app._publish()
    assert app._publisher.record.status is Status.UNKNOWN


async def renewed_while(app: Any, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    """Publications of a ticking host whose status can not be made."""

    def fail() -> None:
        raise fault

    monkeypatch.setattr(app, "_look", fail)
    monkeypatch.setattr(app, "_ask_models", lambda: None)
    told = asyncio.Queue[int]()
    app._outputs = SimpleNamespace(publish=lambda record: told.put_nowait(record.sequence))
    async with asyncio.timeout(30):
        ticking = asyncio.create_task(app._tick())
        seen = [await told.get() for _ in range(3)]
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
    return len(seen)


@pytest.mark.parametrize("fault", [OSError(24, "Too many open files"), LookupError("no metadata")])
def test_a_status_that_can_not_be_made_stops_no_clock(
    app: Any, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publication goes on; only the status is old."""
    assert asyncio.run(renewed_while(app, fault, monkeypatch)) == 3


@pytest.mark.parametrize(("ppm", "told"), [(40, 0), (-80, 1)])
def test_an_oscillator_beyond_the_bound_is_told_once(app: Any, ppm: float, told: int) -> None:
    """The hard interval assumes at most 50 ppm: proved to be worse, the host says so, and says it once."""
    alarms: list[Any] = []
    app._events = SimpleNamespace(publish=lambda topic, _, body: alarms.append(body) if topic == "alarm" else None)
    for i in range(40):
        raw_ns = timebase.raw_ns() + 16 * i * S
        app._on_outcome(heard(i + 1, raw_ns, THETA_NS + round(ppm * 1e-6 * 16 * i * S)))
        app._voice.look(all_asked=True)
    assert [one["kind"] for one in alarms if one["kind"] == "rate_bound"] == ["rate_bound"] * told


def test_sensors_are_read_where_a_role_wants_covariates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's own readings, taken in a thread again and again, reach the windows' covariates; else nobody looks."""
    monkeypatch.setattr("chronotick.app.SENSE_S", 0.005)
    role = RoleConfig(name="one", plugin="model", step_s=1.0, context=8, use_covariates=True)
    config = Config(ntp=NtpConfig(servers=(SERVER,)), roles=(role,))
    host = cast(Any, App(config, runtime_dir.create(tmp_path)))
    host._begin(Publisher(tmp_path / "snapshot", config.publish, 1), Keeper(NOTHING, tmp_path))
    log = host._core.pipeline.covariates
    assert log.wanted
    assert not Pipeline(Config(ntp=NtpConfig(servers=(SERVER,)))).covariates.wanted
    begin_ns = timebase.raw_ns()

    async def until_seen() -> Any:
        sensing = asyncio.create_task(host._sense())
        found = None
        for _ in range(2000):
            await asyncio.sleep(0.01)
            found = log.on_grid(begin_ns, S, 8)
            if found is not None and "load" in found.names:
                break
        sensing.cancel()
        return found

    found = asyncio.run(asyncio.wait_for(until_seen(), 30))
    load = found.values[found.names.index("load")]
    assert 0 <= load[np.isfinite(load)][0] <= 1
    host._publisher.close()
