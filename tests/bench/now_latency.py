"""What `Clock.now()` costs, beside a bare mmap seqlock read and a bare clock reading in the same run.

    python tests/bench/now_latency.py [--rounds 100000] [--writer-hz 1] [--json]
    python tests/bench/now_latency.py --reads 100000000 --seconds 280 --writer-hz 10000 [--readers 2] [--json]

A child process publishes, as a host would. In the first form the kinds are called in turn, one at a time, so that noise
meets all alike; the timer's own cost, measured in the same way, is taken off. In the second form several processes call
`now()` over and over, until all together have made so many reads or the time is up, and each answer is checked: a time
below the one before is backward; a line whose parts do not belong together is torn. It says how many reads there were,
how many of the lines were met, at what pace the child really wrote, and how long its longest pause was.
"""

import argparse
import gc
import json
import mmap
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from statistics import median, quantiles

from chronotick import Clock, Reading
from chronotick.wire.levels import LEVELS, normal_widths
from chronotick.wire.snapshot import FILE_BYTES, HEADER_BYTES, SLOT_BYTES

# Half widths of 30 us at 95 %, and their growth.
HALF, GROWTH = normal_widths(3e-5), normal_widths(2e-8)
ALONE = (("floor", 1.0),)

RAW = time.CLOCK_MONOTONIC_RAW
# Half width of the hard interval of record n: WIDTH_NS + n % WIDTHS.
WIDTH_NS = 10**7
WIDTHS = 1009
BATCH = 1000
BASELINE = "bare mmap read"
gettime = time.clock_gettime_ns


def publish(directory: Path, hertz: float) -> None:
    """The child: publish at this rate until standard input ends."""
    import select

    from chronotick.config.schema import PublishConfig
    from chronotick.fusion.types import FusedForecast, Status
    from chronotick.publish import HardBound, Publisher

    make_sleeps_short()
    publisher = Publisher(directory / "snapshot", PublishConfig(), 7)
    theta = time.time_ns() - gettime(RAW)
    number = 0
    longest = 0.0
    begun = due = last = time.perf_counter()
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
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        # What a busy machine has cost is caught up on, up to a second's worth of it.
        due = max(due + 1 / hertz, now - 1)
        while (left := due - time.perf_counter()) > 0:
            if left > 0.01 and select.select([sys.stdin], [], [], left)[0]:
                break
            time.sleep(left)
        if hertz < 64 and select.select([sys.stdin], [], [], 0)[0]:
            break
    print(json.dumps({"written": number, "hz": number / (last - begun), "longest_pause_ms": longest * 1e3}))


def make_sleeps_short() -> None:
    """A sleep takes a twentieth of a millisecond more than it is told to, half of the budget at 10 kHz: unless this
    process's timers are set to the nanosecond. Where it may, it also goes before the readers."""
    import contextlib
    import ctypes
    import os

    set_timer_slack = 29
    ctypes.CDLL(None).prctl(set_timer_slack, 1, 0, 0, 0)
    with contextlib.suppress(OSError):
        os.nice(-10)


def check(now: Callable[[], Reading], reads: int, seconds: float) -> dict[str, int]:
    """One reader: read without pause and check every answer."""
    utc_of, line_of = itemgetter(0), itemgetter(2)
    ends = time.perf_counter() + seconds
    done = torn = backward = lines = 0
    last_ns, line = 0, None
    while done < reads and time.perf_counter() < ends:
        # In batches, so that the checking costs less than the reading.
        batch = [now() for _ in range(BATCH)]
        times = [last_ns, *map(utc_of, batch)]
        if times != sorted(times):
            backward += sum(later < earlier for earlier, later in pairwise(times))
        last_ns = times[-1]
        met = {id(one): one for one in map(line_of, batch)}
        met.pop(id(line), None)
        for line in met.values():
            width = 2 * (WIDTH_NS + line.sequence % WIDTHS)
            torn += line.latest_theta_ns - line.earliest_theta_ns != width or line.raw_ns != line.fix_raw_ns
        lines += len(met)
        done += BATCH
    return {"reads": done, "lines_seen": lines, "torn": torn, "backward": backward}


