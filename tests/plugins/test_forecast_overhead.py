"""The bench of a forecast's overhead, on the plugin that only echoes."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1] / "bench" / "forecast_overhead.py"


def test_the_bench_measures_a_plugin_beside_its_baselines() -> None:
    """In process and through the plugin, which takes longer; the first round only warms up."""
    done = subprocess.run(
        [sys.executable, str(BENCH), "--models", "echo", "--rounds", "2", "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = json.loads(done.stdout)["results"]["echo"]
    assert found["calls"] == 25
    assert 0 < found["in_process"]["p50_ms"] < found["plugin"]["p50_ms"]
    assert found["p50"]["ratio"] > 1
