"""A plain NTP client of the tests' own, with kernel stamps both ways."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest

from chronotick.clock.timebase import raw_ns
from chronotick.lab import stamps

UNTIL_1970_NS = 2_208_988_800 * 10**9


class Exchange(msgspec.Struct, frozen=True):
    """A request and the first reply to it, with the raw clock's view of both."""

    request: bytes
    data: bytes
    sender: tuple[str, int]
    t1_raw_ns: int
    t4_raw_ns: int

    def stamp(self, at: int) -> int:
        """The NTP timestamp at byte `at`, 64 bits."""
        return int.from_bytes(self.data[at : at + 8], "big")

    def utc_ns(self, at: int) -> int:
        """The NTP timestamp at byte `at`, ns since 1970, era 0."""
        return self.stamp(at) * 10**9 // 2**32 - UNTIL_1970_NS

    @property
    def theta_ns(self) -> int:
        return ((self.utc_ns(32) - self.t1_raw_ns) + (self.utc_ns(40) - self.t4_raw_ns)) // 2

    @property
    def middle_raw_ns(self) -> int:
        return (self.t1_raw_ns + self.t4_raw_ns) // 2

    @property
    def delay_ns(self) -> int:
        return (self.t4_raw_ns - self.t1_raw_ns) - (self.utc_ns(40) - self.utc_ns(32))


class Client:
    """One socket to ask with."""

    def __init__(self, address: str) -> None:
        self.socket = stamps.udp_socket(address, 0)
        self.waiting: asyncio.Queue[tuple[bytes, tuple[str, int], int]] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self.socket, self._readable)

    def _readable(self) -> None:
        while packet := stamps.receive(self.socket):
            self.waiting.put_nowait(packet)
        stamps.sent_raw_ns(self.socket)

    def send(self, place: str, *, mode: int = 3, version: int = 4, size: int = 48) -> tuple[bytes, int]:
        """Send a request; its bytes and when it left."""
        host, _, port = place.rpartition(":")
        request = bytes([version << 3 | mode]).ljust(40, b"\0") + secrets.token_bytes(8)
        request = request[:size]
        now = raw_ns()
        self.socket.sendto(request, (host.strip("[]"), int(port)))
        return request, stamps.sent_raw_ns(self.socket) or now

    async def receive(self, timeout_s: float = 2.0) -> tuple[bytes, tuple[str, int], int]:
        async with asyncio.timeout(timeout_s):
            return await self.waiting.get()

    async def ask(self, place: str, timeout_s: float = 2.0, **request: Any) -> Exchange:
        """One exchange. TimeoutError: no reply."""
        sent, t1 = self.send(place, **request)
        data, sender, t4 = await self.receive(timeout_s)
        return Exchange(request=sent, data=data, sender=sender, t1_raw_ns=t1, t4_raw_ns=t4)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


@pytest.fixture
def client() -> Callable[..., AbstractAsyncContextManager[Client]]:
    """`async with client() as c: await c.ask("127.0.0.11:123")`."""

    @asynccontextmanager
    async def connected(address: str = "127.0.0.1") -> AsyncIterator[Client]:
        made = Client(address)
        try:
            yield made
        finally:
            made.close()

    return connected
