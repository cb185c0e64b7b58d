"""Recorded clocks from the logs of other time daemons: chronyd's measurements.log and ntpd's peerstats.

Both hold offsets against the *system* clock, which that daemon was steering: the trace shows a disciplined clock.

- chronyd (`log measurements`): UTC date and time, address, leap, stratum, three groups of tests, polls, score, offset
  (theta of RFC 5905: positive when the local clock is slow), peer delay and dispersion, root delay and dispersion, ...
- ntpd (`statistics peerstats`): modified Julian day, seconds of the day, address, status, offset (positive when the
  local clock is slow), delay, dispersion, jitter.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

_CHRONY: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
_PEERSTATS: Final = re.compile(r"\d{5} \d+(\.\d+)? \S+ [0-9a-f]+ ")
_MJD_UNIX_EPOCH: Final = 40_587
_DAY_S: Final = 86_400.0


class Row(NamedTuple):
    """One measurement, s; `claim_s` is what the server adds to half the delay."""

    t_s: float
    offset_s: float
    delay_s: float
    claim_s: float
    server: str


def recognised(lines: Sequence[str]) -> bool:
    """Whether the first line that is not a heading is of one of the two logs."""
    first = next((line for line in lines if _is_data(line)), "")
    return bool(_CHRONY.match(first) or _PEERSTATS.match(first))


def read_rows(lines: Sequence[str], *, whole: bool = True) -> list[Row]:
    """All measurements.

    Args:
        whole: the last line is; else it is left out, as of a log that is being written.

    Raises:
        ValueError: a line of data that is not of its log's form; says which.
    """
    rows = []
    for number, line in enumerate(lines if whole else lines[:-1], 1):
        if not _is_data(line):
            continue
        try:
            rows.append(_chrony(line) if _CHRONY.match(line) else _peerstats(line))
        except (ValueError, IndexError) as error:
            raise ValueError(f"line {number} is not a measurement: {line.strip()[:60]!r}") from error
    return rows


def _is_data(line: str) -> bool:
    # chronyd repeats its heading between two rules every 32 lines.
    return bool(line.strip()) and not line.startswith(("=", "   Date", "#"))


def _chrony(line: str) -> Row:
    cells = line.split()
    at = datetime.fromisoformat(f"{cells[0]}T{cells[1]}").replace(tzinfo=UTC)
    offset_s, delay_s, dispersion_s, root_delay_s, root_dispersion_s = map(float, cells[11:16])
    return Row(at.timestamp(), offset_s, delay_s, root_delay_s / 2 + root_dispersion_s + dispersion_s, cells[2])


def _peerstats(line: str) -> Row:
    cells = line.split()
    t_s = (int(cells[0]) - _MJD_UNIX_EPOCH) * _DAY_S + float(cells[1])
    offset_s, delay_s, dispersion_s = map(float, cells[4:7])
    return Row(t_s, offset_s, delay_s, dispersion_s, cells[2])
