"""The runtime directory: found in order, refused when someone else could have a hand in it, and locked by one host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chronotick.errors import RuntimeDirError
from chronotick.wire import runtime_dir
from chronotick.wire.runtime_dir import RuntimeLock

HOLD = """
import sys
from pathlib import Path
from chronotick.wire.runtime_dir import RuntimeLock
lock = RuntimeLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


def test_the_directory_is_looked_for_in_order(tmp_path: Path) -> None:
    everything = {
        "CHRONOTICK_RUNTIME_DIR": "/named",
        "RUNTIME_DIRECTORY": "/run/chronotick:/run/other",
        "XDG_RUNTIME_DIR": "/run/user/1",
        "TMPDIR": "/var/tmp",
    }
    expected = [
        ("CHRONOTICK_RUNTIME_DIR", "/named"),
        ("RUNTIME_DIRECTORY", "/run/chronotick"),
        ("XDG_RUNTIME_DIR", "/run/user/1/chronotick"),
        ("TMPDIR", f"/var/tmp/chronotick-{os.getuid()}"),
    ]
    assert runtime_dir.locate("/explicit", everything) == Path("/explicit")
    for variable, path in expected:
        assert runtime_dir.locate("", everything) == Path(path)
        del everything[variable]
    assert runtime_dir.locate("", {}) == Path(f"/tmp/chronotick-{os.getuid()}")


def test_the_host_makes_a_directory_that_only_its_user_enters(tmp_path: Path) -> None:
    made = runtime_dir.create("", {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert made.path == tmp_path / "chronotick"
    assert made.path.stat().st_mode & 0o777 == 0o700
    assert runtime_dir.create("", {"XDG_RUNTIME_DIR": str(tmp_path)}) == made


def test_its_names_are_fixed(tmp_path: Path) -> None:
    made = runtime_dir.create(tmp_path / "a")
    names = [path.name for path in (made.plugins, made.client, made.admin, made.events, made.snapshot)]
    assert names == ["plugins.sock", "client.sock", "admin.sock", "events.sock", "snapshot"]
    assert {*names, "lock"} == set(runtime_dir.MODES)


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o722, 0o1777])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(mode)
    for way_in in (runtime_dir.create, runtime_dir.find):
        with pytest.raises(RuntimeDirError, match="chmod 755"):
            way_in(tmp_path / "a")


def test_under_the_temporary_directory_others_may_not_even_look_in(tmp_path: Path) -> None:
    environ = {"TMPDIR": str(tmp_path)}
    path = runtime_dir.locate("", environ)
    path.mkdir(mode=0o755)
    for way_in in (runtime_dir.create, runtime_dir.find):
        with pytest.raises(RuntimeDirError, match="chmod 700"):
            way_in("", environ)
    path.chmod(0o700)
    assert runtime_dir.find("", environ) == runtime_dir.create("", environ)


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"TMPDIR": str(tmp_path)}
    runtime_dir.create("", environ)
    monkeypatch.setattr(os, "geteuid", lambda: 424242)
    with pytest.raises(RuntimeDirError, match="belongs to user"):
        runtime_dir.create("", environ)


def test_a_symbolic_link_in_its_place_is_refused(tmp_path: Path) -> None:
    environ = {"TMPDIR": str(tmp_path)}
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    runtime_dir.locate("", environ).symlink_to(tmp_path / "elsewhere")
    for way_in in (runtime_dir.create, runtime_dir.find):
        with pytest.raises(RuntimeDirError, match="not a directory"):
            way_in("", environ)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(RuntimeDirError):
        runtime_dir.create(tmp_path / "a")


def test_a_reader_finds_nothing_where_no_host_has_been(tmp_path: Path) -> None:
    with pytest.raises(RuntimeDirError, match="chronotick run"):
        runtime_dir.find(tmp_path / "nothing")


def test_a_path_too_long_for_sockets_is_refused_with_both_lengths(tmp_path: Path) -> None:
    runtime_dir.check_ipc_path(Path("/" + "x" * 106))
    with pytest.raises(RuntimeDirError, match=r"108 bytes, the system allows 107"):
        runtime_dir.check_ipc_path(Path("/" + "x" * 107))
    with pytest.raises(RuntimeDirError, match="allows 107"):
        runtime_dir.create("/tmp/" + "ä" * 60)


def test_a_second_host_is_told_who_holds_the_lock_and_gets_it_when_the_first_ends(tmp_path: Path) -> None:
    """The lock belongs to the process: it goes with a kill, and the file left behind stops nobody."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"locked\n"
        with pytest.raises(RuntimeDirError, match=f"process {first.pid}"):
            RuntimeLock(tmp_path)
        first.kill()
        first.wait()
    with RuntimeLock(tmp_path) as lock:
        assert lock.held
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    assert not lock.held
    RuntimeLock(tmp_path).close()
