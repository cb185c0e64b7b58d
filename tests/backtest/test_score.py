"""A trace through the pipeline, scored."""

from pathlib import Path

import numpy as np
import pytest

from chronotick.backtest.baselines import BASELINES, Holt, Linear
from chronotick.backtest.figures import summary
from chronotick.backtest.read import read_trace
from chronotick.backtest.score import score
from chronotick.config.schema import Config


def test_a_trace_is_scored_beside_its_baselines(trace_csv: Path) -> None:
    """Every baseline has figures at every horizon, and the pipeline follows a straight line far better than holding."""
    found = summary(score(read_trace(trace_csv), Config(), [60.0, 600.0]))
    assert list(found) == ["60s", "10m"]
    for methods in found.values():
        assert {"chronotick", "floor", *BASELINES} <= methods.keys()
        assert methods["chronotick"]["mae_us"] < methods["hold_last"]["mae_us"] / 5
    # 10 ppm over ten minutes is 6 ms; the asymmetry of 2 ms is seen in the absolute figure alone.
    assert found["10m"]["hold_last"]["mae_us"] == pytest.approx(6000, rel=0.02)
    assert found["60s"]["chronotick"]["absolute_mae_us"] == pytest.approx(2000, rel=0.05)
    assert found["60s"]["chronotick"]["mae_us"] < 60


def test_nothing_is_learned_from_what_is_not_there_yet(trace_csv: Path) -> None:
    """What was said at an origin is the same when the trace ends there: causal."""
    whole = score(read_trace(trace_csv), Config(), [60.0])
    lines = trace_csv.read_text().splitlines()
    short = trace_csv.with_name("short.csv")
    short.write_text("\n".join(lines[:151]))
    # The shorter trace has an earlier start of scoring and another constant: compare what both scored, without it.
    first = score(read_trace(short), Config(), [60.0])
    column, other = whole.columns["60s"], first.columns["60s"]
    shared = sorted(set(column.origin_s) & set(other.origin_s))
    assert len(shared) > 50
    a = [column.error_s["chronotick"][column.origin_s.index(at)] + whole.constants_s["chronotick"] for at in shared]
    b = [other.error_s["chronotick"][other.origin_s.index(at)] + first.constants_s["chronotick"] for at in shared]
    assert a == pytest.approx(b, abs=3e-9)


def test_levels_widen_and_the_pinball_loss_agrees_with_its_definition(trace_csv: Path) -> None:
    """Widths do not fall with the level; the mean pinball loss equals that over all eleven quantiles."""
    scores = score(read_trace(trace_csv), Config(), [60.0])
    column, got = scores.columns["60s"], summary(scores)["60s"]["chronotick"]
    widths = list(got["width_us"].values())
    assert widths == sorted(widths)
    e = np.array(column.error_s["chronotick"])
    half = np.array(column.half_width_s["chronotick"])
    losses = [0.5 * np.abs(e)]
    for i, level in enumerate((0.5, 0.9, 0.95, 0.99, 0.999)):
        pair = []
        for tau, quantile in (((1 - level) / 2, -half[:, i]), ((1 + level) / 2, half[:, i])):
            miss = -e - quantile  # truth minus what was said, minus the quantile
            pair.append(np.maximum(tau * miss, (tau - 1) * miss))
        losses.append((pair[0] + pair[1]) / 2)
    assert got["pinball_us"] == pytest.approx(float(np.mean(losses)) * 1e6, rel=1e-9)


def test_intervals_are_of_a_fix_where_fixes_are_the_truth(tmp_path: Path) -> None:
    """A straight line in noise, without any other truth: 90 % of the fixes lie in 90 %, of whoever extrapolates it."""
    rng = np.random.default_rng(5)
    t = 64.0 * np.arange(900)
    path = tmp_path / "measured.csv"
    rows = np.column_stack([t, 1e-5 * t + 1e-4 * rng.standard_normal(len(t))])
    np.savetxt(path, rows, delimiter=",", header="t_s,offset_s", comments="", fmt="%.9f")
    found = summary(score(read_trace(path), Config(), [64.0]))["64s"]
    for method in ("chronotick", "floor"):
        assert found[method]["coverage"]["90"] == pytest.approx(0.9, abs=0.05)
        # The line itself is known far better than a fix.
        assert found[method]["width_us"]["90"] == pytest.approx(2 * 1.645 * 100, rel=0.15)


@pytest.mark.parametrize("kind", [Linear, Holt, BASELINES["kalman"]])
def test_baselines_continue_a_straight_line(trace_csv: Path, kind: type) -> None:
    """Those that extrapolate do: uneven and near-simultaneous fixes included."""
    trace = read_trace(trace_csv)
    baseline = kind()
    for fix in trace.fixes:
        baseline.take(fix)
    last = trace.fixes[-1]
    ahead = baseline.at_s(last.raw_ns + 60_000_000_000, last.theta_ns)
    assert ahead == pytest.approx(60 * 1e-5, abs=3e-4)
