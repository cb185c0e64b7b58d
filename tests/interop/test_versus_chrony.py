"""ChronoTick beside a real chronyd: the bench's arithmetic, and its quick form on live servers."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from chronotick.clock import timebase
from chronotick.lab.lab import Ready
from tests.scripts import BENCH, module

from .conftest import PROGRAMS, Chronyd, behind_s


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return module(BENCH / "versus_chrony.py")


@pytest.mark.parametrize(
    ("bits", "value"),
    [(0, 0.0), (0x02800000, 0.5), (0x03800000, -0.5), (0xF0800000, 2.0**-10), (0x04C00000, 1.5)],
)
def test_chronys_floats_are_read(bench: ModuleType, bits: int, value: float) -> None:
    """Seven bits of exponent, 25 of coefficient, both signed: bits = (exponent << 25 | coefficient)."""
    assert bench._float(bits) == value


def test_the_interval_of_the_ratio_holds_it_and_widens_with_dependence(bench: ModuleType) -> None:
    """Errors of half the size give 0.5 inside a narrow interval; errors that come in runs give a wider one."""
    rng = np.random.default_rng(1)
    plain = rng.standard_normal((2000, 2)) * (0.5, 1.0)
    low, high = bench.bootstrap_ratio(plain, 1, 20)
    assert low < 0.5 < high
    assert high - low < 0.06
    runs = np.repeat(plain[::40], 40, axis=0)
    wide_low, wide_high = bench.bootstrap_ratio(runs, 1, 80)
    assert wide_high - wide_low > 2 * (high - low)


def test_runs_of_several_seeds_are_counted_together(bench: ModuleType) -> None:
    """Errors one after the other, misses added up, and steered or interrupted as one of them was."""
    kernel = {"steered": False, "status": "0x40", "frequency_ppm": 0.0, "against_raw_ppm": 0.001}
    one = bench.Run(np.full((10, 3), 1.0), 1, 9, {"chronotick": 0, "chronyd": 1, "chronyd_tuned": 0}, kernel, False)
    other = one._replace(
        errors_us=np.full((30, 3), -3.0),
        kernel=kernel | {"steered": True, "against_raw_ppm": -0.5},
        interrupted=True,
    )
    both = bench.together([one, other])
    said = bench.figures("lan", both, 20)
    assert said["chronotick"]["mae_us"] == 2.5
    assert said["chronotick"]["hard_misses"] == 2
    assert said["chronotick"]["coverage_95"] == 18 / 40
    assert said["ratio_to_chronyd"]["mae"] == 1.0
    assert said["without_time"]["chronyd"] == 2
    assert (said["kernel_clock"]["steered"], said["kernel_clock"]["against_raw_ppm"]) == (True, -0.5)
    assert said["interrupted"]


@pytest.mark.network
def test_the_command_socket_says_what_chronyc_says(
    bench: ModuleType, start_chronyd: Callable[..., Chronyd], ahead_lab: Ready, tmp_path: Path
) -> None:
    """The same correction as chronyc prints, with the sign that brings the system clock to the lab's truth."""
    if shutil.which("chronyd", path=PROGRAMS) is None:
        pytest.skip("no chronyd here")
    daemon = bench.Chronyd(Path(f"{start_chronyd().socket.parents[1]}/bench"), ahead_lab.servers, 1.0)
    try:
        for _ in range(100):
            if (error_ns := daemon.error_ns(ahead_lab.truth())) is not None:
                break
            daemon.process.poll()
            assert daemon.process.returncode is None
            bench.time.sleep(0.2)
        assert error_ns is not None
        assert behind_s(ahead_lab.truth()) > 1
        assert abs(error_ns) < 2_000_000
        before = daemon.tracking().correction_s
        said = subprocess.run(
            ["chronyc", "-c", "-n", "-h", str(daemon.address), "tracking"], capture_output=True, text=True, check=True
        )
        after = daemon.tracking().correction_s
        assert float(said.stdout.split(",")[4]) == pytest.approx((before + after) / 2, abs=1e-4)
    finally:
        daemon.stop()


def test_the_kernels_clock_is_read_and_left_alone(bench: ModuleType) -> None:
    """adjtimex twice gives one frequency, within what the kernel allows, and changes nothing."""
    first, second = bench.KernelClock.now(), bench.KernelClock.now()
    assert first.frequency_ppm == second.frequency_ppm
    assert abs(first.frequency_ppm) <= 500
    assert timebase.pair().realtime_ns > 0


@pytest.mark.network
@pytest.mark.slow
def test_the_quick_form_runs_side_by_side(bench: ModuleType) -> None:
    """Thirty seconds of the thermal scenario: all have time, the hard interval holds, chronyd is not far ahead."""
    if shutil.which("chronyd", path=PROGRAMS) is None:
        pytest.skip("no chronyd here")
    done = bench.asyncio.run(bench.run("thermal", 15.0, 15.0, 1, lambda _: None))
    said = bench.figures("thermal", done)
    assert said["samples"] > 20
    assert not said["interrupted"]
    assert said["chronotick"]["hard_misses"] == 0
    for client in bench.CLIENTS:
        assert said[client]["mae_us"] < 2000
    assert said["ratio_to_chronyd"]["low_95"] < 1.5
