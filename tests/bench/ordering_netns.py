"""Ordering of events across three real hosts in network namespaces: no definite verdict may be wrong.

    sudo python tests/bench/ordering_netns.py [--seconds 30] [--json]

Four network namespaces joined by veth: a laboratory with NTP servers of known truth, and three hosts. Each host runs
its own `chronotick run` in a time namespace of its own, so that their raw clocks differ by thousands of seconds, and
has its own choice of servers: two that all share, one of its own over a lopsided path, and a liar of its own. Agents
on the hosts stamp events and send them to each other by UDP; all of them are then compared by their published hard
intervals. Truth is one oscillator over the kernel's one raw clock, whose offset in each namespace is known.

Needs root, `ip netns` and `unshare --time`. Exit status: 0, 1 when a verdict was wrong, 69 where it can not run.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from chronotick.client import Clock, Status
from chronotick.client.compare import Order, compare
from chronotick.client.instant import Instant
from chronotick.clock.timebase import pair, raw_ns
from chronotick.config.schema import ClockConfig
from chronotick.errors import ClockError
from chronotick.lab.demo import setting
from chronotick.lab.scenario import OscillatorConfig, PathConfig, Scenario, ServerConfig, SineConfig
from chronotick.lab.server import LabServer
from chronotick.lab.truth import Truth
from chronotick.units import NS_PER_S
from chronotick.wire import runtime_dir

HOSTS = ("a", "b", "c")
# What each host's raw clock is ahead of the kernel's, s.
OFFSETS_S = {"a": 1_000, "b": 50_000, "c": 777_777}
LAB = "10.77.0.1"
PORT = 11_000
AGENT_PORT = 7_000
EVENT_S = 0.004
PATIENCE_S = 60.0
UNAVAILABLE = 69


def servers() -> dict[str, ServerConfig]:
    """All servers of the laboratory by name: two for all, for each host one over a lopsided path and a liar."""

    def one(name: str, number: int, out_ms: float, back_ms: float, **changes: Any) -> ServerConfig:
        path = PathConfig(out_ms=out_ms, back_ms=back_ms, jitter_out_us=100, jitter_back_us=100)
        return ServerConfig(name=name, address=LAB, port=PORT + number, path=path, **changes)

    made = (
        one("near", 1, 0.3, 0.3),
        one("far", 2, 2.0, 2.0),
        one("good_a", 3, 1.0, 4.0),
        one("good_b", 4, 5.0, 0.5),
        one("good_c", 5, 0.5, 3.0),
        # Liars: one far off, one that leaves by and by, one that stays near enough to look honest.
        one("liar_a", 6, 0.3, 0.3, clock_error_ms=-35.0),
        one("liar_b", 7, 0.3, 0.3, clock_drift_ppm=400.0),
        one("liar_c", 8, 0.3, 0.3, clock_error_ms=1.5, root_dispersion_ms=0.05),
    )
    return {server.name: server for server in made}


def scenario(seed: int, start_utc_ns: int | None = None) -> Scenario:
    return Scenario(
        name="ordering",
        seed=seed,
        start_utc_ns=start_utc_ns,
        oscillator=OscillatorConfig(
            base_ppm=12, sines=(SineConfig(amplitude_ppm=1.0, period_s=40),), walk_ppb_per_sqrt_s=3.0
        ),
        servers=tuple(servers().values()),
    )


def asked(host: str) -> tuple[str, ...]:
    return tuple(f"{LAB}:{servers()[name].port}" for name in ("near", "far", f"good_{host}", f"liar_{host}"))


async def laboratory(seed: int) -> None:
    """Serve until standard input closes. The servers' addresses are ours alone: no resolve(), which wants loopback."""
    now = pair()
    made = scenario(seed, now.realtime_ns + 60 * NS_PER_S)
    truth = Truth(made, now.raw_ns)
    running = [LabServer(server, truth, (), seed) for server in made.servers]
    for server in running:
        server.open()
    print(json.dumps({"start_raw_ns": now.raw_ns, "start_utc_ns": made.start_utc_ns}), flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    for server in running:
        server.close()


def address(host: str) -> str:
    return f"10.77.{HOSTS.index(host) + 1}.2"


def node(host: str, folder: Path, seconds: float) -> None:
    """One host and its agent. Says "ready", waits for a line, stamps and sends events, and leaves them in a file."""
    directory = runtime_dir.create(folder / host)
    config = setting.demo_config(asked(host), (), directory.path, folder / f"{host}.log")
    config = msgspec.structs.replace(config, clock=ClockConfig())
    setting.write(config, folder / f"{host}.yaml")
    words = [sys.executable, "-m", "chronotick.cli", "run", "--config", str(folder / f"{host}.yaml")]
    with (folder / f"{host}.err").open("wb") as errors:
        running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=errors)
    try:
        with Clock(directory.path, fall_back=False) as clock:
            deadline = time.monotonic() + PATIENCE_S
            while not synchronised(clock):
                if time.monotonic() > deadline or running.poll() is not None:
                    raise SystemExit(f"host {host} did not synchronise: {(folder / f'{host}.err').read_text()[-2000:]}")
                time.sleep(0.05)
            print(json.dumps({"ready": host, "raw_ns": raw_ns()}), flush=True)
            sys.stdin.readline()
            events, messages = converse(clock, host, seconds)
        (folder / f"{host}.events").write_bytes(msgspec.msgpack.encode({"events": events, "messages": messages}))
        print(json.dumps({"done": host}), flush=True)
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(20)


