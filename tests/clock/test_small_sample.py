"""The small-sample factor against scipy."""

import pytest
from scipy.stats import norm
from scipy.stats import t as student

from chronotick.clock.small_sample import student_quantile, tails, widen
from chronotick.wire.levels import AT_95, LEVELS, Z


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 20, 62, 1000])
def test_the_quantile_is_students(degrees: int) -> None:
    tolerance = 0.01 if degrees < 4 else 0.002
    assert student_quantile(degrees) == pytest.approx(student.ppf(0.975, degrees), rel=tolerance)


def test_the_factor_falls_from_six_to_one() -> None:
    factors = [widen(n) for n in range(2, 2000)]
    assert factors[0] == pytest.approx(student.ppf(0.975, 1) / norm.ppf(0.975))
    assert factors == sorted(factors, reverse=True)
    assert 1.0 < factors[-1] < 1.001


@pytest.mark.parametrize("fixes", [1, 3, 4, 5, 6, 8, 11, 20, 31, 32, 40, 200])
def test_the_tails_are_those_of_students_distribution(fixes: int) -> None:
    """Beside scipy: beyond 95 % they are Student's, with half of `widen`'s degrees of freedom, two from four on."""
    degrees = {1: 1, 3: 1, 4: 2, 5: 2, 6: 2, 8: 3, 11: 5, 20: 9, 31: 15, 32: 15, 40: 19, 200: 99}[fixes]
    for level, z, tail in zip(LEVELS, Z, tails(fixes), strict=True):
        if level <= 0.95:
            assert tail == 1.0
        else:
            exact = student.ppf(0.5 + level / 2, degrees) / student.ppf(0.975, degrees) * Z[AT_95] / z
            assert tail == pytest.approx(exact, rel=2e-3)


def test_the_tails_end() -> None:
    """After many fixes nothing is left of them."""
    assert tails(100_000) == pytest.approx((1.0,) * len(LEVELS), abs=1e-4)
