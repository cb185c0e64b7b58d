"""Recorded clocks: CSV (`t_s`, `offset_s`, ...), event logs, other daemons' logs, a network simulator's pairs of files.

Columns of a CSV trace, gzipped or not: `t_s` seconds of the local clock, `offset_s` measured offset (reference minus
local); optional `delay_s` round trip, `uncertainty_s` of the measurement, `truth_offset_s` an independent truth,
`source` name of the server. Without a truth column the offsets are the truth: a clock measured by something far better.
"""

from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.backtest.table import FORMS, Table, read_table
from chronotick.backtest.trace import DISPERSION_S, Trace, Truth, fixes_of
from chronotick.errors import ConfigError, StoreError
from chronotick.ntp.fix import Fix
from chronotick.store import reader
from chronotick.store.entries import MAGIC
from chronotick.units import NS_PER_S, s_to_ns

# Share of a real trace that is not scored: there its constant is learned, and the estimator settles.
UNSCORED_SHARE: Final = 0.4
# Seconds of a simulated trace that are not scored.
UNSCORED_SIMULATED_S: Final = 1800.0
# Fixes come a little out of order; a raw clock that goes back further has begun anew, s.
_BOOT_S: Final = 60.0
# Longer spans and larger offsets are no seconds of a clock.
_MOST_S: Final = 4e9


def read_trace(path: Path, *, poll_s: float = 0.0) -> Trace:
    """Read a trace.

    Args:
        path: a CSV file, chronyd's measurements.log, ntpd's peerstats, or the `..._meas.csv` of a simulator's pair,
            beside its `..._truth.csv`; each may be gzipped. Or an event log: a host's state directory,
            its folder of segments, or one segment.
        poll_s: leave out fixes closer than this to the one before, s.

    Raises:
        ConfigError: it can not be read, lacks a column, or holds fewer than two measurements.
    """
    if path.is_dir() or _begins_with(path, MAGIC):
        return _event_log(path, poll_s)
    table = read_table(path)
    if "T1_raw" in table:
        return _simulated(path, table, poll_s)
    for name in ("t_s", "offset_s"):
        if name not in table:
            raise ConfigError(f"{path} has no column {name!r}.", mend=FORMS)
    return _recorded(path, table, poll_s)


def _recorded(path: Path, table: Table, poll_s: float) -> Trace:
    good = np.isfinite(table["t_s"]) & np.isfinite(table["offset_s"])
    t = table["t_s"][good]
    _demand(path, t, table["offset_s"][good])
    order = np.argsort(t, kind="stable")
    raw_s, theta_s = t[order] - t[order][0], table["offset_s"][good][order]
    names = [table.sources[i] for i in np.flatnonzero(good)[order]]
    kept = _spaced(path, raw_s, poll_s)

    def column(name: str) -> NDArray[np.float64]:
        values = table[name][good][order] if name in table else np.zeros(len(raw_s))
        return np.where(np.isfinite(values), np.maximum(values, 0.0), 0.0)

    delay_s = column("delay_s")
    claim_s = column("claim_s") if "claim_s" in table else 5.0 * column("uncertainty_s") + DISPERSION_S
    independent = "truth_offset_s" in table
    true_s = table["truth_offset_s"][good][order] if independent else theta_s
    known = np.isfinite(true_s)
    if not known.any():
        raise ConfigError(
            f"{path}: the column 'truth_offset_s' holds no number.",
            mend="Fill it, or leave it out: then later offsets are the truth.",
        )
    start_s = float(raw_s[int(UNSCORED_SHARE * len(raw_s))])
    early = known & (raw_s < start_s)
    constant_s = float(np.median((true_s - theta_s)[early])) if independent and early.any() else 0.0
    return Trace(
        name=_name(path),
        fixes=fixes_of(raw_s[kept], theta_s[kept], delay_s[kept], claim_s[kept], [names[i] for i in kept]),
        truth=Truth.of(raw_s[known], true_s[known]),
        score_from_s=start_s,
        constant_s=constant_s,
        independent=independent,
    )


