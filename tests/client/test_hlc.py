"""The hybrid logical clock: cause before effect, within the clock's bounds, and no stamp too absurd to believe."""

import random
import threading
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick import Clock, ClockUnknown, Hlc, HlcStamp, OutOfRange, RemoteRefused

S = 1_000_000_000


class Skewed:
    """A node's clock: true time, off by a fixed skew that its hard interval admits."""

    def __init__(self, world: list[int], skew_ns: int, half_ns: int) -> None:
        self.world, self.skew, self.half = world, skew_ns, half_ns

    def now(self) -> Any:
        utc = self.world[0] + self.skew
        return type("R", (), {"utc_ns": utc, "latest_ns": utc + self.half, "earliest_ns": utc - self.half})()


def node(world: list[int], skew_ns: int, half_ns: int, name: str, **more: Any) -> Hlc:
    return Hlc(cast(Clock, Skewed(world, skew_ns, half_ns)), name, **more)


@given(st.integers(0, 2**32), st.integers(2, 6))
def test_causes_come_before_effects_whatever_the_skew(seed: int, count: int) -> None:
    """Under random messages between skewed nodes each event is after all its causes, and no stamp leaves the bound."""
    rng = random.Random(seed)
    world, half = [10**18], 10_000_000
    nodes = [node(world, rng.randint(-half, half), half, str(one), most_ahead_ns=2 * half) for one in range(count)]
    flying: list[HlcStamp] = []
    latest = [HlcStamp(0, 0)] * count
    for _ in range(60):
        world[0] += rng.choice((0, 1, 1000, 5_000_000))
        at = rng.randrange(count)
        causes = [latest[at]]
        if flying and rng.random() < 0.5:
            message = flying.pop(rng.randrange(len(flying)))
            causes.append(message)
            made = nodes[at].receive(message)
        else:
            made = nodes[at].send()
            flying.append(made)
        assert all(cause[:2] < made[:2] for cause in causes)
        assert made.utc_ns <= world[0] + half
        latest[at] = made


def test_an_absurd_stamp_is_refused_and_leaves_no_trace() -> None:
    """A stamp further ahead than any correct clock can be is refused with the sender's name; the clock goes on."""
    world = [10**18]
    here = node(world, 0, 1000, "here", most_ahead_ns=5000)
    assert here.receive(HlcStamp(world[0] + 6000, 3, "ok")) == HlcStamp(world[0] + 6000, 4, "here")
    last = here.last
    with pytest.raises(RemoteRefused, match="stamp of liar is 5001 ns ahead"):
        here.receive(HlcStamp(world[0] + 6001, 0, "liar"))
    for counter in (-1, 2**32):
        with pytest.raises(RemoteRefused, match="impossible numbers"):
            here.receive(HlcStamp(world[0], counter, "liar"))
    assert here.last == last


def test_events_at_one_instant_are_counted() -> None:
    """While the clock stands the counter tells events apart; when it moves on the counter starts anew."""
    world = [10**18]
    here = node(world, 0, 0, "a")
    assert [here.send().counter for _ in range(3)] == [0, 1, 2]
    world[0] += 1
    assert here.send() == HlcStamp(world[0], 0, "a")
    world[0] -= 100
    assert here.send() == HlcStamp(10**18 + 1, 1, "a")


def test_a_node_goes_on_after_its_last_run() -> None:
    """With the last stamp of the run before, the new ones are later although the clock is behind it."""
    before = HlcStamp(10**18 + 500, 7, "old")
    here = node([10**18], 0, 0, "new", after=before)
    assert before[:2] < here.send()[:2]


@given(st.tuples(st.integers(0, 2**63), st.integers(0, 2**32 - 1)), st.tuples(st.integers(0, 2**63), st.integers(0, 9)))
def test_texts_are_ordered_as_stamps_are(one: tuple[int, int], two: tuple[int, int]) -> None:
    """A database that sorts texts sorts stamps; parse gives back what was written."""
    a, b = HlcStamp(*one, "n.1"), HlcStamp(*two, "n.1")
    assert (str(a) < str(b)) == (a < b)
    assert HlcStamp.parse(str(a)) == a


@pytest.mark.parametrize("text", ["", "now", "1.2.a", "1795230198681176907.0.a", "x" * 20 + ".0000000001.a", "-" * 32])
def test_what_is_no_stamp_is_refused(text: str) -> None:
    """A malformed text is an error."""
    with pytest.raises(OutOfRange, match="no hybrid stamp"):
        HlcStamp.parse(text)


def test_threads_get_different_stamps(host: Any, clock: Clock) -> None:
    """Stamps of one node are unique, from all its threads, on the real clock."""
    host.publish()
    here = Hlc(clock, "n")
    made: list[HlcStamp] = []
    threads = [threading.Thread(target=lambda: made.extend(here.send() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2000


def test_without_a_time_there_is_no_stamp(host: Any, clock: Clock) -> None:
    """UNKNOWN is an error here too; a negative allowance is one at once."""
    with pytest.raises(ClockUnknown):
        Hlc(clock, "n").send()
    with pytest.raises(OutOfRange):
        Hlc(clock, "n", most_ahead_ns=-1)
