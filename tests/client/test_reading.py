"""A reading: frozen, without order, and with intervals that nest."""

import json
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick import Clock, Reading, Status
from chronotick.client import remote
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import Record

S = 1_000_000_000
LEVELS = st.floats(0.001, 0.999999)


def reading(sigma_s: float = 1e-5, half_s: float = 3e-5, hard_ns: int = 1_000_000, age_ns: int = 0) -> Reading:
    theta = 1_700_000_000 * S
    line = Record(
        S, theta, 0.0, 0.0, S, sigma_s, 1e-8, normal_widths(half_s), normal_widths(2e-8), theta - hard_ns,
        theta + hard_ns, 5e-5, 9 * S, 99 * S, S // 2, 0, 1, 1, 1, 1, Status.SYNCHRONISED, ("floor",),
    )  # fmt: skip
    return Reading((line.utc_ns(S + age_ns), S + age_ns, line))


def test_a_reading_is_frozen() -> None:
    """No field can be set, and none can be added."""
    with pytest.raises(AttributeError):
        reading().utc_ns = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        reading().more = 1  # type: ignore[attr-defined]


def test_equal_readings_are_equal() -> None:
    """Readings compare by value and can be kept in sets."""
    assert reading() == reading()
    assert len({reading(), reading(), reading(age_ns=1)}) == 2


@pytest.mark.parametrize("compare", ["__lt__", "__le__", "__gt__", "__ge__"])
def test_readings_have_no_order(compare: str) -> None:
    """Which of two intervals is first is not a question for `<`."""
    with pytest.raises(TypeError, match="earliest_ns and latest_ns"):
        getattr(reading(), compare)(reading())


@given(LEVELS, LEVELS, st.floats(0, 1e-3), st.integers(0, 10**7), st.integers(0, 10 * S))
def test_intervals_nest_within_the_hard_one(one: float, two: float, half_s: float, hard_ns: int, age_ns: int) -> None:
    """Of two levels the higher has the wider interval, both hold the reading, and neither leaves the hard interval."""
    made = reading(half_s=half_s, hard_ns=hard_ns, age_ns=age_ns)
    narrow, wide = (made.interval(level) for level in sorted((one, two)))
    assert made.earliest_ns <= wide[0] <= narrow[0] <= made.utc_ns <= narrow[1] <= wide[1] <= made.latest_ns


def test_the_95_interval_is_the_calibrated_one() -> None:
    """Level 0.95 is the published half width exactly."""
    made = reading()
    assert made.interval() == (made.utc_ns - 30_000, made.utc_ns + 30_000)
    assert made.half_width_95_ns == 30_000
    assert made.interval(0.5)[1] - made.utc_ns == ceil(30_000 * 0.6744897501960817 / 1.959963984540054)


def test_levels_are_those_that_were_calibrated_and_grow_with_age() -> None:
    """Each calibrated level has its own width, whatever the others; a level between lies between; all grow with age."""
    widths, growths = (1e-5, 2e-5, 5e-5, 7e-5, 3e-4), (0.0, 0.0, 1e-6, 2e-6, 4e-6)
    line = reading()[2]._replace(half_widths_s=widths, half_growths=growths)
    fresh, older = (Reading((line.utc_ns(at), at, line)) for at in (S, 3 * S))
    for level, half_s, growth in zip((0.5, 0.9, 0.95, 0.99, 0.999), widths, growths, strict=True):
        assert fresh.interval(level)[1] - fresh.utc_ns == round(half_s * S)
        assert older.interval(level)[1] - older.utc_ns == pytest.approx((half_s + 2 * growth) * S, abs=1)
    assert 70_000 < fresh.interval(0.995)[1] - fresh.utc_ns < 300_000
    assert fresh.half_widths_ns == tuple(round(one * S) for one in widths)


def test_a_half_width_never_says_more_than_the_hard_interval() -> None:
    """Where the hard interval is narrower than the calibrated one, it wins."""
    assert reading(hard_ns=1000).half_width_95_ns == 1000


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 95.0, float("nan")])
def test_a_level_is_between_0_and_1(level: float) -> None:
    """95 is not 0.95."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        reading().interval(level)


def test_a_reading_can_be_written_as_json() -> None:
    """as_dict holds every value under its name, in types that JSON has."""
    made = reading()
    back = json.loads(json.dumps(made.as_dict()))
    assert back["utc_ns"] == made.utc_ns
    assert (back["status"], back["source"]) == ("SYNCHRONISED", ["floor"])
    for name, value in back.items():
        assert repr(getattr(made, name)).startswith("(") or str(getattr(made, name)) == str(value)
    assert f"utc_ns={made.utc_ns}" in repr(made)


@given(st.integers(0, 10**9), st.integers(-(10**9), 10**9))
def test_travel_widens_what_a_remote_host_says(travel_ns: int, clocks_apart_ns: int) -> None:
    """Whenever the host read its clock between question and answer, truth stays inside both intervals on arrival."""
    said: dict[str, Any] = {
        "utc_ns": 50 * S, "earliest_ns": 50 * S - 1000, "latest_ns": 50 * S + 1000, "low_95_ns": 50 * S - 500,
        "high_95_ns": 50 * S + 400, "sigma_ns": 200, "status": "SYNCHRONISED", "age_ns": S, "source": ["floor"],
        "epoch": 1, "sequence": 1, "host_instance": 9,
    }  # fmt: skip
    arrived = 100 * S + clocks_apart_ns
    line = remote.record_of(said, arrived - travel_ns, arrived)
    made = Reading((line.utc_ns(arrived), arrived, line))
    for truth_then, travelled in ((50 * S - 1000, 0), (50 * S + 1000, travel_ns)):
        assert made.earliest_ns <= truth_then + travelled <= made.latest_ns
    low, high = made.interval()
    for truth_then, travelled in ((50 * S - 500, 0), (50 * S + 400, travel_ns)):
        assert low - 2 <= truth_then + travelled <= high + 2
    assert made.age_ns == S + travel_ns
    assert made.sigma_ns >= 200 + travel_ns // 2


def test_the_names_are_where_agents_look() -> None:
    """`from chronotick import Clock` gives the client's clock; unknown names are refused."""
    import chronotick

    assert chronotick.Clock is Clock
    assert set(chronotick.__all__) <= set(dir(chronotick))
    for name in chronotick.__all__:
        assert getattr(chronotick, name) is not None
    with pytest.raises(AttributeError):
        _ = chronotick.clock_of_all_clocks
