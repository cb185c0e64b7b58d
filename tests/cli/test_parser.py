"""The command line as a whole: help, usage, completion, and what it costs to start."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from chronotick.cli.main import build_parser

from .conftest import Done
from .test_documentation import COMMANDS

Run = Callable[..., Done]
HEAVY = ("numpy", "zmq", "msgspec", "msgpack", "rich", "psutil", "yaml", "ntplib", "shtab", "mcp")


def test_help_imports_nothing_heavy() -> None:
    """`chronotick --help` loads no library, so that it stays quick."""
    program = (
        "import json, sys\nfrom chronotick.cli import main\n"
        f"try: main(['--help'])\nexcept SystemExit: pass\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_has_examples(name: str) -> None:
    """Help ends with examples that name the command."""
    text = COMMANDS[name].format_help()
    assert "examples:" in text
    assert f"chronotick {name.split()[0]}" in text.replace("./chronotick", "chronotick").replace("top", "watch")


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_can_be_parsed(name: str) -> None:
    """Each example is a command line that the parser takes."""
    import shlex

    examples = (COMMANDS[name].epilog or "").partition("examples:\n")[2]
    parser = build_parser()
    for line in examples.splitlines():
        if not line.startswith(("  chronotick ", "  ./chronotick ")):
            continue
        for part in line.split(";"):
            words = shlex.split(part.split(">")[0].split("&&")[0], comments=False)[1:]
            words = [word.removeprefix("./") for word in words]
            # What an example shows after two blanks is a remark.
            words = words[: words.index("for")] if "for" in words else words
            parser.parse_args(words)


def test_without_a_command_there_is_help_and_exit_code_2(run: Run) -> None:
    """Nothing asked for is a usage error that shows what can be asked for."""
    done = run()
    assert done.code == 2
    assert "commands:" in done.out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("nonsense",), "invalid choice: 'nonsense'"),
        (("waitsync", "--max-width", "wide"), "argument --max-width: 'wide' is no duration"),
        (("waitsync", "--timeout", "-1"), "argument --timeout"),
        (("watch", "--interval", "1us"), "100ms to 1h are possible"),
        (("watch", "--span", "1s"), "10s to 7d are possible"),
        (("watch", "--count", "0"), "1 and more are possible"),
        (("history", "--limit", "0"), "1 to 100000 are possible"),
        (("history", "--since", "soon"), "'soon' is no instant"),
        (("history", "--csv", "--json"), "not allowed with argument"),
        (("ntp", "query", "x", "--samples", "many"), "1 to 32 are possible"),
        (("ntp", "query", "x", "--timeout", "2h"), "10ms to 1h are possible"),
        (("stamp",), "is required"),
        (("stamp", "f", "--text", "x"), "not allowed with argument"),
        (("compare", "a"), "the following arguments are required: B"),
        (("plugins", "restart"), "the following arguments are required: NAME"),
    ],
)
def test_wrong_usage_is_said_in_words_with_exit_code_2(run: Run, words: tuple[str, ...], complaint: str) -> None:
    """A wrong command line names the argument and what is possible."""
    done = run(*words)
    assert done.code == 2
    assert complaint in done.err
    assert "Traceback" not in done.err


def test_versions_are_told(run: Run) -> None:
    """--version names the program's, Python's and the system's version in one line."""
    done = run("--version")
    assert done.code == 0
    assert done.out.startswith("chronotick ")
    assert "Python 3." in done.out
    assert "Linux" in done.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(run: Run, shell: str) -> None:
    """The script for each shell names all commands, the alias too."""
    done = run("completion", shell)
    assert done.code == 0
    assert all(name.split()[0] in done.out for name in COMMANDS)
    assert "top" in done.out


def test_completion_works_in_a_shell(run: Run) -> None:
    """bash completes commands, verbs below them, and options."""
    script = run("completion", "bash").out
    program = script + (
        "\nCOMP_WORDS=(chronotick {0}); COMP_CWORD={1}; COMP_LINE='chronotick {0}'; COMP_POINT=${{#COMP_LINE}}"
        '\n_shtab_chronotick "" "{2}" ""; echo "${{COMPREPLY[@]}}"'
    ).replace("{{", "{").replace("}}", "}")

    def completed(words: str, last: str) -> set[str]:
        filled = program.replace("{0}", words).replace("{1}", str(len(words.split()))).replace("{2}", last)
        done = subprocess.run(["bash", "-c", filled], capture_output=True, text=True, check=False, timeout=60)
        return set(done.stdout.split())

    assert completed("wa", "wa") == {"waitsync", "watch"}
    assert "restart" in completed("plugins re", "re")
    assert "--max-width" in completed("waitsync --max", "--max")