def hold_to_account(directory: Path, reads: int, seconds: float, readers: int) -> dict[str, object]:
    """Several readers at once, and what they found together."""
    share = str(-(-reads // readers))
    command = [sys.executable, __file__, "--check", str(directory), "--reads", share, "--seconds", str(seconds)]
    begun = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(readers)]
    found = [json.loads(one.communicate()[0]) for one in running]
    took = time.perf_counter() - begun
    total = {name: sum(one[name] for one in found) for name in found[0]}
    return {"asked_for": reads, "readers": readers, "seconds": round(took, 1)} | total


def bare_readers(path: Path) -> tuple[Callable[[], int], Callable[[], tuple[int, int, int]]]:
    """The shortest honest reads of the file: generation, record, generation, clock; the time, or also its bounds."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), FILE_BYTES, access=mmap.ACCESS_READ)
    words = memoryview(mapped)[:HEADER_BYTES].cast("Q")
    spreads = 2 * len(LEVELS)
    unpack = struct.Struct(f"<qqddqdd{spreads}dqqdqqqqQQQIB").unpack_from
    bounds = 7 + spreads

    def time_only() -> int:
        while True:
            generation = words[4]
            record = unpack(mapped, HEADER_BYTES + SLOT_BYTES * (generation >> 1 & 1) + 8)
            if words[4] - generation <= 1:
                break
        raw = gettime(RAW)
        return raw + record[1] + int(record[2] * (raw - record[0]))

    def with_bounds() -> tuple[int, int, int]:
        while True:
            generation = words[4]
            record = unpack(mapped, HEADER_BYTES + SLOT_BYTES * (generation >> 1 & 1) + 8)
            if words[4] - generation <= 1:
                break
        raw = gettime(RAW)
        age = raw - record[0]
        earliest, latest, growth = record[bounds : bounds + 3]
        grown = int(growth * age) + 1
        return raw + record[1] + int(record[2] * age), raw + earliest - grown, raw + latest + grown

    return time_only, with_bounds


def measure(directory: Path, rounds: int) -> dict[str, list[int]]:
    """Nanoseconds of each call, by kind."""
    clock = Clock(directory)

    def now_and_bounds() -> tuple[int, int, int]:
        reading = clock.now()
        return reading.utc_ns, reading.earliest_ns, reading.latest_ns

    time_only, with_bounds = bare_readers(directory / "snapshot")
    kinds: dict[str, Callable[[], object]] = {
        "timer": lambda: None,
        "clock_gettime": lambda: gettime(RAW),
        BASELINE: time_only,
        "now()": clock.now,
        f"{BASELINE} and bounds": with_bounds,
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
    parser.add_argument("--readers", type=int, default=2, help="in so many processes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.publish:
        publish(args.publish, args.writer_hz)
        return
    if args.check:
        # Readings make no cycles.
        gc.disable()
        with Clock(args.check) as clock:
            print(json.dumps(check(clock.now, args.reads, args.seconds)))
        return
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, __file__, "--publish", directory, "--writer-hz", str(args.writer_hz)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            if args.reads:
                checked = hold_to_account(Path(directory), args.reads, args.seconds, args.readers)
            else:
                taken = measure(Path(directory), args.rounds)
            child.stdin.close()
            wrote = json.loads(child.stdout.readline())
    if args.reads:
        result = checked | {
            "lines_written": wrote["written"],
            "writer_hz": round(wrote["hz"]),
            "writer_aimed_hz": args.writer_hz,
            "writer_longest_pause_ms": round(wrote["longest_pause_ms"], 1),
        }
        print(json.dumps(result) if args.json else "\n".join(f"{name:26}{value}" for name, value in result.items()))
        sys.exit(bool(checked["torn"] or checked["backward"]))
    timer = median(taken.pop("timer"))
    base = median(taken[BASELINE]) - timer
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
    print(f"{'call':26}{'p50 ns':>10}{'p99 ns':>10}{'x bare':>8}   {title}")
    for kind, row in result.items():
        print(f"{kind:26}{row['p50_ns']:10.0f}{row['p99_ns']:10.0f}{row['ratio']:8.2f}")


if __name__ == "__main__":
    main()
