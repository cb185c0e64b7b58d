"""The tools and resources by contract, through the SDK's client, in both protocol eras, on a snapshot alone."""

import itertools
import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

import anyio
import psutil
from mcp_types import CallToolResult

from chronotick.fusion.types import Status
from chronotick.mcp import instants, tools
from chronotick.mcp.access import HostAccess
from chronotick.mcp.server import KEPT_MS, build
from mcp import Client, MCPDeprecationWarning, MCPError

from .conftest import ERAS, MODERN, MODES, S, Snapshots, run

EARLIER = {
    "get_time": {
        "corrected_time",
        "system_time",
        "offset_correction",
        "drift_rate",
        "offset_uncertainty",
        "drift_uncertainty",
        "time_uncertainty",
        "confidence",
        "source",
        "prediction_time",
        "valid_until",
        "daemon_status",
        "call_latency_ms",
    },
    "get_daemon_status": {
        "status",
        "warmup_progress",
        "warmup_remaining_seconds",
        "total_corrections",
        "success_rate",
        "average_latency_ms",
        "memory_usage_mb",
        "cpu_affinity",
        "uptime_seconds",
        "last_error",
        "mcp_server",
    },
    "get_time_with_future_uncertainty": {
        "future_timestamp",
        "future_seconds",
        "future_uncertainty",
        "uncertainty_increase",
    },
    "get_time_with_confidence_interval": {
        "confidence_level",
        "confidence_interval",
        "quantiles_available",
        "note",
    },
}
OURS = {"now", "compare", "wait_until", "stamp", "verify", "status", "convert_past"}
FUTURE, INTERVAL = "get_time_with_future_uncertainty", "get_time_with_confidence_interval"


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def access(snapshots: Snapshots) -> Iterator[HostAccess]:
    made = HostAccess(str(snapshots.path), timeout_s=0.2)
    yield made
    made.close()


def agent(access: HostAccess, era: str = MODERN) -> Client:
    """An agent in this process."""
    return Client(build(access), mode=MODES[era])


def fault(result: CallToolResult) -> dict[str, Any]:
    """The error of a call that failed."""
    assert result.is_error
    assert result.structured_content is None
    (content,) = result.content
    assert content.type == "text"
    body: dict[str, Any] = json.loads(content.text)
    assert set(body) == {"error", "tool", "arguments", "timestamp", "timestamp_source", "kind", "mend"}
    assert body["error"].endswith((".", "'")) or body["kind"] == "InvalidArguments"
    assert body["mend"]
    return body


def answer(result: CallToolResult) -> dict[str, Any]:
    """What a call answered, the same as text and as structure."""
    assert not result.is_error, result.content
    (content,) = result.content
    assert content.type == "text"
    assert json.loads(content.text) == result.structured_content
    assert result.structured_content is not None
    return dict(result.structured_content)


def test_every_tool_is_listed_with_schemas_and_reads_only(access: HostAccess, era: str) -> None:
    """The earlier four and ours, each with closed schemas, both ways, and marked as reading this machine only."""

    async def work() -> None:
        async with agent(access, era) as client:
            assert client.protocol_version == era
            listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(listed) == set(EARLIER) | OURS
        for tool in listed.values():
            assert tool.title
            assert tool.description
            assert tool.input_schema["additionalProperties"] is False
            assert tool.output_schema is not None
            assert tool.output_schema["type"] == "object"
            assert tool.output_schema["additionalProperties"] is False
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is True
            assert tool.annotations.destructive_hint is False
            assert tool.annotations.open_world_hint is False

    run(work)


