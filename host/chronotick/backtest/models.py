"""Real model processes for a replay: the live host's own supervisor, asked from code that waits for the answer."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from chronotick.config.schema import PluginConfig
from chronotick.errors import PluginError
from chronotick.forecast.request import Offered, Request
from chronotick.forecast.types import Refusal
from chronotick.plugins.discovery import discover
from chronotick.plugins.states import State
from chronotick.plugins.supervisor import Supervisor
from chronotick.plugins.types import Answer
from chronotick.wire.runtime_dir import create

# States out of which a plugin does not come by waiting.
_HOPELESS: Final = frozenset({State.ENV_BROKEN, State.INCOMPATIBLE, State.QUARANTINED})
# A replay has time: a model that needs longer than this for one question is broken, s.
DEADLINE_S: Final = 120.0
_LOOK_S: Final = 0.05
ResultT = TypeVar("ResultT")


class PluginModels:
    """Plugins in their environments, started by `with` and ended by its end. A `drive.Models`."""

    def __init__(self, configs: Sequence[PluginConfig]) -> None:
        self._configs = tuple(configs)
        self._folder = tempfile.TemporaryDirectory(prefix="ctk-")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="models", daemon=True)
        directory = create(Path(self._folder.name) / "run")
        self._lock = directory.lock()
        self._supervisor = Supervisor(discover().manifests, self._configs, directory, self._lock)
        self.offered: Offered = {}
        self.ready: frozenset[str] = frozenset()

    def __enter__(self) -> "PluginModels":
        self._thread.start()
        self._running = asyncio.run_coroutine_threadsafe(self._supervisor.run(), self._loop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._wait(self._supervisor.stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._lock.close()
            self._folder.cleanup()

    def load(self, timeout_s: float = 300.0, progress: Callable[[Mapping[str, str]], None] | None = None) -> None:
        """Wait until all are READY.

        Args:
            progress: told each plugin's state while they are not.

        Raises:
            PluginError: one can not become READY, or does not within the time; with its sentence and mend.
        """
        end_s = time.monotonic() + timeout_s
        while True:
            if self._running.done():
                self._running.result()
            views = self._supervisor.views()
            for view in views:
                if view.state in _HOPELESS:
                    raise PluginError(
                        f"The model {view.name} can not be used: {view.detail.rstrip('.')}.", mend=view.mend or None
                    )
            if all(view.state is State.READY for view in views):
                break
            if progress is not None:
                progress({view.name: view.state.value for view in views})
            if time.monotonic() > end_s:
                late = ", ".join(f"{view.name} ({view.state.value})" for view in views if view.state is not State.READY)
                raise PluginError(f"Not ready within {timeout_s:g} s: {late}.")
            time.sleep(_LOOK_S)
        self.ready = frozenset(view.name for view in views)
        self.offered = {view.name: view.capabilities.levels for view in views if view.capabilities is not None}

    def ask(self, request: Request) -> Answer | Refusal:
        """Put one question and wait."""
        deadline_ns = time.monotonic_ns() + int(DEADLINE_S * 1e9)
        answer = self._wait(self._supervisor.forecast(request.plugin, request, deadline_ns))
        if isinstance(answer, Answer):
            return answer
        return Refusal(request.plugin, request.roles, answer.code, answer.message)

    def _wait(self, what: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()
