"""Timers that go by a name: arming one anew replaces it."""

import asyncio
from collections.abc import Callable


class Timers:
    """Those of one plugin. Create it within a running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._armed: dict[str, asyncio.TimerHandle] = {}

    def arm(self, name: str, after_s: float, call: Callable[[], None]) -> None:
        """Call once after so many seconds, unless cancelled."""
        self.cancel(name)
        self._armed[name] = self._loop.call_later(after_s, call)

    def cancel(self, name: str) -> None:
        """Forget it; nothing happens if it is not armed."""
        timer = self._armed.pop(name, None)
        if timer is not None:
            timer.cancel()

    def cancel_all(self) -> None:
        """Forget them all."""
        for name in list(self._armed):
            self.cancel(name)
