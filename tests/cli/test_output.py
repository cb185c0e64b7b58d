import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.cli import output
from chronotick.cli.output import colour_wanted, duration, paint, table, visible, wrap

HEAD = ("name", "offset", "verdict")
ROWS = [("a", "1.20 ms", "good"), ("longer", "312 us", "bad")]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0 ns"),
        (312e-9, "312 ns"),
        (4.2e-6, "4.20 us"),
        (999.96e-6, "1.00 ms"),
        (-7.4e-3, "-7.40 ms"),
        (0.99996, "1.00 s"),
        (12.0, "12.0 s"),
        (3600.0, "60.0 min"),
        (90_000.0, "25.0 h"),
        (1e6, "11.6 d"),
    ],
)
def test_durations_have_three_digits_and_the_unit_that_suits(seconds: float | None, text: str) -> None:
    """The unit changes where three digits would become four."""
    assert duration(seconds) == text


@given(st.floats(1e-9, 1e8))
def test_a_duration_says_the_number_to_half_a_percent(seconds: float) -> None:
    """What is printed is what was given, but for the digits left off."""
    number, unit = duration(seconds).split()
    factor = next(one[0] for one in output.DURATIONS if one[1] == unit)
    assert math.isclose(float(number) * factor, seconds, rel_tol=0.006, abs_tol=0.51e-9)


def test_tables_align_numbers_right_and_words_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are as wide as their widest cell; there is no blank at a line's end."""
    assert table(HEAD, ROWS).splitlines() == [
        "name     offset  verdict",
        "a       1.20 ms  good",
        "longer   312 us  bad",
    ]


def test_colours_do_not_shift_columns() -> None:
    """A painted cell takes the room that is seen of it."""
    painted = [(name, offset, paint(word, "good", wanted=True)) for name, offset, word in ROWS]
    lines = table(HEAD, painted).splitlines()
    assert [output.ESCAPE.sub("", line) for line in lines] == table(HEAD, ROWS).splitlines()


def test_narrow_tables_leave_out_what_matters_least_and_become_blocks_at_last() -> None:
    """Columns go in the order given; where that does not help, every value gets a line."""
    assert table(HEAD, ROWS, drop=("offset",), room=20).splitlines()[0] == "name    verdict"
    assert table(HEAD, ROWS, room=15).splitlines() == [
        "a",
        "  offset",
        "    1.20 ms",
        "  verdict  good",
        "longer",
        "  offset",
        "    312 us",
        "  verdict  bad",
    ]


@given(
    st.integers(20, 120),
    st.lists(st.tuples(st.text("abc", max_size=9), st.text("123", max_size=9), st.text("x", max_size=9)), max_size=5),
)
def test_no_table_is_wider_than_its_room(room: int, rows: list[tuple[str, str, str]]) -> None:
    """Whatever is in it, as long as its words are no wider than the room."""
    lines = table(HEAD, rows, drop=("verdict",), room=room).splitlines()
    assert all(visible(line) <= room for line in lines)


def test_width_is_that_of_columns_of_the_terminal_or_unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS wins; what is no terminal has no width."""
    monkeypatch.setenv("COLUMNS", "33")
    assert output.columns() == 33
    monkeypatch.delenv("COLUMNS")
    assert output.columns() is None
    assert wrap("word " * 40) == "word " * 40


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not into files, not with NO_COLOR, not on a dumb terminal; an empty NO_COLOR is none."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "")
    assert (colour_wanted(Tty()), colour_wanted(io.StringIO())) == (True, False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour_wanted(Tty())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not colour_wanted(Tty())
