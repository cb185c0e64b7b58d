"""A query on loopback: what each server gave, and who is believed."""

import asyncio
from typing import Any

import msgspec
import pytest

from chronotick.config.schema import NtpConfig
from chronotick.errors import ConfigError
from chronotick.ntp.outcome import Refusal
from chronotick.ntp.packet import Packet
from chronotick.ntp.query import query
from chronotick.ntp.select import Standing, Verdict
from chronotick.ntp.server import Grade


def test_good_and_bad_servers_side_by_side(run: Any, responding: Any, genuine: Any, quick: NtpConfig) -> None:
    """Two good servers, one 5 s off, one unsynchronised: each row says what it is worth, the good two are selected."""

    async def main() -> None:
        def tell(request: Packet) -> list[bytes]:
            # 20 ms of dispersion: whatever a loaded machine does to one exchange, the two are near each other.
            return [genuine(request, root_dispersion=1311).encode()]

        def lie(request: Packet) -> list[bytes]:
            reply = genuine(request)
            return [genuine(request, receive=reply.receive + (5 << 32), transmit=reply.transmit + (5 << 32)).encode()]

        def lost(request: Packet) -> list[bytes]:
            return [genuine(request, leap=3).encode()]

        async with responding(tell) as a, responding(tell) as b, responding(lie) as c, responding(lost) as d:
            config = msgspec.structs.replace(quick, timeout_s=1.0)
            report = await query([a.text, c.text, d.text, b.text, a.text], config)
        assert [row.server for row in report.servers] == [a.text, c.text, d.text, b.text]
        one, liar, useless, two = report.servers
        assert report.verdict is Verdict.AGREED
        assert report.selected == (a.text, b.text)
        assert report.any_accepted
        assert report.offset_s is not None
        assert report.earliest_offset_s <= 0 <= report.latest_offset_s
        for row in (one, two):
            assert (row.accepted, row.reason, row.samples) == (True, None, 4)
            assert abs(row.offset_s) <= row.root_distance_s
            assert (row.stratum, row.reference_id, row.reference) == (1, "GPS", "Global Position System")
            assert row.jitter_s is not None
            assert row.grade is not Grade.BAD
        assert liar.standing is Standing.FALSETICKER
        assert liar.offset_s == pytest.approx(5, abs=0.1)
        assert (useless.accepted, useless.reason, useless.offset_s) == (False, Refusal.UNSYNCHRONISED, None)
        assert useless.explanation == "The server says that it is not synchronised (leap indicator 3)."
        assert useless.grade is Grade.BAD
        assert len(d.requests) == 2
        assert msgspec.json.decode(msgspec.json.encode(report))["selected"] == [a.text, b.text]

    run(main)


def test_nothing_accepted_is_a_report(
    run: Any, responding: Any, quick: NtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent server and a name without an address give a report that says so."""

    async def nowhere(*_: object) -> tuple[()]:
        return ()

    async def main() -> None:
        async with responding(lambda request: []) as silent:
            report = await query([silent.text], msgspec.structs.replace(quick, timeout_s=0.1))
            monkeypatch.setattr("chronotick.ntp.query.resolve", nowhere)
            unknown = await query(["nowhere.invalid"], quick)
        assert (report.verdict, report.selected, report.any_accepted) == (Verdict.NO_CANDIDATES, (), False)
        assert report.servers[0].reason is Refusal.TIMEOUT
        assert report.servers[0].standing is Standing.UNREACHABLE
        assert report.offset_s is None
        assert unknown.servers[0].reason is Refusal.NO_ADDRESS

    run(main)


def test_a_kiss_ends_the_questions(run: Any, responding: Any, genuine: Any, quick: NtpConfig) -> None:
    """A server that says RATE is not asked again."""

    async def main() -> None:
        def kiss(request: Packet) -> list[bytes]:
            return [genuine(request, stratum=0, reference_id=b"RATE").encode()]

        async with responding(kiss) as server:
            report = await query([server.text], quick)
        assert len(server.requests) == 1
        assert report.servers[0].reason is Refusal.KISS_RATE

    run(main)


def test_questions_are_spaced(run: Any, responding: Any, genuine: Any, quick: NtpConfig) -> None:
    """The configured warm-up poll lies between two questions to one server."""

    async def main() -> None:
        times = []

        def tell(request: Packet) -> list[bytes]:
            times.append(asyncio.get_running_loop().time())
            return [genuine(request).encode()]

        async with responding(tell) as server:
            await query([server.text], msgspec.structs.replace(quick, warm_up_poll_s=0.2), samples=3)
        assert len(times) == 3
        assert times[2] - times[0] >= 0.3

    run(main)


def test_an_address_that_can_not_be_read_is_an_error(run: Any, quick: NtpConfig) -> None:
    """The error of the configuration, before anything is sent."""
    with pytest.raises(ConfigError, match="needs brackets"):
        run(lambda: query(["::1"], quick))
