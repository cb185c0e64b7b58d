"""Columns of a recorded clock, from a CSV or from another daemon's log, gzipped or not, whatever the file is called."""

import csv
import gzip
import zlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chronotick.backtest.daemon_logs import read_rows, recognised
from chronotick.errors import ConfigError

FORMS: Final = (
    "A trace is a CSV with the columns t_s and offset_s, chronyd's measurements.log, ntpd's peerstats, or an event log."
)
_GZIP: Final = b"\x1f\x8b"
# Columns that are numbers or nothing; what else there is may hold remarks.
_NUMBERS: Final = frozenset(
    {"t_s", "offset_s", "delay_s", "uncertainty_s", "truth_offset_s", "claim_s", "T1_raw", "T4_raw", "offset_raw"}
)
# Spreadsheets write these between cells where the comma is taken.
_OTHER_DELIMITERS: Final = ("\t", ";")


class Table(dict[str, NDArray[np.float64]]):
    """Columns of numbers by name, and the two columns of names."""

    sources: list[str]
    servers: list[str]


def read_table(path: Path) -> Table:
    """Read a file.

    Raises:
        ConfigError: it can not be read, or holds no measurements.
    """
    text = _text(path)
    lines = text.splitlines()
    if recognised(lines):
        return _of_daemon(path, lines, whole=text.endswith("\n"))
    head = lines[0] if lines else ""
    delimiter = "," if "," in head else next((one for one in _OTHER_DELIMITERS if one in head), ",")
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        raise ConfigError(f"{path} can not be read: {error}.", mend=FORMS) from error
    heads, body = [cell.strip() for cell in rows[0]] if rows else [], [row for row in rows[1:] if row]
    if not body:
        raise ConfigError(f"{path} holds no measurements.", mend=FORMS)
    table = Table()
    texts: dict[str, list[str]] = {}
    for at, name in enumerate(heads):
        cells = [row[at].strip() if at < len(row) else "" for row in body]
        if name in ("source", "server"):
            texts[name] = cells
        elif (column := _numbers(path, name, cells)) is not None:
            table[name] = column
    table.sources = texts.get("source", [""] * len(body))
    table.servers = texts.get("server", [""] * len(body))
    return table


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        # A byte order mark is no part of the first column's name.
        return (gzip.decompress(raw) if raw.startswith(_GZIP) else raw).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{path} can not be read: there is no such file.", mend="Check the path.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} is damaged or cut short: {error}.", mend="Copy it once more.") from error
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{path} can not be read: {reason}.", mend="Name a file that this user may read.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} can not be read: it is no text.", mend=FORMS) from error


def _numbers(path: Path, name: str, cells: list[str]) -> NDArray[np.float64] | None:
    """A column, NaN where a cell is empty; None for one of words that nobody asks for."""
    values = []
    for i, cell in enumerate(cells):
        try:
            values.append(float(cell) if cell else np.nan)
        except ValueError:
            if name not in _NUMBERS:
                return None
            raise ConfigError(
                f"{path}: {cell!r} in column {name!r} (measurement {i + 1}) is not a number.",
                mend="Write numbers as 1.5e-3, and leave empty what is not known.",
            ) from None
    return np.array(values)


def _of_daemon(path: Path, lines: list[str], *, whole: bool) -> Table:
    try:
        rows = read_rows(lines, whole=whole)
    except ValueError as error:
        raise ConfigError(
            f"{path}: {error}.", mend="Of chronyd's logs it must be measurements.log, of ntpd's peerstats."
        ) from error
    table = Table()
    for name in ("t_s", "offset_s", "delay_s", "claim_s"):
        table[name] = np.array([getattr(row, name) for row in rows])
    table.sources = [row.server for row in rows]
    table.servers = table.sources
    return table
