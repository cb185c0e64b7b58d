"""End to end on simulated clocks sixty times faster than real ones: the real floor, windows, gate and targets."""

from collections.abc import Callable

import numpy as np
import pytest

from chronotick.config.schema import FusionConfig

# The served distance (half a fix) and three horizons of the role, s.
SERVED_S, SHORT_S, MIDDLE_S, LONG_S = 0.1, 1.0, 4.0, 16.0


@pytest.mark.parametrize("model", ["autoregression", "trend"])
@pytest.mark.parametrize("seed", [11, 12])
def test_on_random_walks_models_do_no_harm(
    model: str, seed: int, simulate: Callable, oscillator: Callable, models: dict
) -> None:
    """Patterns seen in a walk are not there: the fused error is within 2 % of the floor's at every horizon."""
    run = simulate(oscillator("walk", seed), models[model], seed=seed)
    assert run.fusion.counts.made > 70
    for h_s in (SERVED_S, SHORT_S, MIDDLE_S, LONG_S):
        assert run.ratio(h_s) <= 1.02


@pytest.mark.parametrize("kind", ["sine", "cycle"])
def test_a_model_that_knows_the_cycle_opens_within_a_minute_and_improves(
    kind: str, simulate: Callable, oscillator: Callable, models: dict
) -> None:
    """Half the floor's error at a few seconds, less further out, and none lost at the served distance."""
    run = simulate(oscillator(kind, 1), models["oracle"])
    opened = {horizon_s: t for (_, horizon_s), t in run.opened.items()}
    assert all(opened[horizon_s] < 60.0 for horizon_s in (1.0, 2.5, 5.0, 10.0))
    assert run.ratio(SERVED_S) <= 1.0
    assert run.ratio(SHORT_S) < 0.9
    assert run.ratio(MIDDLE_S) < 0.7
    assert run.ratio(LONG_S) < 0.5
    assert run.fusion.counts.used > 20


def test_a_model_that_only_sees_its_window_helps_on_a_cycle(
    simulate: Callable, oscillator: Callable, models: dict
) -> None:
    """Without any knowledge of the truth least squares on lagged values gains over the floor, and never loses."""
    run = simulate(oscillator("sine", 2), models["autoregression"], seed=2, length_s=110.0)
    assert run.ratio(MIDDLE_S) < 0.97
    for h_s in (SERVED_S, SHORT_S, LONG_S):
        assert run.ratio(h_s) <= 1.0


def test_what_a_model_says_never_comes_back_to_it(simulate: Callable, oscillator: Callable, models: dict) -> None:
    """Two models that disagree are shown the same windows, bit for bit, although one has all the weight."""
    clock = oscillator("sine", 1)
    runs = [simulate(clock, models[name], length_s=60.0) for name in ("oracle", "trend")]
    assert runs[0].opened
    shown = [[window.rate.tobytes() for window in run.windows] for run in runs]
    assert shown[0] == shown[1]
    assert len(shown[0]) > 30


def test_the_95_percent_interval_holds_the_truth(simulate: Callable, oscillator: Callable, models: dict) -> None:
    """With a model at work and with the floor alone, at the served distance and ahead of it."""
    for model, kind in (("oracle", "sine"), ("trend", "cycle")):
        run = simulate(oscillator(kind, 3), models[model], seed=3)
        # At 4 s ahead these 45 s hold eleven independent answers: what can be asked of them is little.
        for h_s, least in ((SERVED_S, 0.85), (SHORT_S, 0.85), (MIDDLE_S, 0.8), (LONG_S, 0.8)):
            inside = [abs(one.fused_error_s) <= one.half_width_s for one in run.samples if one.h_s == h_s]
            assert np.mean(inside) > least, (model, h_s)


TURNS_S = 45.0


def turned(how: str, model: Callable) -> Callable:
    """A good model that goes bad at `TURNS_S`."""

    def answer(request, oscillator, t_s):  # type: ignore[no-untyped-def]
        good = model(request, oscillator, t_s)
        if t_s < TURNS_S:
            return good
        match how:
            case "nan":
                return good * np.nan
            case "1e9":
                return good * 0 + 1e9
            case "900 sigma":
                return good * 0 + 900.0
            case "1 sigma":
                return good + 1.0
            case "silent":
                return None
            case "constant":
                return good * 0
            case "nearly constant":
                return good * 1e-3
            case "reversed":
                return good[:, :, ::-1].copy()
            case "negated":
                return -good
            case "creeping":
                return good + 0.05 * (t_s - TURNS_S)
        raise AssertionError(how)

    return answer


@pytest.mark.parametrize("how", ["nan", "1e9", "silent", "900 sigma", "constant", "reversed", "negated", "creeping"])
def test_a_poisoned_model_never_moves_the_answer_outside_the_clip_nor_does_lasting_harm(
    how: str, simulate: Callable, oscillator: Callable, models: dict
) -> None:
    """Good for a minute, then bad: within the clip always, silent soon, and no worse than the floor when served."""
    model = turned(how, models["oracle"])
    run = simulate(oscillator("sine", 3), model, seed=3, length_s=75.0, measure_after_s=TURNS_S)
    clip = FusionConfig().clip_sigma
    for one in run.samples:
        assert abs(one.fused_error_s - one.floor_error_s) <= clip * one.floor_sigma_s + 2e-9
        assert one.sigma_s <= one.floor_sigma_s
    assert run.ratio(SERVED_S) <= 1.05
    assert run.ratio(MIDDLE_S) <= 1.3
    if how in ("nan", "1e9", "silent", "900 sigma"):
        # Nothing of them was heard, and after three, a second apart, neither is the last good forecast.
        assert {one.weight for one in run.samples if one.t_s > TURNS_S + 4.0} == {0.0}
        assert run.fusion.counts.refused >= 29


def test_a_curve_that_turns_wild_is_silenced_within_three_fixes(
    simulate: Callable, oscillator: Callable, models: dict
) -> None:
    """Within all plausibility, but several sigma off at the next fixes of a quiet network: they close it."""
    wild = turned("1 sigma", models["exact"])
    run = simulate(
        oscillator("sine", 3), wild, seed=3, length_s=60.0, measure_after_s=TURNS_S, queue_s=1e-6, poll_s=1.0
    )
    served = [one for one in run.samples if one.h_s == SHORT_S and abs(one.fused_error_s - one.floor_error_s) > 0]
    off = [one for one in served if abs(one.fused_error_s - one.floor_error_s) > 2.0 * one.floor_sigma_s]
    assert 1 <= len(off) <= 3


@pytest.mark.parametrize("how", ["constant", "reversed", "negated"])
def test_a_model_that_was_never_good_never_has_a_say(
    how: str, simulate: Callable, oscillator: Callable, models: dict
) -> None:
    """Poisoned from the start, its weight is none, or as good as none, throughout."""
    poison = turned(how, models["oracle"])
    run = simulate(
        oscillator("sine", 4),
        lambda request, clock, t: poison(request, clock, t + TURNS_S),
        length_s=60.0,
        measure_after_s=20.0,
    )
    assert run.ratio(SERVED_S) <= 1.02
    assert run.ratio(MIDDLE_S) <= 1.02