def test_the_earlier_tools_take_and_give_their_fields(access: HostAccess, era: str) -> None:
    """Argument names, ranges, defaults and required result fields are those of the contract."""

    async def work() -> None:
        async with agent(access, era) as client:
            listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        asked = {name: listed[name].input_schema.get("properties", {}) for name in EARLIER}
        assert {name: set(fields) for name, fields in asked.items()} == {
            "get_time": {"include_stats"},
            "get_daemon_status": set(),
            FUTURE: {"future_seconds"},
            INTERVAL: {"confidence_level", "include_stats"},
        }
        assert asked["get_time"]["include_stats"]["default"] is False
        assert (asked[FUTURE]["future_seconds"]["minimum"], asked[FUTURE]["future_seconds"]["maximum"]) == (0, 3600)
        assert listed[FUTURE].input_schema["required"] == ["future_seconds"]
        level = asked[INTERVAL]["confidence_level"]
        assert (level["default"], level["exclusiveMinimum"], level["exclusiveMaximum"]) == (0.9, 0, 1)
        for name, fields in EARLIER.items():
            wanted = fields | (set() if name == "get_daemon_status" else EARLIER["get_time"])
            schema = listed[name].output_schema
            assert schema is not None
            assert wanted <= set(schema["required"]), name
        assert "detailed_stats" not in (listed["get_time"].output_schema or {})["required"]
        schema = listed[INTERVAL].output_schema
        assert schema is not None
        bounds = {"lower_bound", "upper_bound", "range", "offset_lower", "offset_upper"}
        assert bounds <= set(schema["$defs"]["ConfidenceInterval"]["required"])

    run(work)


def test_the_time_is_the_snapshots(snapshots: Snapshots, access: HostAccess, era: str) -> None:
    """Each time tool gives the published time: a second ahead of the system clock here, inside its own bounds."""
    snapshots.publish()

    async def work() -> None:
        async with agent(access, era) as client:
            for tool, arguments in (
                ("get_time", {}),
                (FUTURE, {"future_seconds": 60}),
                (INTERVAL, {"confidence_level": 0.5}),
            ):
                told = answer(await client.call_tool(tool, arguments))
                corrected = int(told["corrected_time_ns"])
                assert abs(corrected - int(told["system_time_ns"]) - S) < S // 100
                assert int(told["earliest_ns"]) <= corrected <= int(told["latest_ns"])
                assert told["daemon_status"] == "ready"
                assert told["confidence"] == 0.95
                assert told["source"] == "floor+chronos"
                assert told["valid_until"] > told["system_time"]
                assert "detailed_stats" not in told
            now = answer(await client.call_tool("now", {"level": 0.5}))
        assert int(now["earliest_ns"]) <= int(now["interval"]["low_ns"]) <= int(now["utc_ns"])
        assert int(now["utc_ns"]) <= int(now["interval"]["high_ns"]) <= int(now["latest_ns"])
        assert instants.from_text(now["utc"]) == int(now["utc_ns"])
        assert now["status"] == "SYNCHRONISED"
        assert now["raw_ns"].isdigit()

    run(work)


def test_the_properties_hold_over_calls(snapshots: Snapshots, access: HostAccess) -> None:
    """Over calls, time never runs back, and widths never fall with the level or with the way ahead."""
    snapshots.publish(rate=-1e-4)

    async def work() -> None:
        async with agent(access) as client:
            stamps = []
            for number in range(60):
                if number == 30:
                    snapshots.publish(rate=1e-4)
                stamps.append(int(answer(await client.call_tool("get_time", {}))["corrected_time_ns"]))
            assert all(one < two for one, two in itertools.pairwise(stamps))
            ranges = [
                answer(await client.call_tool(INTERVAL, {"confidence_level": level}))["confidence_interval"]["range"]
                for level in (0.01, 0.5, 0.9, 0.99, 0.999999)
            ]
            assert all(narrow < wide for narrow, wide in itertools.pairwise(ranges))
            told = [answer(await client.call_tool(FUTURE, {"future_seconds": s})) for s in (0, 1, 60, 3600)]
        wide = [one["future_uncertainty"] for one in told]
        assert all(near <= far for near, far in itertools.pairwise(wide))
        assert wide[0] < wide[-1]
        assert all(one["future_uncertainty"] >= one["time_uncertainty"] for one in told)
        assert told[2]["future_timestamp"] == pytest.approx(told[2]["corrected_time"] + 60, abs=0.5)

    run(work)


