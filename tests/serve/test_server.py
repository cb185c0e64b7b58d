"""Every question gets one answer, whoever else asks what."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from chronotick.errors import ConfigError, ProtocolError
from chronotick.serve import ClientVerbs, Server, Sources
from chronotick.wire.messages import Message, Now, StatusOk, StatusQuery
from chronotick.wire.snapshot import Record
from chronotick.wire.version import MAGIC

Serve = Callable[..., Server]
Connect = Callable[..., Any]


def echo(message: Any) -> Message:
    """Answers a status query with the sections that it names."""
    if not isinstance(message, StatusQuery):
        raise ProtocolError("unknown_type", "Only status.")
    return StatusOk(id=message.id, sections=dict.fromkeys(message.sections, 1))


def test_each_answer_bears_the_id_of_its_question(serve: Serve, asker: Connect) -> None:
    """Questions sent at once are all answered, in order, each with its id."""
    server = serve(echo)
    client = asker()
    for number in range(30):
        client.send(type="status_query", id=number, sections=[str(number)])
    for number in range(30):
        answer = client.receive()
        assert (answer["type"], answer["id"], answer["sections"]) == ("status_ok", number, {str(number): 1})
    assert (server.answered, server.refused, server.dropped) == (30, 0, 0)


@pytest.mark.parametrize(
    ("frames", "code", "number"),
    [
        ([b"HELO", b"\x80"], "bad_magic", None),
        ([b"CTK9", b"\x80"], "version_mismatch", None),
        ([MAGIC], "bad_message", None),
        ([b""], "bad_message", None),
        ([MAGIC, b""], "bad_message", None),
        ([MAGIC, b"\xc1"], "bad_message", None),
        ([MAGIC, msgpack.packb({"type": "now", "id": -1})], "bad_message", None),
        ([MAGIC, msgpack.packb({"type": "now"})], "bad_message", None),
        ([MAGIC, msgpack.packb({"type": "forecast_at", "id": 6, "ahead_ns": "soon"})], "bad_message", 6),
        ([MAGIC, msgpack.packb({"type": "tea", "id": 7})], "unknown_type", 7),
        ([MAGIC, msgpack.packb({"type": "now", "id": 8})], "unknown_type", 8),
    ],
)
def test_what_is_wrong_is_answered_with_its_code(
    serve: Serve, asker: Connect, frames: list[bytes], code: str, number: int | None
) -> None:
    """A bad question gets an error with code, sentence, and id where it could be read; the next one is served."""
    server = serve(echo)
    client = asker()
    client.socket.send_multipart(frames)
    answer = client.receive()
    assert (answer["type"], answer["code"], answer["id"]) == ("error", code, number)
    assert answer["message"].endswith(".")
    assert client.ask(type="status_query", id=9)["id"] == 9
    assert (server.answered, server.refused) == (1, 1)


def test_an_error_is_not_answered(serve: Serve, asker: Connect) -> None:
    """Otherwise two ends could send each other errors for ever."""
    serve(echo)
    client = asker()
    client.send(type="error", code="internal", message="You are wrong.")
    assert client.ask(type="status_query", id=1)["id"] == 1


def test_a_fault_of_the_host_is_told_and_logged_once(
    serve: Serve, asker: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in an answer becomes `internal`, for each question; the log gets it once a minute."""

    def broken(message: Any) -> Message:
        raise ZeroDivisionError("secret detail")

    serve(broken)
    client = asker()
    with caplog.at_level(logging.ERROR):
        answers = [client.ask(type="now", id=number) for number in (1, 2, 3)]
    assert [(one["code"], one["id"], one["retryable"]) for one in answers] == [("internal", n, True) for n in (1, 2, 3)]
    assert "secret" not in str(answers)
    assert len(caplog.records) == 1
    assert "secret detail" in caplog.text


def test_what_can_not_be_encoded_is_a_fault_of_the_host(serve: Serve, asker: Connect) -> None:
    """A status that holds no plain values is answered with an error instead of silence."""
    serve(lambda message: StatusOk(id=message.id, sections={"object": object()}))
    assert asker().ask(type="status_query", id=4)["code"] == "internal"


