"""The adapter as agents start it: a real process, spoken to over its standard input and output."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters

from .conftest import ERAS, LEGACY, MODERN, MODES, RawStdio, S, Snapshots, command, raw_stdio, run

NAMES = {
    "now",
    "compare",
    "wait_until",
    "stamp",
    "verify",
    "convert_past",
    "status",
    "get_time",
    "get_daemon_status",
    "get_time_with_future_uncertainty",
    "get_time_with_confidence_interval",
}


@pytest.fixture(scope="module", params=ERAS)
def peer(request: pytest.FixtureRequest, shared: Snapshots) -> Iterator[RawStdio]:
    """One adapter per era for the tests that leave it as it was."""
    with raw_stdio(shared.path, request.param) as made:
        yield made


@pytest.mark.parametrize("era", ERAS)
def test_the_sdk_client_works(snapshots: Snapshots, era: str) -> None:
    """The SDK's client lists and calls over real pipes in both eras, and checks answers against their schemas."""
    snapshots.publish()
    program, *arguments = command(snapshots.path)

    async def work() -> None:
        async with Client(StdioServerParameters(command=program, args=arguments), mode=MODES[era]) as client:
            assert client.protocol_version == era
            assert {tool.name for tool in (await client.list_tools()).tools} == NAMES
            told = await client.call_tool("get_time", {})
            assert told.structured_content is not None
            assert told.structured_content["daemon_status"] == "ready"
            assert (await client.call_tool("now", {"level": 7})).is_error

    run(work)


@pytest.mark.parametrize("era", ERAS)
def test_raw_json_rpc_works(snapshots: Snapshots, era: str) -> None:
    """Lines of JSON by hand: discovery or handshake, list, call, read; each line of output is a message."""
    snapshots.publish()
    with raw_stdio(snapshots.path, era) as peer:
        if era == MODERN:
            found = peer.request("server/discover", {})["result"]
            assert found["supportedVersions"] == [MODERN]
            assert found["resultType"] == "complete"
            capabilities, words = found["capabilities"], found["instructions"]
        else:
            told = peer.hello["result"]
            assert told["protocolVersion"] == LEGACY
            assert told["serverInfo"]["name"] == "chronotick"
            capabilities, words = told["capabilities"], told["instructions"]
        assert {"tools", "resources"} <= set(capabilities)
        assert capabilities["resources"]["subscribe"] is True
        assert "never produce" in words

        listed = peer.request("tools/list", {})["result"]
        assert {tool["name"] for tool in listed["tools"]} == NAMES
        assert all(tool["outputSchema"]["type"] == "object" for tool in listed["tools"])
        assert all(tool["annotations"]["readOnlyHint"] for tool in listed["tools"])
        assert ("ttlMs" in listed) == (era == MODERN)

        now = peer.call("now", {})
        assert json.loads(now["content"][0]["text"]) == now["structuredContent"]
        assert isinstance(now["structuredContent"]["utc_ns"], str)
        refused = peer.call("get_time_with_future_uncertainty", {"future_seconds": 4000})
        assert refused["isError"] is True
        assert "structuredContent" not in refused or refused["structuredContent"] is None
        assert json.loads(refused["content"][0]["text"])["tool"] == "get_time_with_future_uncertainty"

        read = peer.request("resources/read", {"uri": "chronotick://now"})["result"]
        assert json.loads(read["contents"][0]["text"])["status"] == "SYNCHRONISED"
        assert read["contents"][0]["mimeType"] == "application/json"
        if era == MODERN:
            assert (read["ttlMs"], read["cacheScope"]) == (0, "private")
        unknown = peer.request("tools/call", {"name": "time", "arguments": {}})["error"]
        assert unknown["code"] == -32602
        assert peer.request("time/now", {})["error"]["code"] == -32601
        code, said = peer.close()
    assert code == 0
    assert b"Traceback" not in said


@pytest.mark.parametrize("version", ["2024-11-05", "2099-01-01"])
def test_other_revisions_are_negotiated(snapshots: Snapshots, version: str) -> None:
    """A handshake for an older revision gets it; for one that does not exist, the newest with a handshake."""
    snapshots.publish()
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
    with raw_stdio(snapshots.path, MODERN) as peer:
        told = peer.request("initialize", hello)["result"]
        assert told["protocolVersion"] == (version if version != "2099-01-01" else LEGACY)
        peer.era = LEGACY
        peer.notify("notifications/initialized")
        assert int(peer.call("now", {})["structuredContent"]["utc_ns"]) > 0


