"""The small-sample factor against scipy."""

import pytest
from scipy.stats import norm
from scipy.stats import t as student

from chronotick.clock.small_sample import student_quantile, widen


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 20, 62, 1000])
def test_the_quantile_is_students(degrees: int) -> None:
    tolerance = 0.01 if degrees < 4 else 0.002
    assert student_quantile(degrees) == pytest.approx(student.ppf(0.975, degrees), rel=tolerance)


def test_the_factor_falls_from_six_to_one() -> None:
    factors = [widen(n) for n in range(2, 2000)]
    assert factors[0] == pytest.approx(student.ppf(0.975, 1) / norm.ppf(0.975))
    assert factors == sorted(factors, reverse=True)
    assert 1.0 < factors[-1] < 1.001
