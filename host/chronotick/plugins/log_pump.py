"""What a plugin writes to its standard error, line by line into the host's log, at a bounded rate."""

import asyncio
import contextlib
import logging
import os
from collections import deque
from typing import Any, Final

import msgspec

MAX_LINE_BYTES: Final = 8192
# A burst, and what is refilled per second. A traceback passes whole; a plugin that writes all the time fills no disk.
BURST_LINES: Final = 200
LINES_PER_S: Final = 20.0
KEPT_LINES: Final = 20

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class LogPump:
    """Reads `fd` (non-blocking, owned from here on) until it is closed at the other end or by `close`."""

    def __init__(self, fd: int, logger: logging.Logger, loop: asyncio.AbstractEventLoop) -> None:
        self._fd, self._logger, self._loop = fd, logger, loop
        self._pending = b""
        self._tokens = float(BURST_LINES)
        self._filled_s = loop.time()
        self._dropped = 0
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        loop.add_reader(fd, self._read)

    def close(self) -> None:
        """Take what is there, then close. A grandchild that holds the other end open does not hold us."""
        if self._fd < 0:
            return
        # As much as a pipe holds, no more: what still writes must not keep us here.
        for _ in range(16):
            if self._fd < 0 or not self._read():
                break
        self._finish()

    def _read(self) -> bool:
        try:
            chunk = os.read(self._fd, 65536)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            self._finish()
            return False
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        if len(self._pending) > MAX_LINE_BYTES:
            lines.append(self._pending)
            self._pending = b""
        for line in lines:
            self._take(line)
        return True

    def _finish(self) -> None:
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        with contextlib.suppress(OSError):
            os.close(self._fd)
        self._fd = -1
        self._take(self._pending)
        self._pending = b""
        self._tell_dropped()

    def _take(self, raw: bytes) -> None:
        line = raw[:MAX_LINE_BYTES].decode("utf-8", "replace").strip()
        if not line:
            return
        level, text, extra = parse_line(line)
        # Complaints, and what no logger wrote (an abort, a traceback): why it died, should it die now.
        if level >= logging.WARNING or not extra:
            self.last_lines.append(text)
        now_s = self._loop.time()
        self._tokens = min(float(BURST_LINES), self._tokens + (now_s - self._filled_s) * LINES_PER_S)
        self._filled_s = now_s
        if self._tokens < 1.0:
            self._dropped += 1
            return
        self._tokens -= 1.0
        self._tell_dropped()
        self._logger.log(level, "%s", text, extra=extra)

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._logger.warning("%d lines of this plugin were not logged: it writes too much.", self._dropped)
            self._dropped = 0


def parse_line(line: str) -> tuple[int, str, dict[str, Any]]:
    """Level, text and further fields of one line: a JSON log record, or plain text at INFO."""
    if line.startswith("{"):
        try:
            record = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, msgspec.ValidationError, ValueError):
            record = {}
        if isinstance(message := record.get("message"), str):
            text = message if not record.get("exception") else f"{message}\n{record['exception']}"
            extra = {"source": record["logger"]} if isinstance(record.get("logger"), str) else {}
            return _LEVELS.get(str(record.get("level", "info")).lower(), logging.INFO), text, extra
    return logging.INFO, line, {}
