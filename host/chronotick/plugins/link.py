"""The host's end of the plugins' socket: one ROUTER, read when its file descriptor says so, never waited for.

Plain non-blocking calls on the event loop instead of zmq.asyncio: a send then fails at once and in place (no route,
full queue), and a round trip costs no futures.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import zmq

from chronotick.errors import ProtocolError
from chronotick.wire import codec, frames
from chronotick.wire.keys import ServerKeys, start_authenticator
from chronotick.wire.messages import AnyMessage, Message
from chronotick.wire.runtime_dir import RuntimeLock
from chronotick.wire.sockets import bind_router

# Messages handled before the event loop gets its turn again.
BURST: Final = 32


class Sent(StrEnum):
    """What became of a message: handed to the transport, no such peer (EHOSTUNREACH), or the peer's queue is full."""

    OK = "ok"
    NO_ROUTE = "no_route"
    FULL = "full"


class Link:
    """A bound ROUTER. Needs a running event loop; all calls from its thread."""

    def __init__(
        self,
        endpoint: str,
        *,
        on_message: Callable[[bytes, AnyMessage], None],
        on_garbage: Callable[[bytes, ProtocolError], None],
        lock: RuntimeLock | None = None,
        keys: ServerKeys | None = None,
    ) -> None:
        """Bind.

        Args:
            endpoint: ipc (needs `lock`) or tcp (needs `keys`).
            on_message: gets the identity of the sender, and what it said.
            on_garbage: gets the identity, and why what it said is no message.

        Raises:
            RuntimeDirError: the endpoint can not be bound.
        """
        self._on_message, self._on_garbage = on_message, on_garbage
        self._context: zmq.Context[zmq.Socket[Any]] = zmq.Context(1)
        self._stop_authenticator: Callable[[], None] | None = None
        try:
            if keys is not None:
                self._stop_authenticator = start_authenticator(self._context, keys)
            self._socket = bind_router(self._context, endpoint, lock=lock, keys=keys)
        except BaseException:
            self._end_context()
            raise
        self._loop = asyncio.get_running_loop()
        self._fd = int(self._socket.getsockopt(zmq.FD))
        self._scheduled = False
        self._closed = False
        self._loop.add_reader(self._fd, self._receive)
        self._again()

    def send(self, identity: bytes, message: Message) -> Sent:
        """Hand a message to the transport; never waits.

        Raises:
            ProtocolError: it is too large, or holds what the wire has not.
        """
        encoded = codec.encode(message)
        if self._closed:
            return Sent.NO_ROUTE
        try:
            frames.send(self._socket, [identity, *encoded])
        except zmq.Again:
            return Sent.FULL
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return Sent.NO_ROUTE
        finally:
            # The descriptor is edge-triggered: a send may have swallowed the edge of what came in meanwhile.
            if frames.events(self._socket) & frames.POLLIN:
                self._again()
        return Sent.OK

    def close(self) -> None:
        """Unbind. What was sent before has LINGER's time to leave."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._fd)
        self._socket.close()
        self._end_context()

    def _end_context(self) -> None:
        if self._stop_authenticator is not None:
            self._stop_authenticator()
        self._context.term()

    def _again(self) -> None:
        if not self._scheduled and not self._closed:
            self._scheduled = True
            self._loop.call_soon(self._receive)

    def _receive(self) -> None:
        self._scheduled = False
        for _ in range(BURST):
            # Asked first: an exception for "nothing there" costs more than the question, at each message.
            if self._closed or not frames.events(self._socket) & frames.POLLIN:
                return
            identity, *received = frames.receive(self._socket)
            try:
                message = codec.decode(received)
            except ProtocolError as error:
                self._on_garbage(identity, error)
            else:
                self._on_message(identity, message)
        self._again()
