"""The bench's figures, on a small record."""

from pathlib import Path

from tests.scripts import BENCH, figures_of_steady


def test_the_bench_prints_every_method_beside_the_floor(tmp_path: Path) -> None:
    """A clock at 2 ppm: the floor is far below the last sample held, and nobody is much worse than the floor."""
    row = figures_of_steady(BENCH / "candidates.py", tmp_path, 9000.0)
    assert row["steered"] == 0.0
    minute = row["horizons"]["60s"]
    assert minute["floor"]["mae"] < 0.1 * minute["hold_last"]["mae"]
    for name in ("fused", "harmonic", "harmonic_h", "ageing"):
        assert minute[name]["mae"] < 2 * minute["floor"]["mae"]
