"""Thinning: slow polls pass, quick ones are averaged."""

import msgspec
import pytest

from chronotick.clock.measurement import Measurement
from chronotick.clock.thinning import Thinner

S = 10**9


def at(t_s: float, theta_ns: int, server: str = "a", variance: float = 1e-12, delay_s: float = 0.0) -> Measurement:
    return Measurement(raw_ns=round(t_s * S), theta_ns=theta_ns, variance=variance, server=server, delay_s=delay_s)


def test_polls_slower_than_the_limit_pass_as_they_are() -> None:
    thinner = Thinner(8.0)
    offered = [at(16.0 * i, i) for i in range(5)]
    assert [thinner.offer(one) for one in offered] == offered


def test_servers_do_not_hold_each_other_back() -> None:
    thinner = Thinner(8.0)
    offered = [at(0.1 * i, i, server=f"s{i}") for i in range(5)]
    assert [thinner.offer(one) for one in offered] == offered


def old(thin_s: float) -> Thinner:
    """One that began long ago, with another server."""
    thinner = Thinner(thin_s)
    thinner.offer(at(-1000.0, 0, server="first"))
    return thinner


def test_quick_fixes_become_their_mean_and_a_steady_drift_cancels() -> None:
    thinner = old(8.0)
    passed = [thinner.offer(at(float(i), 10**18 + 1000 * i)) for i in range(17)]
    assert [one is not None for one in passed] == [i % 8 == 0 for i in range(17)]
    merged = passed[8]
    assert merged is not None
    assert (merged.raw_ns, merged.theta_ns) == (round(4.5 * S), 10**18 + 4500)


def test_at_first_nobody_waits_for_longer_than_half_of_what_has_passed() -> None:
    """Groups grow until they are as long as asked for; after `clear` they begin anew."""
    thinner = Thinner(8.0)
    passed = [i for i in range(40) if thinner.offer(at(float(i), 10**18)) is not None]
    assert passed == [0, 1, 2, 3, 5, 8, 12, 18, 26, 34]
    thinner.clear()
    again = [i for i in range(100, 110) if thinner.offer(at(float(i), 10**18)) is not None]
    assert again == [100, 101, 102, 103, 105, 108]


def test_the_mean_is_weighted_by_inverse_variance() -> None:
    thinner = old(2.0)
    thinner.offer(at(0.0, 0))
    thinner.offer(at(1.0, 900, variance=1.0, delay_s=0.9))
    merged = thinner.offer(at(2.0, 0, variance=0.5, delay_s=0.0))
    assert merged is not None
    assert merged.theta_ns == 300
    assert merged.delay_s == pytest.approx(0.3)
    assert merged.variance == pytest.approx(2 / 3)


def test_the_mean_keeps_what_whole_nanoseconds_leave_out() -> None:
    thinner = old(2.0)
    thinner.offer(at(0.0, 0))
    thinner.offer(msgspec.structs.replace(at(1.0, 10**18 + 3), rest_s=0.1e-9))
    merged = thinner.offer(msgspec.structs.replace(at(2.0, 10**18 + 4), rest_s=0.3e-9))
    assert merged is not None
    assert (merged.theta_ns - 10**18) + merged.rest_s * 1e9 == pytest.approx(3.7)


def test_a_fix_that_is_not_to_be_thinned_passes_and_counts_as_passed() -> None:
    thinner = old(8.0)
    thinner.offer(at(0.0, 0))
    assert thinner.offer(at(1.0, 1), thin=False) == at(1.0, 1)
    assert thinner.offer(at(8.5, 2)) is None


def test_what_waits_can_be_forgotten() -> None:
    thinner = old(8.0)
    thinner.offer(at(0.0, 0))
    thinner.offer(at(1.0, 10**9))
    thinner.clear()
    assert thinner.offer(at(2.0, 5)) == at(2.0, 5)
