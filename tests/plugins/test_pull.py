"""`plugins pull`, its copies and their checks, and what `plugins list` says of weights and versions."""

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chronotick.errors import PluginError
from chronotick.plugins import stand_in
from chronotick.plugins.discovery import discover
from chronotick.plugins.environment import check_environment, sdk_version
from chronotick.plugins.inventory import disk_bytes, library_versions, weights_state
from chronotick.plugins.manifest import Manifest, load_manifest
from chronotick.plugins.pull import pull
from chronotick.plugins.stand_in import make_stand_in
from chronotick.plugins.uv import Command, Outcome
from chronotick.sdk.pull import MARK

TEXT = """schema = 1
name = "echo"
version = "0.1"
licence = "Apache-2.0"
protocol = [1]
[environment]
kind = "host"
imports = ["torch", "echolib"]
[weights]
repo = "some/model"
revision = "0123456789012345678901234567890123456789"
licence = "CC-BY-4.0"
"""
DIGEST = hashlib.sha256(b"numbers").hexdigest()


@pytest.fixture
def echo(tmp_path: Path) -> Manifest:
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo/plugin.toml").write_text(TEXT)
    return load_manifest(tmp_path / "echo/plugin.toml")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"numbers")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    return folder


class Hub:
    """Answers as `chronotick.sdk.pull` in the plugin's environment would."""

    def __init__(self, **said: str) -> None:
        self.said = said
        self.asked: list[Command] = []

    def __call__(self, command: Command, heard: Callable[[str], None]) -> Outcome:
        self.asked.append(command)
        return Outcome(0, ("a library prints", f"{MARK}{json.dumps(self.said)}"))

    @classmethod
    def of(cls, folder: Path, sha256: str = "") -> "Hub":
        return cls(folder=str(folder), commit="c0ffee", repo="some/model", sha256=sha256)


def test_weights_are_copied_whole_with_their_hash_and_licence(echo: Manifest, mirror: Path, tmp_path: Path) -> None:
    hub = Hub.of(mirror, DIGEST)
    said = pull(echo, {"size": ""}, to=tmp_path / "kept", runner=hub)
    assert (said.sha256, said.checked, said.licence, said.commit, said.bytes) == (
        DIGEST,
        True,
        "CC-BY-4.0",
        "c0ffee",
        7,
    )
    # Never a pickle.
    assert sorted(file.name for file in (tmp_path / "kept").iterdir()) == ["config.json", "model.safetensors"]
    question = json.loads(hub.asked[0].argv[-1])
    assert question["params"] == {"repo": "some/model", "revision": "0123456789012345678901234567890123456789"}
    # A second time nothing is done.
    assert pull(echo, {}, to=tmp_path / "kept", runner=hub).sha256 == DIGEST


