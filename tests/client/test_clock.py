"""now(): what it says while the host lives, when it dies, and when it comes back."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chronotick import Clock, ClockError, ClockUnknown, HostAbsent, Reading, SnapshotInvalid, Status
from chronotick.client import clock as clock_module
from chronotick.publish import to_record
from chronotick.publish.snapshot import SnapshotWriter
from chronotick.wire import snapshot
from chronotick.wire.boot import boot_hash, suspended_ns
from chronotick.wire.snapshot import MAX_NS, MIN_NS

S = 1_000_000_000
THETA = 1_700_000_000 * S
Later = Callable[[float], None]


def raw_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def test_now_is_what_the_host_publishes(host: Any, clock: Clock) -> None:
    """UTC, both intervals, status, age and source are the publication's at this instant."""
    made = host.publish(rate=2e-5)
    before, reading, after = raw_ns(), clock.now(), raw_ns()
    line = to_record(made)
    assert before <= reading.raw_ns <= after
    assert reading.utc_ns == line.utc_ns(reading.raw_ns)
    assert reading.earliest_ns == line.earliest_ns(reading.raw_ns) == pytest.approx(reading.utc_ns - S, abs=10**6)
    assert reading.latest_ns == line.latest_ns(reading.raw_ns)
    assert reading.sigma_ns == line.sigma_ns(reading.raw_ns)
    assert reading.half_width_95_ns == line.half_width_95_ns(reading.raw_ns)
    assert (reading.status, reading.source) == (Status.SYNCHRONISED, ("floor", "chronos"))
    assert reading.age_ns == reading.raw_ns - made.fix_raw_ns
    assert reading.as_of_ns == reading.utc_ns - reading.age_ns
    assert (reading.epoch, reading.host_instance) == (1, 1)


def test_now_follows_each_publication(host: Any, clock: Clock) -> None:
    """A new publication is seen by the next reading, or within nanoseconds where it would step back by them."""
    for theta in (THETA, THETA + 1000, THETA - 1000):
        made = host.publish(theta)
        reading = clock.now()
        assert reading[2].sequence == made.sequence
        assert 0 <= reading.utc_ns - to_record(made).utc_ns(reading.raw_ns) <= 2000


def test_unknown_raises_unless_asked_for(host: Any, clock: Clock) -> None:
    """A host without a time is no clock: the sentence says why, and a reading without bounds is had on request only."""
    with pytest.raises(ClockUnknown, match="no majority of servers") as caught:
        clock.now()
    assert caught.value.mend
    reading = clock.now(allow_unknown=True)
    assert (reading.status, reading.utc_ns, reading.as_of_ns) == (Status.UNKNOWN, 0, 0)
    assert (reading.earliest_ns, reading.latest_ns) == reading.interval(0.5) == (MIN_NS, MAX_NS)
    assert reading.sigma_ns == reading.half_width_95_ns == MAX_NS
    host.publish()
    assert clock.now().status is Status.SYNCHRONISED


def test_a_dead_host_is_held_over_with_growing_bounds_until_void(host: Any, clock: Clock, later: Later) -> None:
    """SYNCHRONISED, then HOLDOVER with ever wider intervals, then UNKNOWN with the reason."""
    host.publish(void_s=1000)
    readings = [clock.now()]
    for seconds in (3.5, 5, 100, 999):
        later(seconds)
        readings.append(clock.now())
    assert [str(one.status) for one in readings] == ["SYNCHRONISED"] * 2 + ["HOLDOVER"] * 3
    for width in ("sigma_ns", "half_width_95_ns", "age_ns"):
        values = [getattr(one, width) for one in readings]
        assert values == sorted(set(values))
    hard = [one.latest_ns - one.earliest_ns for one in readings]
    assert hard == sorted(set(hard))
    later(1001)
    with pytest.raises(ClockUnknown, match=r"fell silent 100[12] s ago"):
        clock.now()


def test_a_suspended_machine_is_noticed(host: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch, later: Later) -> None:
    """After a suspension nothing is known, however often it is asked, until the host has begun a new epoch."""
    from chronotick.publish import publisher

    host.publish()
    assert clock.now().status is Status.SYNCHRONISED
    slept = suspended_ns() + 60 * S
    monkeypatch.setattr(clock_module, "suspended_ns", lambda: slept)
    later(0.06)
    for _ in range(2):
        with pytest.raises(ClockUnknown, match="suspended"):
            clock.now()
    monkeypatch.setattr(publisher, "suspended_ns", lambda: slept)
    host.publish()
    with pytest.raises(ClockUnknown, match="suspended"):
        clock.now()
    host.publish(THETA + 60 * S, epoch=1, status=Status.DISRUPTED)
    assert clock.now().status is Status.DISRUPTED


