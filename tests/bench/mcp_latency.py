"""How long a tool call over stdio takes, beside an echo tool of the same SDK in the same run.

    python tests/bench/mcp_latency.py [--calls 500] [--json]

Four servers answer in turn, call by call, so that all see the same machine: ChronoTick's adapter, in both protocol
eras, on a host's snapshot, and an echo tool (an `MCPServer` with two functions) in both eras.
The client writes JSON lines to the server's stdin and reads its stdout, so that what is measured is the server and the
pipes, not a client library. Goal: p50 of `now` and `get_time` at most 3 ms.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
ECHO = """
from mcp.server import MCPServer
server = MCPServer("echo")
@server.tool()
async def echo(text: str) -> dict[str, str]:
    return {"text": text}
@server.tool()
def echo_in_thread(text: str) -> dict[str, str]:
    return {"text": text}
server.run()
"""
GOAL_MS = 3.0


class Peer:
    """A server process and the era in which it is spoken to."""

    def __init__(self, command: list[str], era: str) -> None:
        self.era = era
        self._number = 0
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if era == LEGACY:
            hello = {"protocolVersion": era, "capabilities": {}, "clientInfo": {"name": "bench", "version": "0"}}
            self.ask("initialize", hello)
            self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """One request, and the response to it."""
        self._number += 1
        if self.era == MODERN:
            meta = {"protocolVersion": MODERN, "clientCapabilities": {}}
            params = params | {"_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
        self._write({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        while True:
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            if answer.get("id") == self._number:
                return answer

    def call_ms(self, tool: str, arguments: dict[str, Any]) -> float:
        """How long one call takes, ms."""
        began = time.perf_counter()
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments})
        took = (time.perf_counter() - began) * 1e3
        if "error" in answer or answer["result"].get("isError"):
            raise SystemExit(f"{tool} failed: {answer}")
        return took

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


def measure(calls: int) -> list[dict[str, Any]]:
    """A row per server, era and tool."""
    from tests.mcp.conftest import Snapshots

    with tempfile.TemporaryDirectory(prefix="ck-mcp-") as folder:
        host = Snapshots(Path(folder))
        host.publish()
        adapter = [sys.executable, "-m", "chronotick.cli", "mcp", "--runtime-dir", folder]
        echo = [sys.executable, "-c", ECHO]
        peers = {
            (name, era): Peer(command, era)
            for name, command in (("chronotick", adapter), ("echo", echo))
            for era in (MODERN, LEGACY)
        }
        tools: dict[str, list[tuple[str, dict[str, Any]]]] = {
            "chronotick": [("now", {}), ("get_time", {}), ("get_time_with_confidence_interval", {})],
            "echo": [("echo", {"text": "x"}), ("echo_in_thread", {"text": "x"})],
        }
        plan = [(key, tool, arguments) for key in peers for tool, arguments in tools[key[0]]]
        took: dict[tuple[tuple[str, str], str], list[float]] = {(key, tool): [] for key, tool, _ in plan}
        for number in range(-20, calls):
            for key, tool, arguments in plan:
                one = peers[key].call_ms(tool, arguments)
                if number >= 0:
                    took[key, tool].append(one)
        for peer in peers.values():
            peer.close()
        host.publisher.close()
    return [
        {
            "server": server,
            "era": era,
            "tool": tool,
            "calls": calls,
            "p50_ms": statistics.median(sample),
            "p99_ms": sorted(sample)[int(0.99 * len(sample))],
        }
        for ((server, era), tool), sample in took.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500, help="of each tool (default: 500)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    rows = measure(args.calls)
    if args.json:
        print(json.dumps({"goal_p50_ms": GOAL_MS, "rows": rows}, indent=2))
        return
    print(f"{'server':<11} {'era':<11} {'tool':<34} {'p50 ms':>8} {'p99 ms':>8}")
    for row in rows:
        print(f"{row['server']:<11} {row['era']:<11} {row['tool']:<34} {row['p50_ms']:8.2f} {row['p99_ms']:8.2f}")
    slowest = max(row["p50_ms"] for row in rows if row["server"] == "chronotick")
    print(f"slowest p50 of the adapter: {slowest:.2f} ms, goal {GOAL_MS:.0f} ms")


if __name__ == "__main__":
    main()
