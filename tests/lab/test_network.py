"""Paths: delays follow their distributions, and are drawn the same for the same seed."""

import statistics

import pytest

from chronotick.lab.network import Path
from chronotick.lab.scenario import PathConfig


def test_delays_have_base_and_mean() -> None:
    """No delay is below the base, and queueing has the mean it says (4000 draws: within 6 %)."""
    path = Path(PathConfig(out_ms=1, back_ms=2, jitter_out_us=100, jitter_back_us=40), 1, "s1")
    passages = [path.next() for _ in range(4000)]
    out, back = [p.out_ns for p in passages], [p.back_ns for p in passages]
    assert min(out) >= 1_000_000
    assert min(back) >= 2_000_000
    assert statistics.mean(out) - 1e6 == pytest.approx(100e3, rel=0.06)
    assert statistics.mean(back) - 2e6 == pytest.approx(40e3, rel=0.06)


def test_spikes_and_loss_come_as_often_as_said() -> None:
    """10 % spikes each way, 20 % loss each way (so 36 % of exchanges)."""
    config = PathConfig(jitter_out_us=0, jitter_back_us=0, spike_probability=0.1, spike_ms=3, loss=0.2)
    path = Path(config, 1, "s1")
    passages = [path.next() for _ in range(4000)]
    assert sum(p.out_ns > 500_000 for p in passages) / 4000 == pytest.approx(0.1, abs=0.02)
    assert statistics.mean(p.out_ns - 500_000 for p in passages if p.out_ns > 500_000) == pytest.approx(3e6, rel=0.2)
    assert sum(p.lost for p in passages) / 4000 == pytest.approx(0.36, abs=0.03)


def test_passages_depend_on_seed_server_and_turn_alone() -> None:
    """The same seed and name give the same passages; another of either gives others."""
    config = PathConfig(loss=0.3)
    first = [Path(config, 1, "s1").next() for _ in range(1)]
    one, same, other, elsewhere = (
        [path.next() for _ in range(20)]
        for path in (Path(config, 1, "s1"), Path(config, 1, "s1"), Path(config, 2, "s1"), Path(config, 1, "s2"))
    )
    assert one == same
    assert one[0] == first[0]
    assert one != other
    assert one != elsewhere


def test_loss_does_not_shift_the_delays() -> None:
    """With and without loss, the n-th exchange takes the same time."""
    lossless, lossy = Path(PathConfig(), 1, "s1"), Path(PathConfig(loss=0.9), 1, "s1")
    assert [lossless.next().out_ns for _ in range(20)] == [lossy.next().out_ns for _ in range(20)]