def _event_log(path: Path, poll_s: float) -> Trace:
    """The fixes of a host of ours, as its vote made them; the later ones are the truth of the earlier ones."""
    try:
        fixes = list(reader.fixes(path))
    except StoreError as error:
        raise ConfigError(error.message, mend=error.mend) from error
    raw_ns = np.array([fix.raw_ns for fix in fixes])
    _demand(path, raw_ns / NS_PER_S)
    if (np.diff(raw_ns) < -s_to_ns(_BOOT_S)).any():
        raise ConfigError(
            f"{path} holds more than one boot of the machine, whose clocks have nothing to do with each other.",
            mend="Name one segment of it.",
        )
    order = np.argsort(raw_ns, kind="stable")
    raw_s = (raw_ns[order] - raw_ns[order][0]) / NS_PER_S
    # Theta is some decades: relative to the first, so that float64 seconds resolve less than a nanosecond.
    shift_ns = fixes[int(order[0])].theta_ns
    kept = _spaced(path, raw_s, poll_s)
    moved = [_moved(fixes[i], raw_ns[order][0], shift_ns) for i in order[kept].tolist()]
    return Trace(
        name=_name(path),
        fixes=tuple(moved),
        truth=Truth.of(raw_s, np.array([fixes[i].theta_ns - shift_ns for i in order.tolist()]) / NS_PER_S),
        score_from_s=float(raw_s[int(UNSCORED_SHARE * len(raw_s))]),
        constant_s=0.0,
        independent=False,
    )


def _moved(fix: Fix, raw_ns: int, theta_ns: int) -> Fix:
    return msgspec.structs.replace(
        fix,
        raw_ns=fix.raw_ns - int(raw_ns),
        theta_ns=fix.theta_ns - theta_ns,
        earliest_theta_ns=fix.earliest_theta_ns - theta_ns,
        latest_theta_ns=fix.latest_theta_ns - theta_ns,
    )


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def _simulated(path: Path, table: Table, poll_s: float) -> Trace:
    """Exchanges of one client against the raw clock, and each second of the raw clock's true error beside."""
    beside = path.with_name(path.name.replace("_meas", "_truth"))
    if beside == path or not beside.exists():
        raise ConfigError(f"{path} has no file of the truth beside it.", mend=f"It is looked for as {beside.name}.")
    true = read_table(beside)
    # Clients after the first ask the same servers with other settings.
    mine = table["client_node"] == table["client_node"].min()
    raw_s = ((table["T1_raw"] + table["T4_raw"]) / 2)[mine]
    _demand(path, raw_s, table["offset_raw"][mine])
    order = np.argsort(raw_s, kind="stable")
    kept = order[_spaced(path, raw_s[order], poll_s)]
    delay_s = table["delay"][mine]
    names = [f"server {name}" for name in np.array(table.servers)[mine]]
    truth_s = true["t_true"] + true["raw_clock_error"]
    return Trace(
        name=_name(path),
        fixes=fixes_of(
            raw_s[kept],
            table["offset_raw"][mine][kept],
            delay_s[kept],
            np.full(len(kept), DISPERSION_S),
            [names[i] for i in kept],
        ),
        truth=Truth.of(truth_s, -true["raw_clock_error"]),
        score_from_s=UNSCORED_SIMULATED_S,
        constant_s=0.0,
        independent=True,
        others={"chronyd": true["chronyd_clock_error"]},
    )


def _spaced(path: Path, raw_s: NDArray[np.float64], poll_s: float) -> list[int]:
    kept, last = [], -np.inf
    for i, at in enumerate(raw_s.tolist()):
        if at - last >= poll_s:
            kept.append(i)
            last = at
    if len(kept) < 2:
        raise ConfigError(f"{path}: of its measurements a poll of {poll_s:g} s leaves {len(kept)}, and two are needed.")
    return kept


def _demand(path: Path, raw_s: NDArray[np.float64], offset_s: NDArray[np.float64] | None = None) -> None:
    """Two instants at least, and nothing that nanoseconds in 64 bits can not hold."""
    if len(np.unique(raw_s)) < 2:
        found = f"{len(raw_s)} usable measurements" if len(raw_s) < 2 else "measurements of one instant only"
        raise ConfigError(f"{path} holds {found}, and two instants are needed.", mend=FORMS)
    spans = (float(np.ptp(raw_s)), 0.0 if offset_s is None else float(np.abs(offset_s).max()))
    if max(spans) > _MOST_S:
        what = "times" if spans[0] > _MOST_S else "offsets"
        raise ConfigError(f"{path}: its {what} go beyond a hundred years.", mend="Both are in seconds.")


def _name(path: Path) -> str:
    name = path.name
    for ending in (".gz", ".csv", "_meas"):
        name = name.removesuffix(ending)
    return name
