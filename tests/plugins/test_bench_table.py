"""The bench of all models, as far as it goes without any model."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1] / "bench" / "models.py"
SAID = {
    "plugin": "some", "size": "tiny", "random": True, "threads": 1, "parameters": 1_500_000, "import_s": 2.0,
    "load_s": 0.25, "first_ms": 9.0, "load_1min": 3.0, "rss_mb": 400.0, "pss_mb": 300.0, "peak_rss_mb": 410.0,
    "batches": {"1": {"p50_ms": 2.5, "p99_ms": 4.0, "made": 9}, "16": {"p50_ms": 20.0, "p99_ms": 21.0, "made": 2}},
    "library_ms": 2.0, "ours_ms": 2.1, "through_ms": 3.0, "goal_ms": 2.4, "met": False,
}  # fmt: skip


def test_saved_results_become_one_table(tmp_path: Path) -> None:
    """Models in order, a largest batch other than usual named, one that was left out as a dash."""
    other = SAID | {"plugin": "another", "random": False, "met": True}
    for name, said in (("a", SAID), ("b", other)):
        (tmp_path / name).write_text(json.dumps({"results": [said]}))
    done = subprocess.run(
        [sys.executable, BENCH, "--saved", tmp_path / "a", tmp_path / "b"], capture_output=True, text=True, check=True
    )
    head, _, first, second = done.stdout.splitlines()
    assert head.count("|") == first.count("|")
    assert first.startswith("| another tiny | 1.5 | 1 |")
    assert second == (
        "| some tiny * | 1.5 | 1 | 2.0 | 0.25 | 9 | 2.5 / 4 | 20 / 21 (16) | - | 400 | 300 | 2 | 3 | 2.4 missed | 3 |"
    )
