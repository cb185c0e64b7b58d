"""How long the host takes to answer `now` over ZeroMQ, beside a bare ROUTER/DEALER echo of equal size in the same run.

    python tests/bench/zmq_query.py [--rounds 3000] [--json]

A child process holds both sockets, as a host would; this one asks them in turn, so that noise meets both alike.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import msgpack
import zmq

from chronotick import Clock
from chronotick.wire.levels import normal_widths
from chronotick.wire.sockets import connect_dealer
from chronotick.wire.version import MAGIC

# Half widths of 30 us at 95 %, and their growth.
HALF, GROWTH = normal_widths(3e-5), normal_widths(2e-8)
ALONE = (("floor", 1.0),)


def serve(directory: Path) -> None:
    """The child: a server of published time, and an echo of the same weight, until standard input ends."""
    from chronotick.config.schema import PublishConfig
    from chronotick.fusion.types import FusedForecast, Status
    from chronotick.publish import HardBound, Publisher
    from chronotick.serve import ClientVerbs, Server, Sources
    from chronotick.serve.server import Answer
    from chronotick.wire import runtime_dir

    class Echo(Server):
        """The same thread and socket, without any work."""

        def _turn(self) -> None:
            self._socket.send_multipart(self._socket.recv_multipart(), zmq.DONTWAIT)

    fit = runtime_dir.create(directory)
    with fit.lock() as lock:
        publisher = Publisher(fit.snapshot, PublishConfig(), 7)
        raw = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        theta = time.time_ns() - raw
        fused = FusedForecast(raw, theta, 2e-5, 1e-5, 1e-8, theta, 1e-5, HALF, GROWTH, ALONE, 0.0, raw + 10**12)
        publisher.publish(
            fused,
            HardBound(raw, theta - 10**7, theta + 10**7, 5e-5),
            status=Status.SYNCHRONISED,
            fix_raw_ns=raw,
            void_raw_ns=raw + 10**14,
            epoch=0,
        )
        answer: Answer = ClientVerbs(
            Sources(
                record=lambda: publisher.record,
                status=dict,
                history=lambda _: ((), [], False),
                explain=lambda: ((), {}),
            )
        )
        servers = [
            Server(f"ipc://{fit.client}", answer, name="client", lock=lock),
            Echo(f"ipc://{fit.admin}", answer, name="echo", lock=lock),
        ]
        for server in servers:
            server.start()
        print("ready", flush=True)
        sys.stdin.read()
        for server in servers:
            server.stop()
        publisher.close()


def measure(directory: Path, rounds: int) -> dict[str, list[float]]:
    """Microseconds of each round trip, by kind."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    query = connect_dealer(context, f"ipc://{directory / 'client.sock'}")
    echo = connect_dealer(context, f"ipc://{directory / 'admin.sock'}")
    question = [MAGIC, msgpack.packb({"type": "now", "id": 1})]

    def ask(socket: "zmq.Socket[bytes]", frames: list[bytes]) -> list[bytes]:
        socket.send_multipart(frames)
        return socket.recv_multipart()

    answer = ask(query, question)
    assert msgpack.unpackb(answer[1])["type"] == "reading"
    clock = Clock(endpoint=f"ipc://{directory / 'client.sock'}")
    kinds: dict[str, Callable[[], object]] = {
        "echo": lambda: ask(echo, answer),
        "query": lambda: ask(query, question),
        "Clock.now()": clock.now,
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds + rounds // 10):
        for kind, call in kinds.items():
            before = time.perf_counter_ns()
            call()
            after = time.perf_counter_ns()
            if number >= rounds // 10:
                taken[kind].append((after - before) / 1e3)
    clock.close()
    for socket in (query, echo):
        socket.close(linger=0)
    context.term()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
        return
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, __file__, "--serve", directory]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            taken = measure(Path(directory), args.rounds)
            child.stdin.close()
    base = median(taken["echo"])
    result = {
        kind: {"p50_us": median(times), "p99_us": quantiles(times, n=100)[98], "ratio": median(times) / base}
        for kind, times in taken.items()
    }
    if args.json:
        print(json.dumps({"rounds": args.rounds, "results": result}))
        return
    print(f"{'round trip':14}{'p50 us':>10}{'p99 us':>10}{'x echo':>8}   {args.rounds} rounds, in turn")
    for kind, row in result.items():
        print(f"{kind:14}{row['p50_us']:10.1f}{row['p99_us']:10.1f}{row['ratio']:8.2f}")


if __name__ == "__main__":
    main()
