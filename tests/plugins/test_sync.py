"""Building environments, with a uv that only pretends."""

import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chronotick.errors import PluginError
from chronotick.plugins.environment import check_environment, marker_path, sdk_version
from chronotick.plugins.manifest import Manifest, load_manifest
from chronotick.plugins.sync import Progress, SyncResult, sync
from chronotick.plugins.uv import Command, Outcome, find_uv, run_command, uv_environ

UNREACHABLE = Outcome(
    2,
    (
        "error: Request failed",
        "cause: error sending request",
    ),
)
TEXT = """schema = 1
name = "echo"
version = "0.1"
licence = "Apache-2.0"
protocol = [1]
[environment]
torch = "2.13.0"
imports = ["torch"]
"""


class FakeUv:
    """Does to the folder what uv would do to it, and writes down what it was asked."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.commands: list[Command] = []
        self.fail: dict[str, Outcome] = {}
        self.before: Callable[[str], None] = lambda step: None

    def __call__(self, command: Command, heard: Callable[[str], None]) -> Outcome:
        self.commands.append(command)
        step = self._step(command)
        self.before(step)
        heard("")
        if step in self.fail:
            return self.fail[step]
        venv = self.manifest.venv
        if step == "venv":
            if "--clear" in command.argv:
                shutil.rmtree(venv, ignore_errors=True)
            (venv / "bin").mkdir(parents=True, exist_ok=True)
            (venv / "bin/python").unlink(missing_ok=True)
            (venv / "bin/python").symlink_to(sys.executable)
            (venv / "bin/activate").touch()
            (venv / "pyvenv.cfg").write_text("version_info = 3.11.7\n")
        elif step.startswith("torch:"):
            (venv / "lib/python3.11/site-packages/torch-2.13.0+cpu.dist-info").mkdir(parents=True, exist_ok=True)
        elif step == "smoke":
            torch = "2.13.0+cpu" if self.manifest.environment.torch else ""
            said = json.dumps({"python": "3.11.7", "torch": torch, "sdk": sdk_version()})
            return Outcome(0, ("a library prints", f"chronotick-smoke {said}", "and prints"))
        return Outcome(0, ("Resolved 3 packages",))

    def _step(self, command: Command) -> str:
        words = command.argv
        if words[0] != "uv":
            return "smoke"
        if words[1] == "venv":
            return "venv"
        if words[2] == "sync":
            return "packages"
        if "--no-deps" in words:
            return "plugin"
        backend = words[words.index("--torch-backend") + 1] if "--torch-backend" in words else ""
        source = "wheel" if words[-1].endswith(".whl") else backend or "registry"
        return f"probe:{source}" if "--dry-run" in words else f"torch:{source}"

    @property
    def steps(self) -> list[str]:
        return [self._step(command) for command in self.commands]


@pytest.fixture
def echo(tmp_path: Path) -> Manifest:
    folder = tmp_path / "echo"
    folder.mkdir()
    (folder / "plugin.toml").write_text(TEXT)
    (folder / "requirements.lock").write_text("msgspec==0.19\n")
    (folder / "pyproject.toml").write_text("[project]\nname = 'chronotick-echo'\n")
    return load_manifest(folder / "plugin.toml")


def run(uv: FakeUv, environ: dict[str, str] | None = None, **options: object) -> SyncResult:
    (result,) = sync(manifests=[uv.manifest], runner=uv, uv="uv", environ=environ or {}, **options)  # type: ignore[arg-type]
    return result


def test_a_build_does_each_step_in_order_and_ends_healthy(echo: Manifest) -> None:
    uv = FakeUv(echo)
    said: list[Progress] = []
    result = run(uv, progress=said.append)
    assert (result.ok, result.built, result.torch) == (True, True, "2.13.0+cpu")
    assert uv.steps == ["venv", "packages", "probe:cpu", "torch:cpu", "plugin", "smoke"]
    assert check_environment(echo, sdk_version()) is None
    assert list(dict.fromkeys(p.step for p in said)) == ["venv", "packages", "torch", "plugin", "smoke", "marker"]
    assert all(b.elapsed_s >= a.elapsed_s >= 0 and b.disk_bytes >= 0 for a, b in itertools.pairwise(said))


def test_packages_are_synchronised_with_their_hashes_and_torch_is_pinned_outside_any_project(echo: Manifest) -> None:
    uv = FakeUv(echo)
    run(uv)
    packages, _, torch, plugin = (command.argv for command in uv.commands[1:5])
    assert "--require-hashes" in packages
    assert packages[-1] == str(echo.lock)
    assert torch[-1] == "torch==2.13.0"
    assert all("--no-config" in words for words in (packages, torch, plugin))
    assert plugin.count("--editable") == 2
    assert all(command.environ["UV_PYTHON_DOWNLOADS"] == "never" for command in uv.commands[:5])


def test_a_healthy_environment_is_left_alone_unless_forced(echo: Manifest) -> None:
    run(FakeUv(echo))
    again = FakeUv(echo)
    result = run(again)
    assert (result.ok, result.built, result.torch, again.steps) == (True, False, "2.13.0+cpu", [])
    forced = FakeUv(echo)
    assert run(forced, force=True).built
    assert forced.steps[0] == "venv"


def test_a_changed_lock_is_built_anew(echo: Manifest) -> None:
    run(FakeUv(echo))
    echo.lock.write_text("msgspec==0.20\n")
    uv = FakeUv(echo)
    assert run(uv).ok
    assert "packages" in uv.steps


@pytest.mark.parametrize("step", ["venv", "packages", "torch:cpu", "plugin", "smoke"])
def test_an_interruption_at_any_step_leaves_nothing_that_looks_whole_and_the_next_build_mends_it(
    echo: Manifest, step: str
) -> None:
    uv = FakeUv(echo)
    assert run(uv).ok
    echo.lock.write_text("msgspec==0.20\n")

    def interrupt(now: str) -> None:
        if now == step:
            raise KeyboardInterrupt

    uv.before = interrupt
    if step == "venv":
        (echo.venv / "bin/activate").unlink()
    with pytest.raises(KeyboardInterrupt):
        run(uv)
    assert not marker_path(echo).exists()
    assert check_environment(echo, sdk_version()) is not None
    uv.before = lambda now: None
    assert run(uv).ok


def test_an_unfinished_environment_is_built_from_nothing(echo: Manifest) -> None:
    """A full disk leaves packages that lack files, which uv takes for installed; what was whole is gone on with."""
    uv = FakeUv(echo)
    assert run(uv).ok
    left = echo.venv / "lib/half-a-package"
    left.mkdir(parents=True)
    echo.lock.write_text("msgspec==0.20\n")
    assert run(uv).ok
    assert left.is_dir()
    marker_path(echo).unlink()
    assert run(uv).ok
    assert not left.exists()
    left.mkdir(parents=True)
    assert run(uv, force=True).ok
    assert not left.exists()


@pytest.mark.parametrize("step", ["venv", "packages", "torch:cpu", "plugin", "smoke"])
def test_a_full_disk_at_any_step_is_named_and_leaves_nothing_that_looks_whole(echo: Manifest, step: str) -> None:
    uv = FakeUv(echo)
    uv.fail[step] = Outcome(1, ("error: failed to write", "cause: No space left on device (os error 28)"))
    result = run(uv)
    assert not result.ok
    assert "disk is full" in result.sentence
    assert "Run: chronotick plugins sync echo" in result.sentence
    assert not marker_path(echo).exists()
    # In particular nothing larger is tried.
    assert "torch:registry" not in uv.steps


def test_when_the_index_of_cpu_builds_does_not_answer_the_registrys_own_build_is_announced_and_taken(
    echo: Manifest,
) -> None:
    uv = FakeUv(echo)
    uv.fail["probe:cpu"] = UNREACHABLE
    said: list[Progress] = []
    assert run(uv, progress=said.append).ok
    assert uv.steps[2:4] == ["probe:cpu", "torch:registry"]
    assert any("5 GB" in p.detail for p in said)
    assert uv.commands[2].environ["UV_HTTP_RETRIES"] == "1"
    assert "UV_HTTP_RETRIES" not in uv.commands[3].environ


def test_a_wheel_in_pips_folder_is_taken_with_every_index_out_of_reach(echo: Manifest, tmp_path: Path) -> None:
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"
    wheel.touch()
    uv = FakeUv(echo)
    for step in ("probe:cpu", "torch:cpu", "torch:registry"):
        uv.fail[step] = UNREACHABLE
    assert run(uv, {"PIP_FIND_LINKS": str(tmp_path)}).ok
    assert uv.steps[2] == "torch:wheel"
    assert uv.commands[2].environ["UV_FIND_LINKS"] == str(tmp_path)


def test_the_users_backend_is_tried_alone_and_its_failure_is_told(echo: Manifest) -> None:
    uv = FakeUv(echo)
    uv.fail["torch:cu130"] = UNREACHABLE
    result = run(uv, {"UV_TORCH_BACKEND": "cu130"})
    assert not result.ok
    assert "user: cause: error sending request" in result.sentence
    assert uv.steps == ["venv", "packages", "torch:cu130"]


def test_when_no_source_of_torch_answers_each_is_named(echo: Manifest) -> None:
    uv = FakeUv(echo)
    uv.fail["probe:cpu"] = uv.fail["torch:registry"] = UNREACHABLE
    result = run(uv)
    assert not result.ok
    assert "cpu: cause" in result.sentence
    assert "registry: cause" in result.sentence
    assert "UV_FIND_LINKS" in result.sentence


def test_a_plugin_without_torch_is_built_without_asking_for_it(echo: Manifest) -> None:
    (echo.folder / "plugin.toml").write_text(TEXT.replace('torch = "2.13.0"', 'torch = ""'))
    uv = FakeUv(load_manifest(echo.folder / "plugin.toml"))
    assert run(uv).ok
    assert uv.steps == ["venv", "packages", "plugin", "smoke"]


def test_a_failed_import_is_told_and_leaves_no_marker(echo: Manifest) -> None:
    uv = FakeUv(echo)
    uv.fail["smoke"] = Outcome(
        1, ("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'chronos'")
    )
    result = run(uv)
    assert not result.ok
    assert "first import failed: ModuleNotFoundError: No module named 'chronos'" in result.sentence
    assert not marker_path(echo).exists()


def test_one_plugin_that_fails_does_not_keep_the_others_from_being_built(echo: Manifest, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/plugin.toml").write_text(TEXT.replace("echo", "other"))
    other = load_manifest(tmp_path / "other/plugin.toml")

    def runner(command: Command, heard: Callable[[str], None]) -> Outcome:
        return FakeUv(other if command.cwd == other.folder else echo)(command, heard)

    bad, good = sync(manifests=[other, echo], runner=runner, uv="uv", environ={})
    assert (bad.ok, good.ok) == (False, True)
    assert "other has no lock" in bad.sentence


def test_two_builds_of_one_environment_are_kept_apart(echo: Manifest) -> None:
    handle = os.open(echo.folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        result = run(FakeUv(echo))
    finally:
        os.close(handle)
    assert not result.ok
    assert "Another process builds" in result.sentence


def test_uv_is_given_what_it_would_not_take_from_pip() -> None:
    environ = uv_environ(
        {
            "PIP_INDEX_URL": "https://pip.invalid/simple",
            "PIP_FIND_LINKS": "/w",
            "VIRTUAL_ENV": "/v",
            "UV_TORCH_BACKEND": "cpu",
        }
    )
    assert environ["UV_DEFAULT_INDEX"] == "https://pip.invalid/simple"
    assert environ["UV_FIND_LINKS"] == "/w"
    assert "VIRTUAL_ENV" not in environ
    assert "UV_TORCH_BACKEND" not in environ


def test_uvs_own_settings_outrank_pips() -> None:
    environ = uv_environ({"PIP_INDEX_URL": "https://pip.invalid/simple", "UV_INDEX_URL": "https://uv.invalid/simple"})
    assert "UV_DEFAULT_INDEX" not in environ
    assert uv_environ({"UV_PYTHON_DOWNLOADS": "automatic"})["UV_PYTHON_DOWNLOADS"] == "automatic"


def test_a_command_is_heard_line_by_line_and_its_last_lines_are_kept(tmp_path: Path) -> None:
    heard: list[str] = []
    program = "import sys; [print(i) for i in range(50)]; print('end', end=''); sys.exit(3)"
    outcome = run_command(Command((sys.executable, "-c", program), {}, tmp_path, 30), heard.append)
    assert outcome.code == 3
    assert outcome.tail[-1] == "end"
    assert len(outcome.tail) == 30
    assert next(line for line in heard if line) == "0"


def test_a_command_past_its_limit_is_ended_and_says_so(tmp_path: Path) -> None:
    outcome = run_command(
        Command((sys.executable, "-c", "import time; time.sleep(60)"), {}, tmp_path, 0.6), lambda _: None
    )
    assert outcome.code < 0
    assert outcome.tail == ("It was ended after 1 s.",)


def test_whatever_interrupts_a_command_ends_it_first(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        if line:
            pids.append(int(line))
            raise KeyboardInterrupt

    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        run_command(Command((sys.executable, "-c", program), {}, tmp_path, 30), interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_missing_uv_is_told_with_its_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("chronotick.plugins.uv.project_root", lambda: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(PluginError, match="pip install uv"):
        find_uv({"PATH": str(tmp_path)})
    assert find_uv({"CHRONOTICK_UV": "/x/uv"}) == "/x/uv"


def test_a_real_uv_makes_an_environment_whose_marker_the_host_accepts(echo: Manifest) -> None:
    """Only `uv venv` and an empty `uv pip sync` are real here: nothing is fetched."""
    try:
        program = find_uv()
    except PluginError:
        pytest.skip("uv is not installed")
    text = TEXT.replace('torch = "2.13.0"', "").replace('["torch"]', "[]")
    (echo.folder / "plugin.toml").write_text(text)
    echo.lock.write_text("")
    fake = FakeUv(load_manifest(echo.folder / "plugin.toml"))

    def runner(command: Command, heard: Callable[[str], None]) -> Outcome:
        real = command.argv[0] == program and "--no-deps" not in command.argv
        return (
            run_command(command, heard)
            if real
            else fake(
                Command(("uv", *command.argv[1:]) if command.argv[0] == program else command.argv, {}, command.cwd, 1),
                heard,
            )
        )

    environ = {**os.environ, "UV_OFFLINE": "1"}
    (result,) = sync(manifests=[fake.manifest], runner=runner, uv=program, environ=environ)
    assert result.ok, result.sentence
    assert check_environment(fake.manifest, sdk_version()) is None
    version = subprocess.run(
        [fake.manifest.python, "-I", "-c", "print(1)"], capture_output=True, timeout=30, check=True
    )
    assert version.stdout == b"1\n"


def twins(tmp_path: Path, echo: Manifest) -> tuple[Manifest, Manifest]:
    shutil.copytree(echo.folder, tmp_path / "other")
    (tmp_path / "other/plugin.toml").write_text(TEXT.replace("echo", "other"))
    return echo, load_manifest(tmp_path / "other/plugin.toml")


def test_several_environments_are_built_at_the_same_time(echo: Manifest, tmp_path: Path) -> None:
    """Each build waits in its first step until the other is there, too."""
    both = threading.Barrier(2, timeout=20)
    uvs = {one.folder: FakeUv(one) for one in twins(tmp_path, echo)}
    for uv in uvs.values():
        uv.before = lambda step: None if step != "venv" else bool(both.wait()) or None

    def runner(command: Command, heard: Callable[[str], None]) -> Outcome:
        return uvs[command.cwd](command, heard)

    results = sync(manifests=[uv.manifest for uv in uvs.values()], runner=runner, uv="uv", environ={}, jobs=2)
    assert [(result.plugin, result.ok) for result in results] == [("echo", True), ("other", True)]


def test_an_interruption_ends_all_builds_and_none_looks_whole(echo: Manifest, tmp_path: Path) -> None:
    """Ctrl-C while one build runs a program: that program is ended, too, and the next sync takes both up."""
    first, second = twins(tmp_path, echo)
    running, pids = threading.Event(), list[int]()

    def runner(command: Command, heard: Callable[[str], None]) -> Outcome:
        if command.cwd == second.folder:
            running.wait(20)
            raise KeyboardInterrupt

        def hear(line: str) -> None:
            if line:
                pids.append(int(line))
                running.set()
            heard(line)

        program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
        return run_command(Command((sys.executable, "-c", program), {}, command.cwd, 30), hear)

    with pytest.raises(KeyboardInterrupt):
        sync(manifests=[first, second], runner=runner, uv="uv", environ={}, jobs=2)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert not marker_path(first).exists()
    assert not marker_path(second).exists()
    uvs = {one.folder: FakeUv(one) for one in (first, second)}
    again = sync(
        manifests=[first, second],
        runner=lambda command, heard: uvs[command.cwd](command, heard),
        uv="uv",
        environ={},
    )
    assert all(result.ok for result in again)
