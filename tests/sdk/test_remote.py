"""A plugin on another machine: tcp with keys, and a monotonic clock that is not the host's."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from chronotick.wire import codec, keys, sockets
from chronotick.wire.launch import Launch
from chronotick.wire.messages import AnyMessage, Error, ForecastOk, Hello, Message, Ping, Pong, Status, Welcome

from .conftest import WAIT_S, command, request

# The host booted a day before the machine of the plugin.
AHEAD_NS = 86_400_000_000_000
HOST_INSTANCE = 7


def host_ns() -> int:
    """The other machine's monotonic clock."""
    return time.monotonic_ns() + AHEAD_NS


class Host:
    """A bound tcp socket that talks to one plugin."""

    def __init__(self, router: "zmq.Socket[bytes]") -> None:
        self._router = router
        self._identity = b""

    def send(self, message: Message) -> None:
        self._router.send_multipart([self._identity, *codec.encode(message)])

    def receive(self) -> AnyMessage:
        assert self._router.poll(WAIT_S * 1000)
        self._identity, *frames = self._router.recv_multipart()
        return codec.decode(frames)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Host]:
    """A host whose plugin has been started as a service and has said hello."""
    public, host_secret = keys.create_pair(tmp_path / "host", "host")
    _, plugin_secret = keys.create_pair(tmp_path / "allowed", "echo")
    host_keys = keys.load_server_keys(host_secret, tmp_path / "allowed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    with ExitStack() as stack:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.destroy, linger=0)
        stack.callback(keys.start_authenticator(context, host_keys))
        router = stack.enter_context(sockets.bind_router(context, endpoint, keys=host_keys))
        launch = Launch(endpoint=endpoint, key=str(plugin_secret), server_key=str(public), host_wait_s=WAIT_S)
        plugin = subprocess.Popen(
            command(), env={**os.environ, **launch.to_environ()}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(plugin.wait, WAIT_S)
        stack.callback(plugin.kill)
        host = Host(router)
        assert isinstance(host.receive(), Hello)
        yield host


def test_deadlines_are_the_hosts_wherever_the_plugin_runs(remote: Host) -> None:
    remote.send(
        Welcome(
            protocol=(1, 0),
            host_instance=HOST_INSTANCE,
            heartbeat_ms=1000,
            max_message_bytes=1 << 23,
            sent_ns=host_ns(),
        )
    )
    while not (isinstance(said := remote.receive(), Status) and said.state == "ready"):
        assert isinstance(said, Status)
    remote.send(Ping(seq=1, sent_ns=host_ns(), host_instance=HOST_INSTANCE))
    assert isinstance(remote.receive(), Pong)
    remote.send(request(1, deadline_ns=host_ns() - 1_000_000_000))
    refused = remote.receive()
    assert isinstance(refused, Error)
    assert refused.code == "deadline_exceeded"
    remote.send(request(2, deadline_ns=host_ns() + int(WAIT_S * 1e9)))
    assert isinstance(remote.receive(), ForecastOk)