def test_a_new_host_is_found_and_the_time_goes_on(host: Any, clock: Clock, later: Later) -> None:
    """After a restart the new host's file is used, within the same epoch, with no step."""
    host.publish()
    first = clock.now()
    host.restart()
    assert clock.now().host_instance == 1
    later(0.05)
    second = clock.now()
    assert (second.host_instance, second.status, second.epoch) == (2, Status.HOLDOVER, 1)
    assert second.utc_ns - first.utc_ns == second.raw_ns - first.raw_ns
    host.publish(THETA - 200_000)
    third = clock.now()
    assert third.status is Status.SYNCHRONISED
    assert third.utc_ns >= second.utc_ns


def test_time_stands_rather_than_going_back(host: Any, clock: Clock) -> None:
    """A writer that steps back without saying so is not followed back, and the interval admits the difference."""
    line = to_record(host.publish(width_ns=500), suspended_ns=suspended_ns())
    before = clock.now()
    host.publisher._file.write(line._replace(theta_ns=THETA - 10_000_000, sequence=99))
    held = [clock.now() for _ in range(3)]
    assert {one.utc_ns for one in held} == {held[0].utc_ns}
    assert held[0].utc_ns >= before.utc_ns
    for one in held:
        assert one.earliest_ns <= one.utc_ns <= one.latest_ns
        assert one.sigma_ns > 9_000_000


def test_a_declared_discontinuity_may_step_back(host: Any, clock: Clock) -> None:
    """With a new epoch the output steps, also backwards."""
    host.publish()
    before = clock.now()
    host.publish(THETA - S, epoch=1)
    after = clock.now()
    assert after.epoch == before.epoch + 1
    assert after.utc_ns < before.utc_ns


def test_another_host_may_refute_the_last_one(host: Any, clock: Clock, later: Later) -> None:
    """Where a new run's hard interval excludes what was said, it is believed, although the epoch is the same."""
    line = to_record(host.publish(), suspended_ns=suspended_ns())
    before = clock.now()
    moved = {name: getattr(line, name) - 9 * S for name in ("theta_ns", "earliest_theta_ns", "latest_theta_ns")}
    SnapshotWriter(host.directory.snapshot, boot_hash(), line._replace(host_instance=2, **moved)).close()
    later(0.05)
    assert clock.now().utc_ns < before.utc_ns - 8 * S


