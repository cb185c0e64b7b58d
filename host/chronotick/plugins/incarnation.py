"""The process that a plugin has now: its secrets, what it said of itself, how it ended. One after the other, many."""

import logging
import secrets
from collections.abc import Callable

from chronotick.config.schema import PluginConfig
from chronotick.plugins.backoff import describe_exit
from chronotick.plugins.handshake import identity_of
from chronotick.plugins.launcher import Child, launch_child
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.surroundings import Surroundings
from chronotick.wire.launch import Launch
from chronotick.wire.messages import Hello


class Incarnation:
    """At most one process. Needs a running event loop.

    Attributes:
        token: what its process must know; "" admits none.
        hello: what it said of itself; None before.
        exit_code: of the last process; None while there is one, and before the first.
        starts: processes so far.
    """

    def __init__(self, manifest: Manifest, config: PluginConfig, around: Surroundings, logger: logging.Logger) -> None:
        self._manifest, self._config, self._around, self._logger = manifest, config, around, logger
        self._child: Child | None = None
        self._instance: str = ""
        self.token: str = ""
        self.hello: Hello | None = None
        self.exit_code: int | None = None
        self.starts: int = 0

    @property
    def here(self) -> bool:
        """There is a process that this host has started."""
        return self._child is not None

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._child.pid if self._child is not None else None

    @property
    def identity(self) -> bytes:
        """The one under which the process that was started here must connect."""
        return identity_of(self._manifest.name, self._instance)

    def forget(self) -> None:
        """Make room for the next."""
        self.hello, self.exit_code = None, None
        self._instance = self.token = ""

    def spawn(self, on_exit: Callable[[int], None]) -> None:
        """Start one, with secrets of its own; `on_exit` gets its exit code.

        Raises:
            OSError: it can not be started.
        """
        self.starts += 1
        self._instance, self.token = secrets.token_hex(8), secrets.token_hex(32)
        launch = Launch(
            endpoint=self._around.endpoint,
            token=self.token,
            instance=self._instance,
            host_wait_s=self._manifest.limits.start_timeout_s,
            log_level=self._around.log_level,
        )
        self._child = launch_child(
            self._manifest,
            launch,
            threads=self._config.threads,
            environ=self._around.environ,
            logger=self._logger,
            on_exit=on_exit,
        )

    def ended(self, code: int) -> str:
        """It has ended; how, as part of a sentence."""
        words = self._child.last_words if self._child is not None else ""
        self._child, self.exit_code = None, code
        return describe_exit(code) + (f"; its last words: {words[:300]}" if words and code else "")

    def kill(self) -> None:
        """SIGKILL, if it is there."""
        if self._child is not None:
            self._child.kill()

    def terminate(self) -> None:
        """SIGTERM, if it is there."""
        if self._child is not None:
            self._child.terminate()

    def close(self) -> None:
        """End it and let go of all that it holds, without any call of `on_exit`."""
        self._instance = self.token = ""
        if self._child is not None:
            self._child.close()
            self._child = None
