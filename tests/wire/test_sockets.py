"""Sockets: the options that the protocol depends on, and the endpoints that are refused."""

import os
import socket as plain_socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from chronotick.errors import RuntimeDirError
from chronotick.wire import keys, runtime_dir, sockets
from chronotick.wire.limits import MAX_MESSAGE_BYTES
from chronotick.wire.runtime_dir import RuntimeDir, RuntimeLock

Context = zmq.Context[zmq.Socket[bytes]]
WAIT_MS = 5000


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """A context that keeps its sockets until the end: one that is collected open is a warning, thus an error."""
    made: Context = zmq.Context()
    kept: list[zmq.Socket[bytes]] = []
    real = zmq.Context.socket

    def socket(self: Context, *arguments: Any, **named: Any) -> zmq.Socket[bytes]:
        kept.append(real(self, *arguments, **named))
        return kept[-1]

    monkeypatch.setattr(zmq.Context, "socket", socket)
    yield made
    made.destroy(linger=0)


@pytest.fixture
def directory() -> Iterator[RuntimeDir]:
    """A short path: pytest's own are near the limit of 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ctk-", dir="/tmp") as path:
        yield runtime_dir.create(path)


@pytest.fixture
def lock(directory: RuntimeDir) -> Iterator[RuntimeLock]:
    with directory.lock() as held:
        yield held


def has_common_options(socket: zmq.Socket[Any]) -> bool:
    return (
        0 < socket.getsockopt(zmq.LINGER) <= 1000
        and socket.getsockopt(zmq.SNDHWM) == 64
        and socket.getsockopt(zmq.RCVHWM) == 64
        and socket.getsockopt(zmq.MAXMSGSIZE) == MAX_MESSAGE_BYTES
    )


def test_every_kind_of_socket_has_finite_queues_and_linger(
    context: Context, directory: RuntimeDir, lock: RuntimeLock
) -> None:
    router = sockets.bind_router(context, sockets.ipc_endpoint(directory.client), lock=lock)
    publisher = sockets.bind_publisher(context, sockets.ipc_endpoint(directory.events), lock=lock)
    dealer = sockets.connect_dealer(context, sockets.ipc_endpoint(directory.client), identity=b"me")
    subscriber = sockets.connect_subscriber(context, sockets.ipc_endpoint(directory.events))
    assert all(has_common_options(one) for one in (router, publisher, dealer, subscriber))
    assert dealer.getsockopt(zmq.IMMEDIATE) == 1
    assert dealer.getsockopt(zmq.IDENTITY) == b"me"


def test_a_message_to_a_peer_that_is_gone_raises(context: Context, directory: RuntimeDir, lock: RuntimeLock) -> None:
    """ROUTER_MANDATORY: otherwise it would vanish."""
    router = sockets.bind_router(context, sockets.ipc_endpoint(directory.plugins), lock=lock)
    with pytest.raises(zmq.ZMQError) as caught:
        router.send_multipart([b"nobody", b"hello"])
    assert caught.value.errno == zmq.EHOSTUNREACH


def test_a_known_identity_that_connects_anew_takes_over(
    context: Context, directory: RuntimeDir, lock: RuntimeLock
) -> None:
    """ROUTER_HANDOVER: otherwise the new connection of a restarted peer would be ignored."""
    endpoint = sockets.ipc_endpoint(directory.plugins)
    router = sockets.bind_router(context, endpoint, lock=lock)
    for word in (b"first", b"second"):
        dealer = sockets.connect_dealer(context, endpoint, identity=b"echo:1")
        dealer.send(word)
        assert router.poll(WAIT_MS)
        assert router.recv_multipart() == [b"echo:1", word]
    router.send_multipart([b"echo:1", b"answer"])
    assert dealer.poll(WAIT_MS)
    assert dealer.recv() == b"answer"


def test_without_a_host_nothing_is_queued(context: Context, directory: RuntimeDir) -> None:
    """IMMEDIATE: what is said to nobody must not reach a later host."""
    dealer = sockets.connect_dealer(context, sockets.ipc_endpoint(directory.plugins))
    with pytest.raises(zmq.Again):
        dealer.send(b"hello", zmq.NOBLOCK)


def test_an_ipc_path_is_never_bound_without_its_lock(
    context: Context, directory: RuntimeDir, lock: RuntimeLock
) -> None:
    """libzmq would silently take it from a running host."""
    endpoint = sockets.ipc_endpoint(directory.plugins)
    with pytest.raises(RuntimeDirError, match="without the lock"):
        sockets.bind_router(context, endpoint)
    with pytest.raises(RuntimeDirError, match="without the lock"):
        sockets.bind_router(context, f"ipc://{directory.path}/deeper/plugins.sock", lock=lock)
    lock.close()
    with pytest.raises(RuntimeDirError, match="without the lock"):
        sockets.bind_router(context, endpoint, lock=lock)
    assert not directory.plugins.exists()


def test_a_socket_left_by_a_dead_host_is_taken_over(context: Context, directory: RuntimeDir, lock: RuntimeLock) -> None:
    left = plain_socket.socket(plain_socket.AF_UNIX)
    left.bind(str(directory.plugins))
    left.close()
    assert directory.plugins.is_socket()
    sockets.bind_router(context, sockets.ipc_endpoint(directory.plugins), lock=lock)


def test_a_file_in_the_place_of_a_socket_is_kept(context: Context, directory: RuntimeDir, lock: RuntimeLock) -> None:
    directory.plugins.write_text("mine")
    with pytest.raises(RuntimeDirError, match="not a socket"):
        sockets.bind_router(context, sockets.ipc_endpoint(directory.plugins), lock=lock)
    assert directory.plugins.read_text() == "mine"


def test_each_socket_file_has_its_mode(context: Context, directory: RuntimeDir, lock: RuntimeLock) -> None:
    before = os.umask(0o022)
    try:
        for path in (directory.plugins, directory.client, directory.admin):
            sockets.bind_router(context, sockets.ipc_endpoint(path), lock=lock)
    finally:
        assert os.umask(before) == 0o022
    modes = [path.stat().st_mode & 0o777 for path in (directory.plugins, directory.client, directory.admin)]
    assert modes == [0o600, 0o666, 0o600]


@pytest.mark.parametrize("endpoint", ["", "tcp://", "udp://1.2.3.4:5", "/a/path", "inproc://x", "ipc://"])
def test_what_is_no_endpoint_is_refused(context: Context, endpoint: str) -> None:
    with pytest.raises(RuntimeDirError, match="no endpoint"):
        sockets.connect_dealer(context, endpoint)


def test_a_path_too_long_is_refused_on_both_sides(context: Context, lock: RuntimeLock) -> None:
    endpoint = "ipc:///tmp/" + "x" * 120
    with pytest.raises(RuntimeDirError, match="allows 107"):
        sockets.connect_dealer(context, endpoint)
    with pytest.raises(RuntimeDirError, match="allows 107"):
        sockets.bind_router(context, endpoint, lock=lock)


def test_tcp_without_curve_keys_is_refused_on_both_sides(context: Context) -> None:
    for use in (sockets.bind_router, sockets.bind_publisher, sockets.connect_dealer, sockets.connect_subscriber):
        with pytest.raises(RuntimeDirError, match="CURVE"):
            use(context, "tcp://127.0.0.1:45678")


def test_a_socket_that_could_not_be_bound_is_not_left_open(context: Context) -> None:
    with pytest.raises(RuntimeDirError):
        sockets.bind_router(context, "tcp://127.0.0.1:45678")
    started = time.monotonic()
    context.term()
    assert time.monotonic() - started < 5


def test_asyncio_contexts_give_asyncio_sockets(directory: RuntimeDir, lock: RuntimeLock) -> None:
    context = zmq.asyncio.Context()
    router = sockets.bind_router(context, sockets.ipc_endpoint(directory.client), lock=lock)
    assert isinstance(router, zmq.asyncio.Socket)
    context.destroy(linger=0)


def free_endpoint() -> str:
    with plain_socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def test_over_tcp_only_allowed_keys_get_through(context: Context, tmp_path: Path) -> None:
    public, host_secret = keys.create_pair(tmp_path / "host", "host")
    _, friend_secret = keys.create_pair(tmp_path / "friends", "friend")
    _, stranger_secret = keys.create_pair(tmp_path / "strangers", "stranger")
    host_keys = keys.load_server_keys(host_secret, tmp_path / "friends")
    stop = keys.start_authenticator(context, host_keys)
    try:
        endpoint = free_endpoint()
        router = sockets.bind_router(context, endpoint, keys=host_keys)
        stranger = sockets.connect_dealer(context, endpoint, keys=keys.load_client_keys(stranger_secret, public))
        friend = sockets.connect_dealer(
            context, endpoint, identity=b"friend", keys=keys.load_client_keys(friend_secret, public)
        )
        assert friend.poll(WAIT_MS, zmq.POLLOUT)
        friend.send(b"hello")
        assert router.poll(WAIT_MS)
        assert router.recv_multipart() == [b"friend", b"hello"]
        # The stranger has had as long as the friend.
        assert not stranger.poll(200, zmq.POLLOUT)
    finally:
        stop()


def test_secret_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    public, secret = keys.create_pair(tmp_path, "host")
    assert secret.stat().st_mode & 0o777 == 0o600
    secret.chmod(0o644)
    with pytest.raises(RuntimeDirError, match="chmod 600"):
        keys.load_server_keys(secret, tmp_path)
    with pytest.raises(RuntimeDirError, match="key_secret"):
        keys.load_server_keys(public, tmp_path)
    with pytest.raises(RuntimeDirError, match="can not be used"):
        keys.load_server_keys(tmp_path / "absent", tmp_path)


def test_a_tcp_endpoint_that_nobody_may_use_is_refused(context: Context, tmp_path: Path) -> None:
    _, secret = keys.create_pair(tmp_path, "host")
    (tmp_path / "none").mkdir()
    with pytest.raises(RuntimeDirError, match="nobody could connect"):
        sockets.bind_router(context, free_endpoint(), keys=keys.load_server_keys(secret, tmp_path / "none"))
