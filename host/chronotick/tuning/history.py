"""A host's own history as a trace: its state directory, its event log, or its state file; else a recorded clock.

What the host wrote are fixes on its raw clock, and later fixes are the only truth there is. A state directory may hold
several boots, whose raw clocks have nothing to do with each other: each that is long enough is a trace of its own.
"""

import contextlib
import math
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from chronotick.backtest.read import UNSCORED_SHARE, read_trace
from chronotick.backtest.trace import Trace, Truth
from chronotick.errors import ConfigError
from chronotick.ntp.fix import Fix
from chronotick.store.entries import MAGIC
from chronotick.store.place import DATABASE, LOG_FOLDER
from chronotick.store.reader import fixes
from chronotick.units import NS_PER_S, ns_to_s

# Theta of one boot drifts by parts per million; a jump of more than this is another boot or another clock, s.
_OTHER_CLOCK_S: Final = 1.0
# Fewer fixes than this on one raw clock are no history.
_LEAST: Final = 100


def read_histories(path: Path) -> list[Trace]:
    """The traces in what `path` names.

    Args:
        path: a state directory, its folder of events, an event log's segment, a state.sqlite, or what
            `backtest.read.read_trace` reads.

    Raises:
        ConfigError: it can not be read, or holds no stretch of some length.
        StoreError: an event log is damaged.
    """
    if path.is_dir():
        # The state file holds the longer past.
        if (path / DATABASE).exists():
            return _traces(path, _rows(path / DATABASE))
        return _traces(path, fixes(path / LOG_FOLDER if (path / LOG_FOLDER).is_dir() else path))
    if path.suffix == ".sqlite":
        return _traces(path, _rows(path))
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) == MAGIC:
                return _traces(path, fixes(path))
    except OSError as error:
        raise ConfigError(f"{path} can not be read: {error.strerror}.") from error
    return [read_trace(path)]


def _rows(path: Path) -> Iterable[Fix]:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT utc_ns, theta_ns, delay_s, root_distance_s, server FROM fixes ORDER BY number"
            ).fetchall()
    except sqlite3.Error as error:
        raise ConfigError(f"{path} can not be read: {error}.", mend="Give a host's state.sqlite.") from error
    for utc_ns, theta_ns, delay_s, distance_s, server in rows:
        radius_ns = math.ceil(distance_s * NS_PER_S) + 1
        yield Fix(
            raw_ns=utc_ns - theta_ns,
            theta_ns=theta_ns,
            delay_s=delay_s,
            root_distance_s=distance_s,
            server=server,
            survivors=(server,),
            earliest_theta_ns=theta_ns - radius_ns,
            latest_theta_ns=theta_ns + radius_ns,
        )


def _traces(path: Path, found: Iterable[Fix]) -> list[Trace]:
    stretches: list[list[Fix]] = [[]]
    for fix in found:
        last = stretches[-1][-1] if stretches[-1] else None
        if last is not None and (
            fix.raw_ns <= last.raw_ns or abs(ns_to_s(fix.theta_ns - last.theta_ns)) > _OTHER_CLOCK_S
        ):
            stretches.append([])
        stretches[-1].append(fix)
    long = [one for one in stretches if len(one) >= _LEAST]
    if not long:
        most = max(len(one) for one in stretches)
        raise ConfigError(f"{path} holds no history: {most} fixes in a row at most, and {_LEAST} are needed.")
    return [_trace(f"{path.name}-{i}" if len(long) > 1 else path.name, one) for i, one in enumerate(long, 1)]


def _trace(name: str, stretch: list[Fix]) -> Trace:
    """Fixes counted from the first one's raw clock and theta: small numbers keep their nanoseconds as floats."""
    raw_ns, theta_ns = stretch[0].raw_ns, stretch[0].theta_ns
    moved = tuple(
        msgspec.structs.replace(
            fix,
            raw_ns=fix.raw_ns - raw_ns,
            theta_ns=fix.theta_ns - theta_ns,
            earliest_theta_ns=fix.earliest_theta_ns - theta_ns,
            latest_theta_ns=fix.latest_theta_ns - theta_ns,
        )
        for fix in stretch
    )
    at_s = np.array([fix.raw_ns for fix in moved]) / NS_PER_S
    theta_s = np.array([fix.theta_ns for fix in moved]) / NS_PER_S
    return Trace(name, moved, Truth.of(at_s, theta_s), float(at_s[int(UNSCORED_SHARE * len(at_s))]), 0.0, False)
