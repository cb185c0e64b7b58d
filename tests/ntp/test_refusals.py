"""Every kind of reply that must not count, judged alone and arriving through a socket."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.config.schema import NtpConfig
from chronotick.ntp.address import Endpoint
from chronotick.ntp.checks import Arrival, Request, judge
from chronotick.ntp.exchange import exchange
from chronotick.ntp.outcome import KISSES, Outcome, Refusal, Sample, explain
from chronotick.ntp.packet import MAX_REPLY_BYTES, Packet, ntp_from_unix_ns
from chronotick.ntp.stamps import Stamps

SERVER = Endpoint("192.0.2.1", 123)
NONCE = 0x0123_4567_89AB_CDEF
NOW_NS = 1_800_000_000 * 10**9
TRANSMIT = ntp_from_unix_ns(NOW_NS + 45_000)
STALE = 0x1111_2222_3333_4444
CONFIG = NtpConfig(timeout_s=5.0, max_stratum=10)


def changed(**changes: Any) -> Callable[[Packet], bytes]:
    return lambda packet: msgspec.structs.replace(packet, **changes).encode()


def followed_by(trailer: bytes) -> Callable[[Packet], bytes]:
    return lambda packet: packet.encode() + trailer


def without_nonce(**changes: Any) -> Callable[[Packet], bytes]:
    return lambda packet: changed(**changes, origin=packet.origin ^ 1)(packet)


# Kind: what is made of a genuine reply, and the reason it must be refused with.
FORGERIES: dict[str, tuple[Callable[[Packet], bytes], Refusal]] = {
    "wrong origin": (without_nonce(), Refusal.WRONG_ORIGIN),
    "zero origin": (changed(origin=0), Refusal.ZERO_ORIGIN),
    "duplicate of the last reply": (changed(transmit=STALE, origin=STALE ^ 7), Refusal.DUPLICATE),
    "last reply's timestamps under a new nonce": (changed(transmit=STALE), Refusal.DUPLICATE),
    "mode 3": (changed(mode=3), Refusal.BAD_MODE),
    "mode 5": (changed(mode=5), Refusal.BAD_MODE),
    "mode 6": (changed(mode=6), Refusal.BAD_MODE),
    "version 0": (changed(version=0), Refusal.BAD_VERSION),
    "version 2": (changed(version=2), Refusal.BAD_VERSION),
    "version 7": (changed(version=7), Refusal.BAD_VERSION),
    "stratum 0 without a kiss code": (changed(stratum=0, reference_id=bytes(4)), Refusal.BAD_STRATUM),
    "stratum 16": (changed(stratum=16), Refusal.BAD_STRATUM),
    "stratum 255": (changed(stratum=255), Refusal.BAD_STRATUM),
    "stratum beyond the configured": (changed(stratum=11), Refusal.STRATUM_LIMIT),
    "leap 3": (changed(leap=3), Refusal.UNSYNCHRONISED),
    "kiss RATE": (changed(stratum=0, leap=3, reference_id=b"RATE"), Refusal.KISS_RATE),
    "kiss DENY": (changed(stratum=0, leap=3, reference_id=b"DENY"), Refusal.KISS_DENY),
    "kiss RSTR": (changed(stratum=0, leap=3, reference_id=b"RSTR"), Refusal.KISS_RSTR),
    "kiss INIT": (changed(stratum=0, leap=3, reference_id=b"INIT"), Refusal.KISS_OTHER),
    "kiss RATE without nonce": (without_nonce(stratum=0, reference_id=b"RATE"), Refusal.WRONG_ORIGIN),
    "kiss DENY without nonce": (without_nonce(stratum=0, reference_id=b"DENY"), Refusal.WRONG_ORIGIN),
    "kiss DENY with zero origin": (changed(stratum=0, origin=0, reference_id=b"DENY"), Refusal.ZERO_ORIGIN),
    "zero T2": (changed(receive=0), Refusal.ZERO_RECEIVE),
    "zero T3": (changed(transmit=0), Refusal.ZERO_TRANSMIT),
    "T3 < T2": (lambda p: changed(transmit=p.receive - 1)(p), Refusal.TRANSMIT_BEFORE_RECEIVE),
    "reference after T3": (lambda p: changed(reference=p.transmit + 1)(p), Refusal.REFERENCE_AFTER_TRANSMIT),
    "T3 - T2 longer than the exchange": (
        lambda p: changed(transmit=p.receive + (20 << 32))(p),
        Refusal.NEGATIVE_DELAY,
    ),
    "oversized root delay": (changed(root_delay=0xFFFF_FFFF), Refusal.ROOT_DISTANCE),
    "oversized root dispersion": (changed(root_dispersion=2 << 16), Refusal.ROOT_DISTANCE),
    "absurd precision": (changed(precision=30), Refusal.ROOT_DISTANCE),
    "empty": (lambda p: b"", Refusal.RUNT),
    "runt": (lambda p: p.encode()[:47], Refusal.RUNT),
    "oversize": (followed_by(bytes(MAX_REPLY_BYTES - 47)), Refusal.OVERSIZE),
    "largest datagram": (followed_by(bytes(60_000)), Refusal.OVERSIZE),
    "one byte too many": (followed_by(b"!"), Refusal.GARBAGE_EXTENSION),
    "crypto-NAK": (followed_by(bytes(4)), Refusal.GARBAGE_EXTENSION),
    "extension of length zero": (followed_by(bytes(32)), Refusal.GARBAGE_EXTENSION),
    "extension longer than the packet": (followed_by(b"\x01\x04\x00\x40" + bytes(28)), Refusal.GARBAGE_EXTENSION),
    "extension of odd length": (followed_by(b"\x01\x04\x00\x1d" + bytes(25)), Refusal.GARBAGE_EXTENSION),
    "bytes after the last extension": (followed_by(b"\x01\x04\x00\x1c" + bytes(24 + 8)), Refusal.GARBAGE_EXTENSION),
    "extension in version 3": (
        lambda p: changed(version=3)(p) + b"\x01\x04\x00\x1c" + bytes(24),
        Refusal.GARBAGE_EXTENSION,
    ),
}
KINDS = pytest.mark.parametrize(("forge", "reason"), FORGERIES.values(), ids=FORGERIES.keys())


def good_reply(**changes: Any) -> Packet:
    reply = Packet(
        mode=4,
        stratum=2,
        precision=-20,
        root_dispersion=6,
        reference_id=bytes([192, 0, 2, 9]),
        reference=TRANSMIT - (99 << 32),
        origin=NONCE,
        receive=ntp_from_unix_ns(NOW_NS + 40_000),
        transmit=TRANSMIT,
    )
    return msgspec.structs.replace(reply, **changes)


def judged(
    data: bytes,
    config: NtpConfig = CONFIG,
    *,
    address: str = SERVER.address,
    port: int = SERVER.port,
    previous: int | None = STALE,
    span_ns: int = 100_000,
) -> Sample | Refusal:
    """The verdict on a reply to a request sent at raw clock 1000 s and received `span_ns` later."""
    stamps = Stamps(
        sent_raw_ns=10**12,
        received_raw_ns=10**12 + span_ns,
        realtime_ns=NOW_NS + span_ns,
        realtime_theta_ns=NOW_NS - 10**12,
    )
    arrival = Arrival(data=data, address=address, port=port, stamps=stamps)
    return judge(Request(endpoint=SERVER, nonce=NONCE, previous_transmit=previous), arrival, config)


@KINDS
def test_a_forgery_is_refused_with_its_reason(forge: Callable[[Packet], bytes], reason: Refusal) -> None:
    """Judged alone, each kind has its own reason."""
    assert judged(forge(good_reply())) is reason


@KINDS
def test_a_forgery_on_the_wire_is_counted_and_the_wait_goes_on(
    run: Any, responding: Any, genuine: Any, forge: Callable[[Packet], bytes], reason: Refusal
) -> None:
    """A forgery that arrives before the genuine reply costs nothing; a kiss with our nonce ends the exchange."""

    async def main() -> None:
        def respond(request: Packet) -> list[bytes]:
            return [forge(genuine(request)), genuine(request).encode()]

        async with responding(respond) as responder:
            got = await exchange("x", responder.endpoint, CONFIG, previous_transmit=STALE)
        assert got.refused == ((reason, 1),)
        assert (got.sample is None) == (reason in KISSES)
        assert got.reason == (reason if reason in KISSES else None)

    run(main)


def test_forgeries_alone_give_no_sample(run: Any, responding: Any, genuine: Any) -> None:
    """Nothing but a forgery, sent twice: the exchange ends without a sample and says why. All kinds side by side."""

    async def ask(forge: Callable[[Packet], bytes]) -> Outcome:
        async with responding(lambda request: [forge(genuine(request))] * 2) as responder:
            return await exchange(
                "x", responder.endpoint, NtpConfig(timeout_s=1, max_stratum=10), previous_transmit=STALE
            )

    async def main() -> list[Outcome]:
        return await asyncio.gather(*(ask(forge) for forge, _ in FORGERIES.values()))

    for (kind, (_, reason)), got in zip(FORGERIES.items(), run(main), strict=True):
        assert (kind, got.sample, got.reason) == (kind, None, reason)
        assert (kind, got.refused) == (kind, ((reason, 1 if reason in KISSES else 2),))


def test_a_foreign_source_is_refused() -> None:
    """A perfect reply from another address or another port is not a reply."""
    assert judged(good_reply().encode(), address="192.0.2.2") is Refusal.FOREIGN_ADDRESS
    assert judged(good_reply().encode(), address="::ffff:192.0.2.1") is Refusal.FOREIGN_ADDRESS
    assert judged(good_reply().encode(), address="not an address") is Refusal.FOREIGN_ADDRESS
    assert judged(good_reply().encode(), port=124) is Refusal.FOREIGN_PORT
    assert isinstance(judged(good_reply().encode()), Sample)


@pytest.mark.parametrize("foreign", ["127.0.0.1", "127.0.0.2"], ids=["port", "address"])
def test_a_reply_from_elsewhere_does_not_count(run: Any, responding: Any, genuine: Any, foreign: str) -> None:
    """A perfect reply, nonce and all, from another port or another address never reaches the exchange."""

    async def main() -> None:
        async with responding(lambda request: []) as asked:
            port = asked.endpoint.port if foreign != asked.endpoint.address else 0
            async with responding(lambda request: [], address=foreign, port=port) as stranger:
                waiting = asyncio.create_task(exchange("x", asked.endpoint, NtpConfig(timeout_s=0.3)))
                await asked.heard.wait()
                data, client = asked.requests[0]
                request = msgspec.structs.replace(genuine(Packet()), origin=int.from_bytes(data[40:48], "big"))
                stranger.socket.sendto(request.encode(), client)
                got = await waiting
        assert got.sample is None
        assert got.reason is Refusal.TIMEOUT
        assert got.refused == ()

    run(main)


def test_delays_outside_the_limits_are_refused() -> None:
    """A round trip longer than configured is refused; one a little below zero is a matter of precision."""
    slow = NtpConfig(max_delay_s=0.05)
    assert judged(good_reply().encode(), slow, span_ns=60_000_000) is Refusal.LONG_DELAY
    assert isinstance(judged(good_reply().encode(), slow, span_ns=40_000_000), Sample)
    nearly = judged(good_reply().encode(), span_ns=4_500)
    assert isinstance(nearly, Sample)
    assert nearly.delay_ns == 0
    assert judged(good_reply().encode(), span_ns=3_000) is Refusal.NEGATIVE_DELAY
    assert judged(good_reply().encode(), span_ns=-1) is Refusal.NEGATIVE_DELAY


def test_the_configured_strata_and_distance_count() -> None:
    """Stratum limits are inclusive, and the distance limit is the configured one."""
    assert isinstance(judged(good_reply().encode(), NtpConfig(min_stratum=2, max_stratum=2)), Sample)
    assert judged(good_reply().encode(), NtpConfig(min_stratum=3)) is Refusal.STRATUM_LIMIT
    far = good_reply(root_delay=1 << 16, root_dispersion=1 << 14).encode()
    assert isinstance(judged(far, NtpConfig(max_root_distance_s=0.8)), Sample)
    assert judged(far, NtpConfig(max_root_distance_s=0.7)) is Refusal.ROOT_DISTANCE


@pytest.mark.parametrize(
    "trailer",
    [
        b"",
        b"\x00\x00\x00\x01" + bytes(16),
        b"\x00\x00\x00\x01" + bytes(20),
        b"\x01\x04\x00\x1c" + bytes(24),
        b"\x01\x04\x00\x10" + bytes(12) + b"\x02\x04\x00\x20" + bytes(28),
        b"\x01\x04\x00\x1c" + bytes(24) + b"\x00\x00\x00\x01" + bytes(16),
    ],
    ids=["none", "MD5", "SHA-1", "one field", "two fields", "field and MAC"],
)
def test_well_formed_trailers_are_accepted(trailer: bytes) -> None:
    """Extension fields and a MAC that nobody asked for are no reason to refuse."""
    assert isinstance(judged(good_reply().encode() + trailer), Sample)


def test_version_3_is_accepted() -> None:
    """A server of the version before answers in its own version."""
    assert isinstance(judged(good_reply(version=3).encode()), Sample)
    assert isinstance(judged(good_reply(version=3).encode() + bytes(20)), Sample)


def test_the_measurement_follows_rfc_5905() -> None:
    """Offset, delay and root distance of a known exchange: T1 = 0, T2 = 40 us, T3 = 45 us, T4 = 100 us."""
    got = judged(good_reply(root_delay=65536 // 100, root_dispersion=65536 // 50).encode())
    assert isinstance(got, Sample)
    assert got.raw_ns == 10**12 + 50_000
    assert abs(got.theta_ns - (NOW_NS - 10**12 - 7_500)) <= 1
    assert abs(got.delay_ns - 95_000) <= 1
    assert got.root_distance_s == pytest.approx((0.01 + 95e-6) / 2 + 0.02 + 2**-20, abs=2e-5)
    assert got.system_offset_s == pytest.approx(-7.5e-6, abs=2e-9)


@given(data=st.binary(max_size=1200))
def test_no_bytes_upset_the_judge(data: bytes) -> None:
    """Whatever arrives is refused without an error."""
    assert isinstance(judged(data), Refusal)


@given(header=st.binary(min_size=48, max_size=48), trailer=st.binary(max_size=80))
def test_no_reply_with_our_nonce_upsets_the_judge(header: bytes, trailer: bytes) -> None:
    """Random headers that answer our request are judged without an error, and a sample's numbers are sane."""
    data = header[:24] + NONCE.to_bytes(8, "big") + header[32:] + trailer
    got = judged(data, NtpConfig(max_root_distance_s=1e12, max_delay_s=1e12))
    if isinstance(got, Sample):
        assert got.delay_ns >= 0
        assert 1 <= got.stratum <= 15
        assert got.root_distance_s > 0


def test_every_reason_has_its_sentence() -> None:
    """The reasons are closed: each can be explained to a user."""
    assert all(explain(reason).endswith(".") for reason in Refusal)
    assert len({explain(reason) for reason in Refusal}) == len(Refusal)
