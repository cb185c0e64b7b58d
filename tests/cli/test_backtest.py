"""`chronotick backtest` as a user meets it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from chronotick.backtest.figures import label
from chronotick.cli import backtest, exits
from chronotick.cli.main import main
from chronotick.errors import ConfigError

from .schema import problems, shape_of


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Three hours of a drifting clock."""
    rng = np.random.default_rng(1)
    t = np.arange(0.0, 10_800.0, 32.0)
    truth = 2e-5 * t
    measured = truth + 1e-4 * rng.standard_normal(len(t))
    path = tmp_path / "clock.csv"
    rows = [f"{a},{b:.9f},0.01,{c:.9f}" for a, b, c in zip(t, measured, truth, strict=True)]
    path.write_text("\n".join(["t_s,offset_s,delay_s,truth_offset_s", *rows]) + "\n")
    return path


def test_json_has_the_documented_shape(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """traces > horizons > methods > figures, with the coverage by level in percent."""
    assert main(["backtest", str(trace), "--horizons", "60s,10m", "--json"]) == exits.OK
    body = json.loads(capsys.readouterr().out)
    assert problems(body, shape_of("backtest")) == []
    (found,) = body["traces"]
    assert (found["name"], list(found["horizons"])) == ("clock", ["60s", "10m"])
    ours = found["horizons"]["60s"]["chronotick"]
    assert list(ours["coverage"]) == ["50", "90", "95", "99", "99.9"]
    assert {"mae_us", "rmse_us", "p95_us", "max_us", "width_us", "interval_score_us", "pinball_us"} <= ours.keys()
    assert ours["mae_us"] < found["horizons"]["60s"]["hold_last"]["mae_us"]


def test_text_shows_each_method_beside_ours(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table per horizon, ours first."""
    assert main(["backtest", str(trace), "--horizons", "60s"]) == exits.OK
    lines = capsys.readouterr().out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("60s ahead"))
    assert [line.split()[0] for line in lines[head + 1 : head + 3]] == ["chronotick", "floor"]
    assert "do_nothing" in "\n".join(lines)


def test_a_report_stands_alone(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One HTML file without a link to anything, with all plots, and the figures beside it."""
    folder = tmp_path / "out"
    assert main(["backtest", str(trace), "--horizons", "60s", "--report", str(folder)]) == exits.OK
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 5
    assert "src=" not in page
    assert not re.search(r"(?:href|src)=.?https?:|url\(.?http", page)
    for said in ("held the truth<", "hours since the first fix", "the newest offset, held", "prefers-color-scheme"):
        assert said in page
    assert json.loads((folder / "result.json").read_text())["traces"][0]["name"] == "clock"
    assert "report.html" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["", "x", "-5s", "1y", "0s", "nans", "5s 1m"])
def test_a_wrong_horizon_is_refused(given: str) -> None:
    """With the form that is expected."""
    with pytest.raises(ConfigError, match="horizon"):
        backtest.horizons(given)


def test_horizons_have_units() -> None:
    """In order, once each."""
    assert backtest.horizons("1h, 5s,60s,1m,0.5d,250ms,30") == [0.25, 5.0, 30.0, 60.0, 3600.0, 43_200.0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.csv"], "can not be read"),
        (["{trace}", "--weights", "ttm"], "expected NAME=FOLDER"),
        (["{trace}", "--weights", "ttm=/x"], "which --models does not"),
        (["{trace}", "--report", "/proc/no"], "can not be written to"),
        (["{trace}", "--poll", "nan"], "no time between two fixes"),
        (["{trace}", "--models", "nosuch"], "can not be used"),
    ],
)
def test_bad_input_has_a_sentence(
    trace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """And the exit code of a wrong configuration."""
    given = [one.format(trace=trace) for one in arguments]
    assert main(["backtest", *given, "--horizons", "60s"]) == exits.CONFIG
    assert says in capsys.readouterr().err


def test_what_can_not_be_scored_is_said(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A horizon beyond the trace in a line, nothing at all with exit code 1."""
    assert main(["backtest", str(trace), "--horizons", "60s,9h"]) == exits.OK
    assert "Nothing could be scored 9h ahead" in capsys.readouterr().out
    assert main(["backtest", str(trace), "--horizons", "9h", "--json"]) == exits.NEGATIVE
    captured = capsys.readouterr()
    assert "nothing could be scored: clock" in captured.err
    assert json.loads(captured.out)["traces"][0]["horizons"] == {"9h": {}}


def test_who_spoke_at_fewer_instants_says_at_how_many() -> None:
    """Its figures can not be held against those of all."""
    methods = {"chronotick": {"n": 12}, "floor": {"n": 12}, "harmonic": {"n": 1}}
    assert [label(name, methods) for name in methods] == ["chronotick", "floor", "harmonic (1 of 12)"]
