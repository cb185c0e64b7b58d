"""The local candidates behind the pipeline."""

from collections.abc import Callable

import numpy as np

from chronotick.candidates.curve import withdrawn
from chronotick.candidates.local import Local
from chronotick.clock.floor import Verdict
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import CandidatesConfig, FusionConfig
from chronotick.fusion import Fusion
from chronotick.store.codec import decode, encode

S = 10**9


def test_what_is_switched_off_is_silent(clock: Callable) -> None:
    """Each candidate speaks only where it is configured."""
    warming = clock(lambda t: 5e-6 + 3e-6 * np.exp(-t / 3000.0), hours=2.5)
    for config, expected in (
        (CandidatesConfig(), {"ageing", "harmonic_h"}),
        (CandidatesConfig(harmonic=False), {"ageing"}),
        (CandidatesConfig(ageing=False), {"harmonic_h"}),
        (CandidatesConfig(harmonic=False, ageing=False), set()),
    ):
        local = Local(Tuning(), config)
        said = [local.on_update(update) for update in warming.updates]
        assert {one.name for one in said[-1]} == expected


def test_a_fix_that_waits_changes_nothing(clock: Callable) -> None:
    """Fixes at 1 s are averaged before the bank; what was held there is no news here."""
    fast = clock(lambda t: 0 * t, hours=0.05, poll_s=1.0)
    local = Local(Tuning(), CandidatesConfig())
    held = [local.on_update(one) for one in fast.updates if one.verdict is Verdict.HELD]
    assert len(held) > 100
    assert set(held) == {()}


def test_the_gate_opens_for_a_cycle(clock: Callable) -> None:
    """Through the real gate, ten minutes ahead, the fused error is less than half the floor's after three hours."""
    cycling = clock(lambda t: 3e-6 + 1e-6 * np.sin(2 * np.pi * t / 2000.0), hours=5, poll_s=32.0, queue_s=2e-5)
    local, fusion = Local(Tuning(), CandidatesConfig()), Fusion(Tuning(), FusionConfig(), ())
    mine, floor = [], []
    for update in cycling.updates:
        fusion.on_update(update, local.on_update(update))
        at_ns = update.state.raw_ns + 600 * S
        if update.state.raw_ns > 3 * 3600 * S and at_ns < cycling.t_s[-1] * S:
            fused = fusion.estimate(at_ns, at_ns + S)
            mine.append(abs(fused.theta_ns - cycling.true_ns(at_ns)))
            floor.append(abs(fused.floor_theta_ns - cycling.true_ns(at_ns)))
    assert np.mean(mine) < 0.5 * np.mean(floor)
    assert any(one.candidate == "harmonic" and one.open for one in fusion.explain())


def test_who_falls_silent_is_withdrawn_from_the_answers(clock: Callable) -> None:
    """Where a rule no longer holds its last curve has no weight any more, although it reached for days."""
    free = clock(lambda t: 0 * t, hours=0.5)
    local, fusion = Local(Tuning(), CandidatesConfig()), Fusion(Tuning(), FusionConfig(), ())
    assert local._steered is not None
    weights = []
    for i, update in enumerate(free.updates):
        local._steered.steered = 10 <= i < 20
        local._steered._decide = lambda: None  # type: ignore[method-assign]
        fusion.on_update(update, local.on_update(update))
        weights.append(dict(fusion.estimate(update.state.raw_ns + 3600 * S, update.state.raw_ns + 3601 * S).weights))
    assert weights[15] == {"floor": 0.0, "steered": 1.0}
    assert weights[20] == weights[5] == {"floor": 1.0}


def test_whoever_falls_silent_is_withdrawn_and_can_still_be_stored(clock: Callable) -> None:
    """A curve in the place of one that no longer holds says nothing, and is decision state like any other."""
    state = clock(lambda t: 0 * t, hours=0.5).updates[-1].state
    gone = withdrawn("harmonic", state)
    assert gone.end_raw_ns == state.raw_ns + 1
    again = decode(encode(gone))
    assert again.correction_s(state, state.raw_ns + S) == gone.correction_s(state, state.raw_ns + S) == 0.0
