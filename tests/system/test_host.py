"""The host process as a whole, on real packets."""

import itertools
import json
import signal
import socket
from collections.abc import Callable

import pytest

from chronotick.client import Status
from chronotick.lab.lab import Ready

from .conftest import Host, until

pytestmark = pytest.mark.network
MakeHost = Callable[..., Host]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_readings_hold_true_time_and_the_commands_tell_it(make_host: MakeHost, lan_lab: Ready) -> None:
    """A host on lab servers gives a time whose hard interval holds the truth, in the client, `now` and `status`."""
    host, truth = make_host(lan_lab.servers), lan_lab.truth()
    host.start()
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        readings = [clock.now() for _ in range(200)]
    assert all(r.earliest_ns <= truth.utc_ns(r.raw_ns) <= r.latest_ns for r in readings)
    assert all(later.utc_ns >= earlier.utc_ns for earlier, later in itertools.pairwise(readings))

    done = host.command("now", "--json")
    assert done.returncode == 0, done.stderr
    now = json.loads(done.stdout)
    assert int(now["earliest_ns"]) <= int(now["utc_ns"]) <= int(now["latest_ns"])
    assert now["status"] == "SYNCHRONISED"

    until(lambda: host.sections()["clock"].get("fixes", 0) > 2, "some fixes")
    status = json.loads(host.command("status", "--json").stdout)
    assert {row["name"] for row in status["sources"]["servers"]} == set(lan_lab.servers)
    assert status["clock"]["fixes"] > 2
    assert "SYNCHRONISED" in host.command("status").stdout
    assert host.stop() == 0


def test_without_servers_it_says_so_and_gives_no_time(make_host: MakeHost) -> None:
    """With nobody answering, the host runs, keeps trying, and answers UNKNOWN with exit code 1."""
    host = make_host((f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"))
    host.start()
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.UNKNOWN, "a snapshot")
    until(lambda: host.directory.client.exists(), "the client socket")
    done = host.command("now")
    assert done.returncode == 1
    assert "UNKNOWN" in done.stdout
    status = host.command("status")
    assert status.returncode == 1
    assert "No server answers" in status.stdout
    assert host.stop() == 0


def test_a_killed_host_leaves_a_clock_that_grows_uncertain(make_host: MakeHost, lan_lab: Ready) -> None:
    """After kill -9 readers go on in HOLDOVER with growing bounds, and a new host takes over without a step back."""
    host, truth = make_host(lan_lab.servers), lan_lab.truth()
    host.start()
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        assert host.stop(signal.SIGKILL) == -signal.SIGKILL
        first = clock.now()
        until(lambda: host.status(clock) is Status.HOLDOVER, "hold-over")
        second = clock.now()
        assert second.utc_ns > first.utc_ns
        assert second.latest_ns - second.earliest_ns > first.latest_ns - first.earliest_ns
        assert second.earliest_ns <= truth.utc_ns(second.raw_ns) <= second.latest_ns

        host.start()
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised again")
        third = clock.now()
        assert third.utc_ns > second.utc_ns
        assert third.host_instance != first.host_instance
        assert third.earliest_ns <= truth.utc_ns(third.raw_ns) <= third.latest_ns


def test_two_hosts_can_not_share_a_directory(make_host: MakeHost, lan_lab: Ready) -> None:
    """A second host in the same runtime directory is refused with a sentence; the first goes on."""
    host = make_host(lan_lab.servers)
    host.start()
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        done = host.command("run", "--config", str(host.file))
        assert done.returncode == 1
        assert "Another ChronoTick host" in done.stderr
        assert host.status(clock) is Status.SYNCHRONISED


def test_interrupt_ends_it_cleanly(make_host: MakeHost, lan_lab: Ready) -> None:
    """Ctrl-C ends the host with exit code 0 and without a traceback."""
    host = make_host(lan_lab.servers)
    host.start()
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
    assert host.stop(signal.SIGINT) == 0
    assert "Traceback" not in host.errors.read_text()
