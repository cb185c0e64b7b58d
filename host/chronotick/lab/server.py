"""One NTP server of the lab: an asyncio UDP responder whose clock is the lab's truth plus its own configured error.

How it is exact without an exact timer. A request received by the kernel at r (raw clock) is to look as if it had
reached a distant server at r + out, and its reply as if it had left there `back` before it arrives. So
T2 = true(r + out), the reply is held until r + out + back at the least, and whenever it is sent at last, at raw
instant x, T3 = true(x - back). Lateness of the timer thus shows as time the server took, T3 - T2, which NTP takes out:
a client with kernel stamps measures a delay of out + back and an error of (out - back) / 2.

What is left is the time from writing T3 to the packet's leaving: see `departure.py`.
"""

import asyncio
import ipaddress
import logging
import socket
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from chronotick.clock.timebase import raw_ns
from chronotick.errors import LabError
from chronotick.lab import reply, stamps
from chronotick.lab.departure import Departure, spin
from chronotick.lab.network import Passage, Path
from chronotick.lab.scenario import FaultKind, OutageConfig, ServerConfig
from chronotick.lab.truth import Truth
from chronotick.units import NS_PER_S

SPIN_NS = 200_000
BATCH = 64
REFERENCE_AGE_NS = 16 * NS_PER_S

log: logging.Logger = logging.getLogger("chronotick.lab")


class Waiting(NamedTuple):
    """A reply on its way back through the network."""

    header: reply.Reply
    faults: frozenset[FaultKind]
    passage: Passage
    due_raw_ns: int
    client: tuple[str, int]


