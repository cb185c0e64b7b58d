"""The clock for asyncio: the same verbs, and none of them blocks the event loop."""

import asyncio
import os
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from chronotick.client import wait
from chronotick.client.clock import Clock
from chronotick.client.connection import KeyFiles
from chronotick.client.elapsed import Elapsed
from chronotick.client.instant import Bounded, Instant
from chronotick.client.reading import Reading
from chronotick.client.watch import TOPICS, Change, events_of, look

if TYPE_CHECKING:
    from chronotick.client.stamped import Stamped


class AsyncClock:
    """`Clock` for asyncio: the same arguments, verbs, answers and errors.

        async with AsyncClock() as clock:
            reading = await clock.now()
            await clock.wait_past(reading)

    A reading of the snapshot takes a microsecond and is done at once; whatever asks the host runs in a thread, and
    waits are `asyncio.sleep`. Every verb can be cancelled.
    """

    def __init__(
        self,
        runtime_dir: str | os.PathLike[str] = "",
        *,
        endpoint: str = "",
        keys: KeyFiles | None = None,
        fall_back: bool = True,
        timeout_s: float = 1.0,
    ) -> None:
        """Args: as of `Clock`."""
        self.clock: Clock = Clock(runtime_dir, endpoint=endpoint, keys=keys, fall_back=fall_back, timeout_s=timeout_s)

    async def now(self, *, max_width_ns: int | None = None, allow_unknown: bool = False) -> Reading:
        """As `Clock.now`."""
        if self.clock.mapped:
            return self.clock.now(max_width_ns=max_width_ns, allow_unknown=allow_unknown)
        return await asyncio.to_thread(self.clock.now, max_width_ns=max_width_ns, allow_unknown=allow_unknown)

    async def future(self, seconds: float) -> Instant:
        """As `Clock.future`."""
        return await asyncio.to_thread(self.clock.future, seconds)

    async def elapsed(self, since: Reading) -> Elapsed:
        """As `Clock.elapsed`."""
        return await asyncio.to_thread(self.clock.elapsed, since)

    async def convert(self, *, raw_ns: int | None = None, realtime_ns: int | None = None) -> Instant:
        """As `Clock.convert`."""
        return await asyncio.to_thread(self.clock.convert, raw_ns=raw_ns, realtime_ns=realtime_ns)

    async def wait_until(self, target_utc_ns: int, *, certain: bool = False, timeout_s: float | None = None) -> Reading:
        """As `Clock.wait_until`."""
        now = await self.now()
        return await self._wait(wait.for_target(target_utc_ns, now, certain=certain, timeout_s=timeout_s))

    async def wait_past(self, event: Bounded, *, timeout_s: float | None = None) -> Reading:
        """As `Clock.wait_past`."""
        return await self._wait(wait.for_past(event, timeout_s))

    async def stamp(self, payload: bytes | str) -> str:
        """As `Clock.stamp`."""
        return await asyncio.to_thread(self.clock.stamp, payload)

    async def verify(self, token: str, payload: bytes | str | None = None) -> "Stamped":
        """As `Clock.verify`."""
        return await asyncio.to_thread(self.clock.verify, token, payload)

    async def status(self, *sections: str) -> dict[str, Any]:
        """As `Clock.status`."""
        return await asyncio.to_thread(self.clock.status, *sections)

    async def watch(self, interval_s: float = 1.0) -> AsyncIterator[Change]:
        """As `Clock.watch`; close it with `aclose()` where it is left before its end."""
        import zmq.asyncio

        from chronotick.wire.sockets import connect_subscriber

        context: zmq.asyncio.Context = zmq.asyncio.Context()
        socket: zmq.asyncio.Socket | None = None
        before = None
        try:
            while True:
                change = look(self.clock) if self.clock.mapped else await asyncio.to_thread(look, self.clock)
                if change.differs(before):
                    before = change
                    yield change
                if socket is None and (endpoint := events_of(self.clock)):
                    socket = connect_subscriber(context, endpoint, TOPICS)
                if socket is None:
                    await asyncio.sleep(interval_s)
                    continue
                left_ms = round(interval_s * 1000)
                while await socket.poll(left_ms):
                    await socket.recv_multipart()
                    left_ms = 0
        finally:
            context.destroy(linger=0)

    def close(self) -> None:
        """As `Clock.close`."""
        self.clock.close()

    async def __aenter__(self) -> "AsyncClock":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _wait(self, this: wait.Wait) -> Reading:
        while True:
            reading = await self.now()
            nap_s = this.nap_s(reading)
            if nap_s is None:
                return reading
            await asyncio.sleep(nap_s)
