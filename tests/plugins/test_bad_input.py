"""What goes wrong with plugins on the command line is one sentence with its mend, and leaves nothing half-built."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chronotick.errors import PluginError
from chronotick.plugins.environment import check_environment, marker_path, sdk_version
from chronotick.plugins.manifest import Manifest, load_manifest
from chronotick.plugins.sync import SyncResult, sync
from chronotick.plugins.uv import Command, Outcome, find_uv, run_command

TEXT = """schema = 1
name = "echo"
version = "0.1"
licence = "Apache-2.0"
protocol = [1]
"""


@pytest.fixture
def uv() -> str:
    try:
        return find_uv()
    except PluginError as error:
        pytest.skip(str(error))


@pytest.fixture
def echo(tmp_path: Path) -> Manifest:
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo/plugin.toml").write_text(TEXT)
    (tmp_path / "echo/requirements.lock").write_text("")
    return load_manifest(tmp_path / "echo/plugin.toml")


def chronotick(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chronotick.cli", *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def built(manifest: Manifest, uv: str, runner: Callable[..., Outcome] = run_command) -> SyncResult:
    """Built by a real uv that fetches nothing."""
    (result,) = sync(manifests=[manifest], uv=uv, runner=runner, environ={**os.environ, "UV_OFFLINE": "1"})
    return result


@pytest.mark.parametrize("verb", ["sync", "check", "pull"])
def test_a_name_that_does_not_exist_is_told_with_those_that_do(verb: str) -> None:
    done = chronotick("plugins", verb, "nonesuch")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("chronotick: There is no plugin named `nonesuch` (found: chronos, ")
    assert "Correct the name" in line


def test_a_broken_environment_is_told_with_the_command_that_mends_it(echo: Manifest) -> None:
    (echo.venv / "bin").mkdir(parents=True)
    (echo.venv / "bin/python").symlink_to("/no/such/python")
    done = chronotick("plugins", "check", "echo", CHRONOTICK_PLUGIN_PATH=str(echo.folder))
    assert done.returncode == 1
    assert "has no working interpreter" in done.stdout
    assert "Run: chronotick plugins sync echo" in done.stdout


def test_a_lock_without_hashes_is_refused_by_a_real_uv(echo: Manifest, uv: str) -> None:
    echo.lock.write_text("msgspec==0.19.0\n")
    result = built(echo, uv)
    assert not result.ok
    assert "The lock of echo does not fit" in result.sentence
    assert f"Restore {echo.lock}. Run: chronotick plugins sync echo" in result.sentence
    assert not marker_path(echo).exists()


def test_a_package_with_another_hash_is_refused(echo: Manifest, uv: str) -> None:
    """The words are those of uv; a package that could be fetched without a network there is none."""

    def mismatch(command: Command, heard: Callable[[str], None]) -> Outcome:
        if "--require-hashes" in command.argv:
            return Outcome(1, ("error: Failed to download `x==1`", "cause: Hash mismatch for `x==1`", "Expected:"))
        return run_command(command, heard)

    result = built(echo, uv, mismatch)
    assert "does not fit what was to be installed: cause: Failed" in result.sentence or "x==1" in result.sentence
    assert "Restore" in result.sentence
    assert check_environment(echo, sdk_version()) is not None


def test_a_disk_that_is_really_full_is_told_and_nothing_looks_whole(echo: Manifest, uv: str, tmp_path: Path) -> None:
    """On a file system of 64 KiB in a mount namespace of its own."""
    small = tmp_path / "small"
    small.mkdir()
    inside = (
        f"mount -t tmpfs -o size=64k none {small} && cp -r {echo.folder} {small}/ && "
        f"head -c 1M /dev/zero > {small}/fill 2>/dev/null; "
        f"{sys.executable} -m chronotick.cli plugins sync echo; code=$?; "
        f"test -e {small}/echo/.venv/{marker_path(echo).name} && echo whole; exit $code"
    )
    environ = {**os.environ, "CHRONOTICK_PLUGIN_PATH": str(small / "echo"), "UV_OFFLINE": "1"}
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*words, f"mount -t tmpfs none {small}"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine allows no mounts in a namespace of one's own")
    done = subprocess.run(
        [*words, inside], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert "The disk is full" in done.stderr
    assert "Free some space. Run: chronotick plugins sync echo" in done.stderr
    assert "whole" not in done.stdout


def test_a_plugin_of_another_protocol_is_told(echo: Manifest) -> None:
    (echo.folder / "plugin.toml").write_text(TEXT.replace("protocol = [1]", 'protocol = ["one"]'))
    done = chronotick("plugins", "list", CHRONOTICK_PLUGIN_PATH=str(echo.folder))
    assert "key `protocol[0]`" in done.stdout or "key `protocol" in done.stdout


@pytest.mark.parametrize("given", ["ttm", "=x", "ttm="])
def test_weights_for_the_demo_that_name_no_folder(given: str) -> None:
    done = chronotick("demo", "--models", "none", "--weights", given)
    assert done.returncode != 0
    assert "is no NAME=FOLDER" in done.stderr
    assert "Traceback" not in done.stderr
