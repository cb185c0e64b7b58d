"""The gate: opens on evidence, closes on harm, and can say why."""

from collections.abc import Callable

import numpy as np
import pytest

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig
from chronotick.forecast import Forecast
from chronotick.fusion import ForecastCurve, Gate, GateRules
from chronotick.fusion.evidence import Evidence

S = 10**9
RAW0_NS = 1_000 * S
LADDER = (64.0, 256.0, 1024.0, 4096.0)


def make_gate(tuning: Tuning | None = None, rules: GateRules | None = None) -> Gate:
    return Gate(LADDER, tuning or Tuning(), FusionConfig(), rules)


def feed(
    gate: Gate,
    floor: np.ndarray,
    mine: np.ndarray,
    *,
    rung: int = 0,
    spacing_s: float = 64.0,
    start_s: float = 0.0,
    noise_s: float = 0.0,
    v: float = 0.0,
    name: str = "m/test",
) -> list[bool]:
    """Score paired errors and return whether the candidate was open after each."""
    states = []
    for i, (a, b) in enumerate(zip(floor, mine, strict=True)):
        origin = RAW0_NS + round((start_s + i * spacing_s) * S)
        now = origin + round((LADDER[rung] + 600.0) * S)
        gate.score(rung, origin, float(a), {name: float(b)}, variance_s2=v, noise_s=noise_s, now_raw_ns=now)
        states.append(gate.is_open(name, rung))
    return states


@pytest.fixture
def curve(forecast: Callable[..., Forecast]) -> Callable[..., ForecastCurve]:
    def make(model: str = "m", points: int = 65, span_s: float = 1e6) -> ForecastCurve:
        return ForecastCurve(forecast(np.zeros(points), model=model, span_s=span_s))

    return make


def test_a_clearly_better_candidate_opens_within_a_few_independent_scores() -> None:
    """Half the floor's error opens it after less than twenty origins, and not before the sixth."""
    rng = np.random.default_rng(1)
    floor = 1e-5 * rng.standard_normal(40)
    states = feed(make_gate(), floor, 0.5 * floor)
    assert not any(states[:5])
    assert all(states[20:])


@pytest.mark.parametrize("seed", range(8))
def test_a_candidate_without_skill_does_little_harm(seed: int) -> None:
    """One that adds noise of its own is hardly ever open."""
    rng = np.random.default_rng(seed)
    floor = 1e-5 * rng.standard_normal(400)
    states = feed(make_gate(), floor, floor + 5e-6 * rng.standard_normal(400))
    assert np.mean(states) < 0.1


def test_equal_errors_never_open() -> None:
    """A candidate that says what the floor says has nothing to add."""
    floor = 1e-5 * np.random.default_rng(1).standard_normal(100)
    assert not any(feed(make_gate(), floor, floor))


def test_exact_zeros_are_no_division_by_zero() -> None:
    """A perfect floor on a perfect simulation is a floor with no competition."""
    assert not any(feed(make_gate(), np.zeros(50), np.zeros(50)))


def test_it_closes_when_the_gain_is_gone() -> None:
    """A candidate that turns bad closes; the evidence of its good days fades."""
    rng = np.random.default_rng(2)
    gate = make_gate()
    floor = 1e-5 * rng.standard_normal(100)
    assert feed(gate, floor, 0.5 * floor)[-1]
    later = 1e-5 * rng.standard_normal(100)
    states = feed(gate, later, 2.0 * later, start_s=6400.0)
    assert not states[60]


def test_overlapping_origins_are_not_many_witnesses() -> None:
    """Two hundred origins within a tenth of the horizon do not open what two hundred horizons would."""
    floor = np.full(200, 1e-5)
    assert not any(feed(make_gate(), floor, 0.5 * floor, rung=3, spacing_s=2.0))
    evidence = Evidence(1e9)
    for i in range(201):
        evidence.add(RAW0_NS + i * 10 * S, 1.0, 0.5, 1.0, (-1.0) ** i, 0.7 * (-1.0) ** i)
    assert evidence.spans(1000.0) == pytest.approx(3.0)
    assert evidence.spans(1.0) == pytest.approx(201.0)


