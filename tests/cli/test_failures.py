"""What goes wrong is said in a sentence, with the exit code that scripts can rely on."""

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronotick.cli import completion
from chronotick.config.schema import PublishConfig
from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish import HardBound, Publisher
from chronotick.wire import boot, snapshot
from chronotick.wire.levels import normal_widths
from tests.system.conftest import Host

from .conftest import Done

# Half widths of 30 us at 95 %, and their growth.
HALF, GROWTH = normal_widths(3e-5), normal_widths(2e-8)

pytestmark = pytest.mark.network
Run = Callable[..., Done]
S = 1_000_000_000
ASKING = ("now", "status", "sources", "models", "explain", "history", "stamp --text x", "plugins restart x")


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory whose socket paths are short."""
    folder = Path(f"/tmp/ck-cli-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir(mode=0o700)
    yield folder
    for file in folder.glob("*"):
        file.unlink()
    folder.rmdir()


def published(folder: Path, *, void_s: float = 1000.0) -> Path:
    """A snapshot that a host left behind, void so many seconds after it was written."""
    publisher = Publisher(folder / "snapshot", PublishConfig(), 1)
    raw = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    theta = 1_700_000_000 * S
    fused = FusedForecast(raw, theta, 0.0, 1e-5, 1e-8, theta, 1e-5, HALF, GROWTH, (("floor", 1.0),), 0.0, raw + S)
    bound = HardBound(raw, theta - S, theta + S, 5e-5)
    publisher.publish(
        fused, bound, status=Status.SYNCHRONISED, fix_raw_ns=raw, void_raw_ns=raw + round(void_s * S), epoch=1
    )
    publisher.close()
    return folder / "snapshot"


@pytest.mark.parametrize("words", ASKING)
def test_without_a_host_there_is_a_sentence_and_69(run: Run, tmp_path: Path, words: str) -> None:
    """Whoever needs a host says that there is none and how one is started."""
    done = run(*words.split(), "--runtime-dir", str(tmp_path / "absent"))
    assert done.code == 69
    assert done.out == ""
    assert done.err.endswith("Start the host: chronotick run.\n")


def test_sockets_without_a_host_are_no_host(run: Run, short_dir: Path) -> None:
    """A directory that a host left is waited for as long as a question may take, then it is 69."""
    published(short_dir)
    done = run("sources", "--runtime-dir", str(short_dir))
    assert done.code == 69
    assert "No host answers" in done.err


def test_a_directory_open_to_others_is_refused(run: Run, tmp_path: Path) -> None:
    """A runtime directory that others may write to is not believed, and the mend is named."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    done = run("now", "--runtime-dir", str(folder))
    assert done.code == 69
    assert "mode 0777: others could tamper with it" in done.err
    assert "chmod" in done.err


@pytest.mark.parametrize(
    ("offset", "value", "complaint"),
    [
        (0, b"NOTOURS\0", "not a ChronoTick snapshot"),
        (12, struct.pack("<I", 99), "has layout 99"),
        (16, struct.pack("<Q", boot.boot_hash() ^ 1), "of another boot"),
    ],
)
def test_a_snapshot_that_is_not_ours_is_refused(
    run: Run, short_dir: Path, offset: int, value: bytes, complaint: str
) -> None:
    """Foreign magic, another layout, another boot: no time, a sentence, 69."""
    file = published(short_dir)
    content = bytearray(file.read_bytes())
    content[offset : offset + len(value)] = value
    file.write_bytes(content)
    for words in (("now",), ("waitsync", "--timeout", "0")):
        done = run(*words, "--runtime-dir", str(short_dir))
        assert done.code == 69
        assert complaint in done.err
        assert done.out == ""


