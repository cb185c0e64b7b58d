"""How long to wait after a death, and when to stop trying."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.plugins.backoff import BackoffPolicy, Judgement, Record, Verdict, describe_exit, judge
from chronotick.units import NS_PER_S

POLICY = BackoffPolicy()
PATIENT = BackoffPolicy(deaths=1000)


def die(
    record: Record, now_s: float, *, ready_s: float = 0, code: int | None = 70, policy: BackoffPolicy = POLICY
) -> Judgement:
    return judge(
        policy,
        record,
        now_mono_ns=int(now_s * NS_PER_S),
        ready_ns=int(ready_s * NS_PER_S),
        exit_code=code,
        rng=random.Random(7),
    )


def test_five_deaths_within_ten_minutes_end_in_quarantine() -> None:
    record, verdicts = Record(), []
    for now_s in (0, 100, 200, 300, 599):
        judged = die(record, now_s)
        record = judged.record
        verdicts.append(judged.verdict)
    assert verdicts == [Verdict.RESTART] * 4 + [Verdict.QUARANTINE]


def test_a_death_older_than_the_window_does_not_count() -> None:
    record = Record()
    for now_s in (0, 100, 200, 300):
        record = die(record, now_s).record
    assert die(record, 601).verdict is Verdict.RESTART


def test_a_plugin_that_dies_again_and_again_shortly_after_being_stable_still_ends_in_quarantine() -> None:
    record = Record()
    for now_s in (0, 30, 60, 90):
        record = die(record, now_s, ready_s=15).record
    assert die(record, 120, ready_s=15).verdict is Verdict.QUARANTINE


def test_the_wait_doubles_up_to_its_longest_and_never_falls_below_its_shortest() -> None:
    record, waits = Record(), []
    for now_s in range(10):
        judged = die(record, now_s, policy=PATIENT)
        record = judged.record
        waits.append(judged.wait_ns / NS_PER_S)
    for k, wait in enumerate(waits):
        longest = min(60.0, 2.0**k)
        assert max(1.0, longest / 2) <= wait <= longest
    assert waits[-1] >= 30


def test_a_stable_stretch_starts_the_wait_from_its_shortest() -> None:
    record = Record()
    for now_s in range(8):
        record = die(record, now_s, policy=PATIENT).record
    assert die(record, 100, ready_s=10, policy=PATIENT).wait_ns == NS_PER_S
    assert die(record, 100, ready_s=9.9, policy=PATIENT).wait_ns > 20 * NS_PER_S


def test_exit_code_78_means_no_restart_and_leaves_the_record_alone() -> None:
    judged = die(Record((1, 2, 3), 3), 10, code=78)
    assert judged == Judgement(Verdict.GIVE_UP, 0, Record((1, 2, 3), 3))


@pytest.mark.parametrize("code", [0, 1, 69, 70, 75, -9, -11, None])
def test_every_other_exit_is_followed_by_a_restart(code: int | None) -> None:
    assert die(Record(), 10, code=code).verdict is Verdict.RESTART


@given(st.integers(min_value=0), st.floats(0, 1e6), st.integers(0, 10**6))
def test_the_same_seed_gives_the_same_wait_and_another_seed_another(seed: int, now_s: float, row: int) -> None:
    def wait(seed: int) -> int:
        return judge(
            PATIENT, Record((), row), now_mono_ns=int(now_s * 1e9), ready_ns=0, exit_code=1, rng=random.Random(seed)
        ).wait_ns

    assert wait(seed) == wait(seed)
    assert NS_PER_S <= wait(seed) <= 60 * NS_PER_S


def test_waits_of_two_plugins_differ() -> None:
    waits = {
        judge(PATIENT, Record((), 9), now_mono_ns=0, ready_ns=0, exit_code=1, rng=random.Random(seed)).wait_ns
        for seed in range(9)
    }
    assert len(waits) == 9


def test_exit_codes_have_words() -> None:
    assert describe_exit(-9) == "was killed by signal 9"
    assert describe_exit(75) == "lost its lifeline (exit code 75)"
    assert describe_exit(3) == "died (exit code 3)"
