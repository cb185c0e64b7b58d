"""Models beside a running host: they come, answer, die and come again, and the clock does not notice."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import psutil
import pytest

from chronotick.client import Reading, Status
from chronotick.config.schema import FusionConfig, PluginConfig
from chronotick.lab.lab import Ready

from .conftest import Host, until

pytestmark = pytest.mark.network
MakeHost = Callable[..., Host]


def test_a_killed_model_comes_back_and_no_answer_is_missed(make_host: MakeHost, lan_lab: Ready) -> None:
    """kill -9 of a model process: READY again with one restart, while every reading succeeds and holds the truth."""
    host, truth = make_host(lan_lab.servers, ("echo",)), lan_lab.truth()
    host.start()
    readings: list[Reading] = []
    stop = threading.Event()
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        until(lambda: host.plugin("echo").get("state") == "READY", "the model is ready")
        until(lambda: host.sections()["forecasts"]["made"] > 2, "forecasts")

        def read() -> None:
            while not stop.wait(0.01):
                readings.append(clock.now())

        reader = threading.Thread(target=read)
        reader.start()
        os.kill(host.plugin("echo")["pid"], signal.SIGKILL)
        until(lambda: host.plugin("echo")["restarts"] == 1, "a restart")
        until(lambda: host.plugin("echo")["state"] == "READY", "the model is ready again")
        stop.set()
        reader.join()
    assert len(readings) > 20
    assert {reading.status for reading in readings} == {Status.SYNCHRONISED}
    assert all(r.earliest_ns <= truth.utc_ns(r.raw_ns) <= r.latest_ns for r in readings)
    assert host.stop() == 0


def test_a_killed_host_leaves_no_model_behind(make_host: MakeHost, lan_lab: Ready) -> None:
    """After kill -9 of the host its model processes end by themselves."""
    host = make_host(lan_lab.servers, ("echo",))
    host.start()
    until(lambda: host.plugin("echo").get("state") == "READY", "the model is ready")
    model = psutil.Process(host.plugin("echo")["pid"])
    host.stop(signal.SIGKILL)
    model.wait(10)


def test_a_model_without_weight_is_let_go_of_and_gets_another_trial(make_host: MakeHost, lan_lab: Ready) -> None:
    """Its process ends while the clock goes on, the status says why, and later it is READY again."""
    plugins = (PluginConfig(name="echo", unload_after_s=1.0, reload_after_s=2.0),)
    # Nothing is believed that is not better by nine tenths.
    host = make_host(lan_lab.servers, ("echo",), plugins=plugins, fusion=FusionConfig(open_gain=0.9))
    host.start()
    with host.clock() as clock:
        until(lambda: host.plugin("echo").get("state") == "STOPPED", "it is let go of")
        row = host.plugin("echo")
        assert row["pid"] is None
        assert "had no weight for 1 s" in row["detail"]
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        until(lambda: host.plugin("echo").get("state") == "READY", "it is back")
        assert clock.now().status is Status.SYNCHRONISED
    assert host.stop() == 0


def test_a_model_that_does_not_exist_is_said_plainly(make_host: MakeHost, lan_lab: Ready) -> None:
    """A role that names no plugin leaves the floor at work, and the status says what is missing."""
    host = make_host(lan_lab.servers, ("nonesuch",))
    host.start()
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        until(lambda: host.plugin("nonesuch").get("state") == "ENV_BROKEN", "a verdict on the plugin")
        assert "nonesuch" in host.plugin("nonesuch")["detail"]
        assert clock.now().source == ("floor",)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_demo_with_a_real_model_keeps_its_promises() -> None:
    """The demo as users run it: every key of the JSON, a model that forecasts, a hard interval that holds."""
    done = subprocess.run(
        [sys.executable, "-m", "chronotick.cli", "demo", "--seconds", "50", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    truth = result["truth"]
    assert truth["samples"] > 400
    assert truth["hard_coverage"] == 1.0
    assert truth["coverage_95"] > 0.75
    assert truth["mae_us"]["chronotick"] < 0.5 * truth["mae_us"]["hold_last"]
    # Equal where the model has not earned a weight yet; the margin is the reading's own jitter on a loaded machine.
    assert truth["mae_us"]["chronotick"] < 1.1 * truth["mae_us"]["floor"]
    assert result["models"]["chronos"]["state"] == "READY", result["models"]["chronos"]
    assert result["forecasts"]["made"] > 0
    assert result["models"]["chronos"]["p50_ms"] > 0
    assert set(result["forecasts"]) >= {"made", "used", "refused"}
    assert set(result["host"]) >= {"ready_s", "rss_mb"}
