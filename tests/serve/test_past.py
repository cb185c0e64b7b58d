"""Past: stamps of either clock, through steering, steps, discontinuities and ignorance."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.clock.discontinuity import Reading as Clocks
from chronotick.errors import ProtocolError
from chronotick.serve.past import EVERY_NS, MOMENTS, Past
from chronotick.wire.levels import normal_widths
from chronotick.wire.messages import Convert, Reading
from chronotick.wire.snapshot import Record, Status

S = 1_000_000_000
THETA = 1_700_000_000 * S
SYSTEM = THETA + 7 * S
BOUND = 5e-5


def line(
    raw: int, theta: int = THETA, *, epoch: int = 1, status: Status = Status.SYNCHRONISED, width: int = 10**6
) -> Record:
    return Record(
        raw, theta, 0.0, 0.0, raw, 1e-5, 1e-8, normal_widths(2e-5), normal_widths(1e-8), theta - width, theta + width,
        BOUND, raw + 4 * S, raw if status is Status.UNKNOWN else raw + 1000 * S, raw - S, 0, epoch, 1, 9, 1,
        status, ("floor",),
    )  # fmt: skip


def clocks(raw: int, apart: int = SYSTEM) -> Clocks:
    return Clocks(raw_ns=raw, realtime_ns=raw + apart, boot_ns=raw, mono_ns=raw, window_ns=200)


class World:
    """A host that looks once a second."""

    def __init__(self) -> None:
        self.past = Past()
        self.raw = 1000 * S
        self.apart = SYSTEM
        self.record = line(self.raw)

    def look(self, seconds: int = 1, **more: Any) -> None:
        for _ in range(seconds):
            self.raw += S
            self.record = line(self.raw, **more)
            self.past.feed(self.record, clocks(self.raw, self.apart))

    def ask(self, **stamp: int) -> Reading:
        return self.past.reading_at(Convert(id=4, **stamp), self.record, clocks(self.raw + S // 2, self.apart))

    def refusal(self, **stamp: int) -> ProtocolError:
        with pytest.raises(ProtocolError) as caught:
            self.ask(**stamp)
        return caught.value


@pytest.fixture
def world() -> World:
    made = World()
    made.look(60)
    return made


def test_a_raw_stamp_gets_what_was_published_then(world: World) -> None:
    """The time is the line's, the bound the cut of both lines around it, and the spread theirs."""
    raw = world.raw - 25 * S - 123
    made = world.ask(raw_ns=raw)
    assert (made.id, made.utc_ns, made.raw_ns, made.status) == (4, raw + THETA, raw, "SYNCHRONISED")
    assert made.earliest_ns <= made.low_95_ns <= made.utc_ns <= made.high_95_ns <= made.latest_ns
    assert made.latest_ns - made.earliest_ns <= 2 * (10**6 + BOUND * EVERY_NS) + 2
    assert made.sigma_ns == pytest.approx(1e-5 * S, abs=10)


def test_a_later_line_narrows_an_earlier_stamp() -> None:
    """Where the next line is known far better, the bound then is what both allow."""
    world = World()
    world.look(1, width=10**8)
    raw = world.raw + S // 2
    world.look(1, width=10**8)
    before = world.ask(raw_ns=raw)
    world.look(1, width=10**4)
    after = world.ask(raw_ns=raw)
    assert after.latest_ns - after.earliest_ns < 3 * 10**5 < before.latest_ns - before.earliest_ns


def test_the_time_between_two_lines_is_between_them() -> None:
    """While the output is slewed by 1 ms in 10 s, a stamp half-way is half a millisecond on."""
    world = World()
    world.look(1)
    raw = world.raw
    world.raw += 9 * S
    world.look(1, theta=THETA + 10**6, width=10**7)
    assert world.ask(raw_ns=raw + 5 * S).utc_ns == raw + 5 * S + THETA + 500_000


def test_a_system_stamp_is_placed_by_what_the_system_clock_showed(world: World) -> None:
    """It is 7 s wrong all the time; its stamp is brought to true time within the steering that is possible."""
    raw = world.raw - 30 * S
    made = world.ask(realtime_ns=raw + SYSTEM)
    assert made.utc_ns == pytest.approx(raw + THETA, abs=600_000)
    assert made.earliest_ns <= raw + THETA <= made.latest_ns


@given(st.lists(st.integers(-900, 900), min_size=30, max_size=60), st.integers(0, 10**9))
def test_a_steered_system_clock_is_followed(ppm: list[int], at: int) -> None:
    """Slewed this way and that at up to 900 ppm, any stamp's bounds hold the true time at which it was shown."""
    world = World()
    shown = []
    for rate in ppm:
        begin = world.apart
        world.apart += rate * 1000
        world.look(1)
        raw = world.raw - S + at
        shown.append((raw, raw + begin + round(rate * 1000 * at / S)))
    for raw, system in shown[1:]:
        made = world.ask(realtime_ns=system)
        assert made.earliest_ns <= raw + THETA <= made.latest_ns