@pytest.mark.parametrize(
    ("tool", "arguments", "about"),
    [
        (FUTURE, {"future_seconds": -0.001}, "future_seconds"),
        (FUTURE, {"future_seconds": 3600.001}, "future_seconds"),
        (FUTURE, {"future_seconds": "nan"}, "future_seconds"),
        (FUTURE, {}, "future_seconds"),
        (INTERVAL, {"confidence_level": 0}, "confidence_level"),
        (INTERVAL, {"confidence_level": 1}, "confidence_level"),
        (INTERVAL, {"confidence_level": "high"}, "confidence_level"),
        (INTERVAL, {"level": 0.5}, "level"),
        ("get_time", {"include_stats": "perhaps"}, "include_stats"),
        ("now", {"level": 1.5}, "level"),
        ("now", {"max_width_ms": 0}, "max_width_ms"),
        ("now", {"time": "12:00"}, "time"),
        ("wait_until", {}, "target or past"),
        ("wait_until", {"target": "soon"}, "no instant"),
        ("wait_until", {"target": "0"}, "past"),
        ("wait_until", {"target": "2200-01-01T00:00:00Z"}, "away"),
        ("compare", {"a": {"utc_ns": "1"}, "b": {}}, "a.EventTime"),
        ("verify", {"token": "ctk1.invented.token"}, ""),
        ("convert_past", {}, "raw_ns or system_time"),
        ("convert_past", {"raw_ns": "9000000000000000000"}, "future"),
        ("convert_past", {"raw_ns": "9999999999999999999"}, "count"),
    ],
)
def test_what_makes_no_sense_is_refused(
    snapshots: Snapshots, access: HostAccess, era: str, tool: str, arguments: dict[str, Any], about: str
) -> None:
    """Arguments out of range, missing, misspelt or invented give the contract's error, in words, and nothing else."""
    snapshots.publish()

    async def work() -> None:
        async with agent(access, era) as client:
            told = fault(await client.call_tool(tool, arguments))
        assert told["tool"] == tool
        assert told["arguments"] == arguments
        assert abs(told["timestamp"] - time.time()) < 10
        assert about in told["error"]

    run(work)


def test_an_unknown_tool_or_resource_is_a_protocol_error(access: HostAccess, era: str) -> None:
    """What is not there is refused with what there is."""

    async def work() -> None:
        async with agent(access, era) as client:
            with pytest.raises(MCPError, match=r"Unknown tool: time\. There are: now"):
                await client.call_tool("time", {})
            with pytest.raises(MCPError, match="There is no resource"):
                await client.read_resource("chronotick://future")

    run(work)


def test_a_width_is_kept_or_refused(snapshots: Snapshots, access: HostAccess) -> None:
    """`max_width_ms` refuses a hard interval that is wider, here 20 ms."""
    snapshots.publish()

    async def work() -> None:
        async with agent(access) as client:
            assert fault(await client.call_tool("now", {"max_width_ms": 1}))["kind"] == "WidthExceeded"
            assert int(answer(await client.call_tool("now", {"max_width_ms": 1000}))["hard_width_ns"]) >= S // 50

    run(work)


def test_without_a_time_there_is_an_error_and_never_a_number(
    snapshots: Snapshots, access: HostAccess, era: str
) -> None:
    """UNKNOWN gives every time tool the error shape with a mend; a time that comes later is given."""
    snapshots.unknown()

    async def work() -> None:
        async with agent(access, era) as client:
            for tool, arguments in (("now", {}), ("get_time", {}), (FUTURE, {"future_seconds": 1}), (INTERVAL, {})):
                told = fault(await client.call_tool(tool, arguments))
                assert told["kind"] == "ClockUnknown"
                assert "chronotick status" in told["mend"]
                assert "not a time to use" in told["timestamp_source"]
            with pytest.raises(MCPError, match="no time yet"):
                await client.read_resource("chronotick://now")
            snapshots.publish()
            answer(await client.call_tool("get_time", {}))

    run(work)


