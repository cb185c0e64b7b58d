"""Names to addresses: never in the event loop's way, and never an exception."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from chronotick.ntp.address import Endpoint, parse_server
from chronotick.ntp.resolve import resolve


def answers(*rows: tuple[int, tuple[Any, ...]]) -> Any:
    return lambda *args, **kwargs: [(family, socket.SOCK_DGRAM, 17, "", address) for family, address in rows]


def test_numbers_need_no_name_service(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A numeric address is its own answer, unless it is of the wrong family; no thread is started."""
    monkeypatch.setattr(threading, "Thread", None)
    assert run(lambda: resolve(parse_server("192.0.2.1:11"), "any")) == (Endpoint("192.0.2.1", 11),)
    assert run(lambda: resolve(parse_server("[2001:db8::1]"), "ipv6")) == (Endpoint("2001:db8::1", 123),)
    assert run(lambda: resolve(parse_server("192.0.2.1"), "ipv6")) == ()


def test_a_name_gives_all_its_addresses_in_order(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both families, once each, with the configured port and a link-local address's scope."""
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        answers(
            (socket.AF_INET6, ("fe80::1%eth0", 1123, 0, 2)),
            (socket.AF_INET, ("192.0.2.1", 1123)),
            (socket.AF_INET, ("192.0.2.1", 1123)),
        ),
    )
    got = run(lambda: resolve(parse_server("time.example.org:1123"), "any"))
    assert got == (Endpoint("fe80::1", 1123, 2), Endpoint("192.0.2.1", 1123))


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_AGAIN, "later"), UnicodeError("label too long")])
def test_failure_is_an_empty_answer(run: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """No address, no name service, a name that can not be encoded: no address, and no exception."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert run(lambda: resolve(parse_server("time.example.org"), "any")) == ()


def test_a_hanging_name_service_holds_nobody_up(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on, a cancelled caller is free at once, and the late answer disturbs nobody."""
    asked, release = threading.Event(), threading.Event()

    def hang(*args: Any, **kwargs: Any) -> list[Any]:
        asked.set()
        release.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def main() -> None:
        waiting = asyncio.create_task(resolve(parse_server("time.example.org"), "any"))
        assert await asyncio.to_thread(asked.wait, 10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()

    run(main)
    release.set()
    for thread in threading.enumerate():
        if thread.name == "resolve time.example.org":
            assert thread.daemon
            thread.join(10)
            assert not thread.is_alive()
