"""Commands that ask a running host, in the form for people."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chronotick.cli import models, sources, waitsync
from chronotick.client import Clock
from chronotick.lab.lab import Ready
from tests.system.conftest import Host, until

from .conftest import Done

pytestmark = pytest.mark.network
Run = Callable[..., Done]


def test_now_gives_a_time_that_its_intervals_hold(ask: Run, servers: Ready) -> None:
    """The hard interval holds the calibrated one, which holds the estimate; the truth is in the hard one."""
    body = ask("now", "--json").json
    low, high = (int(end) for end in body["interval_95_ns"])
    earliest, utc, latest = (int(body[name]) for name in ("earliest_ns", "utc_ns", "latest_ns"))
    assert earliest <= low <= utc <= high <= latest
    text = ask("now").out
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z  SYNCHRONISED\n", text)
    assert "95 % interval" in text
    assert "hard interval" in text


def test_status_tells_clock_servers_and_models(ask: Run, scored_host: Host, servers: Ready) -> None:
    """The overview names every server and model, and what the host costs."""
    done = ask("status")
    assert done.code == 0
    assert all(name in done.out for name in (*servers.servers, "echo", "READY", "of a core", "falseticker"))


def test_sources_tell_the_vote(ask: Run, servers: Ready) -> None:
    """Each server has its row, the falseticker is named as such, and the vote is a sentence."""
    done = ask("sources")
    assert done.code == 0
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.startswith("127.")}
    assert set(rows) == set(servers.servers)
    assert all(("falseticker" in rows[name]) == (name in servers.falsetickers) for name in rows)
    assert re.search(r"^\d of 4 survive the vote", done.out, re.MULTILINE)


def test_a_vote_without_a_majority_is_said() -> None:
    """Where nobody agrees the verdict is a sentence, also before the first measurement."""
    assert sources.verdict({"servers": [], "agreed": False, "verdict": "no_majority"}) == "No majority: no majority."
    assert sources.verdict({"servers": [], "agreed": False, "verdict": None}) == "No majority: nothing measured yet."


def test_models_tell_state_and_skill(ask: Run, scored_host: Host) -> None:
    """Each model has its row, and each of its roles its skill by horizon."""
    done = ask("models")
    assert done.code == 0
    assert re.search(r"^echo +READY", done.out, re.MULTILINE)
    assert re.search(r"^echo/cycle +[-+]\d+ %", done.out, re.MULTILINE)
    assert re.search(r"^Forecasts: \d+ made, \d+ used, \d+ refused\.$", done.out, re.MULTILINE)


def test_a_model_that_needs_mending_makes_exit_code_1(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that it does not leave by itself is the answer no, and its mend is shown."""
    row = ask("models", "--json").json["models"][0] | {"state": "ENV_BROKEN", "detail": "Broken. Run: mend it"}
    forecasts = {"made": 0, "used": 0, "refused": 0, "waiting": {"cycle": "warming up"}, "candidates": []}
    answer = {"plugins": [row], "forecasts": forecasts}
    monkeypatch.setattr("chronotick.cli.host.status", lambda *given, **named: answer)
    done = ask("models")
    assert done.code == 1
    assert "echo: Broken. Run: mend it" in done.out
    assert "cycle waits: warming up" in done.out


def test_without_models_the_floor_is_named() -> None:
    """A host without models is no fault."""
    assert models.text([], {}) == "No models are configured: the floor alone answers."


def test_explain_gives_numbered_sentences(ask: Run, scored_host: Host) -> None:
    """The chain begins with the servers, goes on with the candidates, and ends with the weights."""
    lines = ask("explain").out.splitlines()
    assert re.match(r" 1\. \d of 4 servers answer", lines[0])
    assert "echo/cycle at " in lines[1]
    assert lines[-1].startswith("Weights now: floor ")


def test_history_gives_the_newest_rows_in_three_forms(ask: Run, servers: Ready) -> None:
    """Text, CSV and JSON tell of the same columns; times do not decrease but for late exchanges."""
    rows = list(csv.DictReader(io.StringIO(ask("history", "--limit", "5", "--csv").out)))
    assert len(rows) == 5
    assert all(any(row["server"].startswith(name) for name in servers.servers) for row in rows)
    body = ask("history", "--limit", "5", "--json").json
    assert body["columns"] == list(rows[0])
    assert abs(int(body["rows"][0]["utc_ns"]) - int(rows[0]["utc_ns"])) < 60 * 10**9
    text = ask("history", "--limit", "5").out.splitlines()
    assert text[0].split() == ["time", "server", "surprise", "delay", "root", "distance"]
    assert len(text) == 6


