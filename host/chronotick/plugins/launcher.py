"""Start one plugin's process and learn at once when it ends.

The interpreter of the plugin's environment is run directly: `uv run` would stay as a parent and orphan the plugin when
killed. The process leads its own session, so that what it starts can be ended with it. It dies with the host by a
lifeline: a pipe of which only the host holds the write end.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping

import msgspec

from chronotick.plugins.child_environ import child_environ
from chronotick.plugins.log_pump import LogPump
from chronotick.plugins.manifest import Manifest
from chronotick.wire.launch import Launch


class Child:
    """A running plugin process. `on_exit` is called once with its exit code, after everything it held is closed."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        pidfd: int,
        lifeline: int,
        pump: LogPump,
        on_exit: Callable[[int], None],
    ) -> None:
        self._process = process
        self._pidfd = pidfd
        self._lifeline = lifeline
        self._pump = pump
        self._on_exit: Callable[[int], None] | None = on_exit
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The last line of its last complaint; "" for none."""
        return self._pump.last_lines[-1].splitlines()[-1] if self._pump.last_lines else ""

    def kill(self) -> None:
        """SIGKILL for it and all that it started. `on_exit` follows."""
        if self._on_exit is not None:
            self._kill_group()

    def terminate(self) -> None:
        """SIGTERM, for one that has not spoken yet and so can not be told in words."""
        if self._on_exit is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)

    def close(self) -> None:
        """Make sure that it is gone and everything is closed, without calling `on_exit`. Blocks for the kill only."""
        if self._on_exit is not None:
            self._on_exit = None
            self._kill_group()
            self._clean_up()

    def _reap(self) -> None:
        on_exit, self._on_exit = self._on_exit, None
        if on_exit is None:
            return
        # Before it is reaped its number can not be another's, so its group is still its own.
        self._kill_group()
        on_exit(self._clean_up())

    def _kill_group(self) -> None:
        _kill_group(self._process)

    def _clean_up(self) -> int:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        os.close(self._lifeline)
        code = self._process.wait()
        self._pump.close()
        return code


def launch_child(
    manifest: Manifest,
    launch: Launch,
    *,
    threads: int,
    environ: Mapping[str, str],
    logger: logging.Logger,
    on_exit: Callable[[int], None],
) -> Child:
    """Start the process of a plugin. Needs a running event loop.

    Raises:
        OSError: it can not be started.
    """
    # `theirs` is closed here in any case; `ours` only where something fails, the process included: nobody would ever
    # learn of its end.
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        lifeline_read, lifeline_write = os.pipe2(os.O_CLOEXEC)
        theirs.callback(os.close, lifeline_read)
        ours.callback(os.close, lifeline_write)
        log_read, log_write = os.pipe2(os.O_CLOEXEC)
        theirs.callback(os.close, log_write)
        ours.callback(os.close, log_read)
        os.set_blocking(log_read, False)
        launch = msgspec.structs.replace(launch, lifeline_fd=lifeline_read)
        process = subprocess.Popen(
            manifest.argv,
            env=child_environ(environ, manifest, launch, threads),
            cwd=manifest.folder,
            stdin=subprocess.DEVNULL,
            stdout=log_write,
            stderr=log_write,
            pass_fds=(lifeline_read,),
            start_new_session=True,
        )
        ours.callback(process.wait)
        ours.callback(_kill_group, process)
        pidfd = os.pidfd_open(process.pid)
        ours.pop_all()
    return Child(process, pidfd, lifeline_write, LogPump(log_read, logger, asyncio.get_running_loop()), on_exit)


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
