"""A host to read from, and agents that talk to the adapter: the SDK's client, and JSON-RPC by hand."""

import asyncio
import json
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from chronotick.config.schema import PublishConfig
from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish import HardBound, Publication, Publisher
from chronotick.wire import runtime_dir
from chronotick.wire.levels import normal_widths

# Half widths of 30 us at 95 %, and their growth.
HALF, GROWTH = normal_widths(3e-5), normal_widths(2e-8)
BOTH = (("floor", 0.4), ("chronos", 0.6))

S = 1_000_000_000
PATIENCE_S = 30.0
MODERN, LEGACY = "2026-07-28", "2025-11-25"
ERAS = (MODERN, LEGACY)
# The SDK client's name for the way to each.
MODES = {MODERN: "auto", LEGACY: "legacy"}


class Snapshots:
    """A host's snapshot, and nothing else of a host."""

    def __init__(self, directory: Path) -> None:
        self.path = runtime_dir.create(directory).path
        self.publisher = Publisher(self.path / "snapshot", PublishConfig(interval_s=60), 1)

    def publish(self, *, rate: float = 2e-5, status: Status = Status.SYNCHRONISED, epoch: int = 0) -> Publication:
        """Publish a line on which UTC is a second ahead of the system clock, with hard bounds of 10 ms."""
        raw = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        theta = time.time_ns() + S - raw
        fused = FusedForecast(
            raw,
            theta,
            rate,
            1e-5,
            1e-8,
            theta,
            1e-5,
            HALF,
            GROWTH,
            BOTH,
            0.0,
            raw + 1000 * S,
        )
        bound = HardBound(raw, theta - S // 100, theta + S // 100, 5e-5)
        return self.publisher.publish(
            fused, bound, status=status, fix_raw_ns=raw, void_raw_ns=raw + 5000 * S, epoch=epoch
        )

    def unknown(self) -> None:
        """Publish that nothing is known."""
        self.publisher.publish_unknown()


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[Snapshots]:
    """A snapshot that says UNKNOWN."""
    made = Snapshots(tmp_path / "run")
    yield made
    made.publisher.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshots]:
    """A snapshot with a time, for all tests of a module."""
    made = Snapshots(tmp_path_factory.mktemp("run") / "run")
    made.publish()
    yield made
    made.publisher.close()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run asynchronous work with a time limit."""
    asyncio.run(asyncio.wait_for(work(), PATIENCE_S))


def command(directory: Path, *more: str) -> list[str]:
    """The command line of an adapter that reads this host."""
    return [sys.executable, "-m", "chronotick.cli", "mcp", "--runtime-dir", str(directory), *more]


def envelope(params: dict[str, Any], era: str, token: str | int | None = None) -> dict[str, Any]:
    """Parameters as a client of this era sends them, with a progress token if one is given."""
    meta: dict[str, Any] = {} if token is None else {"progressToken": token}
    if era == MODERN:
        meta |= {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
        }
    return params | {"_meta": meta} if meta else params


HELLO = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}


class RawStdio:
    """JSON lines to and from a real adapter process."""

    def __init__(self, directory: Path, era: str) -> None:
        self.era = era
        self.notes: list[dict[str, Any]] = []
        self._number = 0
        self._lines: queue.Queue[bytes] = queue.Queue()
        self.process = subprocess.Popen(
            command(directory), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if era == LEGACY:
            self.hello = self.request("initialize", HELLO)
            self.notify("notifications/initialized")

    def request(self, method: str, params: dict[str, Any], *, token: str | None = None) -> dict[str, Any]:
        """One request and its response; notifications before it are kept in `notes`."""
        return self.response(self.post(method, params, token=token))

    def post(self, method: str, params: dict[str, Any], *, token: str | None = None) -> int:
        """Send a request, and give its id."""
        self._number += 1
        body = params if method == "initialize" else envelope(params, self.era, token)
        self.write({"jsonrpc": "2.0", "id": self._number, "method": method, "params": body})
        return self._number

    def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        self.write({"jsonrpc": "2.0", "method": method} | ({} if params is None else {"params": params}))

    def write(self, message: dict[str, Any] | bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(message if isinstance(message, bytes) else json.dumps(message).encode())
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def response(self, number: int) -> dict[str, Any]:
        while True:
            message = self.message()
            if message.get("id") == number:
                return message
            self.notes.append(message)

    def message(self, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next message. Every line has to be one."""
        message = self.next(patience_s)
        if message is None:
            pytest.fail(f"no message within {patience_s:g} s")
        return message

    def next(self, patience_s: float) -> dict[str, Any] | None:
        """The next message, if one comes in time."""
        try:
            message: dict[str, Any] = json.loads(self._lines.get(timeout=patience_s))
        except queue.Empty:
            return None
        assert message["jsonrpc"] == "2.0"
        return message

    def call(self, tool: str, arguments: dict[str, Any], *, token: str | None = None) -> dict[str, Any]:
        """The result of a tool call."""
        answer = self.request("tools/call", {"name": tool, "arguments": arguments}, token=token)
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> tuple[int, bytes]:
        """Hang up; the exit code, and what it said on standard error."""
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.close()
        code = self.process.wait(20)
        said = self.process.stderr.read()
        self._reader.join(20)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code, said

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)


@contextmanager
def raw_stdio(directory: Path, era: str) -> Iterator[RawStdio]:
    """A raw peer that is ended whatever happens."""
    peer = RawStdio(directory, era)
    try:
        yield peer
    finally:
        if peer.process.poll() is None:
            peer.close()


class RawHttp:
    """JSON-RPC to a real adapter over HTTP."""

    def __init__(self, port: int, era: str) -> None:
        self.port = port
        self.era = era
        self.session = ""
        self._number = 0
        if era == LEGACY:
            status, headers, messages = self.post({"method": "initialize", "params": HELLO, "id": 0})
            assert status == 200, messages
            self.session = headers["mcp-session-id"]
            self.post({"method": "notifications/initialized"})

    def call(self, tool: str, arguments: dict[str, Any], *, token: str | None = None) -> list[dict[str, Any]]:
        """All messages that a tool call gives, the response last."""
        self._number += 1
        params = envelope({"name": tool, "arguments": arguments}, self.era, token)
        status, _, messages = self.post(
            {"method": "tools/call", "params": params, "id": self._number},
            {"Mcp-Method": "tools/call", "Mcp-Name": tool},
        )
        assert status == 200, messages
        return messages

    def post(
        self, message: dict[str, Any], headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], list[dict[str, Any]]]:
        """Status, headers and messages of one POST."""
        given = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": self.era,
        } | (headers or {})
        if self.session:
            given["Mcp-Session-Id"] = self.session
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0"} | message), given)
            answer = connection.getresponse()
            body = answer.read().decode()
            kind = answer.headers.get_content_type()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, _messages(body, kind)
        finally:
            connection.close()


def _messages(body: str, kind: str) -> list[dict[str, Any]]:
    if kind == "text/event-stream":
        return [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    return [json.loads(body)] if kind == "application/json" and body else []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def http_adapter(directory: Path, *more: str) -> Iterator[int]:
    """A real adapter that serves HTTP; gives its port."""
    port = free_port()
    with subprocess.Popen(
        command(directory, "--http", "--port", str(port), *more), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        assert process.stderr is not None
                        pytest.fail(f"no adapter on port {port}: {process.stderr.read()!r}")
                    time.sleep(0.02)
            yield port
        finally:
            process.terminate()
            process.wait(20)