def test_threads_share_a_clock(host: Any, clock: Clock) -> None:
    """Four threads read while the host corrects all the time: each sees order, and bounds that hold its reading."""
    host.publish()
    stop = threading.Event()
    faults: list[str] = []
    counts = [0] * 4

    def read(who: int) -> None:
        last = 0
        while not stop.is_set():
            reading = clock.now()
            if reading.utc_ns < last:
                faults.append(f"backward by {last - reading.utc_ns}")
            if not reading.earliest_ns <= reading.utc_ns <= reading.latest_ns:
                faults.append(repr(reading))
            last = reading.utc_ns
            counts[who] += 1

    threads = [threading.Thread(target=read, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + 30
    turn = 0
    while (turn < 200 or sum(counts) < 5000) and time.monotonic() < ends:
        turn += 1
        host.publish(THETA + (-1) ** turn * 300_000)
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert turn >= 200
    assert min(counts) > 0


def test_a_forked_child_reads_on(host: Any, clock: Clock) -> None:
    """The child of a reader reads the same host, in order with what the parent has read."""
    host.publish()
    before = clock.now().utc_ns
    child = os.fork()
    if child == 0:
        code = 1
        try:
            host.publish(THETA + 1000)
            code = 0 if clock.now().utc_ns > before else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


WRITER = """
import sys, time
sys.path.insert(0, sys.argv[3])
from conftest import FakeHost
from pathlib import Path
host = FakeHost(Path(sys.argv[1]), interval_s=0.01)
host.restart(int(sys.argv[2]))
turn = 0
while True:
    turn += 1
    host.publish(1_700_000_000_000_000_000 + (-1) ** turn * 50_000, void_s=60)
    if turn == 1:
        print("ready", flush=True)
    time.sleep(0.002)
"""


def start_writer(directory: Path, instance: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(directory), str(instance), str(Path(__file__).parent)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_a_host_killed_and_started_again_is_one_clock_to_its_readers(tmp_path: Path) -> None:
    """Through kill -9 and restart of a real process, every reading is answered, in order, inside its bounds."""
    tmp_path.chmod(0o700)
    seen: list[int] = []
    last = 0

    def read_until(enough: Callable[[Reading], bool]) -> None:
        nonlocal last
        ends = time.monotonic() + 20
        while True:
            reading = clock.now()
            assert reading.utc_ns >= last
            assert reading.earliest_ns <= reading.utc_ns <= reading.latest_ns
            last = reading.utc_ns
            if reading.host_instance not in seen:
                seen.append(reading.host_instance)
            if enough(reading):
                return
            assert time.monotonic() < ends

    with Clock(tmp_path, fall_back=False) as clock:
        for instance in (11, 12):
            with start_writer(tmp_path, instance) as child:
                read_until(lambda reading, wanted=instance: reading.host_instance == wanted)  # type: ignore[misc]
                child.send_signal(signal.SIGKILL)
            read_until(lambda reading: reading.status is Status.HOLDOVER)
    assert seen == [11, 12]


def test_many_readings_and_restarts_leak_no_file(host: Any, clock: Clock, later: Later) -> None:
    """10,000 readings, with a new snapshot file now and then, leave as many open files as before."""
    host.publish(void_s=1e6)
    clock.now()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(10_000):
        if number % 500 == 0:
            host.restart(number + 2)
            later(number)
        clock.now()
    assert clock.now().host_instance == 9502
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_closed_clock_says_so(host: Any, clock: Clock) -> None:
    """After close, readings stay valid and the clock raises."""
    host.publish()
    reading = clock.now()
    clock.close()
    assert reading.status is Status.SYNCHRONISED
    with pytest.raises(ClockError, match="closed"):
        clock.now()


def test_without_a_host_the_error_says_what_to_start(tmp_path: Path) -> None:
    """No directory, no snapshot: HostAbsent, with the path and the command."""
    with pytest.raises(HostAbsent, match="no runtime directory") as caught:
        Clock(tmp_path / "nowhere").now()
    assert caught.value.mend == "Start the host: chronotick run."
    tmp_path.chmod(0o700)
    with pytest.raises(
        HostAbsent, match=r"There is no snapshot .*: no host runs here\. Start the host: chronotick run\."
    ):
        Clock(tmp_path, fall_back=False).now()


@pytest.mark.parametrize("locked", ["directory", "snapshot"])
def test_a_file_that_may_not_be_read_is_named(host: Any, tmp_path: Path, locked: str) -> None:
    """Permission denied has a sentence with the path, the user and what to do, as another user finds it."""
    host.publish()
    sentence = _as_another_user(tmp_path, host.directory.snapshot, locked)
    assert sentence.startswith("HostAbsent: The ")
    assert str(tmp_path) in sentence
    assert "ermission denied" in sentence
    assert "as the host's user" in sentence


def _as_another_user(directory: Path, file: Path, locked: str) -> str:
    """What a process without the rights gets to hear. Root has all rights, so its child gives them up."""
    parents = [directory, *directory.parents]
    modes = {path: path.stat().st_mode for path in parents if path.stat().st_uid == os.geteuid()}
    if os.geteuid() == 0 and locked == "snapshot":
        for path, mode in modes.items():
            path.chmod(mode | 0o055)
    else:
        directory.chmod(0o700 if os.geteuid() == 0 else 0)
    file.chmod(0o600 if os.geteuid() == 0 else 0)
    heard, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            Clock(directory, fall_back=False).now()
        except ClockError as error:
            os.write(tell, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    with os.fdopen(heard) as end:
        sentence = end.read()
    for path, mode in modes.items():
        path.chmod(mode)
    return sentence


@pytest.mark.parametrize(
    ("offset", "value", "sentence"),
    [(0, b"X", "not a ChronoTick snapshot"), (12, b"\7", "layout 7"), (16, b"\0\1\2\3", "another boot")],
)
def test_a_foreign_snapshot_is_refused(host: Any, offset: int, value: bytes, sentence: str) -> None:
    """Foreign magic, layout or boot: SnapshotInvalid with its own sentence, since no host answers either."""
    host.publish()
    with host.directory.snapshot.open("r+b") as file:
        file.seek(offset)
        file.write(value)
    begun = time.monotonic()
    with Clock(host.directory.path, timeout_s=20) as clock, pytest.raises(SnapshotInvalid, match=sentence):
        clock.now()
    # Where there is not even a socket, nobody is waited for.
    assert time.monotonic() - begun < 10


def test_a_damaged_snapshot_is_refused(host: Any) -> None:
    """Both records damaged: SnapshotInvalid."""
    host.publish()
    with host.directory.snapshot.open("r+b") as file:
        for number in (0, 1):
            file.seek(snapshot.slot_offset(number) + 40)
            file.write(b"\xa5" * 8)
    with pytest.raises(SnapshotInvalid, match="damaged"):
        Clock(host.directory.path, fall_back=False).now()


def test_a_foreign_file_does_not_take_the_old_ones_place(host: Any, clock: Clock, later: Later) -> None:
    """What replaces the snapshot must be one: until then the mapped one goes on."""
    host.publish()
    clock.now()
    fresh = host.directory.path / "fresh"
    fresh.write_bytes(b"something else")
    os.replace(fresh, host.directory.snapshot)
    later(0.05)
    assert clock.now().status is Status.SYNCHRONISED


def test_reading_changes_nothing_in_the_host(host: Any, clock: Clock) -> None:
    """A thousand readings leave the file as it was, bit for bit."""
    host.publish()
    before = host.directory.snapshot.read_bytes()
    for _ in range(1000):
        clock.now()
    assert host.directory.snapshot.read_bytes() == before


def test_a_time_out_is_positive() -> None:
    """A time-out of zero is a mistake."""
    with pytest.raises(ValueError, match="time-out"):
        Clock(timeout_s=0)
