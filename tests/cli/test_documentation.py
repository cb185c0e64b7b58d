"""docs/cli.md says what the program does: commands, options, exit codes and JSON."""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chronotick.cli import exits
from chronotick.cli.main import build_parser
from chronotick.lab.demo.summary import document as demo_document
from chronotick.lab.lab import Ready
from chronotick.plugins.pull import Pulled
from tests.system.conftest import Host

from .conftest import Done
from .schema import PAGE, fields, problems, sections, shape_of

pytestmark = pytest.mark.network
Run = Callable[..., Done]


def commands(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that does something, by its words, without aliases."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield path, parser
    for action in nested:
        named = {one.dest for one in action._choices_actions}
        for name, child in action.choices.items():
            if name in named or not named:
                yield from commands(child, f"{path} {name}".strip())


COMMANDS = dict(commands(build_parser()))


def flags(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")} - {"--help"}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_section_with_every_option_and_exit_codes(name: str) -> None:
    """A command's section names all its options, no other ones of its own, and its exit codes."""
    section = sections()[name]
    said = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section))
    everyone = {flag for parser in COMMANDS.values() for flag in flags(parser)}
    assert flags(COMMANDS[name]) - said == set()
    assert said - everyone - {"--json"} == set()
    assert "Exit codes:" in section


def test_the_page_names_no_command_that_does_not_exist() -> None:
    """Sections of commands and commands are the same."""
    named = set(re.findall(r"^### `chronotick ([a-z -]+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert named == set(COMMANDS)


@pytest.mark.parametrize("name", [name for name, parser in COMMANDS.items() if "--json" in flags(parser)])
def test_each_command_with_json_documents_its_fields(name: str) -> None:
    """Where there is --json, there is a table or a shape."""
    assert shape_of(name)


def test_the_exit_codes_are_those_of_the_program() -> None:
    """The page's table of exit codes is the module's."""
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("## Exit codes") : text.index("## Reading the time")]
    known = {value for name, value in vars(exits).items() if name.isupper()}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == known


def check(name: str, value: Any) -> None:
    assert problems(value, shape_of(name)) == []


@pytest.mark.parametrize(
    "words",
    [
        "now",
        "waitsync --max-width 1s --timeout 20",
        "status",
        "sources",
        "models",
        "watch --count 1",
        "history --limit 3",
        "explain",
        "stamp --text x",
        "plugins list",
        "config keys",
    ],
)
def test_the_fields_are_as_documented(words: str, ask: Run, scored_host: Host) -> None:
    """What a command prints with --json has the documented fields and types, no more and no less."""
    done = ask(*words.split(), "--json")
    assert done.code == 0, done.err
    check(re.sub(r" -.*", "", words), done.json)


def test_rows_of_the_history_are_as_documented(ask: Run) -> None:
    """A row holds a value for each column, and the page names every column."""
    body = ask("history", "--limit", "3", "--json").json
    assert all(list(row) == body["columns"] for row in body["rows"])
    assert all(f"`{name}`" in sections()["history"] for name in body["columns"])


def test_verified_and_compared_stamps_are_as_documented(ask: Run, tmp_path: Path) -> None:
    """`verify` and `compare` print the documented fields, and compare reads what others print."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(ask("stamp", "--text", name, "--json").out)
    done = ask("compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json")
    check("compare", done.json)
    token = json.loads((tmp_path / "a").read_text())["token"]
    check("verify", ask("verify", token, "--text", "a", "--json").json)


def test_the_doctors_findings_are_as_documented(ask: Run, live_host: Host) -> None:
    """`doctor --json` has the documented fields."""
    check("doctor", ask("doctor", "--config", str(live_host.file), "--json").json)


def test_an_unknown_reading_and_an_error_are_as_documented(run: Run, tmp_path: Path) -> None:
    """An error comes as the documented object, whatever the command."""
    for words in (("now",), ("status",), ("plugins", "restart", "x"), ("history",), ("verify", "ctk1.x.y")):
        done = run(*words, "--runtime-dir", str(tmp_path / "none"), "--json")
        assert problems(done.json, fields(sections()["#error"])) == []
        assert done.err.startswith("chronotick: ")
    assert problems({"status": "UNKNOWN", "utc": None, "utc_ns": None}, fields(sections()["#reading"])) == []


def test_a_checked_configuration_is_as_documented(run: Run, tmp_path: Path) -> None:
    """`config check --json` has the documented fields, sound or not."""
    file = tmp_path / "x.yaml"
    for text, code in (("publish: {slew_ppm: 100}", 0), ("publish: {slew: 100}", 78)):
        file.write_text(text)
        done = run("config", "check", str(file), "--json")
        assert done.code == code
        check("config check", done.json)


def test_servers_asked_directly_are_as_documented(run: Run, servers: Ready) -> None:
    """`ntp query --json` has the documented fields, for servers that answer and for those that do not."""
    done = run("ntp", "query", *servers.servers, "127.0.0.1:9", "--samples", "1", "--timeout", "300ms", "--json")
    assert done.code == 0
    check("ntp query", done.json)


def test_a_served_lab_is_as_documented(run: Run) -> None:
    """`lab serve --json` prints two objects with the documented fields."""
    done = run("lab", "serve", "--seconds", "0.2", "--json")
    decoder, at, values = json.JSONDecoder(), 0, []
    while at < len(done.out.rstrip()):
        value, at = decoder.raw_decode(done.out, at)
        at += 1
        values.append(value)
    assert len(values) == 2
    for value in values:
        check("lab serve", value)


def test_a_plugins_check_and_restart_are_as_documented(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`plugins restart` and a `plugins check` of nothing have the documented fields."""
    check("plugins restart", ask("plugins", "restart", "echo", "--json").json)
    monkeypatch.setattr("chronotick.plugins.discovery.project_root", lambda: None)
    check("plugins check", ask("plugins", "check", "--json").json)


def test_pulled_weights_are_as_documented() -> None:
    """What `plugins pull` prints has the documented fields."""
    pulled = Pulled(plugin="x", folder=None, source="", commit="", sha256="", checked=False, licence="", bytes=0)
    check("plugins pull", msgspec.to_builtins(pulled))


def test_the_demos_fields_are_as_documented() -> None:
    """What the demo prints has the documented fields at its top."""
    check("demo", demo_document({"samples": 0}, None, None, {}, 0))


def test_the_check_itself_can_fail() -> None:
    """A field that is missing, unknown or of another type is found."""
    documented = {"a": "ns", "b[].c": "number or null", "d": "list of string, optional"}
    assert problems({"a": "5", "b": [{"c": None}, {"c": 1.5}]}, documented) == []
    assert problems({"a": 5, "b": [{}], "e": 1, "d": [1]}, documented) == [
        "e is not documented",
        "a is 5, documented as ns",
        "b[].c is documented and missing",
        "d[] is 1, documented as string",
    ]
