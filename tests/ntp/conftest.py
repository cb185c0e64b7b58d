"""What the NTP tests share: a responder that answers as it is told, genuine replies, and synthetic samples."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings

from chronotick.config.schema import NtpConfig
from chronotick.ntp import kernel_stamps
from chronotick.ntp.address import Endpoint
from chronotick.ntp.outcome import Outcome, Refusal, Sample
from chronotick.ntp.packet import MODE_SERVER, Packet, decode, ntp_from_unix_ns

# A loaded machine is no reason to fail a property.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

Respond = Callable[[Packet], Iterable[bytes]]


class Responder:
    """A UDP server whose answers to each request are whatever `respond` returns, sent in that order."""

    def __init__(self, respond: Respond, address: str, port: int) -> None:
        self.respond = respond
        self.requests: list[tuple[bytes, Any]] = []
        self.heard = asyncio.Event()
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((address, port))
        self.endpoint = Endpoint(address, self.socket.getsockname()[1])
        self.text = f"[{address}]:{self.endpoint.port}" if ":" in address else f"{address}:{self.endpoint.port}"

    def readable(self) -> None:
        data, client = self.socket.recvfrom(2048)
        self.requests.append((data, client))
        self.heard.set()
        for reply in self.respond(decode(data)):
            self.socket.sendto(reply, client)


@asynccontextmanager
async def _responding(respond: Respond, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Responder]:
    responder = Responder(respond, address, port)
    with responder.socket:
        asyncio.get_running_loop().add_reader(responder.socket, responder.readable)
        try:
            yield responder
        finally:
            asyncio.get_running_loop().remove_reader(responder.socket)


def _genuine(request: Packet, **changes: Any) -> Packet:
    now = ntp_from_unix_ns(time.time_ns())
    reply = Packet(
        mode=MODE_SERVER,
        stratum=1,
        precision=-20,
        root_dispersion=6,
        reference_id=b"GPS\0",
        reference=now - (16 << 32),
        origin=request.transmit,
        receive=now,
        transmit=now + 1,
    )
    return msgspec.structs.replace(reply, **changes)


def _sample(raw_ns: int, theta_ns: int, delay_ns: int = 100_000, **changes: Any) -> Sample:
    sample = Sample(
        raw_ns=raw_ns,
        theta_ns=theta_ns,
        delay_ns=delay_ns,
        span_ns=delay_ns,
        precision_s=1e-6,
        root_delay_s=0.0,
        root_dispersion_s=1e-4,
        stratum=1,
        leap=0,
        reference_id=b"GPS\0",
        transmit=raw_ns + 1,
        realtime_theta_ns=0,
    )
    return msgspec.structs.replace(sample, **changes)


def _outcome(server: str, raw_ns: int, theta_ns: int | None, *, address: str = "", **changes: Any) -> Outcome:
    """An accepted exchange, or a time-out where `theta_ns` is None."""
    sample = None if theta_ns is None else _sample(raw_ns, theta_ns, **changes)
    return Outcome(
        server=server,
        address=address or f"192.0.2.{1 + sum(map(ord, server)) % 250}",
        port=123,
        raw_ns=raw_ns,
        sample=sample,
        reason=Refusal.TIMEOUT if sample is None else None,
    )


@pytest.fixture
def responding() -> Callable[..., AbstractAsyncContextManager[Responder]]:
    """`async with responding(respond, address="127.0.0.1", port=0) as responder`."""
    return _responding


@pytest.fixture
def genuine() -> Callable[..., Packet]:
    """`genuine(request, **changes)`: a good server's reply, with fields changed."""
    return _genuine


@pytest.fixture
def sample() -> Callable[..., Sample]:
    """`sample(raw_ns, theta_ns, delay_ns, **changes)`."""
    return _sample


@pytest.fixture
def outcome() -> Callable[..., Outcome]:
    """`outcome(server, raw_ns, theta_ns or None, address=..., **changes of the sample)`."""
    return _outcome


@pytest.fixture
def quick() -> NtpConfig:
    """A configuration for loopback: fast polls; a time-out that no loaded machine reaches by accident."""
    return NtpConfig(timeout_s=5.0, min_poll_s=0.04, max_poll_s=0.5, warm_up_poll_s=0.02, warm_up_polls=3)


@pytest.fixture
def stamping() -> Iterator[None]:
    """Receive stamping switched on in the kernel while the test runs, as the pool does."""
    with kernel_stamps.keep_enabled():
        # The kernel switches it on from a work queue: wait until a datagram to ourselves carries a stamp.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            kernel_stamps.enable(own)
            own.bind(("127.0.0.1", 0))
            for _ in range(200):
                own.sendto(b"?", own.getsockname())
                _, ancillary, _, _ = own.recvmsg(16, kernel_stamps.ANCILLARY_BYTES)
                if kernel_stamps.received(ancillary) is not None:
                    break
        yield


@pytest.fixture
def run() -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Run a coroutine function to its end, and see that it leaves no file descriptor behind."""

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def run_checked(main: Callable[[], Awaitable[Any]]) -> Any:
        before = open_files()
        with asyncio.Runner() as runner:
            result = runner.run(main())  # type: ignore[arg-type]
        assert open_files() == before
        return result

    return run_checked