def test_long_horizons_on_noisy_paths_ask_for_more_certainty() -> None:
    """From an hour on, where one fix is noisier than the floor's error, t above 2 is asked for instead of 1.5."""
    needed = {}
    for noise_s in (1e-9, 1e-2):
        gate = make_gate()
        floor = 1e-4 * np.random.default_rng(5).standard_normal(30)
        for rung in (0, 3):
            feed(gate, floor, floor, rung=rung, spacing_s=4096.0, noise_s=noise_s)
            needed[noise_s, rung] = gate.needed_t(rung, 30.0)
    assert needed[1e-9, 3] == needed[1e-2, 0] == needed[1e-9, 0]
    assert needed[1e-2, 3] > 1.1 * needed[1e-9, 3]


def test_few_independent_scores_ask_for_more_but_not_for_ever_more() -> None:
    """Student's factor rises without end towards one score; what is asked for stops at 3.5."""
    gate = make_gate()
    asked = [gate.needed_t(0, spans) for spans in (1.1, 1.5, 2.0, 4.0, 16.0)]
    assert asked[:3] == [3.5, 3.5, 3.5]
    assert 3.5 > asked[3] > asked[4] > 1.5


def test_a_steady_gain_is_proved_at_once_and_a_burst_is_not() -> None:
    """The floor's loss comes in bursts: who explains them needs few scores; one lucky burst proves nothing."""
    rng = np.random.default_rng(3)
    floor = 1e-5 * rng.standard_t(3, 12)
    assert feed(make_gate(), floor, 0.1 * floor)[-1]
    lucky = floor + 8e-6 * rng.standard_normal(12)
    lucky[4] = 0.0
    floor[4] = 1e-4
    assert not any(feed(make_gate(), floor, lucky))


@pytest.mark.parametrize("seed", range(6))
def test_noise_that_drowns_the_gain_opens_nothing(seed: int) -> None:
    """As good as the floor, with targets five times noisier than their difference: hardly ever open in 400 scores."""
    rng = np.random.default_rng(seed)
    noise, own = 5e-5 * rng.standard_normal(400), 1e-5 * rng.standard_normal((2, 400))
    states = feed(make_gate(), noise + own[0], noise + own[1], v=2.5e-9)
    assert np.mean(states) < 0.2


def test_a_noisy_target_counts_less() -> None:
    """Scores whose target is mostly noise carry little weight: they do not make the minimum."""
    floor = 1e-5 * np.random.default_rng(1).standard_normal(30)
    assert not any(feed(make_gate(), floor, 0.5 * floor, v=1e-8))


def test_weights_sum_to_one_and_favour_the_better(curve: Callable) -> None:
    """Loss ratios to the eighth power over the floor and the open candidates; the closed have none."""
    gate = make_gate()
    floor = 1e-5 * np.random.default_rng(1).standard_normal(60)
    for name, share in (("good/test", 0.6), ("better/test", 0.5), ("bad/test", 1.2)):
        feed(gate, floor, share * floor, name=name)
    weights = gate.weights(64.0, [curve("good"), curve("better"), curve("bad")], RAW0_NS)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["better/test"] > weights["good/test"] > weights["floor"] > 0
    assert "bad/test" not in weights


def test_two_that_are_far_better_than_the_floor_differ_by_their_own_losses(curve: Callable) -> None:
    """With a tenth and a twentieth of the floor's error both leave it, and the better has nearly all the weight."""
    floor = 1e-5 * np.random.default_rng(1).standard_normal(60)
    gate = make_gate()
    feed(gate, floor, 0.1 * floor, name="good/test")
    feed(gate, floor, 0.05 * floor, name="better/test")
    weights = gate.weights(64.0, [curve("good"), curve("better")], RAW0_NS)
    assert weights["floor"] < 0.01
    assert weights["better/test"] > 50 * weights["good/test"] > 0.0


def test_a_perfect_one_that_is_doubted_gives_way_to_the_next(curve: Callable) -> None:
    """With no error at all it has all the weight, and when its share falls to a twentieth the other has most of it."""
    floor = 1e-5 * np.random.default_rng(1).standard_normal(60)
    gate = make_gate()
    feed(gate, floor, 0.3 * floor, name="good/test")
    feed(gate, floor, 0.0 * floor, name="perfect/test")
    both = [curve("good"), curve("perfect")]
    assert gate.weights(64.0, both, RAW0_NS)["perfect/test"] > 0.99
    gate.trust.doubt("perfect/test", {0: 100.0})
    weights = gate.weights(64.0, both, RAW0_NS)
    assert weights["perfect/test"] < 0.06
    assert weights["good/test"] > 0.9


