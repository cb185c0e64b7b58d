"""All five model libraries at once, whose pins have no common solution, under one host."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chronotick.cli.demo import MODELS
from chronotick.client import Reading, Status
from chronotick.lab.demo.setting import Weights, demo_config
from chronotick.lab.lab import Ready
from chronotick.plugins.discovery import discover
from chronotick.plugins.stand_in import SHAPES, kept_stand_in, make_stand_in
from tests.plugin_worker import python_of

from .conftest import Host, until

pytestmark = [pytest.mark.model, pytest.mark.network, pytest.mark.slow]
# Five libraries are imported one after the other, each in up to a minute on a busy machine.
STARTING_S = 400.0


@pytest.mark.timeout(900)
def test_five_models_are_ready_together_and_come_back_when_all_are_killed(
    make_host: Callable[..., Host], lan_lab: Ready, tmp_path: Path
) -> None:
    """All READY and forecasting; kill -9 of each is DEAD, BACKOFF, READY; every reading succeeds and is right."""
    for name in MODELS:
        python_of(name)
    found, weights = discover(), dict[str, Weights]()
    for name, shape in SHAPES.items():
        manifest = found.find(name)
        folder = make_stand_in(manifest, kept_stand_in(manifest))
        weights[name] = Weights(str(folder), True, shape.context, shape.horizon, shape.params)
    roles = demo_config(lan_lab.servers, MODELS, tmp_path, tmp_path / "log", weights)
    host = make_host(lan_lab.servers, MODELS, roles=roles.roles, plugins=roles.plugins)
    truth = lan_lab.truth()
    host.start()

    def states() -> set[str]:
        return {str(row["state"]) for row in host.sections()["plugins"]}

    def all_have_answered() -> bool:
        return all(row["served"] > 0 for row in host.sections()["plugins"])

    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        until(lambda: states() == {"READY"}, "all five are ready", STARTING_S)
        until(all_have_answered, "all five have forecast", 60.0)
        versions = {row["name"]: row["model_id"] for row in host.sections()["plugins"]}
        assert set(versions) == set(MODELS)
        readings: list[Reading] = []
        stop = threading.Event()

        def read() -> None:
            while not stop.wait(0.01):
                readings.append(clock.now())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            before = {row["name"]: row["served"] for row in host.sections()["plugins"]}
            for row in host.sections()["plugins"]:
                os.kill(row["pid"], signal.SIGKILL)

            def back() -> bool:
                rows = host.sections()["plugins"]
                return all(
                    r["restarts"] == 1 and r["state"] == "READY" and r["served"] > before[r["name"]] for r in rows
                )

            until(back, "each is ready again and forecasts", STARTING_S)
            assert states() == {"READY"}
        finally:
            stop.set()
            reader.join()
    log = host.errors.read_text()
    # One that computes when it is killed may have been SUSPECT before.
    for step in (" to DEAD: ", " DEAD to BACKOFF: ", " BACKOFF to STARTING: "):
        assert log.count(step) >= len(MODELS), log[-4000:]
    assert len(readings) > 20
    assert {reading.status for reading in readings} == {Status.SYNCHRONISED}
    assert all(r.earliest_ns <= truth.utc_ns(r.raw_ns) <= r.latest_ns for r in readings)
    assert host.stop() == 0
