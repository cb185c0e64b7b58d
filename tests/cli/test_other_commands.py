"""Commands that need no host: servers, the lab, plugins, the configuration."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chronotick.lab.lab import Ready
from chronotick.plugins.sync import SyncResult

from .conftest import Done

pytestmark = pytest.mark.network
Run = Callable[..., Done]
ECHO = Path(__file__).resolve().parents[1] / "fakes"


def test_servers_are_asked_and_voted_on(run: Run, servers: Ready) -> None:
    """`ntp query` has a row for each server with the vote's verdict, and says what the system clock is off by."""
    done = run("ntp", "query", *servers.servers, "--samples", "1")
    assert done.code == 0
    assert "falseticker" in done.out
    assert "of 4 agree: the system clock is" in done.out


def test_nobody_who_answers_is_1(run: Run) -> None:
    """A port where nobody listens: the reason in words, and exit code 1."""
    done = run("ntp", "query", "127.0.0.1:9", "--samples", "1", "--timeout", "200ms")
    assert done.code == 1
    assert "No majority" in done.out


def test_a_scenario_can_be_shown_and_served_again(run: Run, tmp_path: Path) -> None:
    """What `lab show` prints is a file that `lab serve` takes."""
    file = tmp_path / "mine.yaml"
    file.write_text(run("lab", "show", "thermal").out)
    done = run("lab", "serve", "--scenario", str(file), "--seconds", "0.1")
    assert done.code == 0
    assert "requests answered" in done.out
    assert "Try: chronotick ntp query" in done.out


def test_a_scenario_that_does_not_exist_is_1(run: Run) -> None:
    """The complaint names what was asked for."""
    done = run("lab", "show", "nonesuch")
    assert done.code == 1
    assert "nonesuch" in done.err


def test_plugins_are_listed_with_their_environments(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin on the path has its row; a folder without one is a problem that is said."""
    monkeypatch.setenv("CHRONOTICK_PLUGIN_PATH", f"{ECHO}:/nowhere")
    monkeypatch.setattr("chronotick.plugins.discovery.project_root", lambda: None)
    done = run("plugins", "list")
    assert done.code == 0
    assert done.out.splitlines()[1].startswith("echo")
    assert "/nowhere" in done.out
    body = run("plugins", "list", "--json").json
    assert [row["name"] for row in body["plugins"]] == ["echo"]
    assert body["searched"] == [str(ECHO), "/nowhere"]


def test_no_plugins_at_all_are_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list is a sentence."""
    monkeypatch.setattr("chronotick.plugins.discovery.project_root", lambda: None)
    assert "No plugins were found." in run("plugins", "list").out
    assert "No plugins were found." in run("plugins", "check").out


def test_a_plugin_that_does_not_exist_is_1(run: Run) -> None:
    """`check` and `sync` say what there is and where was looked."""
    for verb in ("check", "sync"):
        done = run("plugins", verb, "nonesuch")
        assert done.code == 1, done
        assert "no plugin named `nonesuch`" in done.err


def test_nothing_named_to_build_is_a_usage_error(run: Run) -> None:
    """`plugins sync` does not build everything by accident."""
    done = run("plugins", "sync")
    assert done.code == 2
    assert "--all" in done.err


def test_a_build_that_fails_is_1_with_its_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that failed is named, and the exit code is 1, in both forms."""
    failed = SyncResult(
        plugin="chronos", ok=False, built=False, sentence="chronos: no.", elapsed_s=1.0, disk_bytes=0, torch=""
    )
    monkeypatch.setattr("chronotick.plugins.sync.sync", lambda *given, **named: (failed,))
    done = run("plugins", "sync", "chronos")
    assert done.code == 1
    assert "failed chronos: no." in done.err
    body = run("plugins", "sync", "chronos", "--json")
    assert body.code == 1
    assert body.json["plugins"][0]["ok"] is False


def test_a_parameter_without_a_value_is_refused(run: Run) -> None:
    """--param shows how it is written."""
    done = run("plugins", "check", "chronos", "--param", "path")
    assert done.code == 1
    assert "is no KEY=VALUE" in done.err


def test_a_sound_configuration_is_summed_up(run: Run, tmp_path: Path) -> None:
    """`config check` says what a file comes to; notes are shown."""
    file = tmp_path / "mine.yaml"
    file.write_text("ntp: {servers: [192.0.2.1, 192.0.2.2]}\n")
    done = run("config", "check", str(file))
    assert done.code == 0
    assert "sound" in done.out
    assert "2 servers" in done.out


def test_every_key_is_listed(run: Run) -> None:
    """`config keys` names each key, with its default, in both forms."""
    text = run("config", "keys").out
    keys = run("config", "keys", "--json").json["keys"]
    assert {"ntp.servers", "publish.slew_ppm"} <= {one["key"] for one in keys}
    assert all(one["key"] in text for one in keys)