def test_a_stamp_that_was_shown_twice_holds_both_instants(world: World) -> None:
    """After the system clock was set back by 20 s, a stamp in between may be of either run."""
    world.apart -= 20 * S
    world.look(40)
    raw = world.raw - 42 * S
    made = world.ask(realtime_ns=raw + SYSTEM)
    assert made.earliest_ns <= raw + THETA
    assert raw + 20 * S + THETA <= made.latest_ns
    once = world.ask(realtime_ns=world.raw - 5 * S + world.apart)
    assert once.latest_ns - once.earliest_ns < 10**8


def test_a_time_that_was_stepped_over_was_never_shown(world: World) -> None:
    """After the system clock was set forward by an hour, a stamp from within that hour is an invention."""
    at = world.raw + world.apart + 1800 * S
    world.apart += 3600 * S
    world.look(20)
    refused = world.refusal(realtime_ns=at)
    assert (refused.code, "stepped over" in refused.message) == ("out_of_range", True)
    raw = world.raw - 40 * S
    before = world.ask(realtime_ns=raw + SYSTEM)
    assert before.utc_ns == pytest.approx(raw + THETA, abs=600_000)


@pytest.mark.parametrize(
    ("stamp", "sentence"),
    [
        ({"raw_ns": 10**18}, "in the future"),
        ({"raw_ns": -1}, "before this boot"),
        ({"realtime_ns": SYSTEM + 10**15}, "future of the system clock"),
        ({"realtime_ns": SYSTEM}, "has watched the system clock for 60 s only"),
    ],
)
def test_stamps_that_can_not_be_are_refused(world: World, stamp: dict[str, int], sentence: str) -> None:
    """Each with its sentence."""
    refused = world.refusal(**stamp)
    assert (refused.code, sentence in refused.message) == ("out_of_range", True), refused.message


@pytest.mark.parametrize("stamp", [{}, {"raw_ns": 1, "realtime_ns": 1}])
def test_a_question_is_about_one_stamp(world: World, stamp: dict[str, int]) -> None:
    """None or two is a malformed question."""
    assert world.refusal(**stamp).code == "bad_message"


def test_an_older_raw_stamp_is_carried_back_with_wide_bounds(world: World) -> None:
    """Before the first line only the rate bound speaks, and what the machine had slept by then."""
    raw = 900 * S
    made = world.ask(raw_ns=raw)
    far = 1001 * S - raw
    assert made.latest_ns - made.earliest_ns == pytest.approx(2 * (10**6 + BOUND * far), rel=1e-3)
    assert made.high_95_ns - made.utc_ns >= BOUND * far - 10
    slept = World()
    slept.look(1)
    slept.record = slept.record._replace(suspended_ns=50 * S)
    slept.past = Past()
    assert slept.ask(raw_ns=raw).earliest_ns == pytest.approx(made.earliest_ns - 50 * S, abs=10**6)


def test_next_to_a_discontinuity_both_epochs_are_allowed(world: World) -> None:
    """Within the second in which the time base was disturbed, the bound holds what either line says."""
    raw = world.raw + S // 2
    world.look(1, theta=THETA + 60 * S, epoch=2)
    made = world.ask(raw_ns=raw)
    assert made.earliest_ns <= raw + THETA
    assert raw + THETA + 60 * S <= made.latest_ns
    world.look(20, theta=THETA + 60 * S, epoch=2)
    assert world.ask(raw_ns=world.raw - 10 * S).utc_ns == world.raw - 10 * S + THETA + 60 * S
    assert world.ask(raw_ns=raw - 10 * S).utc_ns == raw - 10 * S + THETA


def test_while_nothing_was_known_nothing_is_said() -> None:
    """A host that has had no time yet can not place a stamp; once it has, it can, with the bounds of that line."""
    world = World()
    world.look(30, status=Status.UNKNOWN)
    raw = world.raw - 10 * S
    assert world.refusal(raw_ns=raw).code == "no_time"
    world.look(1)
    made = world.ask(raw_ns=raw)
    assert made.earliest_ns <= raw + THETA <= made.latest_ns


def test_a_raw_clock_that_went_back_voids_the_past(world: World) -> None:
    """What was kept is of another time base: it is forgotten, not guessed at."""
    later = world.raw
    world.raw = 500 * S
    world.look(5)
    assert world.refusal(raw_ns=later - S).code == "out_of_range"
    assert world.ask(raw_ns=world.raw - 2 * S).utc_ns == world.raw - 2 * S + THETA


def test_the_past_is_bounded(world: World) -> None:
    """However long the host runs, no more than some hours are kept."""
    for _ in range(MOMENTS + 10):
        world.raw += EVERY_NS - S
        world.look(1)
    assert len(world.past._kept) == MOMENTS
