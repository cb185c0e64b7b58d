"""The servers over real sockets: how exact they are, and that each fault shows as it says."""

import asyncio
import os
import statistics
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from chronotick.errors import LabError
from chronotick.lab.lab import running
from chronotick.lab.presets import demo
from chronotick.lab.scenario import (
    FAULT_KINDS,
    FaultConfig,
    FaultKind,
    OutageConfig,
    PathConfig,
    Scenario,
    ServerConfig,
)
from chronotick.lab.spawn import spawned

ConnectedClient = Callable[..., Any]
STILL = PathConfig(out_ms=0.2, back_ms=0.2, jitter_out_us=0, jitter_back_us=0)
SILENCE_S = 0.15


def scenario(*servers: ServerConfig, **more: Any) -> Scenario:
    return Scenario(servers=servers or (ServerConfig(path=STILL),), **more)


def test_a_client_with_kernel_stamps_measures_the_configured_path(client: ConnectedClient) -> None:
    """Offset errors are (out - back) / 2, and delays out + back, within 50 us in the median, from another process.

    The oscillator runs at the demo's rates. Five servers are asked; two have asymmetric paths.
    """
    paths = [(0.3, 0.3), (1.0, 1.0), (3.0, 1.0), (0.5, 2.5), (2.0, 2.0)]
    servers = (
        ServerConfig(path=PathConfig(out_ms=out, back_ms=back, jitter_out_us=0, jitter_back_us=0))
        for out, back in paths
    )
    measured: list[tuple[list[float], list[float]]] = [([], []) for _ in paths]

    async def main() -> None:
        async with spawned(scenario(*servers, oscillator=demo().oscillator)) as ready, client() as asking:
            truth = ready.truth()
            for _ in range(25):
                for place, (offsets, delays) in zip(ready.servers, measured, strict=True):
                    exchange = await asking.ask(place)
                    offsets.append((exchange.theta_ns - truth.theta_ns(exchange.middle_raw_ns)) / 1e3)
                    delays.append(exchange.delay_ns / 1e3)

    asyncio.run(main())
    for (out, back), (offsets, delays) in zip(paths, measured, strict=True):
        assert statistics.median(offsets) == pytest.approx((out - back) / 2 * 1e3, abs=50)
        assert statistics.median(delays) == pytest.approx((out + back) * 1e3, abs=50)


def test_a_falseticker_is_wrong_by_what_it_says(client: ConnectedClient) -> None:
    """A clock error of 40 ms, and a drift of 5 % (of some tenths of a second), show in the offset."""
    constant = ServerConfig(path=STILL, clock_error_ms=40)
    drifting = ServerConfig(path=STILL, clock_drift_ppm=50_000)

    async def main() -> None:
        with running(scenario(constant, drifting)) as lab:
            async with client() as asking:
                assert lab.ready.falsetickers == lab.ready.servers
                for place, config in zip(lab.ready.servers, lab.ready.scenario.servers, strict=True):
                    errors = []
                    for _ in range(9):
                        exchange = await asking.ask(place)
                        error = exchange.theta_ns - lab.truth.theta_ns(exchange.middle_raw_ns)
                        errors.append(error - config.clock_error_ns(lab.truth.t_s(exchange.middle_raw_ns)))
                    assert abs(statistics.median(errors)) < 200_000

    asyncio.run(main())


def test_an_honest_server_says_what_it_is(client: ConnectedClient) -> None:
    """Leap 0, the request's version, mode 4, stratum, root delay and dispersion as configured, our nonce as origin."""
    secondary = ServerConfig(path=STILL, stratum=3, root_delay_ms=10, root_dispersion_ms=4)

    async def main() -> None:
        with running(scenario(ServerConfig(path=STILL), secondary)) as lab:
            async with client() as asking:
                first, second = lab.ready.servers
                exchange = await asking.ask(first, version=3)
                assert exchange.data[:2] == bytes([3 << 3 | 4, 1])
                assert exchange.data[4:16] == bytes(4) + (14).to_bytes(4, "big") + b"LAB\0"
                exchange = await asking.ask(second)
                assert exchange.data[:2] == bytes([4 << 3 | 4, 3])
                assert exchange.data[4:12] == (656).to_bytes(4, "big") + (263).to_bytes(4, "big")
                assert exchange.data[24:32] == exchange.request[40:48]
                assert len(exchange.data) == 48
                assert exchange.stamp(16) < exchange.stamp(32) <= exchange.stamp(40)

    asyncio.run(main())


