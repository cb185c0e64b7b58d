"""A small recorded clock: a drifting oscillator measured by one server, with and without a known truth."""

from pathlib import Path

import numpy as np
import pytest


def write_trace(
    path: Path, *, truth: bool = True, bias_s: float = 2e-3, fixes: int = 200, poll_s: float = 64.0
) -> Path:
    """A clock 10 ppm slow, seen through a path that is `bias_s` asymmetric."""
    rng = np.random.default_rng(5)
    t = 1000.0 + poll_s * np.arange(fixes)
    true = 1e-5 * (t - t[0]) + 0.25
    queue = rng.exponential(1e-4, (2, fixes))
    offset = true - bias_s + (queue[0] - queue[1]) / 2
    delay = 2e-2 + queue.sum(axis=0)
    heads = "t_s,offset_s,delay_s,source" + (",truth_offset_s" if truth else "")
    rows = [
        f"{a:.6f},{b:.9f},{c:.9f},server" + (f",{d:.9f}" if truth else "")
        for a, b, c, d in zip(t, offset, delay, true, strict=True)
    ]
    path.write_text("\n".join([heads, *rows]) + "\n")
    return path


@pytest.fixture
def trace_csv(tmp_path: Path) -> Path:
    return write_trace(tmp_path / "clock.csv")
