"""Servers in a runtime directory, and sockets that ask them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from chronotick.serve import Server
from chronotick.serve.server import Answer
from chronotick.wire import runtime_dir
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import Record, Status
from chronotick.wire.sockets import connect_dealer
from chronotick.wire.version import MAGIC

S = 1_000_000_000
THETA = 1_700_000_000 * S


class Asker:
    """A client that sends frames as they are."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", path: Path) -> None:
        self.socket = connect_dealer(context, f"ipc://{path}")

    def send(self, **fields: object) -> None:
        self.socket.send_multipart([MAGIC, msgpack.packb(fields)])

    def receive(self, timeout_ms: int = 5000) -> dict[str, Any]:
        assert self.socket.poll(timeout_ms), "no answer"
        magic, body = self.socket.recv_multipart()
        assert magic == MAGIC
        answer: dict[str, Any] = msgpack.unpackb(body)
        return answer

    def ask(self, **fields: object) -> dict[str, Any]:
        self.send(**fields)
        return self.receive()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, which end with the test."""
    found = runtime_dir.create(tmp_path)
    servers: list[Server] = []
    with found.lock() as lock:

        def start(answer: Answer, name: str = "client.sock") -> Server:
            server = Server(f"ipc://{found.path / name}", answer, name=name, lock=lock)
            server.start()
            servers.append(server)
            return server

        yield start
        for server in servers:
            server.stop()


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Callable[..., Asker]]:
    """Connects clients, which go with the test."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made: list[Asker] = []

    def connect(name: str = "client.sock") -> Asker:
        made.append(Asker(context, tmp_path / name))
        return made[-1]

    yield connect
    for one in made:
        one.socket.close(linger=0)
    context.term()


@pytest.fixture
def record() -> Record:
    """A record from 1000 s of raw clock on, void 2000 s later, slewing 1 ms in during its first 2 s."""
    return Record(
        raw_ns=1000 * S,
        theta_ns=THETA,
        rate=0.0,
        slew_rate=5e-4,
        slew_until_raw_ns=1002 * S,
        sigma_s=1.01e-3,
        sigma_growth=1e-8,
        half_widths_s=normal_widths(1.03e-3),
        half_growths=normal_widths(1.96 * 1e-8),
        earliest_theta_ns=THETA - 5_000_000,
        latest_theta_ns=THETA + 5_000_000,
        bound_growth=5e-5,
        stale_raw_ns=1004 * S,
        void_raw_ns=3000 * S,
        fix_raw_ns=990 * S,
        suspended_ns=0,
        epoch=1,
        sequence=5,
        host_instance=9,
        host_pid=1,
        status=Status.SYNCHRONISED,
        source=("floor",),
    )
