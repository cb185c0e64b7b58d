"""The transition table of a plugin's life."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.plugins.states import RUNNING, TABLE, WAITING, Action, At, Event, State, step


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_of_state_and_event_has_a_defined_outcome(state: State, event: Event) -> None:
    at = At(state, 5)
    got = step(at, event, 9)
    assert got.known == ((state, event) in TABLE)
    if not got.known:
        assert got.at == at
        assert got.actions == ()
    assert got.at.since_mono_ns == (5 if got.at.state is state else 9)


@given(st.lists(st.sampled_from(list(Event)), max_size=60))
def test_a_process_is_started_at_most_once_before_what_it_held_is_released(events: list[Event]) -> None:
    at, alive = At(State.STOPPED, 0), False
    for now, event in enumerate(events):
        got = step(at, event, now)
        for action in got.actions:
            if action is Action.SPAWN:
                assert not alive
                alive = True
            if action is Action.RELEASE:
                alive = False
            if action in (Action.KILL, Action.SHUT_DOWN, Action.GRACE):
                assert alive
        at = got.at
        assert at.state not in RUNNING or alive


@given(st.lists(st.sampled_from(list(Event)), max_size=60))
def test_leaving_the_states_that_answer_always_refuses_what_is_in_flight(events: list[Event]) -> None:
    at = At(State.STOPPED, 0)
    for now, event in enumerate(events):
        got = step(at, event, now)
        answering = {State.READY, State.SUSPECT}
        if at.state in answering and got.at.state not in answering:
            assert Action.REFUSE in got.actions
        at = got.at


@pytest.mark.parametrize("state", list(State))
def test_stop_leads_to_stopped_from_everywhere(state: State) -> None:
    at = At(state, 0)
    for event in (Event.STOP, Event.EXITED, Event.STOP):
        at = step(at, event, 1).at
    assert at.state is State.STOPPED


@pytest.mark.parametrize("state", sorted(WAITING | {State.STOPPED}))
def test_every_state_without_a_process_can_be_started(state: State) -> None:
    got = step(At(state, 0), Event.START, 1)
    assert got.at.state is State.STARTING
    assert got.actions == (Action.SPAWN,)


def test_the_usual_life_from_start_to_restart() -> None:
    at, seen = At(State.STOPPED, 0), []
    for event in (
        Event.START, Event.HELLO, Event.LOADING_, Event.READY_, Event.OVERDUE, Event.RECOVERED, Event.SILENT,
        Event.CONDEMNED, Event.EXITED, Event.AGAIN, Event.START,
    ):  # fmt: skip
        at = step(at, event, 1).at
        seen.append(at.state)
    assert seen == [
        State.STARTING, State.CONNECTED, State.LOADING, State.READY, State.SUSPECT, State.READY, State.SUSPECT,
        State.DEAD, State.DEAD, State.BACKOFF, State.STARTING,
    ]  # fmt: skip
