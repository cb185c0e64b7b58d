"""Nothing stays behind: not after many restarts, and not when the host is killed."""

import asyncio
import errno
import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from chronotick.plugins.backoff import BackoffPolicy
from chronotick.plugins.launcher import launch_child
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.states import State
from chronotick.wire.launch import Launch
from chronotick.wire.runtime_dir import RuntimeDir

# Never gives up, waits hardly at all.
TIRELESS = BackoffPolicy(first_s=0.001, most_s=0.001, deaths=10_000)

# Runs a host with these plugins, tells their process ids once each is in the state asked for, waits to be killed.
HOST = """
import asyncio, sys
from pathlib import Path
from chronotick.config.schema import PluginConfig
from chronotick.plugins.manifest import load_manifest
from chronotick.plugins.states import State
from chronotick.plugins.supervisor import Supervisor
from chronotick.wire.runtime_dir import create

async def main():
    runtime = create(sys.argv[1])
    manifests = [load_manifest(Path(name)) for name in sys.argv[3:]]
    configs = [PluginConfig(name=m.name) for m in manifests]
    waiting = {m.name for m in manifests}
    def on_event(event):
        if event.state == sys.argv[2]:
            waiting.discard(event.name)
            if not waiting:
                print(*(view.pid for view in supervisor.views()), flush=True)
    with runtime.lock() as lock:
        supervisor = Supervisor(manifests, configs, runtime, lock, on_event, width=4)
        await supervisor.run()

asyncio.run(main())
"""


def test_a_hundred_restarts_leave_no_process_and_no_descriptor(
    host: Callable[..., Any], echo: Callable[..., Manifest]
) -> None:
    """A shell stands in for the interpreter: a hundred real processes with pipes and pidfds, quickly."""
    quick = echo("quick", argv='["/bin/sh", "-c", "echo going >&2; sleep 60 & exit 70"]')

    async def scene() -> None:
        async with host(quick, echo("sane"), backoff=TIRELESS) as h:
            await h.reaches("sane", State.READY)
            await h.reaches("quick", State.BACKOFF, times=5)
            files, pids, family = count_files(), set(psutil.pids()), psutil.Process().children(recursive=True)
            done = h.path("quick").count(State.BACKOFF)
            await h.reaches("quick", State.BACKOFF, times=done + 100)
            # One may be just being started: a lifeline, a log pipe and a pidfd.
            assert count_files() <= files + 3
            assert len([p for p in psutil.Process().children(recursive=True) if p not in family]) <= 3
            assert h.view("quick").restarts >= 100
            assert h.path("sane")[-1] is State.READY
            # What the plugin had started itself went with it.
            assert not [p for p in set(psutil.pids()) - pids if is_sleep(p)]

    asyncio.run(asyncio.wait_for(scene(), 100))


def test_real_plugins_that_are_restarted_leave_no_process_and_no_descriptor(
    host: Callable[..., Any], echo: Callable[..., Manifest]
) -> None:
    async def scene() -> None:
        async with host(echo(), backoff=TIRELESS) as h:
            await h.reaches("echo", State.READY)
            files, pids = count_files(), []
            for times in range(2, 6):
                pids.append(h.view("echo").pid)
                os.kill(pids[-1], signal.SIGKILL)
                await h.reaches("echo", State.READY, times=times)
            assert count_files() == files
            assert not [pid for pid in pids if psutil.pid_exists(pid)]

    asyncio.run(asyncio.wait_for(scene(), 100))


@pytest.mark.parametrize("call", ["pipe2", "pidfd_open"])
def test_a_start_that_fails_half_way_leaves_no_process_and_no_descriptor(
    call: str, echo: Callable[..., Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of descriptors at the second pipe, or when the process runs already: it is ended, reaped, and all closed."""
    genuine, calls = getattr(os, call), []

    def fails(*args: Any) -> Any:
        calls.append(args)
        if call == "pipe2" and len(calls) == 1:
            return genuine(*args)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def scene() -> None:
        files, family = count_files(), set(psutil.Process().children())
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fails)
            with pytest.raises(OSError, match="Too many open files"):
                launch_child(
                    echo(), Launch(endpoint="ipc:///nowhere"), threads=1, environ=os.environ,
                    logger=logging.getLogger("test"), on_exit=lambda _: None,
                )  # fmt: skip
        assert count_files() == files
        assert set(psutil.Process().children()) <= family

    asyncio.run(scene())
    if call == "pidfd_open":
        assert not psutil.pid_exists(calls[0][0])


def test_a_killed_host_leaves_no_orphan(runtime: RuntimeDir, echo: Callable[..., Manifest]) -> None:
    """One plugin idles, one computes, one sleeps in a library call with the interpreter's lock released."""
    manifests = [echo("idle"), echo("busy", "hang"), echo("prints", "prints")]
    files = [str(manifest.folder / "plugin.toml") for manifest in manifests]
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, str(runtime.path), State.READY, *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0]
        pids = [int(word) for word in process.stdout.readline().split()]
        plugins = [psutil.Process(pid) for pid in pids]
        assert len(plugins) == 3
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    gone, alive = psutil.wait_procs(plugins, timeout=20)
    for one in alive:
        one.kill()
    assert len(gone) == 3


def test_a_killed_host_leaves_no_orphan_that_was_still_starting(
    runtime: RuntimeDir, echo: Callable[..., Manifest]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, str(runtime.path), State.STARTING, str(echo().folder / "plugin.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0]
        plugin = psutil.Process(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    _, alive = psutil.wait_procs([plugin], timeout=20)
    for one in alive:
        one.kill()
    assert not alive


def count_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def is_sleep(pid: int) -> bool:
    try:
        return psutil.Process(pid).cmdline() == ["sleep", "60"]
    except psutil.Error:
        return False