def test_an_error_with_a_mend_keeps_it(serve: Serve, asker: Connect) -> None:
    """An error raised on purpose reaches the asker with sentence and mend."""

    def refuse(message: Any) -> Message:
        raise ConfigError("Line 3 is wrong.", mend="Write another.")

    serve(refuse)
    answer = asker().ask(type="now", id=4)
    assert (answer["message"], answer["mend"], answer["id"]) == ("Line 3 is wrong.", "Write another.", 4)


def test_a_client_that_does_not_read_holds_nobody_up(serve: Serve, asker: Connect) -> None:
    """One that asks for far more than it takes away loses answers; another is served meanwhile."""
    padding = "x" * 16_000
    server = serve(lambda message: StatusOk(id=message.id, sections={"padding": padding}))
    slow, other = asker(), asker()
    assert other.ask(type="status_query", id=0)["id"] == 0
    sent = 0
    ends = time.monotonic() + 20
    while not server.dropped and time.monotonic() < ends:
        if slow.socket.poll(100, 2):
            slow.send(type="status_query", id=sent)
            sent += 1
    assert server.dropped > 0
    assert other.ask(type="status_query", id=1)["id"] == 1


def test_a_client_that_went_away_is_no_matter(serve: Serve, asker: Connect) -> None:
    """Answers for a client that has left are dropped, and the next one is served."""
    gone, entered = threading.Event(), threading.Event()

    def wait(message: Any) -> Message:
        if message.id == 1:
            entered.set()
            gone.wait(10)
        return StatusOk(id=message.id, sections={})

    serve(wait)
    leaving, other = asker(), asker()
    leaving.send(type="status_query", id=1)
    assert entered.wait(5)
    leaving.socket.close(linger=0)
    gone.set()
    assert other.ask(type="status_query", id=2)["id"] == 2


def test_a_busy_event_loop_delays_no_answer(serve: Serve, asker: Connect, record: Record) -> None:
    """While the host's loop is stuck in a callback, clients are answered."""
    serve(ClientVerbs(Sources(lambda: record, dict, lambda _: ((), [], False), lambda: ((), {}))))
    client = asker()
    answered = threading.Event()

    def ask() -> None:
        for number in range(20):
            assert client.ask(type="now", id=number)["id"] == number
        answered.set()

    async def stuck() -> bool:
        thread = threading.Thread(target=ask)
        thread.start()
        # The loop does nothing else until all answers are there: it could not have helped.
        done = answered.wait(10)
        thread.join()
        return done

    assert asyncio.run(stuck())


def test_questions_change_nothing(serve: Serve, asker: Connect, record: Record) -> None:
    """Asked a hundred times and in every way, the host's published record is the very same object, and equal."""
    before = tuple(record)
    holder = [record]
    serve(ClientVerbs(Sources(lambda: holder[0], dict, lambda _: ((), [], False), lambda: ((), {}))))
    client = asker()
    for number in range(100):
        client.ask(type="now", id=number)
        client.ask(type="forecast_at", id=number, ahead_ns=number * 10**9)
        client.ask(type="history", id=number, series="fixes")
        client.ask(type="explain", id=number)
    assert holder[0] is record
    assert tuple(record) == before


def test_a_stopped_server_gives_its_endpoint_back(serve: Serve, asker: Connect) -> None:
    """Stopping ends the thread, and the path can be bound again; clients reconnect by themselves."""
    client = asker()
    first = serve(echo)
    assert client.ask(type="status_query", id=1)["id"] == 1
    first.stop()
    assert "client.sock" not in [thread.name for thread in threading.enumerate()]
    serve(echo)
    # What was sent before the client noticed is lost with the old connection, so it asks until it is heard.
    for number in range(2, 100):
        client.send(type="status_query", id=number)
        if client.socket.poll(100):
            break
    assert client.receive()["id"] == number


def test_a_server_that_never_ran_can_be_stopped(tmp_path: Path) -> None:
    """Between binding and starting, stop just closes."""
    from chronotick.wire import runtime_dir

    with runtime_dir.create(tmp_path).lock() as lock:
        Server(f"ipc://{tmp_path / 'client.sock'}", lambda _: Now(id=1), name="x", lock=lock).stop()
