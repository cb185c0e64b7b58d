"""The exchange itself, over loopback: stamps, sockets, silence, and what the kernel says."""

import asyncio
import socket
from typing import Any

import pytest

from chronotick.clock import timebase
from chronotick.config.schema import NtpConfig
from chronotick.ntp import kernel_stamps
from chronotick.ntp.address import Endpoint
from chronotick.ntp.exchange import exchange
from chronotick.ntp.outcome import Refusal, StampSource
from chronotick.ntp.packet import Packet, request


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_genuine_reply_is_a_sample(run: Any, responding: Any, genuine: Any, quick: NtpConfig, address: str) -> None:
    """A responder on the system clock is measured as being on the system clock, over both families."""

    async def main() -> None:
        try:
            server = responding(lambda request: [genuine(request).encode()], address)
            async with server as responder:
                got = await exchange("x", responder.endpoint, quick)
        except OSError:
            pytest.skip(f"{address} can not be bound here")
        assert got.reason is None
        assert (got.server, got.address, got.port) == ("x", address, responder.endpoint.port)
        assert got.sample is not None
        assert abs(got.sample.system_offset_s) <= got.sample.root_distance_s
        assert 0 < got.sample.delay_s < quick.timeout_s

    run(main)


@pytest.mark.usefixtures("stamping")
def test_both_ends_carry_the_kernels_stamps(run: Any, responding: Any, genuine: Any, quick: NtpConfig) -> None:
    """On Linux the kernel says when the request left and when the reply came."""

    async def main() -> None:
        async with responding(lambda request: [genuine(request).encode()]) as responder:
            got = await exchange("x", responder.endpoint, quick)
        assert got.sample is not None
        assert (got.sample.sent_stamp, got.sample.received_stamp) == (StampSource.KERNEL, StampSource.KERNEL)

    run(main)


@pytest.mark.usefixtures("stamping")
def test_a_transmit_stamp_may_come_late(
    run: Any, responding: Any, genuine: Any, quick: NtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stamp that a driver delivers only after the request was handed over is still used."""
    calls, take = [], kernel_stamps.sent

    def late(sock: socket.socket) -> int | None:
        calls.append(sock)
        return None if len(calls) == 1 else take(sock)

    monkeypatch.setattr(kernel_stamps, "sent", late)

    async def main() -> None:
        async with responding(lambda request: [genuine(request).encode()]) as responder:
            got = await exchange("x", responder.endpoint, quick)
        assert got.sample is not None
        assert got.sample.sent_stamp is StampSource.KERNEL

    run(main)


def test_without_kernel_stamps_the_exchange_works(
    run: Any, responding: Any, genuine: Any, quick: NtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel has no stamps to give, the process's own readings count."""
    monkeypatch.setattr("chronotick.ntp.kernel_stamps.enable", lambda sock: False)

    async def main() -> None:
        async with responding(lambda request: [genuine(request).encode()]) as responder:
            got = await exchange("x", responder.endpoint, quick)
        assert got.sample is not None
        assert (got.sample.sent_stamp, got.sample.received_stamp) == (StampSource.USER, StampSource.USER)
        assert abs(got.sample.system_offset_s) <= got.sample.root_distance_s

    run(main)


def test_every_exchange_has_its_own_port_and_nonce(run: Any, responding: Any, quick: NtpConfig, genuine: Any) -> None:
    """Eight exchanges come from eight ports with eight nonces, and the requests hold nothing else."""

    async def main() -> None:
        async with responding(lambda request: [genuine(request).encode()]) as responder:
            await asyncio.gather(*(exchange("x", responder.endpoint, quick) for _ in range(8)))
        assert len({client for _, client in responder.requests}) == 8
        nonces = {int.from_bytes(data[40:48], "big") for data, _ in responder.requests}
        assert len(nonces) == 8
        assert {data for data, _ in responder.requests} == {request(nonce) for nonce in nonces}

    run(main)


def test_silence_is_a_time_out(run: Any, responding: Any) -> None:
    """A server that says nothing costs the time-out and no more."""

    async def main() -> None:
        async with responding(lambda request: []) as responder:
            async with asyncio.timeout(5):
                got = await exchange("x", responder.endpoint, NtpConfig(timeout_s=0.1))
        assert (got.sample, got.reason, got.refused) == (None, Refusal.TIMEOUT, ())

    run(main)


def test_a_closed_port_is_unreachable(run: Any, responding: Any) -> None:
    """The ICMP error is the reason, and it does not end the wait."""

    async def main() -> None:
        async with responding(lambda request: []) as responder:
            closed = responder.endpoint
        started = asyncio.get_running_loop().time()
        got = await exchange("x", closed, NtpConfig(timeout_s=0.2))
        assert got.reason is Refusal.UNREACHABLE
        assert asyncio.get_running_loop().time() - started >= 0.18

    run(main)


def test_a_packet_that_can_not_be_sent_is_no_crash(run: Any, quick: NtpConfig) -> None:
    """The kernel refuses to send to the broadcast address: the outcome says that nothing left."""
    got = run(lambda: exchange("x", Endpoint("255.255.255.255", 123), quick))
    assert (got.sample, got.reason) == (None, Refusal.NO_ROUTE)


def test_a_sleep_during_the_exchange_voids_it(
    run: Any, responding: Any, genuine: Any, quick: NtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The boot clock that ran on while the raw clock stood gives the sleep away."""
    boot_ns, asleep_ns = timebase.boot_ns, [0]
    monkeypatch.setattr(timebase, "boot_ns", lambda: boot_ns() + asleep_ns[0])

    async def main() -> None:
        def respond(request: Packet) -> list[bytes]:
            asleep_ns[0] = 3 * 10**9
            return [genuine(request).encode()]

        async with responding(respond) as responder:
            got = await exchange("x", responder.endpoint, quick)
        assert (got.sample, got.reason) == (None, Refusal.SUSPENDED)

    run(main)


def test_cancelling_leaves_nothing_behind(run: Any, responding: Any) -> None:
    """An exchange that is cancelled while it waits closes its socket (the runner counts the files)."""

    async def main() -> None:
        async with responding(lambda request: []) as responder:
            waiting = asyncio.create_task(exchange("x", responder.endpoint, NtpConfig(timeout_s=60)))
            await responder.heard.wait()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert waiting.cancelled()

    run(main)


def test_a_flood_does_not_keep_the_reply_out(run: Any, responding: Any, genuine: Any) -> None:
    """A hundred forgeries before the genuine reply are counted, one by one."""

    async def main() -> None:
        def respond(request: Packet) -> list[bytes]:
            return [genuine(request, origin=request.transmit ^ 1).encode()] * 100 + [genuine(request).encode()]

        async with responding(respond) as responder:
            got = await exchange("x", responder.endpoint, NtpConfig(timeout_s=5))
        assert got.sample is not None
        assert got.refused == ((Refusal.WRONG_ORIGIN, 100),)

    run(main)
