"""Plugins that others run, and strangers at the socket."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from chronotick.config.schema import PluginConfig
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.states import State
from chronotick.plugins.types import Answer
from chronotick.wire import codec
from chronotick.wire.launch import Launch
from chronotick.wire.messages import Error, Hello, Message, Status
from chronotick.wire.runtime_dir import RuntimeDir
from chronotick.wire.sockets import connect_dealer, ipc_endpoint

HostFactory = Callable[..., Any]
Echo = Callable[..., Manifest]


def serve(manifest: Manifest, runtime: RuntimeDir, token: str) -> "subprocess.Popen[bytes]":
    """Run a plugin as a service manager would."""
    launch = Launch(endpoint=ipc_endpoint(runtime.plugins), token=token, host_wait_s=20.0)
    return subprocess.Popen(
        manifest.argv, env={**os.environ, **launch.to_environ()}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def config(tmp_path: Path, token: str = "secret") -> PluginConfig:
    path = tmp_path / "token"
    path.write_text(token + "\n")
    return PluginConfig(name="echo", external=True, token_file=str(path))


def test_a_plugin_run_by_others_joins_leaves_and_joins_again(
    host: HostFactory, echo: Echo, runtime: RuntimeDir, tmp_path: Path
) -> None:
    async def scene() -> None:
        manifest = echo()
        async with host(manifest, configs=(config(tmp_path),)) as h:
            view = await h.reaches("echo", State.STARTING)
            assert "waits for the process that others run" in view.detail
            for times in (1, 2):
                process = serve(manifest, runtime, "secret")
                try:
                    view = await h.reaches("echo", State.READY, times=times)
                    assert view.pid is None
                    assert isinstance(await h.ask("echo"), Answer)
                finally:
                    process.send_signal(signal.SIGTERM)
                    process.wait(20)
                await h.reaches("echo", State.BACKOFF, times=times)

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_a_plugin_run_by_others_outlives_the_host_and_joins_the_next_one(
    host: HostFactory, echo: Echo, runtime: RuntimeDir, tmp_path: Path
) -> None:
    async def scene() -> None:
        manifest = echo()
        process = serve(manifest, runtime, "secret")
        try:
            for _ in range(2):
                async with host(manifest, configs=(config(tmp_path),)) as h:
                    await h.reaches("echo", State.READY)
                    assert isinstance(await h.ask("echo"), Answer)
                assert h.path("echo")[-1] is State.STOPPED
                assert process.poll() is None
        finally:
            process.kill()
            process.wait(10)

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_a_plugin_run_by_others_with_a_wrong_token_is_turned_away(
    host: HostFactory, echo: Echo, runtime: RuntimeDir, tmp_path: Path
) -> None:
    async def scene() -> None:
        manifest = echo()
        async with host(manifest, configs=(config(tmp_path),)) as h:
            await h.reaches("echo", State.STARTING)
            process = serve(manifest, runtime, "guess")
            code = await asyncio.to_thread(process.wait, 30)
            assert code == 78
            assert h.view("echo").state is State.STARTING
            assert "token" in h.view("echo").detail

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_a_plugin_run_by_others_without_a_token_file_is_broken_with_its_mend(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        settings = PluginConfig(name="echo", external=True, token_file="/nonexistent/token")
        async with host(echo(), configs=(settings,)) as h:
            view = await h.reaches("echo", State.ENV_BROKEN)
            assert "/nonexistent/token" in view.detail
            assert "token_file" in view.mend

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_strangers_and_stale_processes_change_nothing(host: HostFactory, echo: Echo, runtime: RuntimeDir) -> None:
    async def scene() -> None:
        async with host(echo()) as h:
            await h.reaches("echo", State.READY)
            stale = "ab" * 8
            hello = Hello(name="echo", version="1", instance=stale, pid=1, token="", protocols=((1, 0),))
            said = await asyncio.to_thread(talk, runtime, f"echo:{stale}".encode(), hello)
            assert [(m.code) for m in said if isinstance(m, Error)] == ["bad_token"]
            # Without a hello nothing is even answered.
            status = Status(state="failed", detail="not me")
            assert await asyncio.to_thread(talk, runtime, f"echo:{stale}".encode(), status, 0.3) == []
            assert await asyncio.to_thread(talk, runtime, f"echo:{stale}".encode(), None, 0.3) == []
            said = await asyncio.to_thread(talk, runtime, b"nobody:" + stale.encode(), hello)
            assert [(m.code) for m in said if isinstance(m, Error)] == ["bad_manifest"]
            assert isinstance(await h.ask("echo"), Answer)
            assert h.path("echo")[-1] is State.READY

    asyncio.run(asyncio.wait_for(scene(), 100))


def talk(runtime: RuntimeDir, identity: bytes, message: Message | None, wait_s: float = 10.0) -> list[Message]:
    """Say one thing to the host (garbage for None) under a name; returns the first thing that it says."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = connect_dealer(context, ipc_endpoint(runtime.plugins), identity=identity)
    try:
        socket.send_multipart(codec.encode(message) if message is not None else [b"what", b"ever"])
        return [codec.decode(socket.recv_multipart())] if socket.poll(int(wait_s * 1000)) else []
    finally:
        socket.close(linger=0)
        context.term()