def test_the_adapter_recovers_when_a_host_appears(tmp_path: Path, era: str) -> None:
    """Started before any host, it says so with the mend; once there is one, the same connection gives the time."""
    directory = tmp_path / "run"
    access = HostAccess(str(directory), timeout_s=0.2)

    async def work() -> None:
        async with agent(access, era) as client:
            for tool in ("now", "get_time", "get_daemon_status", "status"):
                told = fault(await client.call_tool(tool, {}))
                assert told["kind"] == "HostAbsent"
                assert "chronotick run" in told["mend"]
            made = Snapshots(directory)
            try:
                made.publish()
                first = answer(await client.call_tool("now", {}))
                made.publisher.close()
                shutil.rmtree(directory)
                made = Snapshots(directory)
                made.publish()
                again = answer(await client.call_tool("now", {}))
            finally:
                made.publisher.close()
        assert int(again["utc_ns"]) > int(first["utc_ns"])

    run(work)
    access.close()


def test_events_are_compared_as_tools_gave_them(snapshots: Snapshots, access: HostAccess, era: str) -> None:
    """Two readings handed on whole are in order by their machine's clock; without it, their intervals overlap."""
    snapshots.publish()

    async def work() -> None:
        async with agent(access, era) as client:
            one, two = [answer(await client.call_tool("now", {})) for _ in range(2)]
            told = answer(await client.call_tool("compare", {"a": one, "b": two}))
            assert (told["order"], told["probability"], told["verified"]) == ("BEFORE", 1, False)
            near = {name: str(int(one[name]) + 1_000_000) for name in ("utc_ns", "earliest_ns", "latest_ns")}
            near = {name: value for name, value in one.items() if name != "raw_ns"} | near
            told = answer(await client.call_tool("compare", {"a": near, "b": one}))
            assert told["order"] == "AMBIGUOUS"
            assert told["probability"] < 0.01
            assert "Nobody can tell" in told["verdict"]
            one["utc_ns"] = str(int(one["latest_ns"]) + 1)
            assert fault(await client.call_tool("compare", {"a": one, "b": two}))["kind"] == "OutOfRange"

    run(work)


def test_a_raw_stamp_is_converted(snapshots: Snapshots, access: HostAccess) -> None:
    """A past reading of the raw clock gives the time at which it was taken."""
    snapshots.publish(rate=0.0)

    async def work() -> None:
        async with agent(access) as client:
            now = answer(await client.call_tool("now", {}))
            past = str(int(now["raw_ns"]) - S)
            told = answer(await client.call_tool("convert_past", {"raw_ns": past}))
        assert abs(int(told["utc_ns"]) - (int(now["utc_ns"]) - S)) < S // 100
        assert int(told["earliest_ns"]) <= int(told["utc_ns"]) <= int(told["latest_ns"])

    run(work)


def test_a_wait_ends_at_its_target_with_progress(snapshots: Snapshots, access: HostAccess, era: str) -> None:
    """wait_until returns at or after the target, late by little, and tells growing progress on the way."""
    snapshots.publish()
    told: list[tuple[float, float | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total))

    async def work() -> None:
        async with agent(access, era) as client:
            now = answer(await client.call_tool("now", {}))
            target = int(now["utc_ns"]) + 2_000_000_000
            done = answer(
                await client.call_tool("wait_until", {"target": str(target)}, progress_callback=hear)
            )  # fmt: skip
            assert int(done["now"]["utc_ns"]) >= target
            assert 0 <= int(done["late_ns"]) == int(done["now"]["utc_ns"]) - target < 2 * S
            past = answer(await client.call_tool("wait_until", {"past": done["now"]}))
        assert int(past["now"]["earliest_ns"]) > int(done["now"]["latest_ns"])
        assert len(told) >= 2
        assert all(one[0] < two[0] for one, two in itertools.pairwise(told))
        assert all(total is not None and progress <= total for progress, total in told)

    run(work)