def test_an_ipv6_server_answers(client: ConnectedClient) -> None:
    """A server on ::1 is asked and measured like any other."""

    async def main() -> None:
        with running(scenario(ServerConfig(path=STILL, address="::1"))) as lab:
            async with client("::1") as asking:
                assert lab.ready.servers[0].startswith("[::1]:")
                exchange = await asking.ask(lab.ready.servers[0])
                assert abs(exchange.theta_ns - lab.truth.theta_ns(exchange.middle_raw_ns)) < 20_000_000

    asyncio.run(main())


FORMS: dict[FaultKind, Callable[[Any, bytes], bool]] = {
    "bad_origin": lambda x, ask: x.data[24:32] not in (ask[40:48], bytes(8)),
    "zero_origin": lambda x, ask: x.data[24:32] == bytes(8),
    "zero_t2": lambda x, ask: x.stamp(32) == 0 and x.stamp(40) != 0,
    "zero_t3": lambda x, ask: x.stamp(40) == 0 and x.stamp(32) != 0,
    "t3_before_t2": lambda x, ask: x.stamp(32) - x.stamp(40) == 1 << 32,
    "future_reference": lambda x, ask: x.stamp(16) > x.stamp(40),
    "kiss_deny": lambda x, ask: x.data[1] == 0 and x.data[12:16] == b"DENY" and x.data[24:32] == ask[40:48],
    "kiss_rstr": lambda x, ask: x.data[1] == 0 and x.data[12:16] == b"RSTR" and x.data[24:32] == ask[40:48],
    "kiss_rate": lambda x, ask: x.data[1] == 0 and x.data[12:16] == b"RATE" and x.data[24:32] == ask[40:48],
    "stratum_0": lambda x, ask: x.data[1] == 0 and x.data[12:16] == bytes(4),
    "stratum_16": lambda x, ask: x.data[1] == 16,
    "leap_3": lambda x, ask: x.data[0] == 0b11_100_100,
    "mode_3": lambda x, ask: x.data[0] == 0b00_100_011,
    "version_0": lambda x, ask: x.data[0] == 0b00_000_100,
    "version_7": lambda x, ask: x.data[0] == 0b00_111_100,
    "huge_root_distance": lambda x, ask: x.data[4:12] == (40 << 16).to_bytes(4, "big") + (20 << 16).to_bytes(4, "big"),
    "runt": lambda x, ask: len(x.data) == 40,
    "oversize": lambda x, ask: len(x.data) == 4096,
    "garbage_extension": lambda x, ask: len(x.data) == 76 and x.data[48:52] == b"\xff\x07\xff\xff",
}
RIGHT_BUT_FOR_DELIVERY = ("silence", "duplicate", "foreign_port", "foreign_address")


def test_every_fault_is_tested() -> None:
    """The two tables below cover all kinds."""
    assert set(FORMS) | set(RIGHT_BUT_FOR_DELIVERY) == set(FAULT_KINDS)


def test_each_malformed_reply_is_what_its_fault_says_and_else_right(client: ConnectedClient) -> None:
    """With a fault switched on, exactly its own form is seen; with it off again, none of all forms is."""

    async def main() -> None:
        with running(scenario()) as lab:
            (server,) = lab.servers.values()
            async with client() as asking:
                for kind, form in FORMS.items():
                    server.switches = frozenset({kind})
                    spoilt = await asking.ask(server.place)
                    assert form(spoilt, spoilt.request), kind
                    server.switches = frozenset()
                    good = await asking.ask(server.place)
                    assert not any(f(good, good.request) for f in FORMS.values()), kind

    asyncio.run(main())


def test_faults_combine(client: ConnectedClient) -> None:
    """A kiss with another's nonce: both faults show."""

    async def main() -> None:
        with running(scenario()) as lab:
            (server,) = lab.servers.values()
            server.switches = frozenset({"kiss_deny", "bad_origin"})
            async with client() as asking:
                exchange = await asking.ask(server.place)
                assert exchange.data[12:16] == b"DENY"
                assert exchange.data[24:32] != exchange.request[40:48]

    asyncio.run(main())