def test_between_two_rungs_weights_are_between_theirs(curve: Callable) -> None:
    """Open at 64 s and closed at 256 s, the weight falls from one to the other, and holds below the first."""
    gate = make_gate()
    floor = 1e-5 * np.random.default_rng(1).standard_normal(60)
    feed(gate, floor, 0.7 * floor)
    shares = [gate.weights(h, [curve()], RAW0_NS).get("m/test", 0.0) for h in (1.0, 64.0, 100.0, 200.0, 256.0, 1000.0)]
    assert shares[0] == shares[1] > shares[2] > shares[3] > shares[4] == shares[5] == 0.0


def test_a_candidate_speaks_only_as_far_as_it_reaches(curve: Callable) -> None:
    """A curve stands at a rung that it covers for three quarters, not beyond; nor one made after the origin."""
    gate = make_gate()
    short = curve(points=5)
    assert [gate.stands(short, rung, RAW0_NS) for rung in range(4)] == [True, True, False, False]
    assert not gate.stands(short, 0, RAW0_NS - 1)


def test_hold_over_is_judged_on_long_contexts_only(curve: Callable) -> None:
    """Beyond five hours a forecast must have seen thirty hours."""
    gate = Gate((3600.0, 21_600.0), Tuning(), FusionConfig())
    points = 400
    assert gate.stands(curve(points=points, span_s=20 * 3600.0), 0, RAW0_NS)
    assert not gate.stands(curve(points=points, span_s=20 * 3600.0), 1, RAW0_NS)
    assert gate.stands(curve(points=points, span_s=31 * 3600.0), 1, RAW0_NS)


@pytest.fixture
def opened() -> Gate:
    """A gate with one candidate open at the first two rungs."""
    gate = make_gate()
    floor = 1e-5 * np.random.default_rng(1).standard_normal(60)
    for rung in (0, 1):
        assert feed(gate, floor, 0.5 * floor, rung=rung, spacing_s=LADDER[rung])[-1]
    return gate


def test_bad_answers_halve_the_weight_and_the_third_closes(opened: Gate, curve: Callable) -> None:
    """Each costs at once; a good answer in between ends the row."""
    now = RAW0_NS + 100_000 * S
    weights = []
    for _ in range(3):
        weights.append(opened.weights(64.0, [curve()], RAW0_NS)["m/test"])
        opened.penalise("m/test", now)
    assert weights[0] > 0.99
    assert weights[1] == pytest.approx(weights[0] / 2)
    assert weights[2] == pytest.approx(weights[0] / 4)
    assert opened.weights(64.0, [curve()], RAW0_NS) == {"floor": 1.0}


def test_each_fix_that_speaks_against_a_candidate_quietens_it_at_once(opened: Gate, curve: Callable) -> None:
    """A nat more leaves e times less of its share at that rung; fixes that speak for it give all of it back."""

    def weight(rung: int) -> float:
        return opened.weights(LADDER[rung], [curve()], RAW0_NS)["m/test"]

    whole, far = weight(0), weight(1)
    for nats in (1.0, 2.0):
        opened.watch(0, "m/test", 1.0 + GateRules().watch_slack, RAW0_NS)
        assert weight(0) == pytest.approx(whole * np.exp(-nats))
    assert weight(1) == far
    for _ in range(2):
        opened.watch(0, "m/test", -2.0, RAW0_NS)
    assert weight(0) == pytest.approx(whole)


def test_an_unusual_revision_is_heard_less_until_fixes_have_come(opened: Gate, curve: Callable) -> None:
    """At once, by its nats less what is forgiven, never by more than would shut it; then back, a quarter nat a fix."""
    rules = GateRules()
    whole = opened.weights(64.0, [curve()], RAW0_NS)["m/test"]
    opened.trust.doubt("m/test", {0: rules.doubt_slack})
    assert opened.weights(64.0, [curve()], RAW0_NS)["m/test"] == whole
    opened.trust.doubt("m/test", {0: 100.0})
    weights = []
    for _ in range(round(rules.watch_limit / rules.watch_slack) + 1):
        weights.append(opened.weights(64.0, [curve()], RAW0_NS)["m/test"])
        opened.trust.calm()
    assert weights[0] == pytest.approx(whole * np.exp(-rules.watch_limit))
    assert weights == sorted(weights)
    assert weights[-1] == whole
    assert opened.is_open("m/test", 0)


