"""Change notifications: which resources have changed, told to those that subscribed, in both protocol eras."""

from collections.abc import Callable, Hashable
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.subscriptions import ResourceUpdated, ServerEvent

from chronotick.errors import ChronoTickError
from chronotick.mcp.access import HostAccess

# The host is looked at this often, s, while anybody listens.
LOOK_S = 0.5
# A client that has not taken a notification for this long, s, is unsubscribed.
SLOW_S = 1.0
# Connections of the earlier era that can be subscribed at once; the oldest gives way.
MAX_SESSIONS = 256


class Bus:
    """Carries events to the streams of `subscriptions/listen`, and knows whether there are any."""

    def __init__(self, begin: Callable[[], None]) -> None:
        """Args: called when somebody begins to listen."""
        self._inner = InMemorySubscriptionBus()
        self._begin = begin
        self.listeners: int = 0

    async def publish(self, event: ServerEvent) -> None:
        """Hand an event to every stream."""
        await self._inner.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Add a stream; what is returned removes it, once."""
        unsubscribe = self._inner.subscribe(listener)
        self.listeners += 1
        self._begin()
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self.listeners -= 1
                unsubscribe()

        return leave


class Changes:
    """Watches the host while anybody listens, and tells what has changed.

    `chronotick://now` counts as changed when its meaning does: status, epoch, run of the host or source. Its value
    changes all the time, and whoever wants that reads it.
    """

    def __init__(self, access: HostAccess) -> None:
        self._access = access
        self._wanted = anyio.Event()
        self.bus: Bus = Bus(self._begin)
        self._sessions: dict[int, tuple[ServerSession, set[str]]] = {}

    def subscribe(self, session: ServerSession, uri: str) -> None:
        """Tell this connection, of an era before `subscriptions/listen`, when `uri` changes."""
        key = id(session.client_params)
        _, uris = self._sessions.pop(key, (session, set[str]()))
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[key] = (session, uris | {uri})
        self._begin()

    def unsubscribe(self, session: ServerSession, uri: str) -> None:
        """No longer tell this connection."""
        kept = self._sessions.get(id(session.client_params))
        if kept is not None:
            kept[1].discard(uri)
            if not kept[1]:
                del self._sessions[id(session.client_params)]

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._wanted.wait()
            before = await anyio.to_thread.run_sync(seen, self._access)
            while self.bus.listeners or self._sessions:
                await anyio.sleep(LOOK_S)
                now = await anyio.to_thread.run_sync(seen, self._access)
                for uri in now:
                    if now[uri] != before[uri]:
                        await self._tell(uri)
                before = now
            self._wanted = anyio.Event()

    def _begin(self) -> None:
        self._wanted.set()

    async def _tell(self, uri: str) -> None:
        await self.bus.publish(ResourceUpdated(uri=uri))
        for key, (session, uris) in list(self._sessions.items()):
            if uri in uris:
                with anyio.move_on_after(SLOW_S) as scope:
                    await session.send_resource_updated(uri)
                if scope.cancelled_caught:
                    self._sessions.pop(key, None)


def seen(access: HostAccess) -> dict[str, Hashable]:
    """What of each resource makes a change, by URI."""
    try:
        reading, _ = access.now(allow_unknown=True)
        now: Hashable = (reading.status, reading.epoch, reading.host_instance, reading.source)
    except ChronoTickError as error:
        now = type(error).__name__
    try:
        sections: dict[str, Any] = access.sections()
    except ChronoTickError as error:
        absent = type(error).__name__
        return {
            "chronotick://now": now,
            "chronotick://status": (now, absent),
            "chronotick://sources": absent,
            "chronotick://models": absent,
        }
    clock, sources = sections["clock"], sections["sources"]
    servers = tuple((row["name"], row["standing"], row["phase"], row["reach"] != 0) for row in sources["servers"])
    models = tuple((row["name"], row["state"], row["weight"] > 0) for row in sections["plugins"])
    return {
        "chronotick://now": now,
        "chronotick://status": (now, clock["status"], clock["sentence"] if clock["status"] != "HOLDOVER" else ""),
        "chronotick://sources": (sources["verdict"], servers),
        "chronotick://models": models,
    }
