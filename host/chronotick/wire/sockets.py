"""ZeroMQ sockets with the options that this protocol depends on. Works with plain and asyncio contexts alike.

The host binds, everyone else connects.
"""

import os
import stat
from pathlib import Path
from typing import Any, TypeVar

import zmq

from chronotick.errors import RuntimeDirError
from chronotick.wire.keys import ClientKeys, ServerKeys
from chronotick.wire.limits import HIGH_WATER_MARK, MAX_MESSAGE_BYTES
from chronotick.wire.runtime_dir import MODES, RuntimeLock, check_ipc_path

SocketT = TypeVar("SocketT", bound="zmq.Socket[Any]")

# How long closing a socket may hold up the process to deliver what is queued, ms.
LINGER_MS = 500
RECONNECT_MS = 50
RECONNECT_MAX_MS = 2000
# A tcp peer that is silent this long is gone, ms. On ipc the kernel tells.
TCP_HEARTBEAT_MS = 5000


def bind_router(
    context: "zmq.Context[SocketT]",
    endpoint: str,
    *,
    lock: RuntimeLock | None = None,
    keys: ServerKeys | None = None,
    max_bytes: int = MAX_MESSAGE_BYTES,
) -> SocketT:
    """A bound ROUTER. Sending to a peer that is gone raises EHOSTUNREACH; a known identity that comes again takes over.

    Args:
        endpoint: `ipc://PATH` or `tcp://ADDRESS:PORT`.
        lock: of the directory that PATH lies in; needed for ipc.
        keys: needed for tcp.
        max_bytes: a peer that sends more in one message is hung up on.

    Raises:
        RuntimeDirError: the endpoint can not be bound, or must not be.
    """
    socket = _socket(context, zmq.ROUTER)
    socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    return _bind(socket, endpoint, lock, keys)


def bind_publisher(
    context: "zmq.Context[SocketT]", endpoint: str, *, lock: RuntimeLock | None = None, keys: ServerKeys | None = None
) -> SocketT:
    """A bound XPUB, for events. Arguments and errors as `bind_router`."""
    return _bind(_socket(context, zmq.XPUB), endpoint, lock, keys)


def connect_dealer(
    context: "zmq.Context[SocketT]", endpoint: str, *, identity: bytes | None = None, keys: ClientKeys | None = None
) -> SocketT:
    """A connecting DEALER that queues nothing while there is no host, and reconnects by itself.

    Args:
        endpoint: `ipc://PATH` or `tcp://HOST:PORT`.
        identity: 1 to 255 bytes, not starting with zero; the host sees it.
        keys: needed for tcp.

    Raises:
        RuntimeDirError: the endpoint can not be used.
    """
    socket = _socket(context, zmq.DEALER)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    if identity is not None:
        socket.setsockopt(zmq.IDENTITY, identity)
    return _connect(socket, endpoint, keys)


def connect_subscriber(
    context: "zmq.Context[SocketT]", endpoint: str, topics: tuple[str, ...] = ("",), *, keys: ClientKeys | None = None
) -> SocketT:
    """A connecting SUB for these topics; `""` is all of them. Errors as `connect_dealer`."""
    socket = _socket(context, zmq.SUB)
    for topic in topics:
        socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
    return _connect(socket, endpoint, keys)


def ipc_endpoint(path: Path) -> str:
    """The endpoint of a socket path.

    Raises:
        RuntimeDirError: the path is too long.
    """
    check_ipc_path(path)
    return f"ipc://{path}"


def _socket(context: "zmq.Context[SocketT]", kind: int) -> SocketT:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
    socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
    return socket


def _bind(socket: SocketT, endpoint: str, lock: RuntimeLock | None, keys: ServerKeys | None) -> SocketT:
    try:
        transport, address = _split(endpoint)
        if transport == "ipc":
            _bind_ipc(socket, Path(address), lock)
        else:
            if keys is None:
                raise _needs_keys(endpoint)
            if not keys.allowed:
                raise RuntimeDirError(
                    f"{endpoint} has no allowed client keys: nobody could connect.",
                    mend="Put the clients' .key files into its directory of allowed keys.",
                )
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            _tcp_options(socket)
            socket.bind(endpoint)
    except (zmq.ZMQError, RuntimeDirError) as error:
        socket.close(linger=0)
        if isinstance(error, zmq.ZMQError):
            raise RuntimeDirError(f"{endpoint} can not be bound: {error.strerror}.") from error
        raise
    return socket


def _bind_ipc(socket: "zmq.Socket[Any]", path: Path, lock: RuntimeLock | None) -> None:
    check_ipc_path(path)
    if lock is None or not lock.held or lock.directory != path.parent:
        raise RuntimeDirError(f"{path} must not be bound without the lock of {path.parent}.")
    if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
        raise RuntimeDirError(f"{path} exists and is not a socket.", mend="Remove it.")
    # The socket must not be open to others even for an instant.
    before = os.umask(0o177)
    try:
        socket.bind(f"ipc://{path}")
    finally:
        os.umask(before)
    os.chmod(path, MODES.get(path.name, 0o600))


def _connect(socket: SocketT, endpoint: str, keys: ClientKeys | None) -> SocketT:
    try:
        transport, address = _split(endpoint)
        if transport == "ipc":
            check_ipc_path(Path(address))
        else:
            if keys is None:
                raise _needs_keys(endpoint)
            socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            _tcp_options(socket)
        socket.connect(endpoint)
    except (zmq.ZMQError, RuntimeDirError) as error:
        socket.close(linger=0)
        if isinstance(error, zmq.ZMQError):
            raise RuntimeDirError(f"{endpoint} can not be connected to: {error.strerror}.") from error
        raise
    return socket


def _tcp_options(socket: "zmq.Socket[Any]") -> None:
    socket.setsockopt(zmq.HEARTBEAT_IVL, TCP_HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3 * TCP_HEARTBEAT_MS)
    socket.setsockopt(zmq.IPV6, 1)


def _split(endpoint: str) -> tuple[str, str]:
    transport, separator, address = endpoint.partition("://")
    if not separator or transport not in ("ipc", "tcp") or not address:
        raise RuntimeDirError(f"{endpoint!r} is no endpoint.", mend="Write ipc://PATH or tcp://HOST:PORT.")
    return transport, address


def _needs_keys(endpoint: str) -> RuntimeDirError:
    return RuntimeDirError(
        f"{endpoint} is refused: tcp endpoints need CURVE keys.", mend="Give it keys, or use an ipc endpoint."
    )
