"""Logging of the host: one line per record on standard error, as text or JSON, and optionally a bounded file."""

import json
import logging
import logging.handlers
import sys
from datetime import UTC, datetime
from typing import Any

from chronotick.config.schema import LogConfig
from chronotick.errors import ConfigError

RESERVED = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""Attributes every record has; whatever else a record carries was given with `extra=` and is shown."""


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in record.__dict__.items() if key not in RESERVED}


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z info    ntp      message  key=value`, one line each."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        name = record.name.removeprefix("chronotick.")
        line = f"{stamp} {record.levelname.lower():<7} {name:<10} {record.getMessage()}"
        extra = _extra(record)
        if extra:
            line += "  " + " ".join(f"{key}={value}" for key, value in extra.items())
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, then whatever the record carries."""

    def format(self, record: logging.LogRecord) -> str:
        body: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name.removeprefix("chronotick."),
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return json.dumps(body, default=str)


def set_up(config: LogConfig) -> None:
    """Route the `chronotick` loggers as configured; replaces what an earlier call set up.

    Raises:
        ConfigError: the log file can not be opened.
    """
    formatter = JsonFormatter() if config.format == "json" else TextFormatter()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if config.file:
        try:
            handlers.append(
                # One old file is kept, so that both together stay under max_mb.
                logging.handlers.RotatingFileHandler(
                    config.file, maxBytes=int(config.max_mb * 1e6 / 2), backupCount=1, encoding="utf-8"
                )
            )
        except OSError as error:
            raise ConfigError(
                f"log.file {config.file!r} can not be opened: {error.strerror}.",
                mend="Name a file in a folder that this user may write, or leave log.file empty.",
            ) from error
    root = logging.getLogger("chronotick")
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel("DEBUG" if config.debug_trace else config.level.upper())
    root.propagate = False
