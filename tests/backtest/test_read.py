"""Traces from files."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chronotick.backtest.read import read_trace
from chronotick.backtest.trace import Truth
from chronotick.errors import ConfigError


def test_a_trace_is_read_in_order_with_its_constant(trace_csv: Path) -> None:
    """Fixes are in order, the unscored share is 40 %, and the constant of the path is learned from it."""
    trace = read_trace(trace_csv)
    raws = [fix.raw_ns for fix in trace.fixes]
    assert raws == sorted(raws)
    assert (len(raws), trace.poll_s, trace.independent) == (200, 64.0, True)
    assert trace.score_from_s == pytest.approx(80 * 64.0)
    assert trace.constant_s == pytest.approx(2e-3, abs=3e-5)


def test_fixes_keep_what_is_less_than_a_nanosecond(tmp_path: Path) -> None:
    """A record of a clock that is better than a nanosecond is not rounded to whole ones."""
    place = tmp_path / "oven.csv"
    place.write_text("t_s,offset_s\n" + "".join(f"{i},{i * 1.23e-10!r}\n" for i in range(50)))
    trace = read_trace(place)
    assert [fix.theta_ns * 1e-9 + fix.rest_s for fix in trace.fixes] == pytest.approx([i * 1.23e-10 for i in range(50)])


def test_zipped_and_shuffled_is_the_same(trace_csv: Path) -> None:
    """The order of the lines and gzip make no difference."""
    head, *lines = trace_csv.read_text().splitlines()
    other = trace_csv.with_name("other.csv.gz")
    with gzip.open(other, "wt") as out:
        out.write("\n".join([head, *reversed(lines)]))
    assert read_trace(other).fixes == read_trace(trace_csv).fixes


def test_without_a_truth_the_measurements_are_it(trace_csv: Path) -> None:
    """No truth column: no constant, and the truth at a fix is the fix."""
    lines = [line.rsplit(",", 1)[0] for line in trace_csv.read_text().splitlines()]
    trace_csv.write_text("\n".join(lines))
    trace = read_trace(trace_csv)
    assert (trace.constant_s, trace.independent) == (0.0, False)
    at_s = trace.fixes[7].raw_ns * 1e-9
    assert trace.truth.at(np.array([at_s]))[0] == pytest.approx(trace.fixes[7].theta_ns * 1e-9, abs=1e-9)


def test_fixes_can_be_thinned(trace_csv: Path) -> None:
    """A longer poll leaves fixes out."""
    assert read_trace(trace_csv, poll_s=128.0).poll_s == 128.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "no column 't_s'"),
        ("t_s,offset_s\n1,2\n", "1 usable"),
        ("t_s,offset_s\n1,x\n2,3\n", "not a number"),
        ("", "no measurements"),
        ("t_s,offset_s\n5,1\n5,2\n", "one instant only"),
        ("t_s,offset_s\n1,1e12\n2,1e12\n", "offsets go beyond"),
        ("t_s,offset_s\n1e300,1\n2,1\n", "times go beyond"),
        ("t_s,offset_s,truth_offset_s\n1,1,nan\n2,1,\n", "'truth_offset_s' holds no number"),
        ("t_s,offset_s,T1_raw\n1,2,3\n4,5,6\n", "no file of the truth"),
    ],
)
def test_a_file_that_is_no_trace_is_told_so(tmp_path: Path, text: str, says: str) -> None:
    """Each fault has its sentence."""
    path = tmp_path / "bad_meas.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_trace(path)


def test_truth_is_not_read_across_gaps() -> None:
    """Between points that are far apart, and outside, nothing is known."""
    times_s = np.array([*range(31), 80.0, 81.0])
    truth = Truth.of(times_s, times_s)
    assert truth.at(np.array([1.5]))[0] == 1.5
    assert np.isnan(truth.at(np.array([40.0, -1.0, 82.0]))).all()


def test_servers_asked_in_one_moment_leave_no_gap_until_the_next() -> None:
    """Most distances between points are those within a burst, and truth is known all the time."""
    times_s = np.array([64.0 * i + 0.01 * k for i in range(20) for k in range(5)])
    assert Truth.of(times_s, times_s).at(np.array([100.0]))[0] == 100.0
    together = np.repeat(np.arange(20) * 64.0, 4)
    assert Truth.of(together, together).at(np.array([100.0]))[0] == pytest.approx(100.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("\n", ",a word\n").replace("a word", "remark", 1),
    ],
    ids=["mark", "semicolons", "tabs", "blanks", "remarks"],
)
def test_what_spreadsheets_write_is_read(trace_csv: Path, change: Callable[[str], str]) -> None:
    """A byte order mark, other delimiters, blanks, and a column of words are no obstacle."""
    expected = read_trace(trace_csv).fixes
    trace_csv.write_text(change(trace_csv.read_text()))
    assert read_trace(trace_csv).fixes == expected


def test_gzip_is_known_by_its_bytes(trace_csv: Path) -> None:
    """Whatever the file is called; and one that is cut short is called so."""
    expected = read_trace(trace_csv).fixes
    packed = gzip.compress(trace_csv.read_bytes())
    trace_csv.write_bytes(packed)
    assert read_trace(trace_csv).fixes == expected
    trace_csv.write_bytes(packed[:-100])
    with pytest.raises(ConfigError, match="damaged or cut short"):
        read_trace(trace_csv)


def test_a_poll_that_leaves_nothing_is_refused(trace_csv: Path) -> None:
    """Instead of figures of nothing."""
    with pytest.raises(ConfigError, match="leaves 1"):
        read_trace(trace_csv, poll_s=1e9)


def test_a_simulated_pair_is_read_by_its_first_client(tmp_path: Path) -> None:
    """Whatever number it has: others ask the same servers with other settings."""
    (tmp_path / "x_truth.csv").write_text(
        "t_true,raw_clock_error,raw_freq_ppm,chronyd_clock_error\n"
        + "".join(f"{i},{1e-6 * i},1,0\n" for i in range(200))
    )
    rows = [(16.0 * i, client, 16.0 * i + 1e-3 * client) for i in range(10) for client in (3, 4)]
    (tmp_path / "x_meas.csv").write_text(
        "t_true,client_node,server,T1_raw,T4_raw,offset_raw,delay,d_fwd,d_bwd,true_offset_at_t4\n"
        + "".join(f"{t},{client},1,{raw},{raw},-1e-5,0.001,0.0005,0.0005,0\n" for t, client, raw in rows)
    )
    trace = read_trace(tmp_path / "x_meas.csv")
    assert [fix.raw_ns for fix in trace.fixes] == pytest.approx(
        [round((16.0 * i + 3e-3) * 1e9) for i in range(10)], abs=1
    )
