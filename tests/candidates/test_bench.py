"""The bench's figures, on a small record."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

BENCH = Path(__file__).parents[1] / "bench" / "candidates.py"


def test_the_bench_prints_every_method_beside_the_floor(tmp_path: Path) -> None:
    """A clock at 2 ppm: the floor is far below the last sample held, and nobody is much worse than the floor."""
    rng = np.random.default_rng(5)
    t = np.arange(0, 9000, 64.0)
    true = 2e-6 * t
    folder = tmp_path / "data"
    folder.mkdir()
    with gzip.open(folder / "steady.csv.gz", "wt") as file:
        file.write("t_s,offset_s,delay_s,truth_offset_s\n")
        for at, offset in zip(t, true, strict=True):
            out_s, back_s = rng.exponential(1e-5, 2)
            file.write(f"{at},{offset + (out_s - back_s) / 2:.12f},{1e-3 + out_s + back_s:.9f},{offset:.12f}\n")
    done = subprocess.run(
        [sys.executable, str(BENCH), "--json", "steady"],
        env={"CHRONOTICK_TEST_DATA": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["traces"]
    assert row["steered"] == 0.0
    minute = row["horizons"]["60s"]
    assert minute["floor"]["mae"] < 0.1 * minute["hold_last"]["mae"]
    for name in ("fused", "harmonic", "harmonic_h", "ageing"):
        assert minute[name]["mae"] < 2 * minute["floor"]["mae"]