def test_replies_can_come_twice_or_from_elsewhere(client: ConnectedClient) -> None:
    """duplicate: the same bytes twice. foreign_port, foreign_address: the sender differs in just that."""

    async def main() -> None:
        with running(scenario()) as lab:
            (server,) = lab.servers.values()
            host, port = server.config.address, server.port
            async with client() as asking:
                server.switches = frozenset({"duplicate"})
                exchange = await asking.ask(server.place)
                assert (await asking.receive())[0] == exchange.data
                server.switches = frozenset({"foreign_port"})
                sender = (await asking.ask(server.place)).sender
                assert sender[0] == host
                assert sender[1] != port
                server.switches = frozenset({"foreign_address"})
                sender = (await asking.ask(server.place)).sender
                assert sender[0] != host
                assert sender[1] == port

    asyncio.run(main())


async def _silent(asking: Any, place: str) -> bool:
    try:
        await asking.ask(place, SILENCE_S)
    except TimeoutError:
        return True
    return False


def test_silence_loss_and_nonsense_get_no_reply(client: ConnectedClient) -> None:
    """A silent server, a path that loses everything, and requests that are none."""
    lost = ServerConfig(path=msgspec.structs.replace(STILL, loss=1.0))
    silent = ServerConfig(path=STILL, faults=(FaultConfig(kind="silence"),))

    async def main() -> None:
        with running(scenario(lost, silent, ServerConfig(path=STILL))) as lab:
            async with client() as asking:
                for place in lab.ready.servers[:2]:
                    assert await _silent(asking, place)
                good = lab.ready.servers[2]
                for nonsense in ({"mode": 4}, {"version": 0}, {"size": 47}):
                    asking.send(good, **nonsense)
                exchange = await asking.ask(good)
                assert exchange.data[24:32] == exchange.request[40:48]
                assert lab.servers["s3"].requests == 4
                assert lab.servers["s3"].replies == 1

    asyncio.run(main())


def test_an_outage_silences_whom_it_names_while_it_lasts(client: ConnectedClient) -> None:
    """Named servers are silent from the start to the end, others answer; after the end all answer."""
    outage = OutageConfig(start_s=0, end_s=0.6, servers=("s1",))

    async def main() -> None:
        with running(scenario(ServerConfig(path=STILL), ServerConfig(path=STILL), outages=(outage,))) as lab:
            async with client() as asking:
                start = lab.ready.start_raw_ns
                assert await _silent(asking, lab.ready.servers[0])
                await asking.ask(lab.ready.servers[1])
                assert not lab.truth.outage(start)
                late = None
                while late is None:
                    sent, t1 = asking.send(lab.ready.servers[0])
                    try:
                        late = await asking.receive(0.05)
                    except TimeoutError:
                        continue
                    assert t1 - start >= 0.59e9
                    assert late[0][24:32] == sent[40:48]

    asyncio.run(main())


def test_the_truth_knows_a_total_outage() -> None:
    """`outage` is true when every server is out, and false when one is left."""
    servers = (ServerConfig(), ServerConfig())
    outages = (OutageConfig(start_s=10, end_s=20), OutageConfig(start_s=30, end_s=40, servers=("s1",)))

    async def main() -> None:
        with running(scenario(*servers, outages=outages)) as lab:
            start = lab.ready.start_raw_ns
            assert [lab.truth.outage(start + t * 10**9) for t in (5, 15, 25, 35)] == [False, True, False, False]

    asyncio.run(main())


def test_a_taken_port_is_an_error_with_a_mend() -> None:
    """A second lab on the same port says which server can not have it, and leaves no socket open."""

    async def main() -> None:
        with running(scenario()) as lab:
            port = lab.servers["s1"].port
            before = len(os.listdir("/proc/self/fd"))
            taken = running(scenario(ServerConfig(port=port)))
            with pytest.raises(LabError, match=f"'s1' can not use 127.0.0.11 port {port}"), taken:
                pass
            assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(main())


def test_no_descriptor_is_left_over(client: ConnectedClient) -> None:
    """Twenty labs with all kinds of foreign sockets and replies still waiting leave as many descriptors as before."""

    async def main() -> None:
        counts = []
        for _ in range(20):
            with running(scenario(ServerConfig(path=msgspec.structs.replace(STILL, back_ms=5)))) as lab:
                (server,) = lab.servers.values()
                async with client() as asking:
                    for kind in ("foreign_port", "foreign_address"):
                        server.switches = frozenset({kind})
                        await asking.ask(server.place)
                    asking.send(server.place)
            counts.append(len(os.listdir("/proc/self/fd")))
        assert len(set(counts)) == 1

    asyncio.run(main())
