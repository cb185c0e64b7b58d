"""What the demo shows of several models: skill, memory, what they went through, and whose weights are made up."""

import os
from typing import Any

import pytest
from rich.console import Console

from chronotick.cli import demo as command
from chronotick.lab.demo import summary, view
from chronotick.lab.demo.setting import Weights, demo_config
from chronotick.lab.demo.usage import Usage
from chronotick.plugins.stand_in import NOTE, SHAPES


def candidate(model: str, horizon_s: float, gain: float, n_eff: float = 20.0) -> dict[str, Any]:
    return {
        "candidate": f"{model}/cycle_{model}",
        "horizon_s": horizon_s,
        "gain": gain,
        "n_eff": n_eff,
        "open": gain > 0,
        "reason": "has earned it" if gain > 0 else "is worse than the floor",
    }


def row(name: str, state: str = "READY", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "state": state,
        "detail": "was killed by signal 9",
        "model_id": "m",
        "p50_ms": 1.5,
        "p99_ms": 2.0,
        "infer_p50_ms": 1.0,
        "rss_mb": 400.0,
        "restarts": 0,
        "weight": 0.0,
        "served": 7,
        "pid": os.getpid(),
        **changes,
    }


FORECASTS = {
    "made": 9,
    "used": 3,
    "refused": 1,
    "waiting": {},
    "candidates": [candidate("toto", 2.0, -0.5), candidate("toto", 8.0, 0.25), candidate("ttm", 2.0, 0.1, n_eff=0.0)],
}


def test_skill_is_the_gain_at_each_horizon_once_there_are_scores() -> None:
    assert view.skill(FORECASTS, "toto") == {"2": -0.5, "8": 0.25}
    assert view.skill(FORECASTS, "ttm") == {}


def test_the_view_shows_the_way_of_a_model_that_was_killed_and_whose_weights_are_made_up() -> None:
    rows = [row("toto", restarts=1), row("ttm", state="BACKOFF")]
    status = {
        "clock": {"status": "UNKNOWN", "sentence": "No server has answered."},
        "sources": {"servers": []},
        "plugins": rows,
        "forecasts": FORECASTS,
    }
    console = Console(width=200)
    with console.capture() as capture:
        console.print(
            view.live(
                status,
                {"samples": 0},
                elapsed_s=5.0,
                seconds=10.0,
                outage=False,
                paths={"toto": ["DEAD", "BACKOFF", "READY"], "ttm": ["DEAD", "BACKOFF"]},
                made=["toto"],
            )
        )
    shown = capture.get()
    assert "DEAD > BACKOFF > READY" in shown
    assert "DEAD > BACKOFF" in shown
    assert "+25% at 8 s" in shown
    assert f"toto: {NOTE}" in shown


def test_the_summary_adds_up_what_the_models_cost() -> None:
    status = {
        "plugins": [row("toto", restarts=1), row("ttm")],
        "forecasts": FORECASTS,
        "host": {"ready_s": 0.5, "rss_mb": 60.0, "cpu_percent": 3.0},
    }
    usage = {"toto": {"pss_mb": 300.0, "cpu_percent": 4.0}, "ttm": {"pss_mb": 200.0, "cpu_percent": None}}
    paths = {"toto": ["READY", "DEAD", "BACKOFF", "READY"]}
    said = summary.document({"samples": 0}, status, 1.0, {}, 0, usage=usage, paths=paths, made=["toto"])
    assert said["models"]["toto"]["skill"] == {"2": -0.5, "8": 0.25}
    assert (said["models"]["toto"]["self_made_weights"], said["models"]["ttm"]["self_made_weights"]) == (True, False)
    methods = {"chronotick": 1.0, "floor": 2.0, "hold_last": 3.0}
    part = {"samples": 1, "mae_us": methods, "coverage_95": 1.0}
    scored = {
        "samples": 2, "mae_us": methods, "p95_us": methods, "max_us": methods, "hard_coverage": 1.0,
        "coverage_95": 1.0, "hard_width_us": 9.0, "width_95_us": 4.0, "synchronised": part, "holdover": part,
    }  # fmt: skip
    text = summary.text(said | {"truth": scored})
    assert "models together 500 MB, 4.0 % of one core" in text
    assert "went READY, DEAD, BACKOFF, READY" in text
    assert text.count(NOTE) == 1


def test_usage_is_of_processes_that_are_there() -> None:
    usage = Usage()
    assert usage.of(None) == {"pss_mb": None, "cpu_percent": None}
    usage.look([row("me")])
    said = usage.of(os.getpid())
    assert said["pss_mb"] is not None
    assert said["pss_mb"] > 1
    assert said["cpu_percent"] is not None


def test_each_stand_in_is_asked_what_it_can_answer(tmp_path: Any) -> None:
    shape = SHAPES["ttm"]
    weights = {"ttm": Weights("/w", True, shape.context, shape.horizon, {"size": "x"})}
    config = demo_config(("127.0.0.1",), ("chronos", "ttm"), tmp_path, tmp_path / "log", weights)
    plain, made = config.roles
    assert (made.context, made.horizon) == (shape.context, shape.horizon)
    assert plain.context > made.context
    assert [(one.path, one.params) for one in config.plugins] == [("", {}), ("/w", {"size": "x"})]


def test_all_is_every_model_and_weights_are_given_by_name() -> None:
    assert set(command._models("all")) == {"chronos", *SHAPES}
    assert command._named("ttm=/a=b") == ("ttm", "/a=b")
    with pytest.raises(Exception, match="is no NAME=FOLDER"):
        command._named("ttm")
