"""What readers see from one publication to the next: monotone, continuous, bounded in rate, and honest meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish import HardBound, Publication, next_publication, to_record, unknown_publication
from chronotick.wire.levels import AT_95, Z95, normal_widths

S = 1_000_000_000
THETA = 1_700_000_000 * S
START = 1000 * S

TURNS = st.lists(
    st.fixed_dictionaries(
        {
            "after_ns": st.integers(1, 200 * S),
            "theta_ns": st.one_of(st.integers(-50_000, 50_000), st.integers(-2 * S, 2 * S)).map(lambda d: THETA + d),
            "rate": st.floats(-3e-4, 3e-4),
            "sigma_s": st.floats(0, 1e-2),
            "below_ns": st.integers(-1_000_000, 50_000_000),
            "above_ns": st.integers(1_000_001, 50_000_000),
            "made_before_ns": st.integers(0, 10 * S),
        }
    ),
    min_size=2,
    max_size=8,
)


def publish(
    previous: Publication | None,
    fused: FusedForecast,
    bound: HardBound,
    raw_ns: int,
    *,
    step: bool = False,
    slew_ppm: float = 500.0,
    void_raw_ns: int = 10**18,
) -> Publication:
    return next_publication(
        previous,
        fused,
        bound,
        raw_ns=raw_ns,
        status=Status.SYNCHRONISED,
        fix_raw_ns=raw_ns,
        void_raw_ns=void_raw_ns,
        stale_raw_ns=raw_ns + 4 * S,
        slew_ppm=slew_ppm,
        step=step,
        host_instance=1,
        sequence=1,
    )


def told(publication: Publication, raw_ns: int) -> int:
    """UTC that a reader is told."""
    return to_record(publication).utc_ns(raw_ns)


def instants(publication: Publication, until_raw_ns: int) -> list[int]:
    """Instants of a publication's life at which something could go wrong, in order."""
    start, end = publication.raw_ns, min(publication.slew_until_raw_ns, until_raw_ns)
    corners = [start, (start + end) // 2, end, (end + until_raw_ns) // 2, until_raw_ns]
    return sorted({max(min(at + nudge, until_raw_ns), start) for at in corners for nudge in (-1, 0, 1, 1000)})


@settings(max_examples=150, deadline=None)
@given(TURNS, st.floats(1, 100_000))
def test_whatever_is_estimated_readers_see_an_honest_monotone_slewed_time(
    turns: list[dict[str, Any]], slew_ppm: float
) -> None:
    """Over any series of estimates: continuity, order, slew bound, both intervals, and arrival at the estimate."""
    raw_ns = START
    previous: Publication | None = None
    last_told = 0
    for turn, following in zip(turns, [*turns[1:], {"after_ns": 100 * S}], strict=True):
        raw_ns += turn["after_ns"]
        fused = FusedForecast(
            raw_ns - turn["made_before_ns"],
            turn["theta_ns"],
            turn["rate"],
            turn["sigma_s"],
            1e-8,
            turn["theta_ns"],
            turn["sigma_s"],
            normal_widths(1.5 * turn["sigma_s"]),
            normal_widths(Z95 * 1e-8),
            (("floor", 1.0),),
            0.0,
            raw_ns + S,
        )
        bound = HardBound(fused.raw_ns, turn["theta_ns"] - turn["below_ns"], turn["theta_ns"] + turn["above_ns"], 5e-5)
        publication = publish(previous, fused, bound, raw_ns, slew_ppm=slew_ppm)
        if previous is not None:
            assert told(publication, raw_ns) == told(previous, raw_ns)
            assert publication.epoch == previous.epoch
        line = to_record(publication)
        wanted_at_anchor = min(
            max(fused_theta(fused, raw_ns), bound.at(raw_ns).earliest_theta_ns), bound.at(raw_ns).latest_theta_ns
        )
        for at in instants(publication, raw_ns + following["after_ns"]):
            age = at - raw_ns
            utc = line.utc_ns(at)
            assert utc >= last_told
            last_told = utc
            slewed = utc - at - publication.theta_ns - round(fused.rate * age)
            assert abs(slewed) <= slew_ppm * 1e-6 * age + 2
            wanted = at + wanted_at_anchor + round(fused.rate * age)
            if at >= publication.slew_until_raw_ns:
                assert abs(utc - wanted) <= 2
            hard = bound.at(at)
            assert line.earliest_ns(at) <= min(at + hard.earliest_theta_ns, utc)
            assert line.latest_ns(at) >= max(at + hard.latest_theta_ns, utc)
            error = abs(utc - (at + fused_theta(fused, at)))
            sigma = (fused.sigma_s + 1e-8 * age * 1e-9) * 1e9
            assert line.sigma_ns(at) >= max(error, sigma) - 5
            half = fused.half_width_95_s * 1e9 + Z95 * 1e-8 * age
            assert line.half_width_95_ns(at) >= error + half - 5
        previous = publication


def fused_theta(fused: FusedForecast, raw_ns: int) -> int:
    return fused.theta_ns + round(fused.rate * (raw_ns - fused.raw_ns))


Fuse = Callable[..., FusedForecast]
WIDE = HardBound(START, THETA - 10 * S, THETA + 10 * S, 5e-5)


def test_the_first_time_is_taken_as_it_is(fuse: Fuse) -> None:
    """Without a publication before it, the estimate is published at once, as epoch 1, with nothing to slew."""
    made = publish(None, fuse(START, THETA, 1e-5), WIDE, START + S)
    assert (made.epoch, made.theta_ns, made.slew_rate) == (1, THETA + 10_000, 0.0)
    assert made.source == ("floor",)


def test_a_small_correction_is_soon_done(fuse: Fuse) -> None:
    """10 us at 500 ppm take 20 ms, and the correction ends there even if nothing follows."""
    first = publish(None, fuse(START, THETA), WIDE, START)
    made = publish(first, fuse(START + S, THETA + 10_000), WIDE, START + S)
    assert made.slew_rate == pytest.approx(5e-4)
    assert told(made, START + S + S // 100) == START + S + S // 100 + THETA + 5_000
    assert told(made, START + S + S // 50) == START + S + S // 50 + THETA + 10_000
    assert told(made, START + 9000 * S) == START + 9000 * S + THETA + 10_000


def test_a_large_correction_takes_its_time_and_is_owned_up_to(fuse: Fuse) -> None:
    """1 s at 500 ppm takes 2000 s; sigma and half width hold the remainder meanwhile, and let go of it."""
    first = publish(None, fuse(START, THETA), WIDE, START)
    made = publish(first, fuse(START + S, THETA + S), WIDE, START + S)
    assert made.slew_rate == pytest.approx(5e-4)
    assert made.slew_until_raw_ns == START + 2001 * S
    assert made.sigma_s >= 1
    line = to_record(made)
    assert line.half_width_95_ns(START + 1001 * S) == pytest.approx(S / 2 + 20_000 + 19_600, abs=100)
    assert line.half_width_95_ns(START + 2001 * S) < 100_000


def test_a_declared_discontinuity_steps_and_says_so(fuse: Fuse) -> None:
    """With `step` the output jumps to the estimate, backwards too, in a new epoch."""
    first = publish(None, fuse(START, THETA), WIDE, START)
    made = publish(first, fuse(START + S, THETA - S), WIDE, START + S, step=True)
    assert (made.epoch, made.theta_ns, made.slew_rate) == (2, THETA - S, 0.0)


def test_after_unknown_a_new_epoch_begins(fuse: Fuse) -> None:
    """What was said before UNKNOWN, or before the last publication became void, binds nobody."""
    first = publish(None, fuse(START, THETA), WIDE, START, void_raw_ns=START + 5 * S)
    unknown = unknown_publication(first, raw_ns=START + S, fix_raw_ns=0, host_instance=1, sequence=2)
    assert (unknown.status, unknown.epoch, unknown.source) == (Status.UNKNOWN, 1, ())
    for before in (unknown, first):
        made = publish(before, fuse(START + 6 * S, THETA - S), WIDE, START + 6 * S)
        assert (made.epoch, made.theta_ns) == (2, THETA - S)


def test_an_estimate_outside_the_hard_bound_is_moved_to_its_edge(fuse: Fuse) -> None:
    """The output never leaves the bound, and the distance to the estimate counts as error."""
    bound = HardBound(START, THETA - 1000, THETA + 1000, 5e-5)
    made = publish(None, fuse(START, THETA + 5000), bound, START)
    assert made.theta_ns == THETA + 1000
    assert made.half_widths_s[AT_95] >= 2e-5 + 4e-6


def test_an_output_outside_a_new_bound_is_slewed_in(fuse: Fuse) -> None:
    """The published interval reaches out to the output until it is inside; it does not jump."""
    first = publish(None, fuse(START, THETA), WIDE, START)
    narrow = HardBound(START + S, THETA + 400_000, THETA + 600_000, 5e-5)
    made = publish(first, fuse(START + S, THETA + 500_000), narrow, START + S)
    assert (made.theta_ns, made.epoch) == (THETA, 1)
    assert (made.earliest_theta_ns, made.latest_theta_ns) == (THETA, THETA + 600_000)
    after = publish(made, fuse(START + 3 * S, THETA + 500_000), narrow, START + 3 * S)
    assert after.earliest_theta_ns == narrow.at(START + 3 * S).earliest_theta_ns


def test_a_drift_beyond_the_rate_bound_widens_the_bound(fuse: Fuse) -> None:
    """An estimate that drifts faster than the bound grows would leave it, so the growth follows."""
    made = publish(None, fuse(START, THETA, 2e-4), HardBound(START, THETA, THETA, 5e-5), START)
    assert made.bound_growth == 2e-4


@pytest.mark.parametrize(
    ("change", "bound"),
    [
        ({"rate": float("nan")}, WIDE),
        ({"rate": -1.0}, WIDE),
        ({"sigma_s": -1e-9}, WIDE),
        ({"sigma_s": float("inf")}, WIDE),
        ({}, HardBound(START, THETA + 1, THETA, 5e-5)),
        ({}, HardBound(START, THETA, THETA, float("nan"))),
    ],
)
def test_nonsense_is_not_published(fuse: Fuse, change: dict[str, float], bound: HardBound) -> None:
    """NaN, a rate of half and more, a negative spread and an empty bound are refused."""
    with pytest.raises(ValueError, match=r"\."):
        publish(None, fuse(START, THETA, **change), bound, START)


def test_time_does_not_go_back_to_an_earlier_anchor(fuse: Fuse) -> None:
    """An anchor before the previous one is refused."""
    first = publish(None, fuse(START, THETA), WIDE, START)
    with pytest.raises(ValueError, match="anchor"):
        publish(first, fuse(START, THETA), WIDE, START - 1)
