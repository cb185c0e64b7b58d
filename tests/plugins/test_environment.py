"""What the host sees of a plugin's environment."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from chronotick.plugins.environment import (
    Marker,
    check_environment,
    fingerprint,
    lock_sha256,
    marker_path,
    read_marker,
    write_marker,
)
from chronotick.plugins.manifest import Manifest, load_manifest

TEXT = """schema = 1
name = "echo"
version = "0.1"
licence = "Apache-2.0"
protocol = [1]
[environment]
python = ">=3.11,<3.12"
torch = "2.13.0"
"""


def build(folder: Path) -> Manifest:
    """An environment that looks like a healthy one."""
    (folder / "plugin.toml").write_text(TEXT)
    (folder / "requirements.lock").write_text("msgspec==0.19\n")
    manifest = load_manifest(folder / "plugin.toml")
    (manifest.venv / "bin").mkdir(parents=True)
    (manifest.venv / "bin/python").symlink_to(sys.executable)
    (manifest.venv / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.7\n")
    (manifest.venv / "lib/python3.11/site-packages/torch-2.13.0+cpu.dist-info").mkdir(parents=True)
    write_marker(marker_path(manifest), sound(manifest))
    return manifest


def sound(manifest: Manifest) -> Marker:
    return Marker(
        schema=1,
        folder=str(manifest.venv),
        lock_sha256=lock_sha256(manifest.lock),
        python="3.11.7",
        torch="2.13.0+cpu",
        sdk="0.1.0",
    )


def changed(**fields: object) -> Callable[[Manifest], None]:
    def change(manifest: Manifest) -> None:
        write_marker(marker_path(manifest), msgspec.structs.replace(sound(manifest), **fields))

    return change


def test_an_environment_that_is_what_its_lock_says_is_healthy(tmp_path: Path) -> None:
    assert check_environment(build(tmp_path), "0.1.0") is None


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda m: (m.venv / "bin/python").unlink(), "has no working interpreter"),
        (lambda m: os.rename(m.venv, m.folder / "elsewhere"), "has not been built"),
        (lambda m: marker_path(m).unlink(), "unfinished or of another age"),
        (lambda m: marker_path(m).write_text('{"schema": 1'), "unfinished or of another age"),
        (changed(schema=9), "unfinished or of another age"),
        (changed(folder="/elsewhere/.venv"), "was built in /elsewhere/.venv and does not survive being moved"),
        (lambda m: m.lock.write_text("msgspec==0.20\n"), "is older than its lock"),
        (lambda m: m.lock.unlink(), "can not be read"),
        (
            lambda m: (m.venv / "pyvenv.cfg").write_text("version = 3.11.9\n"),
            "built for Python 3.11.7 and now has 3.11.9",
        ),
        (changed(torch="2.12.0"), "has torch 2.12.0; the plugin needs 2.13.0"),
        (changed(torch=""), "has torch not at all"),
        (changed(torch="2.13.0+cu130"), "has lost torch 2.13.0+cu130"),
        (changed(sdk="0.0.9"), "built for chronotick 0.0.9; this is 0.1.0"),
    ],
)
def test_each_fault_of_an_environment_is_told_in_one_sentence_with_its_mend(
    tmp_path: Path, harm: Callable[[Manifest], object], told: str
) -> None:
    manifest = build(tmp_path)
    harm(manifest)
    problem = check_environment(manifest, "0.1.0")
    assert problem is not None
    assert told in problem.sentence
    assert problem.sentence.endswith(".")
    assert problem.mend == "Run: chronotick plugins sync echo"


def test_a_python_that_the_plugin_does_not_support_is_told(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    (manifest.venv / "pyvenv.cfg").write_text("version_info = 3.12.1\n")
    changed(python="3.12.1")(manifest)
    problem = check_environment(manifest, "0.1.0")
    assert problem is not None
    assert "has Python 3.12.1; the plugin needs >=3.11,<3.12" in problem.sentence


def test_a_plugin_that_runs_with_the_hosts_interpreter_needs_no_environment(tmp_path: Path) -> None:
    (tmp_path / "plugin.toml").write_text(TEXT.split("[environment]")[0] + '[environment]\nkind = "host"\n')
    assert check_environment(load_manifest(tmp_path / "plugin.toml"), "0.1.0") is None


def test_a_marker_is_read_back_as_written_and_its_fingerprint_changes_with_each_writing(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    before = fingerprint(manifest)
    assert read_marker(marker_path(manifest)) == sound(manifest)
    write_marker(marker_path(manifest), sound(manifest))
    assert before != fingerprint(manifest) != (0, 0)
    assert [p.name for p in manifest.venv.glob("*.json*")] == [marker_path(manifest).name]


def test_without_a_marker_the_fingerprint_is_zero(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    marker_path(manifest).unlink()
    assert fingerprint(manifest) == (0, 0)
