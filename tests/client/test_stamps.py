"""stamp and verify: what the host has signed, and nothing else."""

import os
from pathlib import Path
from typing import Any

import pytest

from chronotick import Clock, ClockUnknown, HostAbsent, RuntimeDirError, Status, TokenRefused, verify_offline
from chronotick.serve import Signer
from chronotick.wire import host_key

S = 1_000_000_000


@pytest.fixture
def signing(host: Any) -> Any:
    """A host that knows the time and signs it."""
    host.publish()
    host.serve()
    return host


def test_a_stamp_holds_the_time_at_which_it_was_made(signing: Any, clock: Clock) -> None:
    """The verified stamp's interval holds the instants around the call; host and payload are named; it is URL-safe."""
    before = clock.now()
    token = clock.stamp("edit 1")
    after = clock.now()
    said = clock.verify(token, "edit 1")
    assert before.utc_ns <= said.instant.utc_ns <= after.utc_ns
    assert said.instant.earliest_ns <= before.utc_ns <= after.utc_ns <= said.instant.latest_ns
    assert said.instant.status is Status.SYNCHRONISED
    assert (said.instant.host_instance, said.token) == (1, token)
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def test_a_stamp_is_of_one_payload(signing: Any, clock: Clock) -> None:
    """Text and its UTF-8 bytes are the same payload; any other is refused."""
    token = clock.stamp("Grüße")
    assert clock.verify(token, "Grüße".encode()).payload_sha256 == clock.verify(token).payload_sha256
    with pytest.raises(TokenRefused, match="another payload"):
        clock.verify(token, "Gruesse")


def test_every_altered_character_is_noticed(signing: Any, clock: Clock) -> None:
    """No single character can be another one, added or left out: offline, where each is tried, and by the host."""
    token = clock.stamp(b"x")
    for at in range(len(token)):
        for other in ("A" if token[at] != "A" else "B", "-" if token[at] != "-" else "_", ""):
            with pytest.raises(TokenRefused):
                verify_offline(token[:at] + other + token[at + 1 :], signing.key_file)
    for longer in (token + "A", token + "=", token + ".", " " + token, token + "\n"):
        with pytest.raises(TokenRefused):
            verify_offline(longer, signing.key_file)
    head, body, mac = token.split(".")
    with pytest.raises(TokenRefused, match="invented or altered"):
        clock.verify(f"{head}.{body}.{mac[::-1][:-1]}A" if not mac.endswith("A") else f"{head}.{body}.{'A' * len(mac)}")


@pytest.mark.parametrize("text", ["", "ctk1", "ctk1..", "2026-01-01T00:00:00Z", "ctk1.AAAA.AAAA", "ctk2.a.b", "\0" * 9])
def test_an_invented_stamp_is_refused(signing: Any, clock: Clock, text: str) -> None:
    """A time that somebody made up is no stamp, here and offline."""
    with pytest.raises(TokenRefused):
        clock.verify(text)
    with pytest.raises(TokenRefused):
        verify_offline(text, signing.key_file)


def test_another_hosts_stamp_is_refused_by_name(signing: Any, clock: Clock, tmp_path: Path) -> None:
    """It may be right, but this host can not say so."""
    other = tmp_path / "other.key"
    foreign = Signer(host_key.load_or_create(other))
    mine = verify_offline(clock.stamp("x"), signing.key_file)
    from chronotick.serve.verbs import reading_of

    record = signing.publisher.record
    token = foreign.stamp(reading_of(record, record.raw_ns, 0, 1), "0" * 64)
    with pytest.raises(TokenRefused, match=f"another host .{foreign.host}.*{mine.host}"):
        clock.verify(token)
    assert verify_offline(token, other).host == foreign.host


def test_a_stamp_outlives_its_host(signing: Any, clock: Clock) -> None:
    """With the key file a stamp is verified when nobody answers; a restarted host knows its stamps again."""
    token = clock.stamp("x")
    signing.server.stop()
    with Clock(signing.directory.path, timeout_s=0.1) as other, pytest.raises(HostAbsent):
        other.verify(token)
    assert verify_offline(token, signing.key_file, "x").token == token
    assert Signer(host_key.load_or_create(signing.key_file)).verify(token).utc_ns > 0


def test_nothing_is_signed_without_a_time(host: Any, clock: Clock) -> None:
    """A host that is UNKNOWN signs nothing."""
    host.serve()
    with pytest.raises(ClockUnknown, match="no time that it could sign"):
        clock.stamp("x")


def test_without_a_host_there_is_no_stamp(tmp_path: Path) -> None:
    """Nobody else can make one."""
    with Clock(tmp_path, timeout_s=0.1) as clock, pytest.raises(HostAbsent):
        clock.stamp("x")


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    """The file is made with mode 0600 whatever the umask; one that others may read, or without a key, is refused."""
    path = tmp_path / "state" / "stamp.key"
    before = os.umask(0)
    try:
        key = host_key.load_or_create(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert host_key.load_or_create(path) == key
    assert [file.name for file in path.parent.iterdir()] == ["stamp.key"]
    path.chmod(0o640)
    with pytest.raises(RuntimeDirError, match="read by others"):
        host_key.load(path)
    path.chmod(0o600)
    for content in ("", "short", "z" * 64):
        path.write_text(content)
        with pytest.raises(RuntimeDirError, match="holds no key"):
            host_key.load(path)
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(RuntimeDirError, match="can not be read"):
        host_key.load(path)
    with pytest.raises(RuntimeDirError, match="can not be read"):
        verify_offline("ctk1.a.b", tmp_path / "none")


def test_of_two_that_make_a_key_both_get_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that appears between the look and the making is kept, not replaced."""
    path = tmp_path / "stamp.key"
    first = host_key.load_or_create(path)
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert host_key.load_or_create(path) == first


def test_where_the_key_is(tmp_path: Path) -> None:
    """As named; beside the snapshot of a host with a directory of its own; else where state lasts."""
    run = tmp_path / "run"
    where = {"XDG_STATE_HOME": str(tmp_path / "state")}
    named = host_key.locate(run, tmp_path / "my.key", own_directory=True, environ=where)
    assert named == tmp_path / "my.key"
    assert host_key.locate(run, own_directory=True, environ=where) == run / "stamp.key"
    own = where | {"CHRONOTICK_RUNTIME_DIR": str(run)}
    assert host_key.locate(run, own_directory=False, environ=own) == run / "stamp.key"
    assert host_key.locate(run, own_directory=False, environ=where) == tmp_path / "state" / "chronotick" / "stamp.key"
    systemd = where | {"STATE_DIRECTORY": f"{tmp_path / 'var'}:/other"}
    assert host_key.locate(run, own_directory=False, environ=systemd) == tmp_path / "var" / "stamp.key"
    home = host_key.locate(run, own_directory=False, environ={})
    assert home == Path.home() / ".local" / "state" / "chronotick" / "stamp.key"


def test_a_host_without_a_key_says_so(host: Any) -> None:
    """Its questions about stamps are refused with what to do."""
    import msgspec

    from chronotick.errors import ProtocolError
    from chronotick.serve import ClientVerbs
    from chronotick.wire.messages import Stamp

    host.publish()
    verbs = host.verbs()
    keyless = ClientVerbs(msgspec.structs.replace(verbs._sources, signer=None))
    with pytest.raises(ProtocolError, match="no key for stamps"):
        keyless(Stamp(id=1, payload_sha256="0" * 64))
