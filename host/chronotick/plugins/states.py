"""The life of a plugin as one transition table. Pure: it is told what happened and says what to do.

    STOPPED ──start──> STARTING ──hello──> CONNECTED ──loading──> LOADING ──ready──> READY <──recovered── SUSPECT
                          │                    │                     │                 └──silent, overdue──┘ │
                          └────────────────────┴── exited, condemned, failed ──> DEAD <────── grace over ───┘
                                                                                  │
                             ┌───────────────────┬────────────────────────────────┼─────────────────┐
                          BACKOFF ──due──>    QUARANTINED                    INCOMPATIBLE       ENV_BROKEN

Every state but the last three leads back to STARTING by itself. ENV_BROKEN is left when the environment has been built
anew, the other two when someone asks (`restart`).

A pair (state, event) that the table does not name changes nothing: a late PONG of a dead process, a second READY. The
events carry no data; what is known of the plugin lives in the supervisor.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class State(StrEnum):
    """Where a plugin is.

    STOPPED: not running, and nobody asked for it.
    STARTING: its process waits for its turn or has been started; it has not spoken yet.
    CONNECTED: its HELLO was accepted.
    LOADING: it imports, loads or warms up.
    READY: it answers.
    SUSPECT: it was READY, and is silent, unreachable, or computing past a deadline. It is not asked.
    DEAD: its process has ended or is being ended; what it held is being let go.
    BACKOFF: waits before it is started again.
    ENV_BROKEN: its environment, weights or device are not there.
    INCOMPATIBLE: it speaks another protocol, breaks its claims, or asked not to be restarted.
    QUARANTINED: it died too often.
    """

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    CONNECTED = "CONNECTED"
    LOADING = "LOADING"
    READY = "READY"
    SUSPECT = "SUSPECT"
    DEAD = "DEAD"
    BACKOFF = "BACKOFF"
    ENV_BROKEN = "ENV_BROKEN"
    INCOMPATIBLE = "INCOMPATIBLE"
    QUARANTINED = "QUARANTINED"


class Event(StrEnum):
    """What can happen to a plugin.

    START: someone, or the end of a wait, wants it to run, and its environment is healthy.
    BROKEN: its environment, weights or device are not there.
    MISMATCH: it speaks another protocol, does not confirm its manifest, or its token is wrong.
    HELLO: it spoke first, and its HELLO is sound.
    LOADING_, READY_: its STATUS said so (loading and warming are one).
    LEAVING: its STATUS said failed or draining, or it said BYE.
    SILENT: no sign of life for several heartbeats, or no route to it.
    OVERDUE: an answer is past its deadline.
    RECOVERED: it is heard again and computes nothing that is overdue.
    CONDEMNED: start-up took too long, the grace of SUSPECT is over, it is too large, or it failed too often in a row.
    EXITED: its process has ended; for a plugin that is not our child, it is gone.
    AGAIN, TOO_OFTEN, FINAL: the verdict on its death; BROKEN and STOP are the two others that DEAD knows.
    STOP: nobody wants it any more.
    """

    START = "start"
    BROKEN = "broken"
    MISMATCH = "mismatch"
    HELLO = "hello"
    LOADING_ = "loading"
    READY_ = "ready"
    LEAVING = "leaving"
    SILENT = "silent"
    OVERDUE = "overdue"
    RECOVERED = "recovered"
    CONDEMNED = "condemned"
    EXITED = "exited"
    AGAIN = "again"
    TOO_OFTEN = "too_often"
    FINAL = "final"
    STOP = "stop"


class Action(StrEnum):
    """What the supervisor has to do, in order.

    SPAWN: start the process when it is its turn, and arm the start-up time-out.
    REFUSE: answer everything in flight with a refusal.
    KILL: end the process; its death is judged when it is gone.
    RELEASE: see to it that the process is gone, close what it held, forget its address.
    WAIT: arm the backoff.
    WATCH: look again whether the environment has been built.
    SHUT_DOWN: ask the process to end, and kill it when it does not.
    GRACE: arm the grace of SUSPECT.
    CALM: disarm it.
    """

    SPAWN = "spawn"
    REFUSE = "refuse"
    KILL = "kill"
    RELEASE = "release"
    WAIT = "wait"
    WATCH = "watch"
    SHUT_DOWN = "shut_down"
    GRACE = "grace"
    CALM = "calm"


class At(Struct, frozen=True):
    """A state and the instant at which it was entered, CLOCK_MONOTONIC ns."""

    state: State
    since_mono_ns: int


class Step(Struct, frozen=True):
    """Where an event leads. `known` is False for a pair that the table does not name."""

    at: At
    actions: tuple[Action, ...]
    known: bool


S, E, A = State, Event, Action
_Table = dict[tuple[State, Event], tuple[State, tuple[Action, ...]]]

RUNNING: Final = frozenset({S.STARTING, S.CONNECTED, S.LOADING, S.READY, S.SUSPECT})
WAITING: Final = frozenset({S.BACKOFF, S.ENV_BROKEN, S.INCOMPATIBLE, S.QUARANTINED})


def _table() -> _Table:
    table: _Table = {
        (S.STARTING, E.HELLO): (S.CONNECTED, ()),
        (S.CONNECTED, E.LOADING_): (S.LOADING, ()),
        (S.CONNECTED, E.READY_): (S.READY, ()),
        (S.LOADING, E.READY_): (S.READY, ()),
        # A plugin may load anew, for other weights.
        (S.READY, E.LOADING_): (S.LOADING, (A.REFUSE,)),
        (S.READY, E.SILENT): (S.SUSPECT, (A.GRACE,)),
        (S.READY, E.OVERDUE): (S.SUSPECT, (A.GRACE,)),
        (S.SUSPECT, E.RECOVERED): (S.READY, (A.CALM,)),
        (S.DEAD, E.AGAIN): (S.BACKOFF, (A.RELEASE, A.WAIT)),
        (S.DEAD, E.TOO_OFTEN): (S.QUARANTINED, (A.RELEASE,)),
        (S.DEAD, E.FINAL): (S.INCOMPATIBLE, (A.RELEASE,)),
        (S.DEAD, E.BROKEN): (S.ENV_BROKEN, (A.RELEASE, A.WATCH)),
        (S.DEAD, E.STOP): (S.STOPPED, (A.RELEASE,)),
        (S.STOPPED, E.START): (S.STARTING, (A.SPAWN,)),
        (S.STOPPED, E.BROKEN): (S.ENV_BROKEN, (A.WATCH,)),
        (S.STOPPED, E.MISMATCH): (S.INCOMPATIBLE, ()),
    }
    for state in RUNNING:
        # Whatever it says after this is of a process that will be gone.
        table[state, E.CONDEMNED] = (S.DEAD, (A.REFUSE, A.KILL))
        table[state, E.LEAVING] = (S.DEAD, (A.REFUSE, A.SHUT_DOWN))
        table[state, E.BROKEN] = (S.DEAD, (A.REFUSE, A.SHUT_DOWN))
        table[state, E.MISMATCH] = (S.DEAD, (A.REFUSE, A.SHUT_DOWN))
        table[state, E.STOP] = (S.DEAD, (A.REFUSE, A.SHUT_DOWN))
        table[state, E.EXITED] = (S.DEAD, (A.REFUSE,))
    for state in WAITING:
        table[state, E.START] = (S.STARTING, (A.SPAWN,))
        table[state, E.STOP] = (S.STOPPED, ())
        if state is not S.ENV_BROKEN:
            table[state, E.BROKEN] = (S.ENV_BROKEN, (A.WATCH,))
        if state is not S.INCOMPATIBLE:
            table[state, E.MISMATCH] = (S.INCOMPATIBLE, ())
    return table


TABLE: Final = _table()


def step(at: At, event: Event, now_mono_ns: int) -> Step:
    """What an event does to a plugin. `since_mono_ns` changes only with the state."""
    row = TABLE.get((at.state, event))
    if row is None:
        return Step(at, (), known=False)
    state, actions = row
    return Step(at if state is at.state else At(state, now_mono_ns), actions, known=True)