def test_history_is_bounded_by_instants(ask: Run) -> None:
    """--since and --until keep what lies between them; nothing between is exit code 1."""
    newest = int(ask("history", "--limit", "1", "--json").json["rows"][0]["utc_ns"])
    until_newest = ask("history", "--until", str(newest), "--since", "1h", "--limit", "100000", "--json").json["rows"]
    assert all(int(row["utc_ns"]) <= newest for row in until_newest)
    assert str(newest) in {row["utc_ns"] for row in until_newest}
    assert ask("history", "--until", "2001-01-01T00:00:00Z").code == 1
    refused = ask("history", "--series", "nonesuch")
    assert refused.code == 1
    assert "no series 'nonesuch'" in refused.err


def test_waitsync_returns_at_once_where_it_is_good_enough(ask: Run) -> None:
    """Wide enough a bound needs no wait; --timeout 0 looks once."""
    done = ask("waitsync", "--max-width", "1s", "--timeout", "0")
    assert done == Done(0, "", "")


def test_waitsync_gives_up_with_the_width_it_saw(ask: Run) -> None:
    """Too narrow a bound ends with 1 after the time-out, and says both widths."""
    done = ask("waitsync", "--max-width", "1ns", "--timeout", "100ms")
    assert done.code == 1
    assert re.search(r"not within 0\.1 s: the hard interval is .* wide, 1 ns is asked for", done.err)


def test_waitsync_waits_for_a_host_that_starts(tmp_path: Path, live_host: Host) -> None:
    """A directory that appears while it waits is found."""
    link = tmp_path / "run"
    looks = 0

    class Late(Clock):
        def now(self, **given: object) -> object:  # type: ignore[override]
            nonlocal looks
            looks += 1
            if looks == 3:
                link.symlink_to(live_host.directory.path)
            return super().now(**given)  # type: ignore[arg-type]

    with Late(link, fall_back=False) as clock:
        reading, problem = waitsync.wait(clock, 10**9, float("inf"))
    assert looks >= 3
    assert problem is None
    assert reading is not None


def test_stamps_verify_and_order(ask: Run, tmp_path: Path, live_host: Host) -> None:
    """A stamp of a file verifies with it; two stamps further apart than their widths have a certain order."""
    paper = tmp_path / "paper"
    paper.write_bytes(b"x" * 3_000_000)
    first = tmp_path / "first.stamp"
    first.write_text(ask("stamp", str(paper)).out)
    verified = ask("verify", str(first), str(paper))
    assert verified.code == 0
    assert "genuine" in verified.out
    assert "as given" in verified.out
    assert "not checked" in ask("verify", str(first)).out
    assert ask("verify", str(first), "--key-file", str(live_host.directory.path / "stamp.key")).code == 0

    latest = int(ask("verify", str(first), "--json").json["instant"]["latest_ns"])
    until(lambda: int(ask("now", "--json").json["earliest_ns"]) > latest, "the first stamp is past")
    second = tmp_path / "second.json"
    second.write_text(ask("now", "--json").out)
    done = ask("compare", str(first), str(second))
    assert (done.code, done.out.split()[0]) == (0, "BEFORE")
    assert ask("compare", str(second), str(first)).out.split()[0] == "AFTER"
    same = ask("compare", str(second), str(second))
    assert (same.code, same.out.split()[0]) == (1, "AMBIGUOUS")


def test_stamps_come_through_pipes(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """- is standard input, of payloads and of tokens."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"payload")))
    token = ask("stamp", "-").out
    monkeypatch.setattr("sys.stdin", io.StringIO(token))
    assert ask("verify", "-", "--text", "payload").code == 0
    assert ask("compare", "-", "-").code == 2


def test_a_plugin_is_started_anew(ask: Run, live_host: Host) -> None:
    """`plugins restart` gives the model another process; one that does not run here is refused by name."""
    before = live_host.plugin("echo")["pid"]
    done = ask("plugins", "restart", "echo")
    assert done.code == 0

    def anew() -> bool:
        row = live_host.plugin("echo")
        return row.get("state") == "READY" and row["pid"] != before

    until(anew, "another process")
    refused = ask("plugins", "restart", "nonesuch")
    assert refused.code == 1
    assert "No plugin named `nonesuch` runs here (configured and found: echo)" in refused.err


def test_watch_prints_a_line_per_look_where_there_is_no_terminal(ask: Run, servers: Ready) -> None:
    """Two looks are two lines, each with time, status, both intervals, servers and models."""
    lines = ask("watch", "--count", "2", "--interval", "100ms").out.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert all(word in line for word in ("SYNCHRONISED", "95 % ±", "hard ", "of 4 servers", "echo READY weight")), (
            line
        )


def test_top_is_watch_and_needs_no_host(run: Run, tmp_path: Path) -> None:
    """The alias does the same; without a host it says so in each line and ends with 0."""
    done = run("top", "--count", "1", "--runtime-dir", str(tmp_path / "absent"))
    assert done.code == 0
    assert done.out.startswith("NO HOST  There is no runtime directory")
    body = json.loads(run("top", "--count", "1", "--json", "--runtime-dir", str(tmp_path / "absent")).out)
    assert body["reading"] is None
    assert body["status"] is None
    assert "no runtime directory" in body["problem"]
