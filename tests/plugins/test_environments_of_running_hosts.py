"""What a running host makes of environments that are missing, wrong, or mended meanwhile."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chronotick.config.schema import PluginConfig
from chronotick.plugins.environment import Marker, lock_sha256, marker_path, sdk_version, write_marker
from chronotick.plugins.manifest import Manifest, load_manifest
from chronotick.plugins.states import State
from chronotick.plugins.types import Answer

HostFactory = Callable[..., Any]


@pytest.fixture
def own(echo: Callable[..., Manifest]) -> Callable[..., Manifest]:
    """Makes an echo plugin with an environment of its own that has not been built."""

    def make(*faults: str) -> Manifest:
        manifest = echo("echo", *faults)
        path = manifest.folder / "plugin.toml"
        path.write_text(path.read_text().replace('kind = "host"', 'kind = "own"'))
        manifest.lock.write_text("msgspec==0.19\n")
        return load_manifest(path)

    return make


def build(manifest: Manifest, lock: str | None = None) -> None:
    """What `plugins sync` would leave behind, with the packages of this interpreter."""
    (manifest.venv / "bin").mkdir(parents=True, exist_ok=True)
    if not (manifest.venv / "bin/python").exists():
        # Not a link to the host's own: the pyvenv.cfg beside it decides which packages are seen.
        (manifest.venv / "bin/python").symlink_to(Path(sys.executable).resolve())
    version = ".".join(str(part) for part in sys.version_info[:3])
    (manifest.venv / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\nversion = {version}\n")
    site = manifest.venv / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    site.mkdir(parents=True, exist_ok=True)
    (site / "packages.pth").write_text("\n".join(path for path in sys.path if path and Path(path).is_dir()) + "\n")
    marker = Marker(
        schema=1,
        folder=str(manifest.venv),
        lock_sha256=lock or lock_sha256(manifest.lock),
        python=version,
        torch="",
        sdk=sdk_version(),
    )
    write_marker(marker_path(manifest), marker)


def test_a_missing_environment_is_told_with_its_mend_and_used_as_soon_as_it_is_built(
    host: HostFactory, own: Callable[..., Manifest]
) -> None:
    async def scene() -> None:
        manifest = own()
        async with host(manifest) as h:
            view = await h.reaches("echo", State.ENV_BROKEN)
            assert "has not been built" in view.detail
            assert view.mend == "Run: chronotick plugins sync echo"
            assert (await h.ask("echo")).code == "not_ready"
            build(manifest)
            await h.reaches("echo", State.READY)
            assert isinstance(await h.ask("echo"), Answer)

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_an_environment_of_another_lock_is_told_with_its_mend(host: HostFactory, own: Callable[..., Manifest]) -> None:
    async def scene() -> None:
        manifest = own()
        build(manifest, lock="0" * 64)
        async with host(manifest) as h:
            view = await h.reaches("echo", State.ENV_BROKEN)
            assert "is older than its lock" in view.detail
            assert view.mend == "Run: chronotick plugins sync echo"
            assert view.pid is None
        assert h.path("echo") == [State.ENV_BROKEN, State.STOPPED]

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_missing_weights_are_not_tried_again_before_something_has_changed(
    host: HostFactory, own: Callable[..., Manifest]
) -> None:
    async def scene() -> None:
        manifest = own("weights_missing")
        build(manifest)
        async with host(manifest) as h:
            await h.reaches("echo", State.ENV_BROKEN)
            # Several looks later nothing has been started; once the environment is built anew, it is.
            await asyncio.sleep(0.5)
            assert h.path("echo").count(State.STARTING) == 1
            os.utime(marker_path(manifest), (1, 1))
            await h.reaches("echo", State.ENV_BROKEN, times=2)
            h.supervisor.restart("echo")
            await h.reaches("echo", State.ENV_BROKEN, times=3)

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_a_plugin_that_is_configured_and_not_installed_is_shown_with_its_mend(
    host: HostFactory, own: Callable[..., Manifest]
) -> None:
    async def scene() -> None:
        async with host(configs=(PluginConfig(name="absent"),)) as h:
            await asyncio.sleep(0)
            view = h.view("absent")
            assert view.state is State.ENV_BROKEN
            assert "`absent`, which is not installed" in view.detail
            assert "CHRONOTICK_PLUGIN_PATH" in view.mend
            assert (await h.ask("absent")).code == "not_ready"

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_a_plugin_that_is_switched_off_is_not_started(host: HostFactory, echo: Callable[..., Manifest]) -> None:
    async def scene() -> None:
        async with host(echo(), configs=(PluginConfig(name="echo", enabled=False),)) as h:
            await asyncio.sleep(0.1)
            assert h.view("echo").state is State.STOPPED
        assert h.events == []

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_a_plugin_of_another_protocol_is_never_started(host: HostFactory, echo: Callable[..., Manifest]) -> None:
    async def scene() -> None:
        path = echo().folder / "plugin.toml"
        path.write_text(path.read_text().replace("protocol = [1]", "protocol = [2, 3]"))
        async with host(load_manifest(path)) as h:
            view = await h.reaches("echo", State.INCOMPATIBLE)
            assert "speaks protocol 2, 3, this host 1" in view.detail
        assert h.path("echo") == [State.INCOMPATIBLE, State.STOPPED]

    asyncio.run(asyncio.wait_for(scene(), 100))
