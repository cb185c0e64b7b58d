"""The lab as a process: the same truth on both sides, a log of it, and no orphan."""

import asyncio
import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from chronotick.clock.timebase import raw_ns
from chronotick.errors import LabError
from chronotick.lab.lab import Ready
from chronotick.lab.presets import adapted, demo, preset
from chronotick.lab.scenario import Scenario, ServerConfig
from chronotick.lab.serve import Served, serve
from chronotick.lab.spawn import spawned
from chronotick.lab.truth import Truth
from chronotick.lab.truthlog import TruthLog

SMALL = Scenario(servers=(ServerConfig(),), start_utc_ns=1_700_000_000 * 10**9)
PARENT = """
import asyncio, sys
from chronotick.lab.presets import demo
from chronotick.lab.spawn import spawned

async def main():
    async with spawned(demo()) as ready:
        print(ready.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def gone(pid: int, timeout_s: float = 10.0) -> bool:
    """Whether the process ends in time. It may be someone else's child."""
    try:
        psutil.Process(pid).wait(timeout_s)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_both_processes_know_the_same_truth(tmp_path: Path) -> None:
    """The log that the lab's process wrote has, to the nanosecond, what this process computes from the ready line."""
    log = tmp_path / "truth.csv"

    async def main() -> Truth:
        async with spawned(demo(), truth_log=log, log_interval_s=0.02, seconds=0.5) as ready:
            assert ready.hash == ready.scenario.hash
            assert len(ready.servers) == 6
            assert ready.falsetickers == ready.servers[5:]
            assert ready.pid != os.getpid()
            assert await asyncio.to_thread(gone, ready.pid)
            return ready.truth()

    truth = asyncio.run(main())
    with log.open() as file:
        rows = list(csv.DictReader(file))
    assert 3 <= len(rows) <= 26
    for row in rows:
        assert truth.theta_ns(int(row["raw_ns"])) == int(row["theta_ns"])
        assert truth.rate(int(row["raw_ns"])) * 1e6 == pytest.approx(float(row["rate_ppm"]), abs=1e-6)
        assert truth.t_s(int(row["raw_ns"])) == pytest.approx(float(row["t_s"]), abs=1e-6)


def test_truth_is_whole_nanoseconds_however_large_the_raw_clock() -> None:
    """Theta is an integer, starts at the scenario's UTC, and does not lose digits to a large raw clock."""
    small, large = Truth(SMALL, 5), Truth(SMALL, 5 + (1 << 60))
    assert small.utc_ns(5) == SMALL.start_utc_ns
    for ahead in (0, 1, 999, 10**9, 86_400 * 10**9):
        assert small.utc_ns(5 + ahead) == large.utc_ns(5 + (1 << 60) + ahead)
    # 12 ppm of a second.
    assert small.utc_ns(5 + 10**9) - small.utc_ns(5) == 10**9 + 12_000


def test_truth_needs_a_start() -> None:
    """A scenario that was never resolved has no truth."""
    with pytest.raises(LabError, match="start_utc_ns"):
        Truth(demo(), 0)


def test_the_lab_starts_at_the_system_clocks_utc_when_none_is_given() -> None:
    """A demo's true UTC is near the system clock's; a scenario's own start is kept."""

    async def main() -> None:
        readies: list[Ready] = []
        stop = asyncio.Event()
        stop.set()
        for scenario in (demo(), SMALL):
            await serve(scenario, on_ready=readies.append, stop=stop)
        first, second = (ready.truth() for ready in readies)
        assert abs(first.utc_ns(raw_ns()) - time.time_ns()) < 60 * 10**9
        assert second.utc_ns(second.start_raw_ns) == SMALL.start_utc_ns

    asyncio.run(main())


def test_serve_ends_after_its_seconds() -> None:
    """With a length given, serving ends by itself and counts nothing when nobody asked."""
    served = asyncio.run(serve(SMALL, seconds=0.1))
    assert served.seconds >= 0.1
    assert served.requests == served.replies == {"s1": 0}


def test_a_full_truth_log_stops_growing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After its last line the log says so once and writes no more."""
    truth = Truth(SMALL, 0)
    path = tmp_path / "truth.csv"
    with TruthLog(path, truth, lines_max=3) as log:
        for second in range(6):
            log.write(second * 10**9)
    lines = path.read_text().splitlines()
    assert lines[0] == "t_s,raw_ns,theta_ns,rate_ppm"
    assert [line.split(",")[1] for line in lines[1:]] == ["0", "1000000000", "2000000000"]
    assert len([r for r in caplog.records if "full" in r.message]) == 1


def test_a_log_that_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    """The parent hears the child's own sentence."""

    async def main() -> None:
        async with spawned(SMALL, truth_log=tmp_path / "missing" / "truth.csv"):
            raise AssertionError("started without its log")

    with pytest.raises(LabError, match=r"truth log .* can not be written"):
        asyncio.run(main())


def test_the_process_ends_with_its_block_and_leaks_nothing() -> None:
    """Leaving the block ends the process; ten of them leave no descriptor behind."""

    async def main() -> None:
        counts = []
        for _ in range(4):
            async with spawned(preset("lan")) as ready:
                pass
            assert not psutil.pid_exists(ready.pid)
            counts.append(len(os.listdir("/proc/self/fd")))
        assert counts[1:] == counts[:-1]

    asyncio.run(main())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_process_cleanly(number: signal.Signals) -> None:
    """SIGTERM and SIGINT: a last line that counts, and exit status 0, while the lifeline is still open."""
    with subprocess.Popen(
        [sys.executable, "-m", "chronotick.lab"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode({"scenario": SMALL}) + b"\n")
        process.stdin.flush()
        msgspec.json.decode(process.stdout.readline(), type=Ready)
        process.send_signal(number)
        assert msgspec.json.decode(process.stdout.readline(), type=Served).replies == {"s1": 0}
        assert process.wait(10) == 0


@pytest.mark.parametrize("line", [b"", b"no json\n", b'{"scenario": {"servers": [{"port": -1}]}}\n'])
def test_a_wrong_order_is_refused(line: bytes) -> None:
    """No order, no JSON, or no scenario: one line that says so, and exit status 78."""
    done = subprocess.run(
        [sys.executable, "-m", "chronotick.lab"], input=line, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 78
    assert msgspec.json.decode(done.stdout)["event"] == "failed"
    assert done.stderr == b""


def test_a_file_is_no_lifeline(tmp_path: Path) -> None:
    """Standard input from a file can not tell when the parent ends: refused, exit status 78."""
    order = tmp_path / "order.json"
    order.write_bytes(msgspec.json.encode({"scenario": SMALL}) + b"\n")
    with order.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "chronotick.lab"], stdin=file, capture_output=True, timeout=30, check=False
        )
    assert done.returncode == 78
    assert msgspec.json.decode(done.stdout)["message"] == "Standard input is a file."
    assert done.stderr == b""


def test_no_orphan_outlives_a_killed_parent() -> None:
    """After kill -9 of the parent the lab's process ends by itself."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
        parent.wait()
    assert gone(pid)


def test_a_child_that_can_not_bind_says_so() -> None:
    """A port that is taken: the parent gets the LabError with its mend."""

    async def main() -> None:
        async with spawned(SMALL) as ready:
            port = int(ready.servers[0].rpartition(":")[2])
            async with spawned(adapted(SMALL, port=port)):
                raise AssertionError("two labs on one port")

    with pytest.raises(LabError, match="Choose another port"):
        asyncio.run(main())
