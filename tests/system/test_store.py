"""What a real host leaves on disk: a log that gives every snapshot again, and a state to go on from."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from chronotick.client import Status
from chronotick.lab.lab import Ready
from chronotick.store import place
from chronotick.store.replay import Replay
from chronotick.store.segments import segments

from .conftest import FAKES, Host, until

pytestmark = pytest.mark.network
MakeHost = Callable[..., Host]

# A host whose machine has slept for five seconds once the second argument is there, and whose segments last two.
PROGRAM = """
import functools, pathlib, sys
import msgspec
from chronotick.cli.main import main
from chronotick.clock import timebase
from chronotick.store import keeper
real = timebase.reading
def reading():
    one = real()
    slept_ns = 5 * 10**9 * pathlib.Path(sys.argv[2]).exists()
    return msgspec.structs.replace(one, boot_ns=one.boot_ns + slept_ns)
timebase.reading = reading
keeper.EventLog = functools.partial(keeper.EventLog, segment_s=2.0)
sys.exit(main(["run", "--config", sys.argv[1]]))
"""


def start(host: Host, slept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHRONOTICK_PLUGIN_PATH", str(FAKES))
    with host.errors.open("ab") as sink:
        host.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(host.file), str(slept)], stdin=subprocess.DEVNULL, stderr=sink
        )


def test_a_real_hosts_log_gives_every_snapshot_again(
    make_host: MakeHost, lan_lab: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a model's answers, a suspension, rotations, a restart from the saved state and a kill: none differs."""
    host, slept = make_host(lan_lab.servers, ("echo",)), tmp_path / "slept"
    quick = {"step_s": 0.25, "min_context": 8, "interval_s": 0.25}
    sections = msgspec.yaml.decode(host.file.read_bytes())
    sections["roles"][0] |= quick
    sections["clock"]["time_compression"] = 300.0
    host.file.write_bytes(msgspec.yaml.encode(sections))
    folder = host.directory.path / "state" / place.LOG_FOLDER

    start(host, slept, monkeypatch)
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        until(lambda: host.plugin("echo").get("served", 0) > 3, "some forecasts")
        slept.touch()
        until(lambda: "suspend" in host.errors.read_text(), "the suspension was noticed")
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised again")
    assert host.stop() == 0
    last = list(Replay(folder).moments())[-1].core.pipeline.state
    assert last is not None

    start(host, tmp_path / "never", monkeypatch)
    with host.clock() as clock:
        until(lambda: "going on from the last run's state" in host.errors.read_text(), "a warm start")
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        until(lambda: len(list(folder.iterdir())) > 4, "more segments")
    host.stop(signal.SIGKILL)

    found = segments(folder)
    causes = Counter(one.header.cause for one in found)
    assert causes["start"] == 2
    assert causes["age"] >= 2
    kinds = Counter(type(entry).__name__ for one in found for entry in one.entries())
    assert kinds["Disrupted"] == 1
    assert kinds["Answered"] > 3
    replay = Replay(folder)
    same, fixes = [], 0
    for moment in replay.moments():
        same.append(moment.same)
        state = moment.core.pipeline.state
        if moment.core.issuer.writer.instance != found[0].header.instance and not fixes:
            assert state is not None
            fixes = state.fixes
    assert replay.skipped == []
    assert len(same) > 50
    assert all(same)
    # The second run did not begin at nothing: it had the first one's fixes before its own first snapshot.
    assert fixes >= last.fixes
