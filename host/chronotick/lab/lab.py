"""The lab in one event loop: all servers of a scenario, and the truth they serve."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from chronotick.clock.timebase import pair
from chronotick.lab.scenario import Scenario, resolve
from chronotick.lab.server import LabServer
from chronotick.lab.truth import Truth


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a running lab says about itself; as JSON, the line that the process prints when it is ready.

    Attributes:
        event: always "ready".
        scenario: resolved, with the ports in use.
        hash: `scenario.hash`.
        start_raw_ns: raw clock at the start of the lab's run. With `scenario` it gives `truth()`.
        servers: where to ask, `host:port`, in the scenario's order.
        falsetickers: those of `servers` whose clocks lie.
        pid: of the process that serves.
    """

    event: str = "ready"
    scenario: Scenario
    hash: str
    start_raw_ns: int
    servers: tuple[str, ...]
    falsetickers: tuple[str, ...]
    pid: int

    def truth(self) -> Truth:
        """True time as this lab serves it, in whatever process this is called."""
        return Truth(self.scenario, self.start_raw_ns)


class Lab:
    """The running servers. Made by `running`.

    Attributes:
        ready: as reported to others.
        truth: true time.
        servers: by name.
    """

    def __init__(self, ready: Ready, truth: Truth, servers: dict[str, LabServer]) -> None:
        self.ready = ready
        self.truth = truth
        self.servers = servers


@contextmanager
def running(scenario: Scenario) -> Iterator[Lab]:
    """Serve `scenario` in the running event loop for the length of the `with` block.

    Raises:
        LabError: the scenario contradicts itself, or an address can not be bound.
    """
    now = pair()
    resolved = resolve(scenario, now.realtime_ns)
    truth = Truth(resolved, now.raw_ns)
    servers = {s.name: LabServer(s, truth, resolved.outages, resolved.seed) for s in resolved.servers}
    try:
        for server in servers.values():
            server.open()
        # The seed, not the ports, makes the truth: naming the ports changes nothing that was served.
        bound = msgspec.structs.replace(
            resolved,
            servers=tuple(msgspec.structs.replace(s, port=servers[s.name].port) for s in resolved.servers),
        )
        ready = Ready(
            scenario=bound,
            hash=bound.hash,
            start_raw_ns=now.raw_ns,
            servers=tuple(server.place for server in servers.values()),
            falsetickers=tuple(server.place for server in servers.values() if server.config.falseticker),
            pid=os.getpid(),
        )
        yield Lab(ready, truth, servers)
    finally:
        for server in servers.values():
            server.close()
