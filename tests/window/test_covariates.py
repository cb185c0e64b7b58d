"""Covariates on a window's grid: means around each point, nothing after the origin, gaps where sensors were silent."""

import numpy as np
import pytest

from chronotick.config.schema import RoleConfig
from chronotick.window.covariates import NAMES, CovariateLog, Sensed

S = 10**9


def log_of(seconds: range, *, span_s: float = 1000.0, cell_s: float = 1.0) -> CovariateLog:
    """A temperature that is the time in seconds, and a load that is a hundredth of it."""
    log = CovariateLog(span_s=span_s, cell_s=cell_s)
    for t in seconds:
        log.take(Sensed(raw_ns=t * S + S // 2, temperature_c=float(t), load=t / 100))
    return log


def test_each_point_is_the_mean_around_it() -> None:
    """Readings at 0.5, 1.5, ... of value 0, 1, ...: around t the mean is t - 0.5; at the origin only the past."""
    found = log_of(range(200)).on_grid(40 * S, 10 * S, 5)
    assert found is not None
    assert found.names == ("temperature_c", "load")
    np.testing.assert_allclose(found.values[0], [39.5, 49.5, 59.5, 69.5, 77.0])
    np.testing.assert_allclose(found.values[1], np.array([39.5, 49.5, 59.5, 69.5, 77.0]) / 100)


def test_nothing_after_the_origin_is_read() -> None:
    """What the sensors say after the origin changes nothing."""
    early, late = log_of(range(81)), log_of(range(200))
    one, other = (log.on_grid(40 * S, 10 * S, 5) for log in (early, late))
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.values, other.values)


def test_silence_is_a_gap() -> None:
    """A point with no reading within half a step is NaN, and so is what lies before the first."""
    log = CovariateLog(span_s=1000.0, cell_s=1.0)
    for t in (*range(30, 50), *range(80, 100)):
        log.take(Sensed(raw_ns=t * S, temperature_c=1.0))
    found = log.on_grid(10 * S, 10 * S, 10)
    assert found is not None
    np.testing.assert_array_equal(np.isnan(found.values[0]), [1, 1, 0, 0, 0, 1, 1, 0, 0, 0])


def test_sensors_that_are_not_there_are_left_out() -> None:
    """None and NaN are no readings; without any there are no covariates."""
    log = CovariateLog(span_s=100.0, cell_s=1.0)
    log.take(Sensed(raw_ns=5 * S, load=float("nan")))
    assert log.on_grid(0, S, 10) is None
    log.take(Sensed(raw_ns=5 * S, frequency_ghz=2.5))
    found = log.on_grid(0, S, 10)
    assert found is not None
    assert found.names == ("frequency_ghz",)


def test_what_is_older_than_the_span_is_forgotten_and_never_mixed_in() -> None:
    """The ring is used again; neither old cells nor a late old reading show in new ones."""
    log = log_of(range(5000), span_s=60.0)
    log.take(Sensed(raw_ns=10 * S, temperature_c=-99.0))
    found = log.on_grid(4900 * S, 10 * S, 10)
    assert found is not None
    np.testing.assert_array_equal(np.isnan(found.values[0]), [1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    assert np.nanmin(found.values) > 0


def test_only_roles_that_use_covariates_need_a_log() -> None:
    """None of them: nobody needs to look. Else it is long enough for the longest and fine enough for the shortest."""
    short = RoleConfig(name="a", plugin="p", step_s=10.0, context=32)
    long = RoleConfig(name="b", plugin="p", step_s=900.0, context=512, use_covariates=True)
    assert not CovariateLog.of((short,)).wanted
    log = CovariateLog.of((RoleConfig(name="a", plugin="p", step_s=10.0, use_covariates=True), long))
    assert log.wanted
    assert log.cell_s == 2.5
    for t in range(0, 900 * 512, 450):
        log.take(Sensed(raw_ns=t * S, load=0.5))
    found = log.on_grid(0, 900 * S, 511)
    assert found is not None
    assert np.isfinite(found.values).all()


def test_every_name_is_a_field() -> None:
    """What models are told is what a reading can hold."""
    assert (*NAMES, "raw_ns") == (*Sensed.__struct_fields__[1:], Sensed.__struct_fields__[0])


def test_a_span_shorter_than_a_cell_is_refused() -> None:
    """Such a log could hold nothing."""
    with pytest.raises(ValueError, match="cells of 10 s"):
        CovariateLog(span_s=5, cell_s=10)
