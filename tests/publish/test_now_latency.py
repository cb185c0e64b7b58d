"""The quick form of tests/bench/now_latency.py: what it measures and what it counts."""

import json
import runpy
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import Any

from chronotick.publish.snapshot import SnapshotWriter
from chronotick.wire.snapshot import Record

BENCH = Path(__file__).parents[1] / "bench" / "now_latency.py"


def run(*words: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(BENCH), *words, "--json"], capture_output=True, text=True, check=True, timeout=100
    )
    return json.loads(done.stdout)


def test_readers_beside_a_fast_writer_meet_nothing_torn_or_backward() -> None:
    """Two processes read while a third publishes a thousand times a second."""
    found = run("--reads", "20000", "--seconds", "30", "--writer-hz", "1000", "--readers", "2")
    assert found["reads"] == 20_000
    assert found["lines_seen"] > 2
    assert found["lines_written"] > 2
    assert (found["torn"], found["backward"]) == (0, 0)


def test_latencies_are_printed_beside_the_bare_read() -> None:
    """p50, p99 and the ratio to a bare read of the same file in the same run."""
    rows = run("--rounds", "300")["results"]
    assert rows["bare mmap read"]["ratio"] == 1.0
    assert 0 < rows["now()"]["p50_ns"] <= rows["now()"]["p99_ns"]
    assert rows["now()"]["ratio"] == rows["now()"]["p50_ns"] / rows["bare mmap read"]["p50_ns"]


def test_what_does_not_belong_together_would_be_counted(record: Record) -> None:
    """The check can fail: a line with another width than its number says is torn, a time below the last is backward."""
    bench = runpy.run_path(str(BENCH))
    width = bench["WIDTH_NS"] + record.sequence
    sound = record._replace(
        earliest_theta_ns=-width, latest_theta_ns=width, raw_ns=1, fix_raw_ns=1, sequence=record.sequence
    )
    given = [(5, 1, sound), (6, 1, sound), (4, 1, sound), (7, 1, sound._replace(latest_theta_ns=0)), (7, 1, sound)]
    readings = cycle([*given, *[(8, 1, sound)] * (bench["BATCH"] - len(given))])
    found = bench["check"](readings.__next__, bench["BATCH"], 10)
    assert found == {"reads": bench["BATCH"], "lines_seen": 2, "torn": 1, "backward": 1}


def test_the_bare_read_reads_the_same(tmp_path: Path, record: Record) -> None:
    """The baseline gives the times and bounds that the file holds, so that it is one."""
    bench = runpy.run_path(str(BENCH))
    raw = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    steady = record._replace(raw_ns=raw, rate=0.0, bound_growth=0.0)
    writer = SnapshotWriter(tmp_path / "snapshot", 1, steady)
    time_only, with_bounds = bench["bare_readers"](tmp_path / "snapshot")
    writer.close()
    utc, earliest, latest = with_bounds()
    assert utc - earliest == steady.theta_ns - steady.earliest_theta_ns + 1
    assert latest - utc == steady.latest_theta_ns - steady.theta_ns + 1
    assert utc <= time_only() <= time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) + steady.theta_ns
