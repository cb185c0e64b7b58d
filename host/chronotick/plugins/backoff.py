"""When may a plugin that died be started again, if at all? Pure: deaths and instants in, a verdict out."""

import random
from enum import StrEnum
from typing import Final

from msgspec import Struct

from chronotick.units import NS_PER_S, s_to_ns
from chronotick.wire import launch


class Verdict(StrEnum):
    """What follows a death."""

    RESTART = "restart"
    QUARANTINE = "quarantine"
    GIVE_UP = "give_up"


class BackoffPolicy(Struct, frozen=True):
    """How patient the host is.

    Attributes:
        first_s, most_s: shortest and longest wait, s; the wait doubles with each death in a row.
        jitter: the wait is drawn from `(1 - jitter, 1]` times its length, so that plugins do not start together.
        deaths: this many deaths ...
        window_s: ... within this time put the plugin in quarantine, s.
        stable_s: after this long READY the wait starts from `first_s` again, s.
    """

    first_s: float = 1.0
    most_s: float = 60.0
    jitter: float = 0.5
    deaths: int = 5
    window_s: float = 600.0
    stable_s: float = 10.0


class Record(Struct, frozen=True):
    """What is remembered of a plugin's deaths: their instants within the window, and how many came in a row."""

    deaths_mono_ns: tuple[int, ...] = ()
    in_a_row: int = 0


class Judgement(Struct, frozen=True):
    """The verdict on a death, the wait before the next start (0 unless RESTART), and the record with it."""

    verdict: Verdict
    wait_ns: int
    record: Record


def judge(
    policy: BackoffPolicy, record: Record, *, now_mono_ns: int, ready_ns: int, exit_code: int | None, rng: random.Random
) -> Judgement:
    """What follows the death of a plugin.

    Args:
        ready_ns: how long it had been READY, ns; 0 if never.
        exit_code: None for a process that is not ours, negative for a signal.
        rng: seeded by the caller.
    """
    if exit_code == launch.EXIT_DO_NOT_RESTART:
        return Judgement(Verdict.GIVE_UP, 0, record)
    window_ns = s_to_ns(policy.window_s)
    recent = (*(t for t in record.deaths_mono_ns if now_mono_ns - t < window_ns), now_mono_ns)
    in_a_row = 1 if ready_ns >= s_to_ns(policy.stable_s) else record.in_a_row + 1
    after = Record(recent, in_a_row)
    if len(recent) >= policy.deaths:
        return Judgement(Verdict.QUARANTINE, 0, after)
    longest = min(policy.most_s, policy.first_s * 2.0 ** min(in_a_row - 1, 32))
    # Never below first_s: jitter must not turn the first wait into a busy loop.
    wait_s = max(policy.first_s, longest * (1.0 - policy.jitter * rng.random()))
    return Judgement(Verdict.RESTART, s_to_ns(wait_s), after)


def describe_exit(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "went away"
    if code < 0:
        return f"was killed by signal {-code}"
    return f"{_WORDS.get(code, 'died')} (exit code {code})"


_WORDS: Final = {
    launch.EXIT_CLEAN: "stopped by itself",
    launch.EXIT_HOST_UNREACHABLE: "could not reach the host",
    launch.EXIT_INTERNAL: "had an internal error",
    launch.EXIT_LIFELINE_LOST: "lost its lifeline",
    launch.EXIT_DO_NOT_RESTART: "asked not to be restarted",
}


def seconds(wait_ns: int) -> str:
    """A wait in words."""
    return f"{wait_ns / NS_PER_S:.1f} s"