def test_live_answers_may_not_be_kept(snapshots: Snapshots, access: HostAccess) -> None:
    """Resources have ttl 0 and are private; what changes with the package only may be kept."""
    snapshots.publish()

    async def work() -> None:
        async with agent(access) as client:
            read = await client.read_resource("chronotick://now")
            assert (read.ttl_ms, read.cache_scope) == (0, "private")
            again = await client.read_resource("chronotick://now")
            assert json.loads(read.contents[0].text) != json.loads(again.contents[0].text)
            assert (await client.list_tools()).ttl_ms == KEPT_MS
            listed = await client.list_resources()
        assert listed.ttl_ms == KEPT_MS
        assert [one.uri for one in listed.resources] == [
            "chronotick://now",
            "chronotick://status",
            "chronotick://sources",
            "chronotick://models",
        ]

    run(work)


def test_the_model_is_told_to_read_and_never_to_produce_a_time(access: HostAccess, era: str) -> None:
    """The instructions name the tools, and forbid invented times."""

    async def work() -> None:
        async with agent(access, era) as client:
            told = client.instructions or ""
        assert "Read the time, never produce it." in told
        assert all(f"`{name}`" in told for name in ("now", "compare", "stamp", "verify", "wait_until"))

    run(work)


def test_no_tool_reaches_the_network(snapshots: Snapshots, access: HostAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call opens an internet socket, from Python or through ZeroMQ, and every tool still answers or refuses."""
    snapshots.publish()
    this = psutil.Process()
    real = socket.socket.__init__

    def guarded(self: socket.socket, family: int = -1, *rest: Any, **more: Any) -> None:
        assert family not in (socket.AF_INET, socket.AF_INET6), "a call went to the network"
        real(self, family, *rest, **more)

    async def work() -> None:
        async with agent(access) as client:
            monkeypatch.setattr(socket.socket, "__init__", guarded)
            for spec in tools.SPECS:
                arguments = {FUTURE: {"future_seconds": 1}, "convert_past": {"raw_ns": "1"}}.get(spec.name, {})
                await client.call_tool(spec.name, arguments)
                assert this.net_connections("inet") == before

    before = this.net_connections("inet")
    run(work)


def test_a_changed_clock_is_told(snapshots: Snapshots, access: HostAccess, era: str) -> None:
    """Subscribers hear of a change of status, in the way of their era, and what they then read is the new status."""
    snapshots.publish()
    heard: list[str] = []

    async def hear(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            heard.append(message.params.uri)
            told.set()

    async def change() -> None:
        # The first look at the clock comes a moment after the subscription.
        for epoch, status in enumerate(itertools.cycle((Status.DISRUPTED, Status.SYNCHRONISED))):
            snapshots.publish(status=status, epoch=epoch + 1)
            with anyio.move_on_after(2):
                await told.wait()
                break

    async def listen(client: Client) -> None:
        async with client.listen(resource_subscriptions=["chronotick://now"]) as events:
            async for event in events:
                heard.append(event.uri)
                told.set()
                return

    async def work() -> None:
        nonlocal told
        told = anyio.Event()
        async with Client(build(access), mode=MODES[era], message_handler=hear) as client:
            async with anyio.create_task_group() as tasks:
                if era == MODERN:
                    tasks.start_soon(listen, client)
                else:
                    with pytest.warns(MCPDeprecationWarning):
                        await client.subscribe_resource("chronotick://now")
                await change()
            read = await client.read_resource("chronotick://now")
            assert json.loads(read.contents[0].text)["status"] == snapshots.publisher.current.status
        assert set(heard) == {"chronotick://now"}

    told: anyio.Event
    run(work)