def test_a_snapshot_that_can_not_be_read_is_refused(run: Run, short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permission denied is said as such."""
    published(short_dir)
    opened = os.open

    def refuse(path: str, flags: int, *more: int, **named: int) -> int:
        if str(path).endswith("snapshot"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    done = run("now", "--runtime-dir", str(short_dir))
    assert done.code == 69
    assert "permission denied" in done.err


def test_what_a_host_left_is_held_over_and_becomes_void(run: Run, short_dir: Path) -> None:
    """A line that has become void is UNKNOWN: no time, exit code 1."""
    published(short_dir, void_s=0.0)
    done = run("now", "--runtime-dir", str(short_dir))
    assert done.code == 1
    assert done.out.startswith("UNKNOWN: ")
    assert run("now", "--runtime-dir", str(short_dir), "--json").json == {
        "status": "UNKNOWN",
        "utc": None,
        "utc_ns": None,
    }
    waited = run("waitsync", "--timeout", "0", "--runtime-dir", str(short_dir))
    assert waited.code == 1
    assert "the host's status is UNKNOWN" in waited.err


def test_forged_stamps_are_refused(ask: Run, tmp_path: Path) -> None:
    """An invented token, an altered one and one of something else are refused with 1, each with its sentence."""
    token = ask("stamp", "--text", "x").out.strip()
    altered = token[:60] + ("A" if token[60] != "A" else "B") + token[61:]
    for words, complaint in (
        (("ctk1.AAAA.BBBB",), "cut off or malformed"),
        ((altered,), "invented or altered"),
        ((token, "--text", "y"), "made for another payload"),
    ):
        done = ask("verify", *words)
        assert done.code == 1, done
        assert complaint in done.err
        assert done.out == ""
    assert ask("compare", altered, token).code == 1


def test_a_stamp_of_another_host_is_refused_by_name(ask: Run, live_host: Host, tmp_path: Path) -> None:
    """A key that is not the maker's does not verify."""
    token = ask("stamp", "--text", "x").out.strip()
    key = tmp_path / "stamp.key"
    key.write_text("00" * 32)
    key.chmod(0o600)
    done = ask("verify", token, "--key-file", str(key))
    assert done.code == 1
    assert "made by another host" in done.err
    key.chmod(0o644)
    assert "can be read by others" in ask("verify", token, "--key-file", str(key)).err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{}", "This is no instant"),
        ("[1]", "holds neither a token nor a reading"),
        ("not json", "holds neither a token nor a reading"),
        ('{"status": "UNKNOWN", "utc_ns": null}', "it has no time to compare"),
    ],
)
def test_what_is_no_event_is_refused_with_2(run: Run, tmp_path: Path, content: str, complaint: str) -> None:
    """`compare` says which of the two is no event, and why."""
    (tmp_path / "a.json").write_text(content)
    done = run("compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"))
    assert done.code == 2
    assert complaint in done.err
    assert "a.json" in done.err


def test_files_that_are_not_there_are_named(ask: Run) -> None:
    """A payload or token file that can not be read is a usage error that names it."""
    for words in (("stamp", "/nowhere/x"), ("verify", "/nowhere/x"), ("compare", "/nowhere/x", "/nowhere/y")):
        done = ask(*words)
        assert done.code == 2
        assert "/nowhere/x can not be read" in done.err


def test_a_wrong_configuration_is_78(run: Run, tmp_path: Path) -> None:
    """`run`, `config check` and `doctor` say which key is wrong; the first two end with 78."""
    file = tmp_path / "x.yaml"
    file.write_text("publish: {slew: 100}")
    for words in (("run", "--config", str(file)), ("config", "check", str(file))):
        done = run(*words)
        assert done.code == 78
        assert "slew" in done.err
    done = run("doctor", "--offline", "--config", str(file), "--runtime-dir", str(tmp_path / "run"))
    assert done.code == 1
    assert "slew" in done.out


def test_a_fault_of_our_own_is_70(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw ends with 70, the traceback, and the versions for a report."""

    def broken(args: object) -> int:
        raise ZeroDivisionError

    # The parser is made anew by each command, with whatever runs it then.
    monkeypatch.setattr(completion, "run", broken)
    done = run("completion", "bash")
    assert done.code == 70
    assert "ZeroDivisionError" in done.err
    assert "a fault of ChronoTick's own (chronotick " in done.err


def test_a_library_that_is_missing_is_said_plainly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the `cli` extra a command says what to install, and ends with 69."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    done = run("completion", "bash")
    assert done.code == 69
    assert "needs shtab, which is not installed" in done.err
    assert "pip install 'chronotick[cli]'" in done.err


def test_ctrl_c_is_130(live_host: Host) -> None:
    """An interrupted wait ends with 130 and without a traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chronotick.cli", "waitsync", "--max-width", "1ns", "--timeout", "60"],
        env={**os.environ, "CHRONOTICK_RUNTIME_DIR": str(live_host.directory.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    # It maps the snapshot once it waits.
    maps = Path(f"/proc/{process.pid}/maps")
    deadline = time.monotonic() + 30
    while "/snapshot" not in maps.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_reader_that_leaves_is_no_fault(live_host: Host) -> None:
    """`watch | head -n 1` ends quietly."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m chronotick.cli watch --interval 100ms | head -n 1"],
        env={**os.environ, "CHRONOTICK_RUNTIME_DIR": str(live_host.directory.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_output_survives_an_encoding_without_our_characters(live_host: Host) -> None:
    """On a terminal of another encoding a character becomes a question mark, and nothing fails."""
    done = subprocess.run(
        [sys.executable, "-m", "chronotick.cli", "now"],
        env={
            **os.environ,
            "CHRONOTICK_RUNTIME_DIR": str(live_host.directory.path),
            "PYTHONIOENCODING": "ascii",
        },
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"95 % interval   ? " in done.stdout


def test_the_layout_offsets_above_are_those_of_the_snapshot() -> None:
    """What is overwritten in these tests is magic, layout and boot."""
    assert snapshot.identity(boot.boot_hash())[:8] == snapshot.MAGIC
    assert struct.unpack_from("<IQ", snapshot.identity(boot.boot_hash()), 12) == (snapshot.LAYOUT, boot.boot_hash())
