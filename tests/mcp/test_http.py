"""The adapter over HTTP: a real process on a loopback port."""

import itertools
import subprocess
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("mcp")

from chronotick.errors import ConfigError
from chronotick.mcp import transports
from mcp import Client

from .conftest import ERAS, LEGACY, MODERN, MODES, RawHttp, S, Snapshots, command, envelope, http_adapter, run

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def port(shared: Snapshots) -> Iterator[int]:
    """The port of an adapter that also answers as box.lan:8443."""
    with http_adapter(shared.path, "--allow-host", "box.lan:8443") as one:
        yield one


@pytest.mark.parametrize("era", ERAS)
def test_the_sdk_client_works(port: int, era: str) -> None:
    """The SDK's client lists, calls, waits with progress and reads over HTTP in both eras."""
    told: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async def work() -> None:
        async with Client(f"http://127.0.0.1:{port}/mcp", mode=MODES[era]) as client:
            assert client.protocol_version == era
            assert len((await client.list_tools()).tools) == 11
            now = (await client.call_tool("now", {})).structured_content
            assert now is not None
            target = str(int(now["utc_ns"]) + 1_300_000_000)
            done = await client.call_tool("wait_until", {"target": target}, progress_callback=hear)
            assert not done.is_error
            assert (await client.read_resource("chronotick://now")).contents
        assert len(told) >= 2
        assert all(one < two for one, two in itertools.pairwise(told))

    run(work)


@pytest.mark.parametrize("era", ERAS)
def test_raw_json_rpc_works(port: int, era: str) -> None:
    """POSTs by hand: list, call, refusal, and progress on the stream of the call that it belongs to."""
    peer = RawHttp(port, era)
    assert bool(peer.session) == (era == LEGACY)
    params = envelope({}, era)
    _, _, listed = peer.post({"method": "tools/list", "params": params, "id": 99}, {"Mcp-Method": "tools/list"})
    assert len(listed[-1]["result"]["tools"]) == 11

    now = peer.call("now", {})[-1]["result"]["structuredContent"]
    assert int(now["earliest_ns"]) <= int(now["utc_ns"]) <= int(now["latest_ns"])
    assert peer.call("now", {"level": 2})[-1]["result"]["isError"] is True

    target = str(int(now["utc_ns"]) + 2 * S)
    *notes, done = peer.call("wait_until", {"target": target}, token="t")
    assert done["result"]["structuredContent"]["target_ns"] == target
    assert len(notes) >= 2
    assert all(note["params"]["progressToken"] == "t" for note in notes)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:{port}"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 200),
        ({"Host": "box.lan:8443"}, 200),
        ({"Content-Type": "text/plain"}, 400),
    ],
)
@pytest.mark.parametrize("era", ERAS)
def test_only_expected_hosts_and_origins_are_answered(
    port: int, era: str, headers: dict[str, str], status: int
) -> None:
    """Requests under foreign names or from foreign pages are refused in both eras; those that were allowed are not."""
    given = {name: value.format(port=port) for name, value in headers.items()}
    peer = RawHttp(port, MODERN)
    peer.era = era
    if era == MODERN:
        message = {"method": "tools/list", "params": envelope({}, era), "id": 1}
        given |= {"Mcp-Method": "tools/list"}
    else:
        hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
        message = {"method": "initialize", "params": hello, "id": 1}
    got, _, _ = peer.post(message, given)
    assert got == status


def test_agents_do_not_hold_each_other_up(port: int) -> None:
    """Eight agents at a time, in both eras, each get rising times."""
    found: list[list[int]] = []

    def ask(era: str) -> None:
        peer = RawHttp(port, era)
        found.append(
            [int(peer.call("now", {})[-1]["result"]["structuredContent"]["utc_ns"]) for _ in range(5)]
        )  # fmt: skip

    agents = [threading.Thread(target=ask, args=(era,)) for era in ERAS for _ in range(4)]
    for one in agents:
        one.start()
    for one in agents:
        one.join(60)
    assert len(found) == 8
    assert all(one < two for stamps in found for one, two in itertools.pairwise(stamps))


def test_an_open_port_needs_a_list_of_names(snapshots: Snapshots) -> None:
    """Binding to all addresses without --allow-host is refused with the mend, before anything is bound."""
    done = subprocess.run(
        command(snapshots.path, "--http", "--host", "0.0.0.0"), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 78
    assert "--allow-host" in done.stderr


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        *((one, True) for one in ("127.0.0.1", "127.1.2.3", "::1", "localhost")),
        *((one, False) for one in ("0.0.0.0", "::", "192.168.1.2", "box.lan", "localhost.evil.example", "")),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, inside: bool) -> None:
    """Only loopback addresses and `localhost` count as this machine."""
    assert transports.loopback(host) is inside


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("box.lan", ["box.lan", "box.lan:3000"]),
        ("box.lan:80", ["box.lan:80"]),
        ("[fd00::1]", ["[fd00::1]", "[fd00::1]:3000"]),
        ("[fd00::1]:80", ["[fd00::1]:80"]),
    ],
)
def test_an_allowed_name_stands_for_this_port_or_its_own(given: str, names: list[str]) -> None:
    """A name without a port is answered with this port or none; no name is a pattern."""
    assert transports.allowed_hosts(3000, [given])[3:] == names
    assert not any("*" in name for name in transports.allowed_hosts(3000, [given]))


def test_a_name_that_is_a_pattern_is_refused() -> None:
    """An allow-list with a wildcard would be none."""
    with pytest.raises(ConfigError, match="box"):
        transports.allowed_hosts(3000, ["box.*"])
