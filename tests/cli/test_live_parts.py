"""The live view's parts, without a host or a terminal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.cli.live.gather import Frame
from chronotick.cli.live.past import Past
from chronotick.cli.live.series import MOST, Series
from chronotick.cli.live.spark import BARS, PLAIN_BARS, sparkline
from chronotick.cli.live.view import horizons, line, lines
from chronotick.cli.output import ESCAPE, visible
from chronotick.client import Reading, Status
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import Record

S = 1_000_000_000
THETA = 1_700_000_000 * S


def reading(status: Status = Status.SYNCHRONISED) -> Reading:
    record = Record(
        raw_ns=1000 * S,
        theta_ns=THETA,
        rate=0.0,
        slew_rate=0.0,
        slew_until_raw_ns=1000 * S,
        sigma_s=1e-5,
        sigma_growth=0.0,
        half_widths_s=normal_widths(2e-5),
        half_growths=normal_widths(0.0),
        earliest_theta_ns=THETA - 500_000,
        latest_theta_ns=THETA + 500_000,
        bound_growth=0.0,
        stale_raw_ns=2000 * S,
        void_raw_ns=3000 * S,
        fix_raw_ns=999 * S,
        suspended_ns=0,
        epoch=0,
        sequence=1,
        host_instance=1,
        host_pid=1,
        status=status,
        source=("floor", "chronos"),
    )
    return Reading((0 if status is Status.UNKNOWN else THETA + 1000 * S, 1000 * S, record))


def server(name: str, standing: str = "survivor") -> dict[str, Any]:
    return {
        "name": name,
        "address": "192.0.2.1",
        "system_offset_s": -0.0123,
        "delay_s": 0.02,
        "root_distance_s": 0.03,
        "reach": 255,
        "age_s": 12.0,
        "standing": standing,
    }


def rung(
    candidate: str, horizon_s: float, gain: float, *, trusted: bool = False, n_eff: float = 10.0
) -> dict[str, Any]:
    return {"candidate": candidate, "horizon_s": horizon_s, "gain": gain, "open": trusted, "n_eff": n_eff}


def sections(servers: int = 3) -> dict[str, Any]:
    return {
        "clock": {
            "status": "SYNCHRONISED",
            "sentence": f"{servers} of {servers} servers answer, {servers} agree.",
            "system_offset_us": -7400.0,
            "rate_ppm": 12.3456,
        },
        "sources": {"servers": [server(f"ntp{number}.a-rather-long-name.example.org") for number in range(servers)]},
        "plugins": [
            {"name": "chronos", "state": "READY", "detail": "", "weight": 0.75},
            {
                "name": "ttm",
                "state": "ENV_BROKEN",
                "detail": "Not built. Run: chronotick plugins sync ttm",
                "weight": 0.0,
            },
        ],
        "forecasts": {
            "candidates": [
                rung("chronos/ten_minutes", 64.0, 0.3, trusted=True),
                rung("chronos/ten_minutes", 128.0, -0.1),
                rung("chronos/hold_over", 64.0, 0.0, n_eff=0.0),
            ]
        },
    }


def filled(looks: int = 30, **changes: Any) -> tuple[Frame, Past]:
    past = Past(600.0, 1.0)
    for number in range(looks):
        frame = Frame(100.0 + number, reading(), sections(), "")._replace(**changes)
        past.take(frame)
    return frame, past


def test_a_sparkline_spans_its_scale() -> None:
    """The least value gets the lowest bar, the greatest the highest, gaps a blank."""
    assert sparkline([0.0, None, 7.0]) == "▁ █"
    assert sparkline([5.0, 5.0]) == "▁▁"
    assert sparkline([None, None]) == "  "
    assert sparkline([-1.0, 0.25, 9.0], low=0.0, high=0.5) == "▁▅█"
    assert sparkline([0.0, 1.0], bars=PLAIN_BARS) == "_#"


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), max_size=80))
def test_a_sparkline_has_one_character_per_value(values: list[float | None]) -> None:
    """Whatever the values, each gets its character, and order is kept."""
    drawn = sparkline(values)
    assert len(drawn) == len(values)
    known = sorted((value, BARS.index(bar)) for value, bar in zip(values, drawn, strict=True) if value is not None)
    assert [bar for _, bar in known] == sorted(bar for _, bar in known)


def test_a_series_is_spread_over_the_time_shown() -> None:
    """Each cell is the mean of what was seen in its part; parts without anything are gaps."""
    series = Series(span_s=100.0)
    for at_s, value in ((0.0, 1.0), (1.0, 3.0), (5.0, 5.0), (8.0, 9.0)):
        series.add(at_s, value)
    assert series.cells(4, 0.0, 8.0) == [2.0, None, 5.0, 9.0]
    assert series.cells(0, 0.0, 8.0) == []
    assert series.cells(3, 8.0, 8.0) == [None, None, 9.0]


def test_a_value_stands_for_a_moment_and_then_is_a_gap() -> None:
    """Looks that come a little late leave no hole; a host that is away does."""
    series = Series(span_s=100.0, hold_s=2.5)
    series.add(0.0, 1.0)
    series.add(9.0, 2.0)
    assert series.cells(10, 0.0, 10.0) == [1.0, 1.0, 1.0, *[None] * 6, 2.0]


def test_a_series_forgets_what_is_older_than_its_span() -> None:
    """What is shown ends now and is no longer than the span."""
    series = Series(span_s=10.0)
    for at_s in range(100):
        series.add(float(at_s), float(at_s))
    assert series.cells(2, 0.0, 99.0) == [91.0, 96.5]


@given(st.integers(1, 3))
def test_a_view_that_stays_open_for_days_keeps_a_bounded_past(days: int) -> None:
    """Memory does not grow, and the whole span is still drawn."""
    series = Series(span_s=7 * 86_400.0)
    for at_s in range(0, days * 86_400, 10):
        series.add(float(at_s), 1.0)
    assert len(series._kept) <= MOST
    assert series.cells(20, 0.0, days * 86_400.0) == [1.0] * 20


def test_what_is_not_a_number_is_a_gap() -> None:
    """NaN and infinity are not drawn."""
    series = Series(span_s=10.0)
    for value in (float("nan"), float("inf"), None):
        series.add(1.0, value)
    assert series.cells(1, 0.0, 1.0) == [None]


@pytest.mark.parametrize(("width", "height"), [(20, 6), (40, 15), (60, 24), (80, 24), (132, 50), (300, 8)])
def test_the_view_fits_a_terminal_of_any_size(width: int, height: int) -> None:
    """No line is wider than the terminal and there are no more lines than it has."""
    frame, past = filled()
    drawn = lines(frame, past, width, height)
    assert len(drawn) <= height
    assert all(visible(one) <= width for one in drawn)
    assert "SYNCHRONISED" in drawn[0]


def test_the_view_tells_what_is_asked_of_it() -> None:
    """Offset, both intervals, servers, models with their roles, weights, and skill as sparklines."""
    frame, past = filled()
    text = "\n".join(ESCAPE.sub("", one) for one in lines(frame, past, 100, 40))
    assert "system  ahead by 7.40 ms" in text
    assert "95 %    ± 20.0 us" in text
    assert "hard    1.00 ms wide" in text
    assert "chronos/ten_minutes  READY" in text
    assert "0.75  ▇▇▇▇▇▇▇▇▇▇  +10 %" in text
    assert "▅▁ 1/2" in text
    assert "chronos/hold_over" in text
    assert "ttm: Not built. Run: chronotick plugins sync ttm" in text
    assert text.count("survivor") == 3
    assert "from floor + chronos" in text


def test_servers_that_do_not_fit_are_counted() -> None:
    """A short terminal names some servers, and how many more there are."""
    past = Past(600.0, 1.0)
    frame = Frame(100.0, reading(), sections(servers=20), "")
    past.take(frame)
    drawn = [ESCAPE.sub("", one) for one in lines(frame, past, 100, 24)]
    named = sum("survivor" in one for one in drawn)
    assert drawn[-1] == f"and {20 - named} more: chronotick sources"


def test_a_host_that_goes_leaves_its_line_and_a_gap() -> None:
    """While the snapshot holds, the view says from what it reads; without one it says why."""
    _, past = filled()
    gone = Frame(140.0, reading(Status.HOLDOVER), None, "No host answers.")
    past.take(gone)
    text = "\n".join(lines(gone, past, 80, 24))
    assert "HOLDOVER" in text
    assert "this is read from what it left. No host answers." in text
    nothing = Frame(150.0, None, None, "There is no runtime directory.")
    past.take(nothing)
    assert lines(nothing, past, 80, 24)[0].startswith("NO HOST")
    assert "There is no runtime directory." in lines(nothing, past, 80, 24)[1]


def test_before_anything_is_known_the_view_says_so() -> None:
    """UNKNOWN shows the sentence and no numbers."""
    past = Past(600.0, 1.0)
    body = sections() | {"clock": {"status": "UNKNOWN", "sentence": "No server answers."}}
    frame = Frame(1.0, reading(Status.UNKNOWN), body, "")
    past.take(frame)
    text = "\n".join(lines(frame, past, 80, 24))
    assert "UNKNOWN" in text
    assert "No server answers." in text
    assert "95 %" not in text
    assert line(frame) == "UNKNOWN  No server answers."


def test_a_host_without_models_is_no_fault() -> None:
    """The floor alone is said in words."""
    frame, past = filled(1, sections=sections() | {"plugins": []})
    assert "No models: the floor alone answers." in "\n".join(lines(frame, past, 80, 24))


def test_skill_by_horizon_counts_where_it_is_trusted() -> None:
    """A bar per horizon, a dot where nothing was scored, and the count, which needs no colours."""
    rungs = [rung("a", 1.0, 0.5, trusted=True), rung("a", 2.0, -1.0), rung("a", 4.0, 0.0, n_eff=0.0)]
    assert horizons(rungs) == "█▁. 1/3"
