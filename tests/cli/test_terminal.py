"""Commands on a real pseudo-terminal: what people see."""

import os
import re
import signal
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from chronotick.lab.lab import Ready
from tests.system.conftest import Host

from .terminal import Terminal, terminal

pytestmark = pytest.mark.network
TABLES = ("now", "status", "sources", "models", "explain", "history --limit 3")

# The last server's row, with its verdict.
WHOLE = re.compile(r"127\.[^\n]*(?:survivor|outlier|falseticker)\Z")


@pytest.fixture
def shown(scored_host: Host) -> Callable[..., object]:
    """Runs a command that finds the live host, on a terminal."""

    def start(*words: str, columns: int = 80, rows: int = 24, **environ: str | None) -> object:
        found = {"CHRONOTICK_RUNTIME_DIR": str(scored_host.directory.path)} | environ
        return terminal(*words, columns=columns, rows=rows, environ=found)

    return start


def finished(one: Terminal) -> str:
    """The screen at the end of a command that succeeds."""
    assert one.end() == 0, one.screen.text
    return one.screen.text


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("words", TABLES)
def test_no_line_is_wider_than_the_terminal(shown: Callable[..., Terminal], words: str, columns: int) -> None:
    """At 40 and at 80 columns the terminal never has to break a line, and there is something to see."""
    with shown(*words.split(), columns=columns, rows=200) as one:  # type: ignore[attr-defined]
        text = finished(one)
    assert not one.screen.overflowed, text
    assert text


@pytest.mark.parametrize("words", ["status", "doctor --offline"])
def test_colours_come_on_a_terminal_and_not_with_no_color(shown: Callable[..., Terminal], words: str) -> None:
    """NO_COLOR leaves no escape sequence at all; nor does a dumb terminal."""
    for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        with shown(*words.split(), rows=200, **environ) as one:  # type: ignore[attr-defined]
            text = finished(one)
        assert one.screen.coloured is coloured, environ
        assert "\x1b" not in text


def test_watch_draws_the_host_and_ends_with_q(shown: Callable[..., Terminal], servers: Ready) -> None:
    """On its own screen, which is gone afterwards, as is everything changed about the terminal."""
    with shown("watch", "--interval", "100ms") as one:  # type: ignore[attr-defined]
        before = one.modes()
        text = one.until(lambda text: "survivor" in text and "echo/cycle" in text, "servers and models")
        assert one.screen.alternate
        assert one.screen.cursor_hidden
        assert one.screen.coloured
        for word in ("SYNCHRONISED", "q quits", "system ", "95 % ", "hard ", "rate ", "READY", "falseticker"):
            assert word in text, text
        assert set(text) & set("▁▂▃▄▅▆▇█")
        one.press("q")
        assert one.end() == 0
        assert one.modes() == before
        assert not one.screen.alternate
        assert not one.screen.cursor_hidden
        assert one.screen.text == ""
        assert not one.screen.overflowed


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM", "escape"])
def test_watch_ends_cleanly_however_it_is_told(shown: Callable[..., Terminal], how: str) -> None:
    """Ctrl-C, SIGTERM and Esc end it with 0 and the terminal as it was."""
    with shown("top", "--interval", "1h") as one:  # type: ignore[attr-defined]
        before = one.modes()
        one.until(lambda text: "SYNCHRONISED" in text, "the view")
        if how == "SIGTERM":
            os.kill(one.pid, signal.SIGTERM)
        else:
            one.press("\x03" if how == "ctrl-c" else "\x1b")
        assert one.end() == 0
        assert one.modes() == before
        assert not one.screen.alternate
        assert one.screen.text == ""


def test_watch_follows_the_size_of_its_terminal(shown: Callable[..., Terminal]) -> None:
    """A terminal made narrow is drawn anew at once, without waiting for the next look."""
    with shown("watch", "--interval", "1h", columns=120, rows=40) as one:  # type: ignore[attr-defined]
        one.until(lambda text: text.count("127.0.0.") == 4 and WHOLE.search(text) is not None, "the wide view")
        one.resize(40, 12)
        text = one.until(lambda text: re.search(r"SYNCHRONISED  \d\d:\d\d:", text) is not None, "the narrow view")
        assert len(text.splitlines()) <= 12
        one.press("q")
        assert one.end() == 0
        assert not one.screen.overflowed


def test_watch_stops_and_goes_on(shown: Callable[..., Terminal]) -> None:
    """Ctrl-Z gives the terminal back while it is stopped; afterwards the view is there again."""
    with shown("watch", "--interval", "100ms") as one:  # type: ignore[attr-defined]
        before = one.modes()
        one.until(lambda text: "SYNCHRONISED" in text, "the view")
        one.press("\x1a")
        _, status = os.waitpid(one.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert one.modes() == before
        one.until(lambda _: not one.screen.alternate, "the terminal given back")
        os.kill(one.pid, signal.SIGCONT)
        one.until(lambda text: one.screen.alternate and "SYNCHRONISED" in text, "the view again")
        assert not one.modes() & termios.ICANON
        one.press("q")
        assert one.end() == 0
        assert one.modes() == before


def test_watch_waits_for_a_host(scored_host: Host, tmp_path: Path) -> None:
    """Without a host it says so and goes on; when one comes it is shown."""
    link = tmp_path / "run"
    with terminal("watch", "--interval", "100ms", environ={"CHRONOTICK_RUNTIME_DIR": str(link)}) as one:
        text = one.until(lambda text: "NO HOST" in text, "that there is no host")
        assert "There is no runtime directory" in text
        link.symlink_to(scored_host.directory.path)
        one.until(lambda text: "SYNCHRONISED" in text and "survivor" in text, "the host")
        link.unlink()
        one.press("q")
        assert one.end() == 0


def test_watch_without_block_characters_or_colours(shown: Callable[..., Terminal]) -> None:
    """Where the encoding has no blocks plain characters are drawn; NO_COLOR holds in the view, too."""
    with shown("watch", "--interval", "100ms", PYTHONIOENCODING="ascii", NO_COLOR="1") as one:  # type: ignore[attr-defined]
        text = one.until(lambda text: "survivor" in text, "servers")
        assert text.isascii()
        assert not one.screen.coloured
        one.press("q")
        assert one.end() == 0


def test_watch_on_a_dumb_terminal_prints_lines(shown: Callable[..., Terminal]) -> None:
    """TERM=dumb gets a line per look and no escape sequence."""
    with shown("watch", "--count", "2", "--interval", "100ms", columns=250, TERM="dumb") as one:  # type: ignore[attr-defined]
        lines = finished(one).splitlines()
    assert len(lines) == 2
    assert all("SYNCHRONISED" in line for line in lines)
    assert not one.screen.alternate


def test_waitsync_says_what_it_waits_for(shown: Callable[..., Terminal]) -> None:
    """On a terminal the reason stands on one line while it waits, and is gone afterwards."""
    with shown("waitsync", "--max-width", "1ns", "--timeout", "30s", columns=40) as one:  # type: ignore[attr-defined]
        text = one.until(lambda text: text.startswith("waiting: the hard interval is"), "the reason")
        assert len(text.splitlines()) == 1
        assert not one.screen.overflowed
        one.press("\x03")
        assert one.end() == 130
        assert one.screen.text in ("", "^C")


def test_complaints_fit_the_terminal(tmp_path: Path) -> None:
    """What is wrong is broken between words where the terminal is narrow."""
    with terminal("now", "--runtime-dir", "/nowhere/x", columns=40) as one:
        assert one.end() == 69
        assert not one.screen.overflowed
        assert one.screen.text.startswith("chronotick: There is no")
