"""The clock from another machine: ZeroMQ over tcp with CURVE keys."""

import time
from pathlib import Path
from typing import Any

import pytest

from chronotick import Clock, HostAbsent, OutOfRange, Status
from chronotick.cli.main import main
from chronotick.wire.keys import create_pair, load_server_keys

pytestmark = pytest.mark.network
S = 1_000_000_000
Keys = dict[str, tuple[Path, Path]]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Pairs of a host, of a client that may ask, and of one that may not."""
    made = {name: create_pair(tmp_path / "keys" / name, name) for name in ("host", "friend", "stranger")}
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "friend.key").write_bytes(made["friend"][0].read_bytes())
    return made


@pytest.fixture
def endpoint(host: Any, keys: Keys, tmp_path: Path) -> str:
    """Where a host that knows the time answers over tcp."""
    host.publish(width_ns=1_000_000)
    where: str = host.serve_tcp(load_server_keys(keys["host"][1], tmp_path / "allowed"))
    return where


def test_a_friend_gets_the_time_with_the_way_added(host: Any, endpoint: str, keys: Keys) -> None:
    """The reading holds the host's time; its bounds are wider by the round trip; its raw clock is the asker's own."""
    with (
        Clock(host.directory.path) as here,
        Clock(endpoint=endpoint, keys=(keys["friend"][1], keys["host"][0]), timeout_s=10) as there,
    ):
        there.now()
        before = here.now()
        asked = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        remote = there.now()
        answered = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        after = here.now()
        assert asked <= remote.raw_ns <= answered
        assert before.utc_ns - remote.half_width_95_ns <= remote.utc_ns <= after.utc_ns + remote.half_width_95_ns
        assert remote.latest_ns - remote.earliest_ns > before.latest_ns - before.earliest_ns
        assert remote.half_width_95_ns > before.half_width_95_ns
        assert remote.status is Status.SYNCHRONISED


def test_other_verbs_work_from_afar(endpoint: str, keys: Keys) -> None:
    """future, elapsed, raw stamps, waits and stamps; what is about this machine's system clock is refused."""
    with Clock(endpoint=endpoint, keys=(keys["friend"][1], keys["host"][0]), timeout_s=10) as clock:
        first = clock.now()
        assert clock.future(600).half_width_95_ns >= 30_000_000
        assert clock.elapsed(first).least_ns >= 0
        then = clock.convert(raw_ns=first.raw_ns)
        assert then.earliest_ns <= first.latest_ns
        assert first.earliest_ns <= then.latest_ns
        target = clock.now().utc_ns + 500_000_000
        assert clock.wait_until(target).utc_ns >= target
        token = clock.stamp("x")
        assert clock.verify(token, "x").token == token
        with pytest.raises(HostAbsent, match="another machine"):
            clock.convert(realtime_ns=time.time_ns())
        with pytest.raises(OutOfRange):
            clock.convert(raw_ns=first.raw_ns + 1000 * S)
        changes = clock.watch(0.02)
        assert next(changes).status is Status.SYNCHRONISED
        changes.close()


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_others_get_no_answer(endpoint: str, keys: Keys, who: str) -> None:
    """A key that is not among those allowed, or none, gets nothing; the error says so in time."""
    given = (keys["stranger"][1], keys["host"][0]) if who == "stranger" else None
    with Clock(endpoint=endpoint, keys=given, timeout_s=0.5) as clock, pytest.raises(HostAbsent):
        clock.now()


def test_an_impostor_is_not_believed(endpoint: str, keys: Keys) -> None:
    """A host that does not hold the secret of the public key that the client knows is not heard."""
    with (
        Clock(endpoint=endpoint, keys=(keys["friend"][1], keys["stranger"][0]), timeout_s=0.5) as clock,
        pytest.raises(HostAbsent),
    ):
        clock.now()


def test_a_key_that_others_may_read_is_refused(endpoint: str, keys: Keys) -> None:
    """The sentence says which file, and what to do."""
    keys["friend"][1].chmod(0o644)
    with (
        Clock(endpoint=endpoint, keys=(keys["friend"][1], keys["host"][0])) as clock,
        pytest.raises(HostAbsent, match="chmod 600"),
    ):
        clock.now()


def test_a_tcp_server_stops(host: Any, endpoint: str, keys: Keys) -> None:
    """Stopping ends its authenticator too; the port is free again."""
    host.tcp.stop()
    host.tcp = None
    with (
        Clock(endpoint=endpoint, keys=(keys["friend"][1], keys["host"][0]), timeout_s=0.2) as clock,
        pytest.raises(HostAbsent, match="No host answers"),
    ):
        clock.now()


def test_keys_made_on_the_command_line_work(host: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`chronotick keys make-host`, `make-client` and `allow` are all that a client on another machine needs."""
    here, there = tmp_path / "host", tmp_path / "laptop"
    for words in (
        ["make-host", "--dir", str(here)],
        ["make-client", "laptop", "--dir", str(there)],
        ["allow", str(there / "laptop.key"), "--dir", str(here)],
    ):
        assert main(["keys", *words]) == 0
    assert "allowed" in capsys.readouterr().out
    (there / "host.key").write_bytes((here / "host.key").read_bytes())
    host.publish(width_ns=1_000_000)
    endpoint = host.serve_tcp(load_server_keys(here / "host.key_secret", here / "clients"))
    with Clock(endpoint=endpoint, keys=(there / "laptop.key_secret", there / "host.key"), timeout_s=10) as clock:
        assert clock.now().status is Status.SYNCHRONISED
