"""`chronotick keys`: pairs that work, secrets that stay, and nothing overwritten."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.schema import problems, shape_of

from .conftest import Done

Run = Callable[..., Done]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def documented(command: str, done: Done) -> Done:
    assert done.code == 0, done.err
    assert problems(done.json, shape_of(command)) == []
    return done


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The usual place of keys, in a home of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "chronotick" / "keys"


def test_a_host_and_a_client_get_pairs_with_the_right_permissions(run: Run, here: Path) -> None:
    """Secrets are 0600 in a folder that is 0700; what is printed can be pasted into the configuration."""
    done = run("keys", "make-host")
    assert done.code == 0
    assert f"secret_key_file: {here / 'host.key_secret'}" in done.out
    assert f"allowed_keys_dir: {here / 'clients'}" in done.out
    assert "laptop.key_secret" in run("keys", "make-client", "laptop").out
    assert [mode(here), mode(here / "clients")] == [0o700, 0o700]
    assert [mode(here / f"{name}.key_secret") for name in ("host", "laptop")] == [0o600, 0o600]
    assert "secret-key" not in (here / "host.key").read_text()


def test_the_fields_are_as_documented(run: Run, here: Path) -> None:
    """Every verb with --json prints the documented fields."""
    documented("keys make-host", run("keys", "make-host", "--json"))
    client = documented("keys make-client", run("keys", "make-client", "x", "--json")).json
    allowed = documented("keys allow", run("keys", "allow", client["public_file"], "--json")).json["allowed"]
    assert [(one["name"], one["public_key"], one["added"]) for one in allowed] == [("x", client["public_key"], True)]
    listed = documented("keys list", run("keys", "list", "--json")).json["keys"]
    assert [(one["name"], one["kind"]) for one in listed] == [("host", "pair"), ("x", "pair"), ("x", "allowed")]


def test_nothing_is_overwritten(run: Run, here: Path) -> None:
    """A second pair of the same name, or another key of an allowed name, is refused, and the first is kept."""
    run("keys", "make-host")
    before = (here / "host.key_secret").read_bytes()
    again = run("keys", "make-host")
    assert again.code == 1
    assert "is kept" in again.err
    assert (here / "host.key_secret").read_bytes() == before
    for folder in ("one", "two"):
        assert run("keys", "make-client", "a", "--dir", str(here / folder)).code == 0
    assert run("keys", "allow", str(here / "one" / "a.key")).code == 0
    assert "allowed already" in run("keys", "allow", str(here / "one" / "a.key")).out
    other = run("keys", "allow", str(here / "two" / "a.key"))
    assert other.code == 1
    assert "another client's key" in other.err


def test_a_secret_key_is_not_let_in(run: Run, here: Path) -> None:
    """Whoever copies the wrong half about is told, and nothing is done, not even for the right file beside it."""
    for name in ("a", "b"):
        run("keys", "make-client", name)
    done = run("keys", "allow", str(here / "b.key"), str(here / "a.key_secret"))
    assert done.code == 1
    assert "must not leave" in done.err
    assert not (here / "clients").exists()


@pytest.mark.parametrize("name", ["../x", "", "host", ".x", "a b"])
def test_a_name_that_can_be_no_file_is_a_usage_error(run: Run, here: Path, name: str) -> None:
    """Names are names of files, and one is the host's."""
    assert run("keys", "make-client", name).code == 2
    assert not here.exists()


def test_what_is_wrong_is_listed(run: Run, here: Path) -> None:
    """Open secrets, halves that do not belong together, and secrets among the clients: said, and exit code 1."""
    assert "There are no keys" in run("keys", "list").out
    run("keys", "make-host")
    for name in ("open", "mixed", "lost"):
        run("keys", "make-client", name)
    assert run("keys", "list").code == 0
    (here / "open.key_secret").chmod(0o640)
    (here / "mixed.key").write_bytes((here / "host.key").read_bytes())
    (here / "clients" / "lost.key").write_bytes((here / "lost.key_secret").read_bytes())
    (here / "junk.key").write_text("junk")
    done = run("keys", "list", "--json")
    assert done.code == 1
    found = {(one["name"], one["kind"]): one["problem"] for one in done.json["keys"]}
    assert "chmod 600" in found["open", "pair"]
    assert "is not the public half" in found["mixed", "pair"]
    assert "holds a secret key" in found["lost", "allowed"]
    assert "can not be used" in found["junk", "public"]
    assert found["lost", "pair"] is found["host", "pair"] is None
    assert "chmod 600" in run("keys", "list").out


def test_a_folder_that_can_not_be_written_is_said(run: Run, tmp_path: Path) -> None:
    """One sentence, exit code 1."""
    (tmp_path / "file").write_text("")
    done = run("keys", "make-host", "--dir", str(tmp_path / "file" / "keys"))
    assert done.code == 1
    assert "can not be written" in done.err
