"""The parts that a running host is made of, each by itself."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.config.schema import PluginConfig
from chronotick.errors import ProtocolError
from chronotick.plugins.child_environ import child_environ
from chronotick.plugins.handshake import check_hello, identity_of, model_params, name_in
from chronotick.plugins.ledger import Durations, Ledger, refusal
from chronotick.plugins.link import Link, Sent
from chronotick.plugins.log_pump import BURST_LINES, LogPump, parse_line
from chronotick.plugins.manifest import Manifest, Weights
from chronotick.plugins.turns import Turns
from chronotick.wire.launch import Launch
from chronotick.wire.messages import ForecastOk, ForecastRequest, Hello, Ping, Series
from chronotick.wire.runtime_dir import RuntimeDir
from chronotick.wire.sockets import ipc_endpoint

Echo = Callable[..., Manifest]
HELLO = Hello(name="echo", version="1", instance="ab" * 8, pid=1, token="secret", protocols=((1, 0),))


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


# Handshake.


def test_a_sound_hello_gets_the_common_version() -> None:
    assert check_hello(HELLO, identity_of("echo", "ab" * 8), token="secret") == (1, 0)


@pytest.mark.parametrize(
    ("change", "identity", "token", "code"),
    [
        ({}, b"echo:cdcdcdcd", "secret", "bad_manifest"),
        ({}, b"echo:" + b"ab" * 8, "other", "bad_token"),
        ({}, b"echo:" + b"ab" * 8, "", "bad_token"),
        ({"token": ""}, b"echo:" + b"ab" * 8, "", "bad_token"),
        ({"token": "gehéim"}, b"echo:" + b"ab" * 8, "secret", "bad_token"),
        ({"protocols": ((2, 0),)}, b"echo:" + b"ab" * 8, "secret", "version_mismatch"),
        ({"name": "other"}, b"echo:" + b"ab" * 8, "secret", "bad_manifest"),
    ],
)
def test_an_unsound_hello_is_refused_with_its_code(
    change: dict[str, Any], identity: bytes, token: str, code: str
) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_hello(msgspec.structs.replace(HELLO, **change), identity, token=token)
    assert caught.value.code == code


@given(st.binary(max_size=40))
def test_any_identity_has_a_name_or_none(identity: bytes) -> None:
    assert isinstance(name_in(identity), str)


def test_the_configuration_names_the_weights_and_the_manifest_where_it_does_not(echo: Echo) -> None:
    manifest = msgspec.structs.replace(echo(), weights=Weights(path="weights"))
    assert model_params(manifest, PluginConfig(name="echo")) == {
        "path": str(manifest.folder / "weights"),
        "device": "cpu",
    }
    config = PluginConfig(name="echo", repo="a/b", revision="main", params={"mode": "hold"})
    assert model_params(manifest, config) == {"repo": "a/b", "revision": "main", "device": "cpu", "mode": "hold"}
    assert model_params(manifest, PluginConfig(name="echo", size="tiny")) == {"size": "tiny", "device": "cpu"}
    config = PluginConfig(name="echo", path="weights")
    assert model_params(manifest, config) == {"path": str(Path.cwd() / "weights"), "device": "cpu"}
    embedded = msgspec.structs.replace(manifest, weights=Weights(path="embedded"))
    assert model_params(embedded, PluginConfig(name="echo"))["path"] == "embedded"


# Environment variables of a child.


def test_a_child_gets_few_of_the_hosts_variables_and_passive_openmp(echo: Echo) -> None:
    environ = {
        "PATH": "/bin",
        "HF_HUB_OFFLINE": "1",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": "/evil",
        "LD_PRELOAD": "/evil.so",
        "AWS_SECRET_ACCESS_KEY": "x",
        "OMP_NUM_THREADS": "64",
        "OMP_WAIT_POLICY": "ACTIVE",
        "CHRONOTICK_TOKEN": "the host's own",
    }
    manifest = echo()
    launch = Launch(endpoint="ipc:///x", token="t", lifeline_fd=7)
    got = child_environ(environ, manifest, launch, 2)
    assert {got[name] for name in ("PATH", "HF_HUB_OFFLINE", "LC_ALL")} == {"/bin", "1", "C.UTF-8"}
    assert not {"PYTHONPATH", "LD_PRELOAD", "AWS_SECRET_ACCESS_KEY"} & set(got)
    assert (got["OMP_NUM_THREADS"], got["OMP_WAIT_POLICY"]) == ("2", "PASSIVE")
    assert (got["CHRONOTICK_TOKEN"], got["CHRONOTICK_LIFELINE_FD"]) == ("t", "7")
    process = msgspec.structs.replace(manifest.process, env={"HF_HUB_OFFLINE": "0", "CHRONOTICK_TOKEN": "mine"})
    got = child_environ(environ, msgspec.structs.replace(manifest, process=process), launch, 2)
    assert (got["HF_HUB_OFFLINE"], got["CHRONOTICK_TOKEN"]) == ("0", "t")


# Log lines.


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ('{"level": "error", "message": "bad", "logger": "a.b"}', logging.ERROR, "bad"),
        ('{"level": "WARNING", "message": "hm", "exception": "Trace"}', logging.WARNING, "hm\nTrace"),
        ('{"level": "loud", "message": "x"}', logging.INFO, "x"),
        ('{"message": 5}', logging.INFO, '{"message": 5}'),
        ("{not json", logging.INFO, "{not json"),
        ("plain %s text", logging.INFO, "plain %s text"),
    ],
)
def test_a_line_is_a_json_record_or_text(line: str, level: int, text: str) -> None:
    assert parse_line(line)[:2] == (level, text)


@given(st.text())
def test_no_line_breaks_the_parser(line: str) -> None:
    level, text, extra = parse_line(line)
    logging.getLogger("chronotick.test.silent").log(level - 100, "%s", text, extra=extra)


def test_what_a_plugin_writes_is_passed_on_up_to_a_rate_and_the_rest_is_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        read, write = os.pipe2(os.O_NONBLOCK)
        # No time passes, however busy the machine: what is refilled per second has no part in this.
        monkeypatch.setattr(loop, "time", lambda: 0.0)
        pump = LogPump(read, logging.getLogger("chronotick.plugin.echo"), loop)
        os.write(write, b"".join(b"line %d\n" % k for k in range(1000)) + b"\xff no end")
        os.close(write)
        pump.close()
        monkeypatch.undo()
        assert pump.last_lines[-1] == "� no end"

    with caplog.at_level(logging.INFO):
        run(scene())
    texts = [record.getMessage() for record in caplog.records]
    assert texts[:2] == ["line 0", "line 1"]
    assert BURST_LINES <= len(texts) < BURST_LINES + 50
    assert texts[-1].endswith("lines of this plugin were not logged: it writes too much.")
    assert int(texts[-1].split()[0]) + len(texts) - 1 == 1001


def test_a_line_without_end_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        read, write = os.pipe2(os.O_NONBLOCK)
        pump = LogPump(read, logging.getLogger("chronotick.plugin.echo"), asyncio.get_running_loop())
        os.write(write, b"x" * 60_000)
        os.close(write)
        pump.close()

    with caplog.at_level(logging.INFO):
        run(scene())
    assert [len(record.getMessage()) for record in caplog.records] == [8192]


# Requests in flight.


def request(number: int, within_s: float) -> ForecastRequest:
    series = Series(t0_ns=0, step_ns=1, values=np.zeros((1, 8)))
    deadline_ns = time.monotonic_ns() + int(within_s * 1e9)
    return ForecastRequest(id=number, deadline_ns=deadline_ns, series=series, horizon=1, levels=(0.5,))


def answer(number: int) -> ForecastOk:
    return ForecastOk(id=number, quantiles=np.zeros((1, 1, 1)))


def test_a_request_has_one_reply_whatever_comes_after_it() -> None:
    async def scene() -> None:
        late: list[int] = []
        ledger = Ledger(late.append)
        future = ledger.open(request(1, 60))
        reply = answer(1)
        assert ledger.settle(1, reply)
        assert not ledger.settle(1, answer(1))
        ledger.refuse_all("internal", "x")
        assert await future is reply
        assert (len(ledger), ledger.stray, late) == (0, 1, [])

    run(scene())


def test_at_its_deadline_a_request_is_refused_and_its_late_answer_is_owed_not_stray() -> None:
    async def scene() -> None:
        late: list[int] = []
        ledger = Ledger(late.append)
        reply = await ledger.open(request(1, 0.01))
        assert reply == refusal("deadline_exceeded", "The answer did not come before the deadline.")
        assert (late, ledger.overdue) == ([1], {1})
        assert not ledger.settle(1, answer(1))
        assert (ledger.overdue, ledger.stray) == (set(), 0)

    run(scene())


def test_what_the_asker_gave_up_is_owed_until_it_is_answered() -> None:
    async def scene() -> None:
        ledger = Ledger(lambda _: None)
        future = ledger.open(request(1, 60))
        future.cancel()
        assert ledger.abandon(1)
        assert not ledger.abandon(1)
        assert ledger.overdue == {1}
        ledger.settle(1, answer(1))
        assert ledger.overdue == set()

    run(scene())


def test_percentiles_are_those_of_the_last_256() -> None:
    durations = Durations()
    assert durations.percentile(50) is None
    durations.add(7.0)
    assert durations.percentile(99) == 7.0
    for value in range(1000):
        durations.add(float(value))
    assert durations.percentile(50) == pytest.approx(np.percentile(np.arange(744, 1000), 50))
    assert durations.percentile(99) == pytest.approx(np.percentile(np.arange(744, 1000), 99))


# Turns.


def test_plugins_start_one_after_the_other_in_the_order_of_asking() -> None:
    async def scene() -> None:
        went: list[str] = []
        turns = Turns(60, width=1)
        assert turns.ask("a", lambda: went.append("a"))
        assert not turns.ask("b", lambda: went.append("b"))
        assert not turns.ask("c", lambda: went.append("c"))
        turns.done("b")
        turns.done("a")
        assert (went, turns.starting) == (["a", "c"], ("c",))
        turns.close()

    run(scene())


def test_two_start_at_once_only_where_memory_allows_it() -> None:
    async def scene() -> None:
        went: list[str] = []
        free = [100]
        turns = Turns(60, width=2, available_bytes=lambda: free[0])
        turns.ask("a", lambda: went.append("a"), need_bytes=1000)
        turns.ask("b", lambda: went.append("b"), need_bytes=1000)
        assert went == ["a"]
        free[0] = 2000
        turns.ask("c", lambda: went.append("c"), need_bytes=1000)
        assert went == ["a", "b"]
        turns.close()

    run(scene())


def test_one_that_takes_too_long_lets_the_next_one_go() -> None:
    async def scene() -> None:
        gone = asyncio.Event()
        turns = Turns(0.01, width=1)
        turns.ask("a", lambda: None)
        turns.ask("b", gone.set)
        await gone.wait()
        turns.close()

    run(scene())


# The socket.


def test_a_message_to_nobody_is_told_at_once(runtime: RuntimeDir) -> None:
    async def scene() -> None:
        with runtime.lock() as lock:
            link = Link(
                ipc_endpoint(runtime.plugins), on_message=lambda *_: None, on_garbage=lambda *_: None, lock=lock
            )
            assert link.send(b"nobody:00", Ping(seq=1, sent_ns=0)) is Sent.NO_ROUTE
            link.close()
            link.close()
            assert link.send(b"nobody:00", Ping(seq=1, sent_ns=0)) is Sent.NO_ROUTE

    run(scene())
