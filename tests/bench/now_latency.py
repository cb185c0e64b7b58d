"""What `Clock.now()` costs, beside a bare mmap seqlock read and a bare clock reading in the same run.

    python tests/bench/now_latency.py [--rounds 100000] [--writer-hz 1] [--json]
    python tests/bench/now_latency.py --reads 100000000 --seconds 60 --writer-hz 10000 [--json]

A child process publishes, as a host would. In the first form the kinds are called in turn, one at a time, so that noise
meets all alike; the timer's own cost, measured in the same way, is taken off. In the second form `now()` is called over
and over, until either limit, and each answer is checked: a time below the one before is backward; a line whose parts do
not belong together is torn. It says how many reads there were and at what pace the child really wrote.
"""

import argparse
import json
import mmap
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

from chronotick import Clock
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import FILE_BYTES, HEADER_BYTES, SLOT_BYTES

# Half widths of 30 us at 95 %, and their growth.
HALF, GROWTH = normal_widths(3e-5), normal_widths(2e-8)
ALONE = (("floor", 1.0),)

RAW = time.CLOCK_MONOTONIC_RAW
# Half width of the hard interval of record n: WIDTH_NS + n % WIDTHS.
WIDTH_NS = 10**7
WIDTHS = 1009
gettime = time.clock_gettime_ns


def publish(directory: Path, hertz: float) -> None:
    """The child: publish at this rate until standard input ends."""
    import select

    from chronotick.config.schema import PublishConfig
    from chronotick.fusion.types import FusedForecast, Status
    from chronotick.publish import HardBound, Publisher

    publisher = Publisher(directory / "snapshot", PublishConfig(), 7)
    theta = time.time_ns() - gettime(RAW)
    number = 0
    begun = due = time.perf_counter()
    while number % 64 or not select.select([sys.stdin], [], [], 0)[0]:
        raw = gettime(RAW)
        # The estimate wavers, so that there is always something to slew; the widths tell whose they are.
        estimate = theta + (number % 7 - 3) * 300
        width = WIDTH_NS + (publisher.current.sequence + 1) % WIDTHS
        publisher.publish(
            FusedForecast(raw, estimate, 2e-5, 1e-5, 1e-8, theta, 1e-5, HALF, GROWTH, ALONE, 0.0, raw + 10**12),
            HardBound(raw, theta - width, theta + width, 5e-5),
            status=Status.SYNCHRONISED,
            fix_raw_ns=raw,
            void_raw_ns=raw + 10**14,
            epoch=0,
            raw_ns=raw,
        )
        if number == 0:
            print("ready", flush=True)
        number += 1
        due = max(due + 1 / hertz, time.perf_counter() - 1)
        while (left := due - time.perf_counter()) > 0:
            if left > 0.01 and select.select([sys.stdin], [], [], left)[0]:
                break
            # A sleep takes a twentieth of a millisecond more than it is told to, and half of the budget at 10 kHz.
            if left > 0.0005:
                time.sleep(left - 0.0005)
        if hertz < 64 and select.select([sys.stdin], [], [], 0)[0]:
            break
    print(json.dumps({"written": number, "hz": number / (time.perf_counter() - begun)}))


def hold_to_account(directory: Path, reads: int, seconds: float) -> dict[str, object]:
    """Read without pause and check every answer."""
    clock = Clock(directory)
    now = clock.now
    begun = time.perf_counter()
    ends = begun + seconds
    done = torn = backward = lines = 0
    before = now()
    line = before[2]
    while done < reads and time.perf_counter() < ends:
        for _ in range(min(10_000, reads - done)):
            reading = now()
            if reading[0] < before[0]:
                backward += 1
            if reading[2] is not line:
                line = reading[2]
                lines += 1
                width = 2 * (WIDTH_NS + line.sequence % WIDTHS)
                torn += line.latest_theta_ns - line.earliest_theta_ns != width or line.raw_ns != line.fix_raw_ns
            before = reading
        done += min(10_000, reads - done)
    took = time.perf_counter() - begun
    clock.close()
    return {"reads": done, "asked_for": reads, "seconds": took, "lines_seen": lines, "torn": torn, "backward": backward}


