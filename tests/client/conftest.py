"""A host to read from, in this process, without anything but publishing and answering."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronotick import Clock
from chronotick.client import clock as clock_module
from chronotick.clock import timebase
from chronotick.config.schema import PublishConfig
from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish import HardBound, Publication, Publisher
from chronotick.serve import ClientVerbs, Outlook, Past, Server, Signer, Sources
from chronotick.wire import host_key, runtime_dir
from chronotick.wire.keys import ServerKeys
from chronotick.wire.levels import normal_widths

# Half widths of 30 us at 95 %, and their growth.
HALF, GROWTH = normal_widths(3e-5), normal_widths(2e-8)
BOTH = (("floor", 0.4), ("chronos", 0.6))

S = 1_000_000_000
THETA = 1_700_000_000 * S


class FakeHost:
    """Publishes what it is told to. `theta_ns` is the truth that it believes in."""

    def __init__(self, directory: Path, interval_s: float = 1.0) -> None:
        self.directory = runtime_dir.create(directory)
        self.config = PublishConfig(interval_s=interval_s)
        self.publisher = Publisher(self.directory.snapshot, self.config, 1)
        self.server: Server | None = None
        self.tcp: Server | None = None
        self.past = Past()
        self.outlook: Outlook | None = None
        self.key_file = directory / "stamp.key"

    def publish(
        self,
        theta_ns: int = THETA,
        *,
        epoch: int = 0,
        rate: float = 0.0,
        void_s: float = 1000,
        width_ns: int = S,
        status: Status = Status.SYNCHRONISED,
    ) -> Publication:
        raw = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        fused = FusedForecast(
            raw,
            theta_ns,
            rate,
            1e-5,
            1e-8,
            theta_ns,
            1e-5,
            HALF,
            GROWTH,
            BOTH,
            0.0,
            raw + S,
        )
        bound = HardBound(raw, theta_ns - width_ns, theta_ns + width_ns, 5e-5)
        void = raw + round(void_s * S)
        made = self.publisher.publish(fused, bound, status=status, fix_raw_ns=raw, void_raw_ns=void, epoch=epoch)
        self.past.feed(self.publisher.record, timebase.reading())
        return made

    def restart(self, instance: int = 2, *, resume: bool = True) -> None:
        self.publisher.close()
        self.publisher = Publisher(self.directory.snapshot, self.config, instance, resume=resume)

    def verbs(self) -> ClientVerbs:
        return ClientVerbs(
            Sources(
                record=lambda: self.publisher.record,
                status=lambda: {"clock": {"status": "UNKNOWN", "sentence": "", "epoch": 0, "warm_up": {}}},
                history=lambda asked: ((asked.series,), [[1], [2]], False),
                explain=lambda: (("because",), {}),
                outlook=lambda: self.outlook,
                past=self.past,
                signer=Signer(host_key.load_or_create(self.key_file)),
            )
        )

    def serve(self) -> None:
        self.lock = self.directory.lock()
        self.server = Server(f"ipc://{self.directory.client}", self.verbs(), name="client.sock", lock=self.lock)
        self.server.start()

    def serve_tcp(self, keys: ServerKeys) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        self.tcp = Server(endpoint, self.verbs(), name="serve tcp", keys=keys)
        self.tcp.start()
        return endpoint

    def close(self) -> None:
        if self.tcp is not None:
            self.tcp.stop()
        if self.server is not None:
            self.server.stop()
            self.lock.close()
        self.publisher.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FakeHost]:
    """A host that has published UNKNOWN."""
    made = FakeHost(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_fake_host() -> Iterator[Callable[[Path], FakeHost]]:
    """Makes hosts in directories of their own."""
    made: list[FakeHost] = []

    def make(directory: Path) -> FakeHost:
        made.append(FakeHost(directory))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    """A clock that reads that host, from its snapshot or over ZeroMQ."""
    with Clock(tmp_path, timeout_s=5) as made:
        yield made


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes the raw clock of readers show so many seconds more than it does."""

    def shift(seconds: float) -> None:
        real = time.clock_gettime_ns
        monkeypatch.setattr(clock_module, "_gettime", lambda which: real(which) + round(seconds * S))

    return shift
