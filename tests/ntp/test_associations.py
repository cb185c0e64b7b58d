"""All servers together: votes over synthetic exchanges with known truth, and the fixes that come of them."""

import random
from typing import Any

import msgspec
import pytest

from chronotick.config.schema import NtpConfig
from chronotick.errors import ConfigError
from chronotick.ntp.associations import PATIENCE, Associations, Step
from chronotick.ntp.fix import Fix
from chronotick.ntp.outcome import Outcome, Refusal
from chronotick.ntp.select import Standing, Verdict

S = 10**9
MS = 10**6
THETA0 = 1_800_000_000 * S


def associations(*names: str, **changes: Any) -> Associations:
    return Associations.of(NtpConfig(servers=names, **changes))


def steps(table: Associations, outcomes: list[Outcome]) -> list[Step]:
    made = []
    for outcome in outcomes:
        made.append(table.step(outcome, outcome.raw_ns))
        table = made[-1].associations
    return made


def test_the_first_to_answer_does_not_decide(outcome: Any) -> None:
    """Of three servers the first gets no fix, although it is all there is to see; the second makes a majority."""
    made = steps(associations("a", "b", "c"), [outcome(n, S + i, THETA0) for i, n in enumerate("abc")])
    assert [step.selection.verdict for step in made] == [Verdict.WAITING, Verdict.AGREED, Verdict.AGREED]
    assert [step.fix is not None for step in made] == [False, True, True]
    assert made[0].selection.standings == (
        ("a (192.0.2.98)", Standing.UNDECIDED),
        ("b", Standing.UNHEARD),
        ("c", Standing.UNHEARD),
    )


def test_one_lost_packet_each_does_not_leave_the_vote_to_liars(outcome: Any) -> None:
    """Three honest servers that lose their first exchange are still waited for; two colluding ones agree on nothing."""
    lost = [outcome(name, S, None) for name in ("c", "d", "e")]
    lies = [outcome(name, S, THETA0 + 3600 * S) for name in ("a", "b")]
    assert all(step.fix is None for step in steps(associations("a", "b", "c", "d", "e"), [*lost, *lies, *lies]))


def test_a_lone_survivor_of_silence_is_believed(outcome: Any) -> None:
    """Once the others have had their chance, one server may be enough, unless more must agree."""
    silence = [outcome(name, S, None) for name in ("b", "c") for _ in range(PATIENCE)]
    story = [outcome("a", S, THETA0), *silence, outcome("a", 2 * S, THETA0)]
    assert steps(associations("a", "b", "c"), story)[-1].fix is not None
    strict = steps(associations("a", "b", "c", min_agreeing=2), story)[-1]
    assert (strict.fix, strict.selection.verdict) == (None, Verdict.TOO_FEW_AGREE)


def test_a_fix_that_is_outside_of_what_all_agree_on_is_moved_to_its_edge(outcome: Any) -> None:
    """Two servers 0.3 ms apart with claims of 0.15 ms and a little agree on a sliver: so much was the paths'."""
    made = steps(associations("a", "b"), [outcome("a", S, THETA0), outcome("b", S + 8, THETA0 + 300_000)])
    fix = made[-1].fix
    assert isinstance(fix, Fix)
    assert fix.earliest_theta_ns < fix.latest_theta_ns < THETA0 + 160_000
    assert fix.theta_ns == fix.latest_theta_ns


def test_a_fix_is_its_exchange(outcome: Any) -> None:
    """Offset, delay and time are the exchange's own; survivors and bound are the vote's."""
    made = steps(associations("a", "b"), [outcome("a", S, THETA0), outcome("b", S + 8, THETA0 + 30_000)])
    fix = made[-1].fix
    assert isinstance(fix, Fix)
    assert (fix.raw_ns, fix.theta_ns, fix.delay_s) == (S + 8, THETA0 + 30_000, 1e-4)
    assert fix.server == "b (192.0.2.99)"
    assert fix.survivors == ("a (192.0.2.98)", "b (192.0.2.99)")
    assert fix.root_distance_s == pytest.approx(50e-6 + 100e-6 + 1e-6 + 5e-9)
    # The two claims overlap in [b - its radius, a + its radius].
    assert fix.earliest_theta_ns == pytest.approx(THETA0 + 30_000 - 151_006, abs=3)
    assert fix.latest_theta_ns == pytest.approx(THETA0 + 151_006, abs=3)


