"""Names to addresses, outside every round trip and outside the event loop. I/O."""

import asyncio
import contextlib
import socket
import threading
from typing import Literal

from chronotick.ntp.address import Endpoint, ServerAddress

Family = Literal["any", "ipv4", "ipv6"]

_FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


async def resolve(server: ServerAddress, family: Family) -> tuple[Endpoint, ...]:
    """Addresses of a server in the resolver's order of preference; empty when there are none. Never raises OSError.

    Name service runs in a daemon thread of its own: it can take half a minute and can not be interrupted, and neither a
    cancelled task nor the end of the process should wait for it.
    """
    if server.numeric:
        return _look_up(server, _FAMILIES[family], socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[Endpoint, ...]] = loop.create_future()

    def deliver(endpoints: tuple[Endpoint, ...]) -> None:
        if not answer.done():
            answer.set_result(endpoints)

    def work() -> None:
        endpoints = _look_up(server, _FAMILIES[family], 0)
        # RuntimeError: the loop was closed meanwhile, nobody waits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, endpoints)

    threading.Thread(target=work, name=f"resolve {server.host}", daemon=True).start()
    return await answer


def _look_up(server: ServerAddress, family: int, flags: int) -> tuple[Endpoint, ...]:
    try:
        found = socket.getaddrinfo(server.host, server.port, family=family, type=socket.SOCK_DGRAM, flags=flags)
    except (OSError, UnicodeError):
        return ()
    endpoints: dict[Endpoint, None] = {}
    for kind, _, _, _, sockaddr in found:
        if kind == socket.AF_INET:
            endpoints[Endpoint(str(sockaddr[0]), server.port)] = None
        elif kind == socket.AF_INET6 and len(sockaddr) == 4:
            endpoints[Endpoint(str(sockaddr[0]).partition("%")[0], server.port, int(sockaddr[3]))] = None
    return tuple(endpoints)
