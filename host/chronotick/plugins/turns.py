"""Plugins start in turn: on few cores, importing several model libraries at once is slower than one after the other."""

import asyncio
import os
from collections import deque
from collections.abc import Callable

import psutil

# What a plugin with a model library takes while it starts, where its manifest sets no limit.
USUAL_BYTES = 1_500_000_000


class Turns:
    """Lets `width` plugins start at the same time, more than one only while memory allows it. Needs a running loop.

    A start that takes longer than `turn_s` lets the next one go, so that one that hangs does not hold up the rest.
    """

    def __init__(
        self,
        turn_s: float,
        *,
        width: int | None = None,
        available_bytes: Callable[[], int] = lambda: psutil.virtual_memory().available,
    ) -> None:
        self._turn_s = turn_s
        self._width = max(1, (os.cpu_count() or 1) // 4) if width is None else width
        self._available_bytes = available_bytes
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[str, int, Callable[[], None]]] = deque()
        self._starting: dict[str, asyncio.TimerHandle] = {}

    def ask(self, name: str, go: Callable[[], None], *, need_bytes: int = 0) -> bool:
        """Call `go` when it is this plugin's turn; True when that was at once."""
        self._queue.append((name, need_bytes or USUAL_BYTES, go))
        self._next()
        return name in self._starting

    def done(self, name: str) -> None:
        """This plugin has started, or will not."""
        self._queue = deque(entry for entry in self._queue if entry[0] != name)
        timer = self._starting.pop(name, None)
        if timer is not None:
            timer.cancel()
        self._next()

    def close(self) -> None:
        """Forget everyone."""
        self._queue.clear()
        for timer in self._starting.values():
            timer.cancel()
        self._starting.clear()

    @property
    def starting(self) -> tuple[str, ...]:
        """Whose turn it is."""
        return tuple(self._starting)

    def _next(self) -> None:
        while self._queue and len(self._starting) < self._width:
            name, need_bytes, go = self._queue[0]
            if self._starting and self._available_bytes() < need_bytes:
                return
            self._queue.popleft()
            self._starting[name] = self._loop.call_later(self._turn_s, self.done, name)
            go()