def test_a_folder_that_holds_something_else_is_left_alone(echo: Manifest, mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/mine").touch()
    with pytest.raises(PluginError, match="holds something else"):
        pull(echo, {}, to=tmp_path / "kept", runner=Hub.of(mirror))
    assert (tmp_path / "kept/mine").exists()


def test_a_wrong_hash_is_refused_and_nothing_is_copied(echo: Manifest, mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=f"have SHA-256 {DIGEST}, expected 00.* Delete that folder"):
        pull(echo, {}, to=tmp_path / "kept", runner=Hub.of(mirror, "0" * 64))
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("full", [True, False])
def test_a_copy_that_ends_half_way_leaves_nothing(
    echo: Manifest, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """A full disk is one sentence with its mend; Ctrl-C is Ctrl-C; the folder's name is given to whole copies only."""

    def fail(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"num")
        raise OSError(errno.ENOSPC, "No space left on device") if full else KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", fail)
        if full:
            with pytest.raises(PluginError, match=r"The disk is full \(.*\); nothing was kept\. Free some space\."):
                pull(echo, {}, to=tmp_path / "kept", runner=Hub.of(mirror))
        else:
            with pytest.raises(KeyboardInterrupt):
                pull(echo, {}, to=tmp_path / "kept", runner=Hub.of(mirror))
    assert {entry.name for entry in tmp_path.iterdir()} == {"echo", "mirror"}
    assert pull(echo, {}, to=tmp_path / "kept", runner=Hub.of(mirror)).bytes == 7


def test_what_the_plugin_says_is_passed_on(echo: Manifest) -> None:
    with pytest.raises(PluginError, match=r"The hub has no such thing\. Check .*--from FOLDER\."):
        pull(echo, {}, runner=Hub(code="weights_missing", message="The hub has no such thing.", mend="Look there."))


def test_an_environment_that_can_not_answer_is_told_with_its_mend(echo: Manifest) -> None:
    def broken(command: Command, heard: Callable[[str], None]) -> Outcome:
        return Outcome(1, ("Traceback:", "ModuleNotFoundError: No module named 'huggingface_hub'"))

    with pytest.raises(PluginError, match=r"No module named 'huggingface_hub'.*sync --force echo"):
        pull(echo, {}, runner=broken)


def test_without_an_environment_the_command_that_builds_it_is_named(echo: Manifest) -> None:
    (echo.folder / "plugin.toml").write_text(TEXT.replace('"host"', '"own"'))
    with pytest.raises(PluginError, match=r"has not been built .*Run: chronotick plugins sync echo"):
        pull(load_manifest(echo.folder / "plugin.toml"), {})


def test_embedded_weights_need_no_fetching() -> None:
    assert pull(discover().find("chronos"), {}).folder is None


@pytest.mark.model
def test_a_mirror_and_a_hub_out_of_reach_by_a_real_plugin(mirror: Path, tmp_path: Path) -> None:
    """The plugin's own hash judges a mirror; a hub that does not answer is one sentence within seconds."""
    manifest = discover().find("ttm")
    if problem := check_environment(manifest, sdk_version()):
        pytest.skip(str(problem))
    with pytest.raises(PluginError, match=r"have SHA-256 .*, expected a706726a.* Name a folder"):
        pull(manifest, {"path": str(mirror)}, to=tmp_path / "kept")
    environ = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    with pytest.raises(PluginError, match=r"the hub can not be reached: [^()]{5,60}\. Check"):
        pull(manifest, {}, to=tmp_path / "kept", environ=environ)
    if data := os.environ.get("CHRONOTICK_TEST_DATA"):
        genuine = Path(data) / "weights" / "ttm-r2-512-96-original"
        said = pull(manifest, {"path": str(genuine)}, to=tmp_path / "kept")
        assert (said.checked, said.licence) == (True, "Apache-2.0")


def test_versions_come_from_what_is_installed(echo: Manifest) -> None:
    site = echo.venv / "lib/python3.11/site-packages"
    for name, module in (
        ("transformers-4.38.0", "transformers"),
        ("echo_library-1.2", "echolib"),
        ("other-3", "other"),
    ):
        (site / f"{name}.dist-info").mkdir(parents=True)
        (site / f"{name}.dist-info/RECORD").write_text(f"{module}/__init__.py,sha256=x,0\n")
    (site / "torch-2.13.0+cpu.dist-info").mkdir()
    assert library_versions(echo) == {"transformers": "4.38.0", "echo_library": "1.2"}
    assert disk_bytes(echo.venv) > 0


def test_weights_are_looked_for_where_the_hubs_client_keeps_them(echo: Manifest, tmp_path: Path) -> None:
    environ = {"HF_HOME": str(tmp_path / "hf")}
    assert weights_state(echo, environ) == "not here"
    folder = tmp_path / "hf/hub/models--some--model/snapshots" / echo.weights.revision
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    assert weights_state(echo, environ) == "here"


def test_stand_ins_are_made_once_and_never_half(echo: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stand_in.SHAPES, "echo", stand_in.Shape(8, 8))  # type: ignore[misc]
    (echo.folder / "tests").mkdir()
    worker = echo.folder / "tests/worker.py"
    worker.write_text("raise SystemExit('no luck')")
    folder = echo.folder / "weights"
    with pytest.raises(PluginError, match="No weights could be made for echo: no luck"):
        make_stand_in(echo, folder)
    assert not folder.exists()
    worker.write_text(
        "import json, pathlib, sys\n"
        "asked = json.loads(sys.stdin.readline())\n"
        "assert asked['do'] == 'make_echo'\n"
        "(pathlib.Path(asked['folder']) / 'model.safetensors').write_bytes(b'x')\n"
    )
    assert make_stand_in(echo, folder) == folder
    worker.write_text("raise SystemExit('not asked again')")
    assert make_stand_in(echo, folder) == folder
    assert str(echo.python) == sys.executable