def bare_reader(path: Path) -> Callable[[], tuple[int, int, int]]:
    """The shortest honest read of the file: generation, record, generation, clock, and the three instants."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), FILE_BYTES, access=mmap.ACCESS_READ)
    words = memoryview(mapped)[:HEADER_BYTES].cast("Q")
    unpack = struct.Struct("<qqddqdddqqdqqqqQQQIB").unpack_from

    def read() -> tuple[int, int, int]:
        while True:
            generation = words[4]
            record = unpack(mapped, HEADER_BYTES + SLOT_BYTES * (generation >> 1 & 1) + 8)
            if words[4] - generation <= 1:
                break
        raw = gettime(RAW)
        age = raw - record[0]
        grown = int(record[10] * age) + 1
        return raw + record[1] + int(record[2] * age), raw + record[8] - grown, raw + record[9] + grown

    return read


def measure(directory: Path, rounds: int) -> dict[str, list[int]]:
    """Nanoseconds of each call, by kind."""
    clock = Clock(directory)

    def now_and_bounds() -> tuple[int, int, int]:
        reading = clock.now()
        return reading.utc_ns, reading.earliest_ns, reading.latest_ns

    kinds: dict[str, Callable[[], object]] = {
        "timer": lambda: None,
        "clock_gettime": lambda: gettime(RAW),
        "bare mmap read": bare_reader(directory / "snapshot"),
        "now()": clock.now,
        "now() and bounds": now_and_bounds,
    }
    taken: dict[str, list[int]] = {kind: [] for kind in kinds}
    timer = time.perf_counter_ns
    for number in range(rounds + rounds // 10):
        for kind, call in kinds.items():
            before = timer()
            call()
            after = timer()
            if number >= rounds // 10:
                taken[kind].append(after - before)
    clock.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--writer-hz", type=float, default=1.0)
    parser.add_argument("--reads", type=int, default=0, help="check this many readings instead")
    parser.add_argument("--seconds", type=float, default=60.0, help="but for no longer than this")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.publish:
        publish(args.publish, args.writer_hz)
        return
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, __file__, "--publish", directory, "--writer-hz", str(args.writer_hz)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            if args.reads:
                checked = hold_to_account(Path(directory), args.reads, args.seconds)
            else:
                taken = measure(Path(directory), args.rounds)
            child.stdin.close()
            wrote = json.loads(child.stdout.readline())
    if args.reads:
        result = checked | {"writer_hz": round(wrote["hz"]), "writer_aimed_hz": args.writer_hz}
        print(json.dumps(result) if args.json else "\n".join(f"{name:18}{value}" for name, value in result.items()))
        sys.exit(bool(checked["torn"] or checked["backward"]))
    timer = median(taken.pop("timer"))
    base = median(taken["bare mmap read"]) - timer
    result = {
        kind: {
            "p50_ns": median(times) - timer,
            "p99_ns": quantiles(times, n=100)[98] - timer,
            "ratio": (median(times) - timer) / base,
        }
        for kind, times in taken.items()
    }
    if args.json:
        print(json.dumps({"rounds": args.rounds, "writer_hz": args.writer_hz, "timer_ns": timer, "results": result}))
        return
    title = f"{args.rounds} rounds, in turn, beside a {args.writer_hz:g} Hz writer"
    print(f"{'call':18}{'p50 ns':>10}{'p99 ns':>10}{'x bare':>8}   {title}")
    for kind, row in result.items():
        print(f"{kind:18}{row['p50_ns']:10.0f}{row['p99_ns']:10.0f}{row['ratio']:8.2f}")


if __name__ == "__main__":
    main()
