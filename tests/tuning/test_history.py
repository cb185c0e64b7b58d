"""A host's own history becomes traces: one for each boot that is long enough."""

from pathlib import Path

import pytest

from chronotick.errors import ConfigError, StoreError
from chronotick.store.database import Database, Row
from chronotick.store.entries import MAGIC
from chronotick.tuning.history import read_histories

S = 1_000_000_000
EPOCH_NS = 1_790_000_000 * S


def boot(begin_utc_ns: int, raw_ns: int, fixes: int) -> list[Row]:
    """Fixes every 64 s of a clock that is 10 ppm slow, from this UTC and raw clock on."""
    rows: list[Row] = []
    for i in range(fixes):
        theta_ns = begin_utc_ns - raw_ns + i * 640_000
        rows.append((raw_ns + i * 64 * S + theta_ns, f"s{i % 3}", theta_ns, 1e-3, 2e-3, 0.0))
    return rows


def state(folder: Path, *boots: list[Row]) -> Path:
    database = Database(folder / "state.sqlite")
    for one in boots:
        database.add(one, 100_000)
    return folder


def test_each_boot_is_a_trace_of_its_own(tmp_path: Path) -> None:
    """Raw clocks that begin again are another boot; one that is short is left out; numbers are exact."""
    folder = state(
        tmp_path,
        boot(EPOCH_NS, 500 * S, 150),
        boot(EPOCH_NS + 20_000 * S, 30 * S, 40),
        boot(EPOCH_NS + 90_000 * S, 100_000 * S, 120),
    )
    first, second = read_histories(folder)
    assert (len(first.fixes), len(second.fixes)) == (150, 120)
    assert not first.independent
    assert [(fix.raw_ns, fix.theta_ns) for fix in first.fixes] == [(i * 64 * S, i * 640_000) for i in range(150)]
    fix = first.fixes[7]
    assert (fix.server, fix.delay_s) == ("s1", 1e-3)
    assert fix.latest_theta_ns - fix.theta_ns == 2_000_001
    assert read_histories(folder / "state.sqlite")[1].fixes == second.fixes


def test_what_holds_no_history_is_said(tmp_path: Path) -> None:
    """Too few fixes, and a file that is no state file, are a sentence each."""
    with pytest.raises(ConfigError, match="40 fixes in a row at most, and 100 are needed"):
        read_histories(state(tmp_path, boot(EPOCH_NS, 500 * S, 40)))
    (tmp_path / "other.sqlite").write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigError, match="can not be read"):
        read_histories(tmp_path / "other.sqlite")
    with pytest.raises(ConfigError, match="can not be read"):
        read_histories(tmp_path / "absent.csv")


def test_an_event_log_is_known_by_its_head(tmp_path: Path) -> None:
    """A file with the magic of an event log goes to its reader, which says what is wrong with this one."""
    log = tmp_path / "a.ctklog"
    log.write_bytes(MAGIC + b"\xff" * 64)
    with pytest.raises(StoreError):
        read_histories(log)


def test_a_recorded_clock_is_read_as_by_the_backtest(tmp_path: Path) -> None:
    """CSV stays CSV."""
    path = tmp_path / "clock.csv"
    path.write_text("t_s,offset_s\n" + "".join(f"{64 * i},{1e-6 * i}\n" for i in range(200)))
    (trace,) = read_histories(path)
    assert (trace.name, len(trace.fixes)) == ("clock", 200)
