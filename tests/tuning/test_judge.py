"""Better is said only of what is better, and surely so."""

import numpy as np
import pytest

from chronotick.tuning.judge import FLOOR, LAST, errors_s, table, verdict

from .test_examples import ROLE, examples, recorded


def drawn(seed: int, size: float, n: int = 400) -> np.ndarray:
    return size * np.random.default_rng(seed).standard_normal((n, 3))


def test_a_half_as_large_error_is_better() -> None:
    """Half the error at every horizon is a ratio of a half, in all resamples."""
    errors = drawn(1, 1e-5)
    found = verdict(errors, errors / 2)
    assert found.ratio == pytest.approx(0.5)
    assert (found.sure, found.better) == (1.0, True)


@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_the_same_and_a_larger_error_are_not(factor: float) -> None:
    """Weights that are the same, or worse, are never called better."""
    errors = drawn(1, 1e-5)
    found = verdict(errors, factor * errors)
    assert found.ratio == pytest.approx(factor)
    assert not found.better


def test_a_gain_of_one_stretch_is_not_sure() -> None:
    """Errors that are smaller in one twentieth of the history and larger elsewhere can average below 1: not better."""
    untuned = np.ones((400, 3))
    untuned[:20] = 100.0
    tuned = np.full((400, 3), 1.1)
    found = verdict(untuned, tuned)
    assert found.ratio < 0.3
    assert found.sure < 0.9
    assert not found.better


def test_a_model_that_never_answered_is_not_better() -> None:
    """Without a common origin there is nothing to compare."""
    errors = drawn(1, 1e-5)
    assert not verdict(errors, np.full_like(errors, np.nan)).better


def test_the_floor_and_the_last_value_err_as_they_must() -> None:
    """On a cycle of 40 min the last value errs by the drift, the floor by the cycle, both against the truth."""
    trace = recorded()
    made = examples(trace, ROLE, train_share=0.7)
    errors, truth = errors_s(trace, made.origins[:100], (512.0,))
    assert truth.shape == (100, 1)
    assert np.abs(errors[LAST]).mean() == pytest.approx(5e-6 * 512, rel=0.1)
    assert np.abs(errors[FLOOR]).mean() < 0.3 * np.abs(errors[LAST]).mean()


def test_the_table_counts_common_origins_only() -> None:
    """One method's silence takes the origin from all, and a horizon without any is left out."""
    one, other = np.ones((4, 2)), 2 * np.ones((4, 2))
    other[0, 0] = np.nan
    one[:, 1] = np.nan
    found = table({FLOOR: one, LAST: other}, (60.0, 3600.0))
    assert list(found) == ["60s"]
    assert found["60s"][LAST] == {"n": 3, "mae_us": 2e6, "over_floor": 2.0}
