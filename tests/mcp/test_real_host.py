"""The adapter on a real host process that measures lab servers whose truth is known."""

import itertools
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

pytest.importorskip("mcp")

from tests.system.conftest import Host, lan_lab, make_host, until  # noqa: F401

from chronotick.client import Status
from chronotick.lab.lab import Ready

from .conftest import MODERN, RawHttp, RawStdio, S, envelope, http_adapter, raw_stdio

pytestmark = pytest.mark.network


def structured(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("isError"), result["content"]
    told: dict[str, Any] = result["structuredContent"]
    return told


def refusal(result: dict[str, Any]) -> dict[str, Any]:
    assert result["isError"] is True
    told: dict[str, Any] = json.loads(result["content"][0]["text"])
    return told


def test_a_day_with_a_host(make_host: Any, lan_lab: Ready) -> None:  # noqa: F811
    """From no host, through warm-up with progress, to times that hold the truth, stamps, past stamps, and its death."""
    host: Host = make_host(lan_lab.servers)
    truth = lan_lab.truth()
    with raw_stdio(host.directory.path, MODERN) as peer:
        assert "chronotick run" in refusal(peer.call("now", {}))["mend"]
        waiting = peer.post("tools/call", {"name": "status", "arguments": {"wait_seconds": 60}}, token="warm")
        host.start()
        first = structured(peer.response(waiting)["result"])
        assert first["ready"] is True
        progress = [note["params"]["progress"] for note in peer.notes if note["method"] == "notifications/progress"]
        assert progress
        assert all(one < two for one, two in itertools.pairwise(progress))
        with host.clock() as clock:
            until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")

        for _ in range(20):
            now = structured(peer.call("now", {}))
            true_ns = truth.utc_ns(int(now["raw_ns"]))
            assert int(now["earliest_ns"]) <= true_ns <= int(now["latest_ns"])
        status_is_told(peer, lan_lab)
        the_future_is_less_certain(peer)
        stamps_are_believed_only_when_made_here(peer)
        past_stamps_are_converted(peer)

        assert host.stop(signal.SIGKILL) == -signal.SIGKILL
        assert "chronotick run" in refusal(peer.call("status", {}))["mend"]
        after = structured(peer.call("now", {}))
        assert int(after["utc_ns"]) > int(now["utc_ns"])
        assert int(after["earliest_ns"]) <= truth.utc_ns(int(after["raw_ns"])) <= int(after["latest_ns"])


def status_is_told(peer: RawStdio, lab: Ready) -> None:
    def told_now() -> dict[str, Any]:
        return structured(peer.call("get_daemon_status", {}))

    # What is counted is made anew once a second, and the first fixes may have come since.
    until(lambda: told_now()["total_corrections"] > 2, "the first corrections are counted")
    told = told_now()
    assert told["status"] == "ready"
    assert 0 <= told["warmup_progress"] <= 1
    assert 0 < told["success_rate"] <= 1
    assert told["memory_usage_mb"] > 10
    assert told["cpu_affinity"]
    assert told["uptime_seconds"] > 0
    assert told["mcp_server"]["calls"] > 20
    stats = structured(peer.call("get_time", {"include_stats": True}))["detailed_stats"]
    assert {"host", "clock", "sources", "plugins", "forecasts"} <= set(stats)
    for uri, wanted in (("sources", "servers"), ("models", "forecasts"), ("status", "sections"), ("now", "utc_ns")):
        read = peer.request("resources/read", {"uri": f"chronotick://{uri}"})["result"]["contents"][0]
        assert wanted in json.loads(read["text"])
    read = peer.request("resources/read", {"uri": "chronotick://sources"})["result"]["contents"][0]
    assert {row["name"] for row in json.loads(read["text"])["servers"]} == set(lab.servers)


def the_future_is_less_certain(peer: RawStdio) -> None:
    tool = "get_time_with_future_uncertainty"
    told = [structured(peer.call(tool, {"future_seconds": ahead})) for ahead in (0, 10, 60, 300)]
    assert all(one["future_uncertainty"] >= one["time_uncertainty"] for one in told)
    widths = [one["future_uncertainty"] for one in told]
    assert all(near <= far for near, far in itertools.pairwise(widths)), widths


def stamps_are_believed_only_when_made_here(peer: RawStdio) -> None:
    first = structured(peer.call("stamp", {"payload": "the order was placed"}))
    second = structured(peer.call("stamp", {"payload": "the order was shipped"}))
    known = structured(peer.call("verify", {"token": first["token"], "payload": "the order was placed"}))
    assert known == first
    assert refusal(peer.call("verify", {"token": first["token"], "payload": "another"}))["kind"] == "TokenRefused"
    head, body, mac = first["token"].split(".")
    forged = ".".join((head, body[:-2] + ("AA" if body[-2:] != "AA" else "BB"), mac))
    for token in (forged, "ctk1.made.up", "2026-01-01T00:00:00Z"):
        assert refusal(peer.call("verify", {"token": token}))["kind"] == "TokenRefused"
    told = structured(peer.call("compare", {"a": first["token"], "b": second["token"]}))
    assert told["verified"] is True
    assert told["order"] in ("BEFORE", "AMBIGUOUS")
    assert refusal(peer.call("compare", {"a": forged, "b": second["token"]}))["kind"] == "TokenRefused"


def past_stamps_are_converted(peer: RawStdio) -> None:
    now = structured(peer.call("get_time", {}))
    told = structured(peer.call("convert_past", {"system_time": now["system_time_ns"]}))
    assert int(told["earliest_ns"]) <= int(now["corrected_time_ns"]) <= int(told["latest_ns"])
    ahead = str(int(now["system_time_ns"]) + 3600 * S)
    assert refusal(peer.call("convert_past", {"system_time": ahead}))["kind"] == "OutOfRange"


@contextmanager
def waiting_agent(port: int, seconds: int) -> Iterator[None]:
    """An agent that waits over HTTP, and then hangs up."""
    peer = RawHttp(port, MODERN)
    now = int(peer.call("now", {})[-1]["result"]["structuredContent"]["utc_ns"])
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    params = envelope({"name": "wait_until", "arguments": {"target": str(now + seconds * S)}}, MODERN, "t")
    connection.request(
        "POST",
        "/mcp",
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}),
        {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN,
            "Mcp-Method": "tools/call",
            "Mcp-Name": "wait_until",
        },
    )
    answer = connection.getresponse()
    assert b"notifications/progress" in answer.readline() + answer.readline()
    try:
        yield
    finally:
        answer.close()
        connection.close()


def test_a_wait_ends_when_its_agent_hangs_up(make_host: Any, lan_lab: Ready) -> None:  # noqa: F811
    """Over HTTP, a wait whose agent has left is cancelled: it is counted as ended long before its target."""
    host: Host = make_host(lan_lab.servers)
    host.start()
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
    with http_adapter(host.directory.path) as port:
        peer = RawHttp(port, MODERN)

        def failures() -> int:
            told = peer.call("get_daemon_status", {})[-1]["result"]["structuredContent"]
            count: int = told["mcp_server"]["failures"]
            return count

        before = failures()
        with waiting_agent(port, 500):
            assert failures() == before
        until(lambda: failures() == before + 1, "the wait has ended")
    assert threading.active_count() < 50
