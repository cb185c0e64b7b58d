import msgspec

from chronotick.clock.state import ClockState
from chronotick.fusion.types import Status
from chronotick.publish.condition import Condition

S = 1_000_000_000
STATE = ClockState(
    raw_ns=0,
    theta_ns=0,
    rate=0.0,
    variance=(1e-12, 0.0, 0.0, 0.0),
    widen=1.0,
    fixes=20,
    noise_s=1e-6,
    wander=1e-10,
    restarts=0,
    epoch=0,
)


def test_nothing_is_known_before_the_first_fix() -> None:
    assert Condition(100, 2).at(5 * S, None) is Status.UNKNOWN


def test_fixes_that_arrive_make_it_synchronised() -> None:
    condition = Condition(1000, 2)
    condition.on_fix(10 * S, poll_s=16)
    assert condition.at(11 * S, STATE) is Status.SYNCHRONISED


def test_silence_of_three_polls_and_a_time_out_is_hold_over() -> None:
    condition = Condition(1000, 2)
    condition.on_fix(10 * S, poll_s=16)
    assert condition.at(60 * S, STATE) is Status.SYNCHRONISED
    assert condition.at(60 * S + 1, STATE) is Status.HOLDOVER


def test_too_long_a_silence_is_void() -> None:
    condition = Condition(1000, 2)
    condition.on_fix(10 * S, poll_s=16)
    assert condition.at(1010 * S - 1, STATE) is Status.HOLDOVER
    assert condition.at(1010 * S, STATE) is Status.UNKNOWN


def test_a_discontinuity_is_shown_until_eight_fixes_have_come() -> None:
    condition = Condition(1000, 2)
    condition.on_fix(10 * S, poll_s=16)
    condition.on_discontinuity()
    young = msgspec.structs.replace(STATE, fixes=7)
    assert condition.at(11 * S, msgspec.structs.replace(STATE, fixes=0)) is Status.UNKNOWN
    assert condition.at(11 * S, young) is Status.DISRUPTED
    assert condition.at(11 * S, STATE) is Status.SYNCHRONISED
    assert condition.at(11 * S, young) is Status.SYNCHRONISED