def test_the_explanation_says_what_is_left_of_a_say(opened: Gate, curve: Callable) -> None:
    """After a bad answer half of it is; before, nothing is said."""

    def reason() -> str:
        return next(one.reason for one in opened.explain([curve()], RAW0_NS) if one.weight > 0)

    assert "of its say" not in reason()
    opened.penalise("m/test", RAW0_NS)
    assert reason().endswith("Its last answer or the latest fixes leave 50% of its say.")


def test_a_good_answer_ends_a_row_of_bad_ones(opened: Gate, curve: Callable) -> None:
    """Two, a good one, and two more do not close."""
    for _ in range(2):
        opened.penalise("m/test", RAW0_NS)
        opened.penalise("m/test", RAW0_NS)
        opened.admit(curve())
    assert opened.is_open("m/test", 0)


def test_fixes_that_speak_against_a_candidate_close_it_within_three(opened: Gate) -> None:
    """Three nats a fix, and it is shut at all rungs after the second."""
    opened.watch(0, "m/test", 100.0, RAW0_NS)
    assert opened.is_open("m/test", 0)
    opened.watch(0, "m/test", 100.0, RAW0_NS)
    assert not any(opened.is_open("m/test", rung) for rung in range(4))


def test_what_overlapping_forecasts_say_again_quietens_and_does_not_shut(opened: Gate, curve: Callable) -> None:
    """An eighth of each is news: seven fixes leave a twentieth of its say, and it is open; fifteen shut it."""
    whole = opened.weights(LADDER[0], [curve()], RAW0_NS)["m/test"]
    for _ in range(7):
        opened.watch(0, "m/test", 100.0, RAW0_NS, 1 / 8)
    left = opened.weights(LADDER[0], [curve()], RAW0_NS)["m/test"] / whole
    assert left == pytest.approx(np.exp(-GateRules().watch_limit))
    assert opened.is_open("m/test", 0)
    for _ in range(8):
        opened.watch(0, "m/test", 100.0, RAW0_NS, 1 / 8)
    assert not opened.is_open("m/test", 0)


def test_a_candidate_as_good_as_the_floor_is_not_shut_by_chance(opened: Gate) -> None:
    """A thousand fixes that speak a little for and against it leave it open."""
    for nats in 0.5 * np.random.default_rng(1).standard_normal(1000):
        opened.watch(0, "m/test", float(nats), RAW0_NS)
    assert opened.is_open("m/test", 0)


def test_where_it_was_never_open_a_fix_says_nothing_new(opened: Gate) -> None:
    """Bad at a rung where it has no say, it keeps what it earned at another."""
    for _ in range(10):
        opened.watch(3, "m/test", 3.0, RAW0_NS)
    assert opened.is_open("m/test", 0)


def test_who_was_shut_stays_so_until_its_latest_forecasts_are_scored(opened: Gate) -> None:
    """However good the old evidence: nothing opens before a horizon and the lag have passed."""
    start_s = 60 * 64.0
    last_raw = RAW0_NS + round((start_s + 664.0) * S)
    for _ in range(3):
        opened.penalise("m/test", last_raw)
    floor = 1e-5 * np.random.default_rng(9).standard_normal(30)
    states = feed(opened, floor, 0.5 * floor, start_s=start_s)
    assert not any(states[:10])
    assert states[-1]


def test_a_rule_s_curve_takes_the_floor_s_place_without_evidence(own_line: Callable) -> None:
    """Its weight is the floor's from the first moment, and the explanation says that a rule stands behind it."""
    gate = make_gate()
    rule = own_line(1e-6, trusted=True)
    gate.admit(rule)
    assert gate.weights(300.0, [rule], RAW0_NS) == {"floor": 0.0, rule.name: 1.0}
    reasons = [one.reason for one in gate.explain([rule], RAW0_NS)]
    assert len(reasons) == len(LADDER)
    assert all("rule has decided" in one for one in reasons)
    assert gate.explain([], RAW0_NS) == ()