class LabServer:
    """Answers on one address until closed.

    Args:
        config: of a resolved scenario.
        truth: true time, shared by all servers of the lab.
        outages: of the scenario.
        seed: of the scenario; the path draws from it.

    Attributes:
        switches: faults that are on in addition to the scenario's; may be changed at any time.
        requests, replies: packets received, and answered with at least one packet.
        t3_errors_ns: for the last replies, how late the packet left after what its T3 says.
    """

    def __init__(self, config: ServerConfig, truth: Truth, outages: Sequence[OutageConfig], seed: int) -> None:
        self.config = config
        self.switches: frozenset[FaultKind] = frozenset()
        self.requests: int = 0
        self.replies: int = 0
        self.t3_errors_ns: deque[int] = deque(maxlen=1024)
        self._truth = truth
        self._outages = outages
        self._path = Path(config.path, seed, config.name)
        self._socket: socket.socket | None = None
        self._departure: Departure | None = None
        self._foreign: dict[FaultKind, socket.socket] = {}
        self._waiting: dict[int, asyncio.TimerHandle] = {}

    def open(self) -> None:
        """Bind and answer from now on, in the running event loop.

        Raises:
            LabError: the address can not be bound.
        """
        loop = asyncio.get_running_loop()
        try:
            self._socket = stamps.udp_socket(self.config.address, self.config.port)
            self._departure = Departure(self._socket, self.config.address)
        except OSError as error:
            raise LabError(
                f"Server {self.config.name!r} can not use {self.config.address} port {self.config.port}: "
                f"{error.strerror}.",
                mend="Choose another port, or 0 for any free one.",
            ) from error
        self._departure.calibrate(reply.REQUEST_BYTES)
        loop.add_reader(self._socket, self._readable, self._socket)

    @property
    def port(self) -> int:
        """The port in use; only while open."""
        assert self._socket is not None
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def place(self) -> str:
        """Where to ask, as `host:port` or `[v6]:port`; only while open."""
        host = f"[{self.config.address}]" if ":" in self.config.address else self.config.address
        return f"{host}:{self.port}"

    def close(self) -> None:
        """Stop answering; replies still on their way are dropped. May be called twice."""
        for handle in self._waiting.values():
            handle.cancel()
        self._waiting.clear()
        if self._departure is not None:
            self._departure.close()
            self._departure = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for sock in self._foreign.values():
            sock.close()
        self._foreign.clear()

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(BATCH):
            try:
                packet = stamps.receive(sock)
            except OSError as error:
                log.debug("lab server %s: %s", self.config.name, error)
                break
            if packet is None:
                break
            self._request(*packet)
        # A stamp that came after its send would keep the socket readable for ever.
        stamps.sent_raw_ns(sock)

    def _request(self, data: bytes, client: tuple[str, int], received_raw_ns: int) -> None:
        self.requests += 1
        request = reply.parse(data)
        passage = self._path.next()
        t_s = self._truth.t_s(received_raw_ns)
        if request is None or passage.lost or any(o.active(self.config.name, t_s) for o in self._outages):
            return
        faults = self.switches | {fault.kind for fault in self.config.faults if fault.active(t_s)}
        if "silence" in faults:
            return
        header = reply.spoil(self._header(request, received_raw_ns + passage.out_ns), faults)
        due = received_raw_ns + passage.out_ns + passage.back_ns
        self._schedule(Waiting(header, faults, passage, due, client))

    def _header(self, request: reply.Request, t2_raw_ns: int) -> reply.Reply:
        t2_utc_ns = self._utc_ns(t2_raw_ns)
        config = self.config
        return reply.Reply(
            version=request.version,
            stratum=config.stratum,
            poll=request.poll,
            root_delay=reply.short(config.root_delay_ms),
            root_dispersion=reply.short(config.root_dispersion_ms),
            # A primary server names its source, a secondary one its server: an address kept for documentation.
            refid=b"LAB\0" if config.stratum == 1 else bytes([192, 0, 2, config.stratum]),
            reference=reply.timestamp(t2_utc_ns - REFERENCE_AGE_NS),
            origin=request.transmit,
            t2=reply.timestamp(t2_utc_ns),
        )

    def _utc_ns(self, raw: int) -> int:
        return self._truth.utc_ns(raw) + self.config.clock_error_ns(self._truth.t_s(raw))

    def _schedule(self, waiting: Waiting) -> None:
        loop = asyncio.get_running_loop()
        delay_s = max(waiting.due_raw_ns - raw_ns(), 0) / NS_PER_S
        self._waiting[id(waiting)] = loop.call_later(delay_s, self._due, waiting)

    def _due(self, waiting: Waiting) -> None:
        del self._waiting[id(waiting)]
        ahead_ns = waiting.due_raw_ns - raw_ns()
        if ahead_ns > SPIN_NS:
            # The loop's clock is steered, the raw clock is not: on a long way they differ.
            self._schedule(waiting)
            return
        spin(waiting.due_raw_ns)
        self._send(waiting)

    def _send(self, waiting: Waiting) -> None:
        assert self._departure is not None
        header, faults, passage, _, client = waiting
        head = reply.head(header)

        def written(leaves_raw_ns: int) -> bytes:
            t3 = reply.timestamp(self._utc_ns(leaves_raw_ns - passage.back_ns))
            return reply.finish(head, t3, faults)

        try:
            copies = 2 if "duplicate" in faults else 1
            late_ns = self._departure.send(written, client, via=self._sender(faults), copies=copies)
        except OSError as error:
            log.debug("lab server %s: %s", self.config.name, error)
            return
        self.replies += 1
        if late_ns is not None:
            self.t3_errors_ns.append(late_ns)

    def _sender(self, faults: frozenset[FaultKind]) -> socket.socket:
        assert self._socket is not None
        for kind in ("foreign_address", "foreign_port"):
            if kind in faults:
                if kind not in self._foreign:
                    self._foreign[kind] = self._foreign_socket(kind)
                return self._foreign[kind]
        return self._socket

    def _foreign_socket(self, kind: FaultKind) -> socket.socket:
        if kind == "foreign_port":
            return stamps.udp_socket(self.config.address, 0)
        neighbour = ipaddress.ip_address(int(ipaddress.ip_address(self.config.address)) ^ 1 << 16)
        return stamps.udp_socket(str(neighbour), self.port)
