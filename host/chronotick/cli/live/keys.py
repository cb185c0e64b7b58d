"""Keys and signals of a terminal program, without a thread: wait for one of them, or for the time to pass."""

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final

QUIT_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
WAKING: Final = (*QUIT_SIGNALS, signal.SIGWINCH, signal.SIGTSTP)


class Keys:
    """Single keys from standard input, where that is a terminal, and the signals that such a program must heed.

    Ctrl-C and SIGTERM count as `q`. On Ctrl-Z `on_stop` is called, the process stops, and `on_continue` is called when
    it goes on. What was changed of the terminal and the signals is put back at the end.
    """

    def __init__(self, on_stop: Callable[[], None], on_continue: Callable[[], None]) -> None:
        self._on_stop, self._on_continue = on_stop, on_continue
        self._input = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._before: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._caught: set[int] = set()

    def __enter__(self) -> "Keys":
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in WAKING:
            self._handlers[number] = signal.signal(number, self._catch)
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._cbreak()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def wait(self, timeout_s: float) -> str:
        """The key pressed; `q` for a signal to end; "" when the time is over or the view is to be drawn anew."""
        watched = [self._read] if self._input is None else [self._read, self._input]
        ready, _, _ = select.select(watched, (), (), max(timeout_s, 0.0))
        if self._read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, 4096)
        caught, self._caught = self._caught, set()
        if caught & set(QUIT_SIGNALS):
            return "q"
        if signal.SIGTSTP in caught:
            self._stop()
            return ""
        if self._input is not None and self._input in ready:
            # A terminal that is gone reads as nothing, for ever.
            return os.read(self._input, 64).decode("utf-8", "replace")[:1] or "q"
        return ""

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self._caught.add(number)

    def _stop(self) -> None:
        self._on_stop()
        self._restore()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._cbreak()
        self._on_continue()

    def _cbreak(self) -> None:
        if self._input is not None:
            self._before = termios.tcgetattr(self._input)
            tty.setcbreak(self._input)

    def _restore(self) -> None:
        if self._input is not None and self._before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
            self._before = None