def synchronised(clock: Clock) -> bool:
    try:
        return clock.now(allow_unknown=True).status is Status.SYNCHRONISED
    except ClockError:
        return False


def converse(clock: Clock, host: str, seconds: float) -> tuple[list[list[int]], list[list[Any]]]:
    """Stamp events for a while and send each to one of the others.

    Returns:
        events: raw clock, estimate, earliest, latest, half width of each; messages: sender, the sender's number of the
        event, and our number of its receipt.
    """
    events: list[list[int]] = []
    messages: list[list[Any]] = []

    def stamp() -> int:
        r = clock.now()
        events.append([r.raw_ns, r.utc_ns, r.earliest_ns, r.latest_ns, r.half_width_95_ns])
        return len(events) - 1

    rng = random.Random(host)
    others = [other for other in HOSTS if other != host]
    until = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, selectors.DefaultSelector() as selector:
        sock.bind((address(host), AGENT_PORT))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
        due = time.monotonic()
        while (now := time.monotonic()) < until:
            if now >= due:
                due = now + rng.expovariate(1 / EVENT_S)
                number = stamp()
                message = json.dumps([host, number]).encode()
                # An event is over when it is stamped; only then is it sent.
                with contextlib.suppress(OSError):
                    sock.sendto(message, (address(rng.choice(others)), AGENT_PORT))
            if selector.select(max(due - time.monotonic(), 0)):
                with contextlib.suppress(BlockingIOError):
                    sender, number = json.loads(sock.recv(256))
                    messages.append([sender, number, stamp()])
    return events, messages


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@contextlib.contextmanager
def namespaces() -> Iterator[dict[str, str]]:
    """The four network namespaces, joined; by what lives in them. Gone afterwards, with all that was in them."""
    names = {who: f"ck{os.getpid()}{who}" for who in ("lab", *HOSTS)}
    made: list[str] = []
    try:
        for name in names.values():
            ip("netns", "add", name)
            made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", names["lab"], "addr", "add", f"{LAB}/32", "dev", "lo")
        subprocess.run(
            ["ip", "netns", "exec", names["lab"], "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], check=True
        )
        for number, host in enumerate(HOSTS, 1):
            peer = ("peer", "name", "uplink", "netns", names[host])
            ip("link", "add", f"to_{host}", "netns", names["lab"], "type", "veth", *peer)
            ip("-n", names["lab"], "addr", "add", f"10.77.{number}.1/24", "dev", f"to_{host}")
            ip("-n", names["lab"], "link", "set", f"to_{host}", "up")
            ip("-n", names[host], "addr", "add", f"10.77.{number}.2/24", "dev", "uplink")
            ip("-n", names[host], "link", "set", "uplink", "up")
            ip("-n", names[host], "route", "add", "default", "via", f"10.77.{number}.1")
        yield names
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Child:
    """A process of this script in a namespace; ends when its standard input does."""

    def __init__(self, namespace: str, offset_s: int, *words: str) -> None:
        command = ["ip", "netns", "exec", namespace]
        if offset_s:
            # -T alone: the program that is run becomes the first in the new namespace, and its children follow.
            command += ["unshare", "--time", f"--monotonic={offset_s}", f"--boottime={offset_s}"]
        self.process = subprocess.Popen(
            [*command, sys.executable, __file__, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        if not said:
            raise RuntimeError(f"a process ended too early, with {self.process.wait()}")
        found: dict[str, Any] = json.loads(said)
        return found

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.process.communicate(timeout=20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def run(seconds: float, seed: int) -> dict[str, Any]:
    """One run; the figures."""
    with namespaces() as names, contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ck", dir="/tmp")))
        lab = Child(names["lab"], 0, "--lab", str(seed))
        stack.callback(lab.end)
        start = lab.line()
        nodes = {}
        for host in HOSTS:
            nodes[host] = Child(names[host], OFFSETS_S[host], "--node", host, str(folder), str(seconds))
            stack.callback(nodes[host].end)
        shifts_s = {}
        for host, one in nodes.items():
            shifts_s[host] = (one.line()["raw_ns"] - raw_ns()) / NS_PER_S
        for one in nodes.values():
            one.go()
        for one in nodes.values():
            one.line()
        said = {host: msgspec.msgpack.decode((folder / f"{host}.events").read_bytes()) for host in HOSTS}
    for host, shift_s in shifts_s.items():
        if abs(shift_s - OFFSETS_S[host]) > 5:
            raise RuntimeError(f"the raw clock of host {host} is ahead by {shift_s} s, not by {OFFSETS_S[host]} s")
    return judge(said, Truth(scenario(seed, start["start_utc_ns"]), start["start_raw_ns"])) | {
        "seconds": seconds,
        "raw_offsets_s": OFFSETS_S,
        "servers": {host: asked(host) for host in HOSTS},
    }


def judge(said: dict[str, Any], truth: Truth) -> dict[str, Any]:
    """Compare every event with those near it in true time, and every receipt with what was sent."""
    rows = [(at, *event) for at, host in enumerate(HOSTS) for event in said[host]["events"]]
    table = np.array(rows, dtype=np.int64)
    host, raw, utc, earliest, latest, half = table.T
    kernel = raw - np.array([OFFSETS_S[name] for name in HOSTS])[host] * NS_PER_S
    true = np.array([truth.utc_ns(int(one)) for one in kernel], dtype=np.int64)
    order = np.argsort(true, kind="stable")
    host, utc, half, earliest, latest, true = (one[order] for one in (host, utc, half, earliest, latest, true))

    count, near = len(true), 0
    figures = dict.fromkeys(("pairs", "before", "wrong", "ambiguous", "wrong_by_estimate", "wrong_by_95"), 0)
    while figures["pairs"] < 1_000_000 and near < count - 1:
        near += 1
        first, second = slice(None, -near), slice(near, None)
        # Two events of one true nanosecond have no order that could be got wrong.
        chosen = (host[first] != host[second]) & (true[first] < true[second])
        before, after = latest[first] < earliest[second], latest[second] < earliest[first]
        figures["pairs"] += int(chosen.sum())
        figures["before"] += int((before & chosen).sum())
        figures["wrong"] += int((after & chosen).sum())
        figures["ambiguous"] += int((~before & ~after & chosen).sum())
        by_95 = (utc + half)[second] < (utc - half)[first]
        figures["wrong_by_95"] += int((by_95 & chosen).sum())
        figures["wrong_by_estimate"] += int(((utc[first] > utc[second]) & chosen).sum())
    pairs = max(figures["pairs"], 1)
    held = (earliest <= true) & (true <= latest)
    errors = np.abs(utc - true)
    return {
        "events": count,
        "pairs": figures["pairs"],
        "wrong_definite": figures["wrong"],
        "definite_share": figures["before"] / pairs,
        "ambiguous_share": figures["ambiguous"] / pairs,
        "wrong_share_by_estimate_alone": figures["wrong_by_estimate"] / pairs,
        "wrong_by_95_percent_intervals": figures["wrong_by_95"],
        "furthest_apart_in_rank": near,
        "truth_outside_hard_interval": int((~held).sum()),
        "hard_width_us": {
            name: float(np.median((latest - earliest)[host == at])) / 1e3 for at, name in enumerate(HOSTS)
        },
        "error_us": {name: float(np.median(errors[host == at])) / 1e3 for at, name in enumerate(HOSTS)},
        "messages": messages(said),
    }


def messages(said: dict[str, Any]) -> dict[str, int]:
    """What the client library says of each message's sending and its receipt: the sending was first, always."""

    def instant(name: str, number: int) -> Instant:
        _, utc, earliest, latest, half = said[name]["events"][number]
        return Instant(utc, earliest, latest, half // 2, half, 0, Status.SYNCHRONISED)

    verdicts = dict.fromkeys(Order, 0)
    for receiver in HOSTS:
        for sender, sent, received in said[receiver]["messages"]:
            verdicts[compare(instant(sender, sent), instant(receiver, received)).order] += 1
    return {str(order): count for order, count in verdicts.items()}


def unavailable() -> str | None:
    """Why this can not run here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "unshare"):
        if shutil.which(program) is None:
            return f"there is no {program} here"
    name = f"ck{os.getpid()}try"
    done = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if done.returncode:
        return f"ip netns add: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    done = subprocess.run(["unshare", "--time", "--monotonic=1", "true"], check=False, capture_output=True, text=True)
    return f"unshare --time: {done.stderr.strip()}" if done.returncode else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="how long events are stamped")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lab", type=int, metavar="SEED", help=argparse.SUPPRESS)
    parser.add_argument("--node", nargs=3, metavar=("HOST", "FOLDER", "SECONDS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.lab is not None:
        asyncio.run(laboratory(args.lab))
        return 0
    if args.node is not None:
        node(args.node[0], Path(args.node[1]), float(args.node[2]))
        return 0
    if (why := unavailable()) is not None:
        print(why, file=sys.stderr)
        return UNAVAILABLE
    figures = run(args.seconds, args.seed)
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value}")
    received = figures["messages"]
    return 1 if figures["wrong_definite"] or figures["truth_outside_hard_interval"] or received["AFTER"] else 0


if __name__ == "__main__":
    sys.exit(main())
