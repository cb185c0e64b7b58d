"""Requests in flight to one plugin: one reply each, be it the answer, the deadline or the plugin's end."""

import asyncio
from collections import deque
from collections.abc import Callable
from statistics import quantiles

from msgspec import Struct

from chronotick.plugins.types import Refusal, Reply
from chronotick.units import NS_PER_S
from chronotick.wire.codes import Code, rule_for
from chronotick.wire.messages import ForecastRequest

KEPT = 256


class _Waiting(Struct):
    request: ForecastRequest
    future: "asyncio.Future[Reply]"
    timer: asyncio.TimerHandle


class Ledger:
    """Needs a running event loop. `on_late` is called with the id of a request whose deadline passed unanswered."""

    def __init__(self, on_late: Callable[[int], None]) -> None:
        self._on_late = on_late
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, _Waiting] = {}
        # Given up by the host, and still owed by the plugin.
        self.overdue: set[int] = set()
        self.stray: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def open(self, request: ForecastRequest) -> "asyncio.Future[Reply]":
        """Enter a request; the future ends with its one reply, at its deadline at the latest."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        # Loop time is CLOCK_MONOTONIC in seconds.
        timer = self._loop.call_at(request.deadline_ns / NS_PER_S, self._expire, request.id)
        self._waiting[request.id] = _Waiting(request, future, timer)
        return future

    def request(self, request_id: int) -> ForecastRequest | None:
        """The request of that id, while it waits."""
        waiting = self._waiting.get(request_id)
        return None if waiting is None else waiting.request

    def settle(self, request_id: int, reply: Reply) -> bool:
        """Give a request its reply; False, and counted as stray, when nobody waits for it."""
        if request_id in self.overdue:
            self.overdue.discard(request_id)
            return False
        waiting = self._waiting.pop(request_id, None)
        if waiting is None:
            self.stray += 1
            return False
        waiting.timer.cancel()
        if not waiting.future.done():
            waiting.future.set_result(reply)
        return True

    def abandon(self, request_id: int) -> bool:
        """The asker has gone; True when the plugin still owes an answer."""
        waiting = self._waiting.pop(request_id, None)
        if waiting is None:
            return False
        waiting.timer.cancel()
        self.overdue.add(request_id)
        return True

    def refuse_all(self, code: Code, message: str) -> None:
        """Settle everything; what was overdue will never come."""
        self.overdue.clear()
        for request_id in list(self._waiting):
            self.settle(request_id, refusal(code, message))

    def _expire(self, request_id: int) -> None:
        waiting = self._waiting.pop(request_id, None)
        if waiting is None:
            return
        self.overdue.add(request_id)
        if not waiting.future.done():
            waiting.future.set_result(refusal(Code.DEADLINE_EXCEEDED, "The answer did not come before the deadline."))
        self._on_late(request_id)


class Durations:
    """The last 256 durations, ms."""

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=KEPT)

    def add(self, duration_ms: float) -> None:
        """Remember one."""
        self._kept.append(duration_ms)

    def percentile(self, percent: int) -> float | None:
        """The given percentile (1 to 99), ms; None for no duration."""
        if not self._kept:
            return None
        if len(self._kept) == 1:
            return self._kept[0]
        return quantiles(self._kept, n=100, method="inclusive")[percent - 1]


def refusal(code: str, message: str) -> Refusal:
    """A refusal with its code's own retryable flag."""
    return Refusal(code=str(code), message=message, retryable=rule_for(code).retryable)
