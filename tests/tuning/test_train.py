"""`chronotick train` with real weights: a few steps, stopped and gone on with, judged, kept or not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chronotick.cli.train_recipe import commands
from chronotick.plugins.discovery import discover
from chronotick.sdk import weights
from tests.cli.schema import problems, shape_of

MANIFESTS = {manifest.name: manifest for manifest in discover().manifests}
WEIGHTS = {"chronos": "chronos-bolt-350k", "ttm": "ttm-r2-512-96-original"}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of a clock with a cycle of half an hour, as CSV with its truth."""
    path = tmp_path_factory.mktemp("history") / "clock.csv"
    t = np.arange(0.0, 2 * 86_400, 64.0)
    theta = 7e-6 * t + 3e-4 * np.sin(2 * np.pi * t / 1800) ** 3
    measured = theta + 1e-5 * np.random.default_rng(2).standard_normal(len(t))
    columns = np.stack([t, measured, np.full(len(t), 1e-3), theta], 1)
    np.savetxt(path, columns, "%.9f", ",", header="t_s,offset_s,delay_s,truth_offset_s", comments="")
    return path


def genuine(plugin: str) -> Path:
    data = os.environ.get("CHRONOTICK_TEST_DATA")
    if not data:
        pytest.skip("CHRONOTICK_TEST_DATA is not set")
    if not MANIFESTS[plugin].python.exists():
        pytest.skip(f"the environment of {plugin} is not built (chronotick plugins sync {plugin})")
    return Path(data) / "weights" / WEIGHTS[plugin]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "chronotick.cli", "train", *map(str, words)]


def train(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("plugin", ["chronos", "ttm"])
def test_real_weights_are_tuned_stopped_and_judged(plugin: str, history: Path, tmp_path: Path) -> None:
    """SIGINT ends it with 130 and a state; the same command goes on; the result is whole, hashed and as documented."""
    begin, out = genuine(plugin), tmp_path / "mine"
    words = [plugin, history, "--out", out, "--weights", begin, "--steps", 12, "--batch", 8, "--lr", 1e-5]
    words += ["--train-share", 0.9, "--context", 128, "--force", "--json"]
    running = subprocess.Popen(command(*words), stderr=subprocess.PIPE, text=True)
    progress = tmp_path / "mine.work" / "progress.json"
    end = time.monotonic() + 120
    while not progress.exists() and running.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130, said
    assert "goes on from" in said
    assert not out.exists()
    done = train(*words)
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert problems(body, shape_of("train")) == []
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}
    assert weights.sha256(out) == body["weights"]["tuned_sha256"]
    assert body["weights"]["untuned_sha256"] == weights.sha256(begin)
    assert json.loads((out / "report.json").read_text()) == body
    assert body["weights"]["tuned_sha256"] in (out / "report.md").read_text()
    for methods in body["horizons"].values():
        assert 0 < methods["untuned"]["mae_us"] < methods["last_value"]["mae_us"]
        assert methods["tuned"]["n"] > 16
    again = train(*words)
    assert (again.returncode, again.stdout != "") == (78, True)
    assert "is there already" in again.stderr


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_weights_that_training_ruins_are_not_kept(history: Path, tmp_path: Path) -> None:
    """A learning rate that destroys the model leaves the untuned weights as the best: exit 1, nothing kept."""
    out = tmp_path / "mine"
    words = ["chronos", history, "--out", out, "--weights", genuine("chronos"), "--steps", 4, "--batch", 4, "--lr", 10]
    done = train(*words, "--train-share", 0.9, "--context", 128)
    assert done.returncode == 1, done.stderr
    assert "Not better" in done.stdout
    assert not out.exists()
    assert "Not better" in (tmp_path / "mine.work" / "report.md").read_text()


def test_what_is_wrong_with_a_history_is_said(tmp_path: Path) -> None:
    """No plugin or no history is usage; a plugin that can not be trained says so."""
    assert train("--out", tmp_path / "o").returncode == 2
    assert train("chronos", "--out", tmp_path / "o").returncode == 2
    assert train("--recipe", "chronos", "--out", tmp_path / "o").returncode == 2
    said = train("toto", tmp_path / "none.csv", "--out", tmp_path / "o").stderr
    assert "can not be trained" in said


def test_the_recipe_is_the_plugins_and_can_be_cut_short(tmp_path: Path) -> None:
    """Each part has its own pool, and begins with the weights of the one before; a limit takes one shard."""
    folder = MANIFESTS["chronos"].folder / "training"
    recipe = json.loads((folder / "recipe.json").read_text())
    lines = commands(recipe, tmp_path)
    assert [line[0] for line in lines] == ["simulate.py", "train.py"] * len(recipe["parts"])
    assert "--init" not in lines[1]
    for number, line in enumerate(lines[3::2], 1):
        assert line[line.index("--init") + 1] == str(tmp_path / f"part{number - 1}" / "model")
    short = commands(recipe, tmp_path, limit=3)
    assert all(line[line.index("--shards") + 1] == "1" for line in short)
    assert all(line[line.index("--stop-at") + 1] == "3" for line in short[1::2])
    # The README shows the same commands.
    readme = (folder / "README.md").read_text()
    for line in lines:
        for name, value in zip(line[2::2], line[3::2], strict=True):
            assert str(tmp_path) in value or f"{name} {value}" in readme, f"the README lacks {name} {value}"
