"""Traces from files."""

import gzip
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
    truth = Truth.of(np.array([0.0, 1, 2, 3, 50, 51]), np.array([0.0, 1, 2, 3, 50, 51]))
    assert truth.at(np.array([1.5]))[0] == 1.5
    assert np.isnan(truth.at(np.array([20.0, -1.0, 52.0]))).all()
