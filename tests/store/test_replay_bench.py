"""The bench of a day's replay, in its quick form."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("extra", [[], ["--models"]])
def test_the_bench_replays_what_it_made(extra: list[str]) -> None:
    """Six minutes: every snapshot compared, none differing, in a few seconds of CPU."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests/bench/replay.py", "--hours", "0.1", "--json", *extra],
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    )
    found = json.loads(done.stdout)
    assert (found["differing"], found["compared"] > 360) == (0, True)
    assert found["replayed_cpu_s"] < 5.0
