"""The training data are what the recipe says, and a run that was stopped goes on as if it had not been."""

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.plugin_worker import PLUGINS, worker_environ

TRAINING = PLUGINS / "chronos" / "training"


@pytest.fixture(scope="module")
def simulate() -> Iterator[ModuleType]:
    """training/simulate.py, which needs numpy alone."""
    spec = importlib.util.spec_from_file_location("simulate", TRAINING / "simulate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulate"] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["simulate"]


def test_same_seed_same_windows(simulate: ModuleType) -> None:
    """A seed gives the same windows twice, and another seed other ones."""
    first, again, other = (simulate.windows(32, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.context, again.context, equal_nan=True)
    assert np.array_equal(first.future, again.future, equal_nan=True)
    assert not np.array_equal(first.context, other.context, equal_nan=True)


def test_windows_are_scaled(simulate: ModuleType) -> None:
    """Each window is scaled by itself, ends at the origin, and a future far outside it is left out."""
    w = simulate.windows(256, np.random.default_rng(1))
    assert np.isfinite(w.context[:, -1]).all()
    assert np.nanmean(w.context, 1) == pytest.approx(np.zeros(256), abs=0.3)
    assert 0 < np.isnan(w.future[0]).all(1).mean() < 0.5
    assert np.nanmax(np.abs(w.future)) <= 5.0
    assert np.isfinite(w.context).sum(1).min() >= 8


def test_twins_share_the_past(simulate: ModuleType) -> None:
    """The two futures of a window have one past, and part after the origin."""
    rate, twin, _ = simulate.true_rates(64, np.random.default_rng(2), simulate.MIXES["late"])
    assert np.array_equal(rate[:, : simulate.CONTEXT], twin[:, : simulate.CONTEXT])
    assert not np.array_equal(rate[:, simulate.CONTEXT :], twin[:, simulate.CONTEXT :])


def test_smoother_finds_the_rate(simulate: ModuleType) -> None:
    """Smoothed rates lie far nearer to the true ones than differences of fixes, with a third of the fixes missing."""
    rng = np.random.default_rng(3)
    t = np.arange(simulate.CONTEXT)
    offset = 40.0 * np.sin(2 * np.pi * t / 64 + rng.uniform(0, 6, (16, 1)))
    rate = np.gradient(offset, axis=1)
    z = offset + rng.standard_normal(offset.shape)
    mask = rng.random(offset.shape) < 0.67
    mask[:, -1] = True
    smoothed = simulate.smooth_rates(z, mask, np.ones((16, 1)), rng)
    error = np.abs(smoothed - rate)[:, 20:-20].mean()
    assert error < 0.4 * np.abs(np.gradient(z, axis=1) - rate)[:, 20:-20].mean()
    assert error < 0.1 * np.abs(rate).mean()


def test_mixes_are_chosen_by_name(simulate: ModuleType) -> None:
    """Several mixes in their order; one that is not there is said with those that are."""
    assert simulate.chosen("first,late") == [simulate.MIXES["first"], simulate.MIXES["late"]]
    with pytest.raises(argparse.ArgumentTypeError, match="no mix lat; there are first, late"):
        simulate.chosen("first,lat")


@pytest.mark.model
@pytest.mark.timeout(120)
def test_a_pool_may_grow_while_it_is_learned_from(plugin_python: Path) -> None:
    """The shard of a turn follows from its number; all join in nine tenths of the run, each when it is new."""
    program = (
        "import json, torch; from pathlib import Path; from train import Pool, SHARD\n"
        "pools = [Pool(Path('.'), 7, 100, SHARD // 4, 2000, torch.device('cpu')) for _ in range(2)]\n"
        "print(json.dumps([[[p.shard(k), p.joined(k)] for k in range(500)] for p in pools]))"
    )
    done = subprocess.run(
        [plugin_python, "-c", program], cwd=TRAINING, env=worker_environ(), check=True, capture_output=True, text=True
    )
    first, again = json.loads(done.stdout)
    assert first == again
    taken = [shard for shard, _ in first]
    assert all(shard < joined for shard, joined in first)
    assert set(taken[:450]) == set(range(100))
    assert taken[:16] == list(range(16))
    assert all(taken.index(shard) == [joined for _, joined in first].index(shard + 1) for shard in range(16, 100))


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_stopped_run_goes_on(plugin_python: Path, tmp_path: Path, simulate: ModuleType) -> None:
    """Six steps in one go and three and three give the same weights, bit for bit."""
    rng = np.random.default_rng(4)
    walk = rng.standard_normal((simulate.SHARD, simulate.CONTEXT + simulate.HORIZON)).astype(np.float32).cumsum(1) / 16
    pool = tmp_path / "pool"
    pool.mkdir()
    context, future = walk[:, : simulate.CONTEXT], walk[:, simulate.CONTEXT :]
    np.savez(pool / "7-0000.npz", context=context, future=np.stack([future, future]))

    def train(out: str, *arguments: str) -> bytes:
        command = [
            plugin_python,
            TRAINING / "train.py",
            tmp_path / out,
            "--pool",
            pool,
            "--shards",
            "1",
            "--batch",
            "16",
        ]
        shape = ["--layers", "1", "--decoder-layers", "1", "--hidden", "32", "--steps", "6", "--decay", "2"]
        subprocess.run([*command, *shape, *arguments], check=True, env=worker_environ(), capture_output=True)
        return (tmp_path / out / "model" / "model.safetensors").read_bytes()

    whole = train("whole")
    first = train("halves", "--stop-at", "3")
    assert first != whole
    assert train("halves") == whole