def test_others_compete_with_a_rule_s_curve_by_its_own_record(own_line: Callable, curve: Callable) -> None:
    """A candidate that beats the floor, but not the rule, has little to say beside it."""
    gate = make_gate()
    rule = own_line(1e-6, trusted=True)
    gate.admit(rule)
    floor = 1e-5 * np.random.default_rng(1).standard_normal(60)
    feed(gate, floor, 0.3 * floor, name=rule.name)
    feed(gate, floor, 0.7 * floor)
    weights = gate.weights(64.0, [rule, curve()], RAW0_NS)
    assert weights["floor"] == 0.0
    assert weights[rule.name] > 0.99
    feed(gate, floor, 0.03 * floor, name="best/test")
    assert gate.weights(64.0, [rule, curve("best")], RAW0_NS)["best/test"] > 0.4


def test_a_rule_that_the_floor_has_proved_wrong_loses_its_place(own_line: Callable) -> None:
    """Where the record shows the floor better, with as much certainty as opening asks for, the floor speaks."""
    gate = make_gate()
    rule = own_line(1e-6, trusted=True)
    gate.admit(rule)
    floor = 1e-5 * np.random.default_rng(1).standard_normal(60)
    feed(gate, floor, floor + 1.5e-5 * np.random.default_rng(2).standard_normal(60), name=rule.name)
    assert gate.weights(64.0, [rule], RAW0_NS) == {"floor": 1.0}
    assert gate.weights(256.0, [rule], RAW0_NS)[rule.name] == 1.0
    assert "the floor's loss is smaller" in gate.explain([rule], RAW0_NS)[0].reason


def test_fixes_and_bad_answers_shut_a_rule_too(own_line: Callable) -> None:
    """It is trusted, not believed against what is seen: strikes and the watch cost it its place."""
    rule = own_line(1e-6, trusted=True)
    for way in ("strikes", "fixes"):
        gate = make_gate()
        gate.admit(rule)
        for _ in range(3 if way == "strikes" else 12):
            if way == "strikes":
                gate.penalise(rule.name, RAW0_NS)
            else:
                gate.watch(0, rule.name, 100.0, RAW0_NS)
        assert gate.weights(64.0, [rule], RAW0_NS) == {"floor": 1.0}


def test_fixes_shut_a_rule_only_where_they_speak(own_line: Callable) -> None:
    """While somebody slews the clock the floor is right a minute ahead and wrong an hour ahead."""
    gate, rule = make_gate(), own_line(1e-6, trusted=True)
    gate.admit(rule)
    for _ in range(12):
        gate.watch(0, rule.name, 100.0, RAW0_NS)
    assert gate.weights(LADDER[0], [rule], RAW0_NS) == {"floor": 1.0}
    assert gate.weights(LADDER[-1], [rule], RAW0_NS)[rule.name] == 1.0


def test_a_rule_is_not_measured_by_the_line_that_it_refutes(own_line: Callable, state: Callable) -> None:
    """A thousand of the floor's sigma away a model is absurd, and a rule's curve is not."""
    far = 1000.0 * state().sigma_s(RAW0_NS + int(LADDER[-1] * 1e9))
    assert make_gate().absurd(own_line(far), state())
    assert not make_gate().absurd(own_line(far, trusted=True), state())


def test_memory_is_bounded(opened: Gate) -> None:
    """A hundred candidates' names do not all stay."""
    for i in range(100):
        feed(opened, np.ones(1), np.ones(1), name=f"m{i}/test")
    assert len({one.candidate for one in opened.explain([], RAW0_NS)}) <= 64


def test_every_verdict_has_its_reason(opened: Gate, curve: Callable) -> None:
    """Open, closed for lack of scores, of gain, of certainty, or shut: one sentence each."""
    floor = 1e-5 * np.random.default_rng(1).standard_normal(60)
    feed(opened, floor, floor * 1.1, rung=2)

    def reason(rung: int) -> str:
        (one,) = [e for e in opened.explain([curve()], RAW0_NS) if e.horizon_s == LADDER[rung]]
        return one.reason

    assert "of the weight" in reason(0)
    assert "is asked for" in reason(2)
    assert "Too few forecasts" in reason(3)
    for _ in range(3):
        opened.penalise("m/test", RAW0_NS)
    assert "shut" in reason(0)