@pytest.mark.parametrize(("honest", "liars"), [("ab", "z"), ("abc", "yz")], ids=["1 of 3", "2 of 5"])
def test_liars_make_no_fixes(outcome: Any, honest: str, liars: str) -> None:
    """Colluding servers that are 5 s off in a minority are named, and only the honest ones' exchanges go on."""
    story = []
    for round_ in range(20):
        for i, name in enumerate(honest + liars):
            lie = 5 * S if name in liars else 0
            story.append(outcome(name, (1 + 2 * round_) * S + i * MS, THETA0 + lie + i * 1000))
    made = steps(associations(*(honest + liars)), story)
    fixed = {step.fix.server[0] for step in made if step.fix}
    assert fixed == set(honest)
    assert {name[0] for name in made[-1].selection.falsetickers} == set(liars)
    assert all(step.fix.earliest_theta_ns <= THETA0 <= step.fix.latest_theta_ns for step in made if step.fix)


@pytest.mark.parametrize("seed", range(5))
def test_truth_is_in_every_bound_on_a_drifting_clock(outcome: Any, seed: int) -> None:
    """Staggered polls, a raw clock that is 40 ppm off, one-sided queueing, one liar of five: no bound misses truth."""
    rng = random.Random(seed)

    def truth(raw_ns: int) -> int:
        return THETA0 + raw_ns * 40 // 1_000_000

    story = []
    for name in "abcde":
        at = rng.randrange(0, 64) * S
        while at < 6000 * S:
            out, back = (round((1 + rng.expovariate(1.0)) * MS) for _ in range(2))
            lie = 60 * MS if name == "e" else 0
            story.append(outcome(name, at, truth(at) + (out - back) // 2 + lie, delay_ns=out + back))
            at += round(rng.uniform(60, 70) * S)
    story.sort(key=lambda o: o.raw_ns)
    made = steps(associations(*"abcde"), story)
    fixes = [step.fix for step in made if step.fix]
    assert len(fixes) > 0.5 * len(story)
    for fix in fixes:
        assert fix.server[0] != "e"
        assert fix.earliest_theta_ns <= truth(fix.raw_ns) <= fix.latest_theta_ns
        assert fix.earliest_theta_ns <= fix.theta_ns <= fix.latest_theta_ns
        assert fix.hard_width_s < 0.02


def test_two_names_of_one_machine_have_one_vote(outcome: Any) -> None:
    """A liar behind two names does not outvote two honest servers."""
    story = [
        outcome("x", S, THETA0 + 5 * S, address="192.0.2.200"),
        outcome("y", S, THETA0 + 5 * S, address="192.0.2.200"),
        outcome("a", S, THETA0),
        outcome("b", S, THETA0),
    ]
    last = steps(associations("x", "y", "a", "b"), story)[-1]
    assert last.selection.survivors == ("a (192.0.2.98)", "b (192.0.2.99)")
    assert last.selection.named(Standing.SAME_ADDRESS) == ("y (192.0.2.200)",)
    assert last.selection.candidates == 3


def test_who_has_no_vote_and_why(outcome: Any) -> None:
    """Denied, unreachable, too distant and unheard servers are named as such and do not count."""
    denied = msgspec.structs.replace(outcome("d", S, None), reason=Refusal.KISS_DENY)
    story = [
        outcome("d", S, THETA0),
        denied,
        outcome("t", S, THETA0),
        *[outcome("u", S, None) for _ in range(PATIENCE)],
        *[outcome("a", 30_000 * S + i, THETA0) for i in range(2)],
    ]
    last = steps(associations("a", "d", "t", "u", "n"), story)[-1]
    standings = {name[0]: standing for name, standing in last.selection.standings}
    assert standings == {
        "a": Standing.SURVIVOR if last.fix else Standing.UNDECIDED,
        "d": Standing.DENIED,
        "t": Standing.TOO_DISTANT,
        "u": Standing.UNREACHABLE,
        "n": Standing.UNHEARD,
    }
    # One vote and one server still to be heard: that is not a majority yet.
    assert last.selection.verdict is Verdict.WAITING


def test_a_lost_server_loses_its_vote(outcome: Any) -> None:
    """Eight losses in a row end the vote; the other server then stands alone."""
    story = [outcome("a", S, THETA0), outcome("b", S, THETA0)]
    story += [outcome("b", (2 + i) * S, None) for i in range(8)]
    made = steps(associations("a", "b"), story)
    assert made[-2].selection.candidates == 2
    assert made[-1].selection.candidates == 1
    assert made[-1].selection.named(Standing.UNREACHABLE) == ("b (192.0.2.99)",)


def test_a_discontinuity_starts_the_vote_anew(outcome: Any) -> None:
    """After a restart no old sample votes, and the first server to answer waits for a second one."""
    names = "abc"
    table = steps(associations(*names), [outcome(n, S, THETA0) for n in names])[-1].associations.restarted()
    assert table.select(2 * S).verdict is Verdict.WAITING
    made = steps(table, [outcome(n, 3 * S, THETA0 + 3600 * S) for n in names])
    assert [step.fix is not None for step in made] == [False, True, True]


def test_a_stranger_changes_nothing(outcome: Any) -> None:
    """An outcome of a server that is not configured is no reason to believe anything."""
    table = associations("a")
    step = table.step(outcome("b", S, THETA0), S)
    assert step.associations == table
    assert step.fix is None


def test_a_run_can_be_replayed_from_its_log(outcome: Any) -> None:
    """Outcomes that went through JSON and MessagePack give the same steps, bit for bit."""
    rng = random.Random(1)
    story = [
        outcome(
            rng.choice("abc"),
            S * (i + 1),
            None if rng.random() < 0.2 else THETA0 + rng.randrange(-50_000, 50_000),
            delay_ns=rng.randrange(10**5, 10**6),
        )
        for i in range(60)
    ]
    once = steps(associations(*"abc"), story)
    for codec in (msgspec.json, msgspec.msgpack):
        decoded = codec.decode(codec.encode(story), type=list[Outcome])
        assert decoded == story
        assert steps(associations(*"abc"), decoded) == once


def test_a_wrong_address_is_an_error_at_once() -> None:
    """A server that can not be read is refused before anything runs."""
    with pytest.raises(ConfigError, match="needs brackets"):
        associations("::1")


def test_who_lied_a_moment_ago_does_not_vote_beside_who_lies_now(outcome: Any) -> None:
    """a and b lie alike, are outvoted, and turn honest; c and d lie with them before they are asked again.

    Of the newest samples four of five are then false and agree, although never more than two lied: no time, until a
    and b have answered anew.
    """
    lie = 3 * S

    def told(names: str, at_s: int, liars: str) -> list[Outcome]:
        return [outcome(n, at_s * S + i, THETA0 + (lie if n in liars else 0)) for i, n in enumerate(names)]

    made = steps(
        associations(*"abcde"),
        [*told("cdeab", 1, "ab"), *told("cd", 60, "cd"), *told("ab", 70, "cd"), *told("e", 80, "cd")],
    )
    verdicts = [step.selection.verdict for step in made]
    assert verdicts[2:5] == [Verdict.AGREED] * 3
    assert verdicts[5:8] == [Verdict.NO_MAJORITY] * 3
    assert verdicts[8:] == [Verdict.AGREED] * 2
    assert all(step.fix.earliest_theta_ns <= THETA0 <= step.fix.latest_theta_ns for step in made if step.fix)


def test_a_step_that_all_servers_see_is_agreed_on_after_one_round(outcome: Any) -> None:
    """An undeclared step of the raw clock: who sees it first is outvoted once, and all agree when all were asked."""
    before = [outcome(n, S + i, THETA0) for i, n in enumerate("abcde")]
    after = [outcome(n, (60 + t) * S + i, THETA0 + S) for t in (0, 60) for i, n in enumerate("abcde")]
    made = steps(associations(*"abcde"), [*before, *after])
    assert made[9].selection.verdict is Verdict.AGREED
    assert all(step.fix is not None for step in made[10:])
    assert all(step.fix.earliest_theta_ns <= THETA0 + S <= step.fix.latest_theta_ns for step in made[10:] if step.fix)
