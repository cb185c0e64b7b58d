"""A command on a pseudo-terminal of a given size, and the screen that its output makes."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")
PATIENCE_S = 30.0


class Screen:
    """As much of a terminal as our output uses: positions, erasing, colours (kept only as a fact)."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.cells: list[list[str]] = []
        self.row = self.column = 0
        self.alternate = self.coloured = False
        self.cursor_hidden = False
        self.overflowed = False
        self._clear()

    @property
    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip()

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            if match := SEQUENCE.match(text, at):
                self._obey(match[1], match[2])
                at = match.end()
                continue
            self._put(text[at])
            at += 1

    def _clear(self) -> None:
        self.cells = [[" "] * self.columns for _ in range(self.rows)]

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == self.rows:
                self.cells = [*self.cells[1:], [" "] * self.columns]
                self.row = self.rows - 1
        elif character >= " ":
            if self.column == self.columns:
                # Blanks may be the rest of what was drawn before the terminal was made narrower.
                self.overflowed |= character != " "
                self._put("\n")
            self.cells[self.row][self.column] = character
            self.column += 1

    def _obey(self, arguments: str, command: str) -> None:
        numbers = [int(part) for part in arguments.strip("?").split(";") if part]
        if command == "m":
            self.coloured |= any(number for number in numbers)
        elif command == "H":
            self.row, self.column = (numbers[0] - 1, numbers[1] - 1) if len(numbers) == 2 else (0, 0)
        elif command == "A":
            self.row = max(self.row - (numbers or [1])[0], 0)
        elif command == "J":
            self._clear()
        elif command == "K":
            self.cells[self.row][self.column if not numbers else 0 :] = [" "] * (
                self.columns - (self.column if not numbers else 0)
            )
        elif arguments == "?1049":
            self.alternate = command == "h"
            self._clear()
        elif arguments == "?25":
            self.cursor_hidden = command == "l"


class Terminal:
    """A running command: what it has drawn so far, and keys for it."""

    def __init__(self, pid: int, master: int, screen: Screen) -> None:
        self.pid, self.screen = pid, screen
        self._master = master
        self._pending = b""

    def until(self, said: Callable[[str], bool], what: str) -> str:
        """Read until the screen says something; its text then."""
        deadline = time.monotonic() + PATIENCE_S
        while not said(self.screen.text):
            if time.monotonic() > deadline or not self._read(deadline):
                raise AssertionError(f"never seen: {what}. The screen:\n{self.screen.text}")
        return self.screen.text

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        screen = Screen(columns, rows)
        screen.alternate, screen.coloured = self.screen.alternate, self.screen.coloured
        self.screen = screen
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self) -> int:
        """The local modes of the terminal: echo, line by line, signals."""
        modes: int = termios.tcgetattr(self._master)[3]
        return modes

    def end(self) -> int:
        """Read all that comes, and the exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(deadline):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(deadline - time.monotonic(), 0))
        try:
            chunk = os.read(self._master, 65536) if ready else b""
        except OSError:
            # Linux says EIO when the last one at the other end has left.
            chunk = b""
        whole = self._pending + chunk
        # Neither half a character nor half a sequence.
        cut = len(whole)
        escape = whole.rfind(b"\x1b")
        if escape >= 0 and not SEQUENCE.match(whole[escape:].decode("utf-8", "replace")):
            cut = escape
        while cut and cut == len(whole) and (whole[cut - 1] & 0xC0) in (0x80, 0xC0):
            try:
                whole[:cut].decode()
                break
            except UnicodeDecodeError as error:
                cut = error.start
        self._pending = whole[cut:]
        self.screen.feed(whole[:cut].decode("utf-8", "replace"))
        return bool(chunk)


@contextmanager
def terminal(
    *words: str, columns: int = 80, rows: int = 24, environ: Mapping[str, str | None] | None = None
) -> Iterator[Terminal]:
    """Run `chronotick WORDS` on a terminal; ended for certain afterwards."""
    variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    variables["TERM"] = "xterm-256color"
    for name, value in (environ or {}).items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "chronotick.cli", *words],
        variables,
        file_actions=[
            # The first terminal that a session's leader opens becomes its own, so that Ctrl-C reaches it.
            (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
            (os.POSIX_SPAWN_CLOSE, master),
        ],
        setsid=True,
    )
    os.close(slave)
    try:
        yield Terminal(pid, master, Screen(columns, rows))
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        os.close(master)