def test_a_wait_tells_its_progress_and_ends_when_cancelled(peer: RawStdio) -> None:
    """Progress carries the caller's token and grows; after a cancel no answer comes, and others are served on."""
    now = int(peer.call("now", {})["structuredContent"]["utc_ns"])
    arguments = {"target": str(now + 300 * S)}
    waiting = peer.post("tools/call", {"name": "wait_until", "arguments": arguments}, token="wait-1")
    notes = [peer.message() for _ in range(3)]
    assert {note["method"] for note in notes} == {"notifications/progress"}
    assert {note["params"]["progressToken"] for note in notes} == {"wait-1"}
    assert all(one["params"]["progress"] < two["params"]["progress"] for one, two in itertools.pairwise(notes))
    assert notes[0]["params"]["total"] == pytest.approx(300, abs=5)

    peer.notify("notifications/cancelled", {"requestId": waiting, "reason": "no longer wanted"})
    assert int(peer.call("now", {})["structuredContent"]["utc_ns"]) > now
    late = [note for note in peer.notes if note.get("id") == waiting or "error" in note]
    assert late == []
    quiet = len([note for note in peer.notes if note.get("method") == "notifications/progress"])
    time.sleep(1.2)
    peer.call("now", {})
    assert len([note for note in peer.notes if note.get("method") == "notifications/progress"]) == quiet


def test_waits_do_not_hold_up_other_calls(peer: RawStdio) -> None:
    """While one call waits, others are answered, and the wait ends at its target all the same."""
    now = int(peer.call("now", {})["structuredContent"]["utc_ns"])
    arguments = {"target": str(now + 2 * S)}
    waiting = peer.post("tools/call", {"name": "wait_until", "arguments": arguments})
    between = int(peer.call("now", {})["structuredContent"]["utc_ns"])
    assert between < now + 2 * S
    done = peer.response(waiting)["result"]["structuredContent"]
    assert int(done["now"]["utc_ns"]) >= now + 2 * S


def test_garbage_does_not_end_the_service(peer: RawStdio) -> None:
    """A line that is no JSON, and one that is no message, leave the adapter answering."""
    peer.write(b"what time is it?")
    peer.write(b'{"jsonrpc": "1.0"}')
    assert int(peer.call("now", {})["structuredContent"]["utc_ns"]) > 0


def test_changes_are_told_over_real_pipes(peer: RawStdio, shared: Snapshots) -> None:
    """A subscriber gets `resources/updated` for the resource it named, in the form of its era."""
    peer.notes.clear()
    if peer.era == MODERN:
        stream = peer.post("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["chronotick://now"]}})
        assert peer.message()["method"] == "notifications/subscriptions/acknowledged"
    else:
        stream = peer.request("resources/subscribe", {"uri": "chronotick://now"})["id"]
    note = changed(peer, shared)
    assert note["method"] == "notifications/resources/updated"
    assert note["params"]["uri"] == "chronotick://now"
    if peer.era == MODERN:
        assert note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == stream


def changed(peer: RawStdio, snapshots: Snapshots) -> dict[str, Any]:
    """Publish another epoch every now and then until it is told: the first look comes just after a subscription."""
    first = snapshots.publisher.current.epoch + 1
    for epoch in range(first, first + 20):
        snapshots.publish(epoch=epoch)
        if (note := peer.next(1.5)) is not None:
            return note
    pytest.fail("no change was told")


def test_the_command_line_stays_light() -> None:
    """The other commands do not load the SDK."""
    code = (
        "import sys; from chronotick.cli.main import build_parser; build_parser();"
        "print({'mcp', 'pydantic', 'anyio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_without_the_sdk_the_command_says_what_to_install(tmp_path: Path) -> None:
    """Where the `mcp` package is missing, the command ends with 69 and the line that installs it."""
    code = (
        "import sys; sys.modules['mcp'] = None; from chronotick.cli.main import main; "
        f"sys.exit(main(['mcp', '--runtime-dir', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 69
    assert "pip install 'chronotick[mcp]'" in done.stderr
