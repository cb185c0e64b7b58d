"""Scripts beside the package, such as the benches, as modules for the tests of their parts."""

import gzip
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

BENCH = Path(__file__).resolve().parent / "bench"


def module(path: Path) -> ModuleType:
    """Load a script under its own name, which is also how dataclasses and other scripts find it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made
    spec.loader.exec_module(made)
    return made


def figures_of_steady(bench: Path, folder: Path, length_s: float, *options: str) -> Any:
    """What a bench over recorded traces says, as JSON, of one clock at 2 ppm with queues of 10 us and polls of 64 s."""
    rng = np.random.default_rng(5)
    data = folder / "data"
    data.mkdir()
    with gzip.open(data / "steady.csv.gz", "wt") as file:
        file.write("t_s,offset_s,delay_s,truth_offset_s\n")
        for at in np.arange(0, length_s, 64.0):
            out_s, back_s = rng.exponential(1e-5, 2)
            true_s = 2e-6 * at
            file.write(f"{at},{true_s + (out_s - back_s) / 2:.12f},{1e-3 + out_s + back_s:.9f},{true_s:.12f}\n")
    done = subprocess.run(
        [sys.executable, str(bench), "--json", *options, "steady"],
        env={"CHRONOTICK_TEST_DATA": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["traces"]
    return row
