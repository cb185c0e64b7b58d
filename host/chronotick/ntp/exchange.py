"""One NTP exchange over UDP. I/O: packets out, packets in, clocks read; every decision is `checks.judge`'s."""

import asyncio
import secrets
import socket
from typing import Final

from chronotick.clock import timebase
from chronotick.config.schema import NtpConfig
from chronotick.ntp import kernel_stamps
from chronotick.ntp.address import Endpoint
from chronotick.ntp.checks import Arrival, Request, judge
from chronotick.ntp.outcome import KISSES, Outcome, Refusal, Sample
from chronotick.ntp.packet import MAX_REPLY_BYTES, request
from chronotick.ntp.stamps import place

# Datagrams read in one go before the event loop has its turn again, so that a flood can not hold it.
_BURST: Final = 16
# The boot clock runs through suspend, the raw clock stops. It is slewed, by a tenth at most; more is sleep.
_SLEEP_FLOOR_NS: Final = 1_000_000
_MAX_SLEW: Final = 10


async def exchange(
    server: str,
    endpoint: Endpoint,
    config: NtpConfig,
    *,
    previous_transmit: int | None = None,
    patience_s: float | None = None,
) -> Outcome:
    """Ask one server once and wait for its reply until `config.timeout_s`, or for `patience_s` where that is given.

    A fresh connected socket, so a fresh random port and a kernel that drops what comes from anyone else. A bad reply is
    counted and the wait goes on, so that a forger who is faster than the server gains nothing; only a good reply or a
    kiss-o'-death with our nonce ends it early.

    Args:
        server: the server as configured, for the outcome.
        endpoint: whom to ask; resolved before, so that no name service is inside the round trip.
        previous_transmit: transmit timestamp of the last reply accepted from this server (`Sample.transmit`).
    """
    conversation = _Conversation(endpoint, config, previous_transmit, patience_s or config.timeout_s)
    try:
        with _connected(endpoint) as sock:
            await conversation.hold(sock)
    except OSError:
        conversation.count(Refusal.NO_ROUTE)
    return Outcome(
        server=server,
        address=endpoint.address,
        port=endpoint.port,
        raw_ns=timebase.raw_ns(),
        sample=conversation.sample,
        reason=conversation.reason(),
        refused=tuple(conversation.refused.items()),
    )


def _connected(endpoint: Endpoint) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if endpoint.is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        kernel_stamps.enable(sock)
        sock.connect(endpoint.sockaddr())
    except BaseException:
        sock.close()
        raise
    return sock


class _Conversation:
    """State of one exchange between its request and its end."""

    def __init__(self, endpoint: Endpoint, config: NtpConfig, previous_transmit: int | None, patience_s: float) -> None:
        self._config = config
        self._patience_s = patience_s
        self._request = Request(
            endpoint=endpoint, nonce=secrets.randbelow(2**64 - 1) + 1, previous_transmit=previous_transmit
        )
        self._last: Refusal = Refusal.TIMEOUT
        self.refused: dict[Refusal, int] = {}
        self.sample: Sample | None = None

    def count(self, refusal: Refusal) -> None:
        self._last = refusal
        self.refused[refusal] = self.refused.get(refusal, 0) + 1

    def reason(self) -> Refusal | None:
        return None if self.sample is not None else self._last

    async def hold(self, sock: socket.socket) -> None:
        """Send the request and judge what comes until something ends the exchange or the time is up."""
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._sock = sock
        self._asleep_before = timebase.boot_ns() - timebase.raw_ns()
        self._before = timebase.pair()
        self._handed_raw_ns = timebase.raw_ns()
        sock.send(request(self._request.nonce))
        self._sent_stamp = kernel_stamps.sent(sock)
        loop.add_reader(sock, self._on_readable)
        try:
            async with asyncio.timeout(self._patience_s):
                await self._ended
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(sock)

    def _on_readable(self) -> None:
        # Drivers may deliver the transmit stamp late, and a stamp in the queue is what woke us, too.
        stamp = kernel_stamps.sent(self._sock)
        self._sent_stamp = self._sent_stamp or stamp
        for _ in range(_BURST):
            if self._ended.done():
                return
            try:
                data, ancillary, _, source = self._sock.recvmsg(MAX_REPLY_BYTES + 1, kernel_stamps.ANCILLARY_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # An ICMP error. It may be forged as well, so it is counted and the wait goes on.
                self.count(Refusal.UNREACHABLE)
                return
            self._take(data, str(source[0]), int(source[1]), kernel_stamps.received(ancillary))

    def _take(self, data: bytes, address: str, port: int, received_stamp: int | None) -> None:
        seen = timebase.pair()
        asleep_ns = timebase.boot_ns() - timebase.raw_ns() - self._asleep_before
        if asleep_ns > _SLEEP_FLOOR_NS + (seen.raw_ns - self._before.raw_ns) // _MAX_SLEW:
            self.count(Refusal.SUSPENDED)
            self._ended.set_result(None)
            return
        stamps = place(
            before=self._before,
            handed_raw_ns=self._handed_raw_ns,
            sent_realtime_ns=self._sent_stamp,
            seen=seen,
            received_realtime_ns=received_stamp,
        )
        verdict = judge(self._request, Arrival(data=data, address=address, port=port, stamps=stamps), self._config)
        if isinstance(verdict, Sample):
            self.sample = verdict
            self._ended.set_result(None)
            return
        self.count(verdict)
        if verdict in KISSES:
            self._ended.set_result(None)
