"""Queues on one way only: found, taken off, and never made up."""

import math

import msgspec
import numpy as np
import pytest

from chronotick.clock.delay_slope import DelaySlope
from chronotick.clock.discontinuity import Kind
from chronotick.clock.floor import Floor
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import ClockConfig, Config
from chronotick.ntp.fix import Fix
from chronotick.pipeline import Pipeline

S = 10**9


def queued(seed: int, out_s: float, back_s: float, count: int = 300, server: str = "a") -> list[Fix]:
    """Fixes of a perfect clock, one each 64 s, 20 ms from a server whose legs queue for out_s and back_s on average."""
    rng = np.random.default_rng(seed)
    fixes = []
    for i in range(count):
        out, back = out_s * float(rng.exponential()), back_s * float(rng.exponential())
        delay_s, theta_ns = 0.02 + out + back, round((out - back) / 2 * S)
        half_ns = math.ceil(delay_s / 2 * S)
        fixes.append(
            Fix(
                raw_ns=64 * i * S,
                theta_ns=theta_ns,
                delay_s=delay_s,
                root_distance_s=delay_s / 2,
                server=server,
                survivors=(server,),
                earliest_theta_ns=theta_ns - half_ns,
                latest_theta_ns=theta_ns + half_ns,
            )
        )
    return fixes


def through(slopes: DelaySlope | None, fixes: list[Fix]) -> tuple[list[Fix], float]:
    """The fixes as corrected before a floor, and the mean error of its line over the second half, s."""
    floor, corrected, errors = Floor(Tuning()), [], []
    for one in fixes:
        corrected.append(one if slopes is None else slopes.correct(one, floor.state))
        state = floor.update(corrected[-1]).state
        assert state is not None
        errors.append(state.theta_at_ns(one.raw_ns) / S)
    return corrected, float(np.mean(errors[len(errors) // 2 :]))


@pytest.mark.parametrize(("out_s", "back_s", "slope"), [(5e-3, 2e-4, 0.5), (2e-4, 5e-3, -0.5)])
def test_a_queue_on_one_leg_is_found_and_taken_off(out_s: float, back_s: float, slope: float) -> None:
    """All of the queue on one leg: half of its length, with the sign of the leg; what stood in the line is gone."""
    fixes, slopes = queued(1, out_s, back_s), DelaySlope()
    _, left_s = through(slopes, fixes)
    _, untouched_s = through(None, fixes)
    assert slopes.slope("a") == pytest.approx(slope, abs=0.05)
    assert abs(left_s) < 0.5 * abs(untouched_s)


@pytest.mark.parametrize("seed", range(3))
def test_queues_on_both_legs_are_left_alone(seed: int) -> None:
    """Symmetric queues are noise: no fix is touched."""
    fixes, slopes = queued(seed, 1e-3, 1e-3), DelaySlope()
    corrected, _ = through(slopes, fixes)
    assert corrected == fixes
    assert slopes.slope("a") == 0.0


def test_a_slope_is_believed_only_when_it_is_significant() -> None:
    """A few fixes say nothing, however clear they look, and a server that was never heard has no slope."""
    slopes = DelaySlope()
    corrected, _ = through(slopes, queued(1, 5e-3, 2e-4, count=16))
    assert (slopes.slope("a"), slopes.slope("never heard")) == (0.0, 0.0)
    assert corrected == queued(1, 5e-3, 2e-4, count=16)


def test_no_slope_exceeds_half_of_the_queue() -> None:
    """A server whose offset grows by all of its delay queues in no way that is known: at most a half is taken off."""
    fixes = [msgspec.structs.replace(one, theta_ns=one.theta_ns * 2) for one in queued(1, 5e-3, 2e-4)]
    slopes = DelaySlope()
    through(slopes, fixes)
    assert slopes.slope("a") == 0.5


def test_only_the_middle_of_a_fix_is_moved() -> None:
    """Delay, distance and the hard bounds of a corrected fix are those of the exchange."""
    fixes = queued(1, 5e-3, 2e-4)
    corrected, _ = through(DelaySlope(), fixes)
    moved = [(one, was) for one, was in zip(corrected, fixes, strict=True) if one.theta_ns != was.theta_ns]
    assert len(moved) > 100
    for one, was in moved:
        assert (one.earliest_theta_ns, one.latest_theta_ns) == (was.earliest_theta_ns, was.latest_theta_ns)
        assert (one.raw_ns, one.delay_s, one.root_distance_s) == (was.raw_ns, was.delay_s, was.root_distance_s)


def test_slopes_outlast_a_suspend_and_nothing_else() -> None:
    """Paths are the same after a suspend; after another time base they are learned anew."""
    slopes = DelaySlope()
    through(slopes, queued(1, 5e-3, 2e-4))
    slopes.restart(Kind.SUSPEND)
    assert slopes.slope("a") > 0.4
    slopes.restart(Kind.TIME_BASE)
    assert slopes.slope("a") == 0.0


@pytest.mark.parametrize("change", [{"delay_s": math.nan}, {"delay_s": -1.0}])
def test_nonsense_passes_untouched(change: dict[str, float]) -> None:
    """A fix that the floor will refuse teaches nothing."""
    slopes = DelaySlope()
    through(slopes, queued(1, 5e-3, 2e-4))
    before = slopes.slope("a")
    one = queued(2, 5e-3, 2e-4, count=1)[0]
    odd = msgspec.structs.replace(one, **change)
    assert slopes.correct(odd, None) is odd
    assert slopes.slope("a") == before


def test_the_key_moves_the_answer_and_never_the_hard_interval() -> None:
    """With `clock.delay_slope` the same fixes give a truer line and the same hard bounds; it is off by default."""
    assert not Config().clock.delay_slope
    ends = []
    for on in (False, True):
        pipeline = Pipeline(Config(clock=ClockConfig(delay_slope=on)))
        hard = [pipeline.absorb(one)[1] for one in queued(1, 5e-3, 2e-4)]
        assert pipeline.state is not None
        ends.append((abs(pipeline.state.theta_ns), hard))
    (off_ns, off_hard), (on_ns, on_hard) = ends
    assert on_ns < 0.5 * off_ns
    assert on_hard == off_hard
