"""A host without sockets: simulated servers and a model through the journal, on a clock of the tests' own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from chronotick.clock.discontinuity import Kind
from chronotick.config.schema import Config, NtpConfig, RoleConfig
from chronotick.core import Core
from chronotick.forecast.request import LEVELS, Request
from chronotick.inputs import Answered, Disrupted, Due, Heard, Models, Publish, Refused
from chronotick.ntp.outcome import Outcome, Refusal, Sample
from chronotick.publish.issuer import Issuer, Writer
from chronotick.store import state
from chronotick.store.journal import Journal
from chronotick.store.log import EventLog
from chronotick.store.worker import Worker
from chronotick.wire.snapshot import Record

S = 1_000_000_000
START_RAW_NS = 5_000 * S
EPOCH_NS = 1_790_000_000 * S
SERVERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
ROLE = RoleConfig(name="cycle", plugin="oracle", step_s=32.0, context=64, min_context=16, horizon=16, interval_s=64.0)
CONFIG = Config(ntp=NtpConfig(servers=SERVERS), roles=(ROLE,))


def true_theta_ns(raw_ns: int) -> int:
    """5 ppm, and a cycle of half an hour."""
    t = (raw_ns - START_RAW_NS) / S
    return EPOCH_NS + round((5e-6 * t + 1.4e-4 * (1 - np.cos(2 * np.pi * t / 1800.0))) * S)


def continued(request: Request) -> np.ndarray:
    """A model's answer: the true rate, from what it knows of the cycle."""
    at = request.windows[0].origin_raw_ns + (np.arange(request.horizon) + 1) * request.step_ns
    t = (at - START_RAW_NS) / S
    rate = 5e-6 + 1.4e-4 * 2 * np.pi / 1800.0 * np.sin(2 * np.pi * t / 1800.0)
    scaled = (rate - request.mean[0]) / request.scale[0]
    return np.tile(scaled, (1, len(request.levels), 1)) + 0.01 * np.arange(len(request.levels))[None, :, None]


class Host:
    """Feeds a journal. The clock is `raw_ns`; the network and the model are drawn from `seed`."""

    def __init__(
        self,
        config: Config = CONFIG,
        log: EventLog | None = None,
        *,
        instance: int = 7,
        raw_ns: int = START_RAW_NS,
        last: Record | None = None,
        ready: Callable[["Host"], None] = lambda _: None,
    ) -> None:
        writer = Writer(instance, 4711, 99)
        self.raw_ns = raw_ns
        self.core = Core(config, Issuer(config.publish, writer, raw_ns=raw_ns, suspended_ns=0, last=last))
        self.prints = state.prints(self.core)
        ready(self)
        self.journal = Journal(
            self.core, self.prints, log, realtime_ns=lambda: true_theta_ns(self.raw_ns) + self.raw_ns
        )
        self.rng = np.random.default_rng(instance)
        self.told: list[bytes] = []
        self.turn = 0
        self.journal.models(Models(("oracle",), (("oracle", LEVELS),)))

    def run(self, seconds: float, *, poll_s: float = 16.0, publish_s: float = 4.0) -> None:
        """Publish every `publish_s`; one of the servers is asked every third of `poll_s`."""
        end_ns, heard_ns = self.raw_ns + round(seconds * S), self.raw_ns
        while self.raw_ns < end_ns:
            self.raw_ns += round(publish_s * S)
            if self.raw_ns - heard_ns >= poll_s / 3 * S:
                heard_ns = self.raw_ns
                self.hear()
            self.publish()
            for one in self.journal.due(Due(self.raw_ns)):
                self.turn += 1
                if self.turn % 5 == 0:
                    self.journal.refuse(Refused(one.number, "busy", "It is busy."))
                else:
                    self.journal.answer(Answered(one.number, continued(one.request), None, 1.5))

    def publish(self) -> None:
        self.journal.publish(Publish(self.raw_ns, 0))
        self.told.append(self.core.issuer.slot)

    def hear(self) -> None:
        server = SERVERS[self.turn % 3]
        self.turn += 1
        draw = self.rng.exponential(3e-5, 2)
        if draw[0] > 1.5e-4:
            lost = Outcome(server=server, address=server, port=123, raw_ns=self.raw_ns, reason=Refusal.TIMEOUT)
            self.journal.hear(Heard(self.raw_ns, lost, 64.0))
            return
        delay_ns = round((4e-4 + draw.sum()) * S)
        sample = Sample(
            raw_ns=self.raw_ns - delay_ns,
            theta_ns=true_theta_ns(self.raw_ns) + round((draw[0] - draw[1]) / 2 * S),
            delay_ns=delay_ns,
            span_ns=delay_ns,
            precision_s=1e-6,
            root_delay_s=0.0,
            root_dispersion_s=1e-4,
            stratum=1,
            leap=0,
            reference_id=b"GPS\0",
            transmit=2**63 + self.raw_ns,
            realtime_theta_ns=EPOCH_NS,
        )
        outcome = Outcome(
            server=server,
            address=server,
            port=123,
            raw_ns=self.raw_ns,
            sample=sample,
            refused=((Refusal.DUPLICATE, 1),) if draw[1] > 1e-4 else (),
        )
        self.journal.hear(Heard(self.raw_ns, outcome, 64.0))

    def sleep(self) -> None:
        """A suspension is noticed now."""
        self.journal.disrupt(Disrupted(self.raw_ns, Kind.SUSPEND))


class Logged(msgspec.Struct):
    """A folder, and makers of logs in it."""

    folder: Path
    open: list[tuple[EventLog, Worker]]

    def log(self, max_bytes: int = 64_000_000, segment_s: float = 21_600.0) -> EventLog:
        worker = Worker()
        log = EventLog(self.folder, max_bytes, worker, segment_s=segment_s)
        self.open.append((log, worker))
        return log

    def close(self) -> None:
        for log, worker in self.open:
            log.close()
            worker.close()
        self.open.clear()


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Logged]:
    one = Logged(tmp_path, [])
    yield one
    one.close()


@pytest.fixture(scope="session")
def host() -> type[Host]:
    return Host


@pytest.fixture(scope="session")
def config() -> Any:
    return CONFIG
