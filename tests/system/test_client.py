"""The client's verbs on a real host: other instants hold the truth, stamps are the host's, other machines may ask."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chronotick import Clock, HostAbsent, Status, TokenRefused, verify_offline
from chronotick.config.schema import ServeConfig
from chronotick.lab.lab import Ready
from chronotick.wire.keys import create_pair

from .conftest import Host, until

pytestmark = pytest.mark.network
MakeHost = Callable[..., Host]


def synchronised(host: Host, clock: Clock) -> None:
    until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")


def answers(clock: Clock) -> bool:
    try:
        return bool(clock.status("host"))
    except HostAbsent:
        return False


def test_other_instants_hold_the_truth(make_host: MakeHost, lan_lab: Ready) -> None:
    """Past stamps of both clocks, and looks ahead, contain what the lab knows to be true."""
    host, truth = make_host(lan_lab.servers), lan_lab.truth()
    host.start()
    with Clock(host.directory.path, timeout_s=5) as clock:
        synchronised(host, clock)
        stamps = []
        for _ in range(5):
            raw, system = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW), time.time_ns()
            stamps.append((raw, system))
            begun = clock.now()
            clock.wait_until(begun.utc_ns + 300_000_000)
        for raw, system in stamps:
            for then in (clock.convert(raw_ns=raw), clock.convert(realtime_ns=system)):
                assert then.earliest_ns <= truth.utc_ns(raw) + 1_000_000
                assert truth.utc_ns(raw) <= then.latest_ns
        took = clock.elapsed(begun)
        now = clock.now()
        passed = truth.utc_ns(now.raw_ns) - truth.utc_ns(begun.raw_ns)
        assert took.least_ns <= passed
        soon = clock.future(1)
        assert soon.earliest_ns <= truth.utc_ns(now.raw_ns + 10**9) + 10**8
        assert truth.utc_ns(now.raw_ns + 10**9) <= soon.latest_ns
        widths = [clock.future(seconds).half_width_95_ns for seconds in (0, 1, 10, 100)]
        assert widths[-1] > widths[0]


def test_a_host_signs_and_knows_its_stamps_after_a_restart(make_host: MakeHost, lan_lab: Ready) -> None:
    """The key outlives the process; a lab's key lies beside its snapshot and not in the user's own state."""
    host = make_host(lan_lab.servers)
    host.start()
    with Clock(host.directory.path, timeout_s=5) as clock:
        synchronised(host, clock)
        token = clock.stamp("done")
        assert host.stop() == 0
        assert verify_offline(token, host.directory.path / "stamp.key", "done").token == token
        host.start()
        until(lambda: answers(clock), "an answer of the new host")
        assert clock.verify(token, "done").instant.status is Status.SYNCHRONISED
        with pytest.raises(TokenRefused):
            clock.verify(token[:-1] + ("A" if token[-1] != "A" else "B"))


def test_another_machine_may_ask_with_its_key(make_host: MakeHost, lan_lab: Ready, tmp_path: Path) -> None:
    """With `serve` configured the host answers over tcp to the keys that it was given, and to no others."""
    pairs = {name: create_pair(tmp_path / "keys", name) for name in ("host", "friend", "stranger")}
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "friend.key").write_bytes(pairs["friend"][0].read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    serve = ServeConfig(endpoint=endpoint, secret_key_file=str(pairs["host"][1]), allowed_keys_dir=str(allowed))
    host, truth = make_host(lan_lab.servers, serve=serve), lan_lab.truth()
    host.start()
    with host.clock() as here:
        synchronised(host, here)
    with Clock(endpoint=endpoint, keys=(pairs["friend"][1], pairs["host"][0]), timeout_s=10) as clock:
        reading = clock.now()
        assert reading.earliest_ns <= truth.utc_ns(reading.raw_ns) <= reading.latest_ns
    stranger = Clock(endpoint=endpoint, keys=(pairs["stranger"][1], pairs["host"][0]), timeout_s=0.5)
    with stranger as clock, pytest.raises(HostAbsent):
        clock.now()
    assert host.stop() == 0
