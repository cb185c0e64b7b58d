"""`chronotick replay` and `chronotick explain --at` as a user meets them, on the log of a simulated host."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chronotick.cli import exits
from chronotick.store import place
from chronotick.store.log import EventLog
from chronotick.store.segments import files
from chronotick.store.worker import Worker
from tests.store.conftest import Host

from .conftest import Done
from .schema import problems, shape_of

Run = Callable[..., Done]
S = 1_000_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour, in three segments."""
    made = tmp_path_factory.mktemp("run") / "state" / place.LOG_FOLDER
    made.mkdir(parents=True)
    worker = Worker()
    host = Host(log=EventLog(made, 64_000_000, worker, segment_s=600.0))
    host.run(1790.0)
    host.journal.close()
    worker.close()
    return made


def at(folder: Path, after_s: float) -> str:
    """An instant of the log, as people write it."""
    from chronotick.store.segments import segments

    begun_ns = segments(folder)[0].header.realtime_ns
    return datetime.fromtimestamp(begun_ns / S + after_s, UTC).isoformat()


def test_all_snapshots_are_the_same(run: Run, folder: Path) -> None:
    """Exit code 0, and a sentence with both numbers."""
    done = run("replay", str(folder))
    assert (done.code, done.err) == (exits.OK, "")
    assert "448 snapshots compared, 0 differ." in done.out


def test_the_log_is_found_by_the_runtime_directory(run: Run, folder: Path) -> None:
    """A host with a runtime directory of its own keeps its state there."""
    done = run("replay", "--runtime-dir", str(folder.parents[1]), "--from", at(folder, 1250.0), "--json")
    assert done.code == exits.OK
    assert problems(done.json, shape_of("replay")) == []
    assert (done.json["segments"], done.json["log"]) == (1, str(folder))
    assert done.json["compared"] == pytest.approx(135, abs=2)


def test_between_two_instants(run: Run, folder: Path) -> None:
    """--from and --to bound what is compared; where nothing lies between them it is said, with exit code 1."""
    done = run("replay", str(folder), "--from", at(folder, 650.0), "--to", at(folder, 850.0), "--json")
    assert done.json["compared"] == pytest.approx(50, abs=2)
    assert done.json["span_s"] == pytest.approx(200, abs=8)
    done = run("replay", str(folder), "--from", "1s")
    assert done.code == exits.NEGATIVE
    assert "No snapshot lies" in done.out


def test_what_differs_is_shown(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that decides otherwise is found: exit code 1, and the first fields that differ."""
    monkeypatch.setattr("chronotick.clock.bank.FORGETTING", 0.5)
    done = run("replay", str(folder), "--to", at(folder, 300.0))
    assert done.code == exits.NEGATIVE
    assert "theta_ns 17" in done.out
    body = run("replay", str(folder), "--to", at(folder, 300.0), "--json").json
    assert problems(body, shape_of("replay")) == []
    assert 0 < body["differing"] <= body["compared"]
    assert len(body["differences"]) == 10


def test_a_what_if_tells_how_answers_would_have_differed(run: Run, folder: Path) -> None:
    """Without models, with a smaller bound: distances, widths, weights; the log itself still replays to the bit."""
    words = ("replay", str(folder), "--what-if", "fusion.enabled=false", "--what-if", "clock.rate_bound_ppm=20")
    body = run(*words, "--json").json
    assert problems(body, shape_of("replay")) == []
    found = body["what_if"]
    assert (body["differing"], found["keys"]) == (0, ["fusion.enabled=false", "clock.rate_bound_ppm=20"])
    assert found["changed"]["hard_width_us"] < found["log"]["hard_width_us"]
    assert found["changed"]["weights"] == {"floor": pytest.approx(1.0, abs=0.02)}
    assert found["apart_us"]["median"] <= found["apart_us"]["p95"] <= found["apart_us"]["max"]
    assert "pipeline.hard" in found["begun_anew"]
    assert "pipeline.floor" not in found["begun_anew"]
    done = run(*words)
    assert "What if fusion.enabled=false, clock.rate_bound_ppm=20: " in done.out


def test_a_what_if_of_no_key_is_refused(run: Run, folder: Path) -> None:
    """With the key that was meant, and exit code 78."""
    done = run("replay", str(folder), "--what-if", "fusion.enable=false")
    assert done.code == exits.CONFIG
    assert "`fusion.enabled`" in done.err


def test_damage_is_told(run: Run, folder: Path, tmp_path: Path) -> None:
    """A torn end is counted and no fault; a foreign file is."""
    torn = tmp_path / "events-00000001.ctklog"
    torn.write_bytes(files(folder)[0].read_bytes()[:-9])
    done = run("replay", str(torn))
    assert done.code == exits.OK
    assert "half-written" in done.out
    torn.write_bytes(b"something else")
    done = run("replay", str(torn))
    assert done.code == exits.NEGATIVE
    assert "is no event log" in done.err


def test_an_instant_of_the_past_is_explained(run: Run, folder: Path) -> None:
    """What hung on which servers then, and which candidate had which weight, without any host."""
    words = ("explain", "--log", str(folder), "--at")
    done = run(*words, at(folder, 1700.0), "--json")
    assert done.code == exits.OK
    assert problems(done.json, shape_of("explain")) == []
    assert done.json["sentences"][0].startswith("3 of 3 servers answer")
    assert any(one["candidate"] == "oracle/cycle" for one in done.json["facts"]["candidates"])
    assert done.json["at"][:15] == at(folder, 1700.0)[:15]
    early = run(*words, at(folder, 60.0))
    assert early.out.startswith(f"At {at(folder, 60.0)[:14]}")
    assert early.out.rstrip().endswith("Weights then: floor 1.00")


def test_an_instant_before_the_log_is_said(run: Run, folder: Path) -> None:
    """Exit code 1 and a sentence."""
    done = run("explain", "--log", str(folder), "--at", at(folder, -3600.0))
    assert done.code == exits.NEGATIVE
    assert "begins after" in done.err


def test_a_relative_instant_may_have_a_sign(run: Run, folder: Path) -> None:
    """-10m is 10m ago; beyond the end of the log it is its last state."""
    done = run("explain", "--log", str(folder), "--at=-10m")
    assert done.code == exits.OK or "begins after" in done.err
