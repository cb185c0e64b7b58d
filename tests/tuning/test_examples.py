"""Windows and what came after them: scaled alike, split in time, and no part made of what came later."""

import numpy as np
import pytest

from chronotick.backtest.trace import Trace, Truth, fixes_of
from chronotick.config.schema import RoleConfig
from chronotick.tuning.examples import HELD_SHARE, examples, join

ROLE = RoleConfig(name="train", plugin="p", step_s=64.0, context=64, min_context=32, horizon=16)
HOURS, POLL_S, PERIOD_S = 24, 64.0, 2400.0


def recorded(*, until_s: float = HOURS * 3600.0, noise_s: float = 2e-6, jump_at_s: float = 1e9) -> Trace:
    """A clock with a cycle of 40 minutes; from `jump_at_s` on the cycle is thrice as large."""
    t = np.arange(0.0, until_s, POLL_S)
    size = np.where(t < jump_at_s, 1.0, 3.0)
    theta = 5e-6 * t + size * 2e-4 * np.sin(2 * np.pi * t / PERIOD_S)
    measured = theta + noise_s * np.random.default_rng(1).standard_normal(len(t))
    fixes = fixes_of(t, measured, np.full(len(t), 1e-4), np.full(len(t), 1e-4), ["s"] * len(t))
    return Trace("cycle", fixes, Truth.of(t, theta), 0.4 * until_s, 0.0, True)


def test_the_answer_is_the_rate_that_came() -> None:
    """What follows a window is, in the window's own units, the true rate on its grid, and each part has some."""
    made = examples(recorded(), ROLE, train_share=0.7)
    assert made.context.shape[1:] == (64,)
    assert made.future.shape[1:] == (16,)
    assert made.learned > 400
    assert made.held.sum() > 50
    assert len(made.origins) > 300
    # A window of one or two cycles has deviation 1, and its sine goes on.
    size = np.nanmax(np.abs(np.concatenate([made.context, made.future], 1)), 1)
    assert np.median(size) == pytest.approx(np.sqrt(2), rel=0.25)
    period = PERIOD_S / ROLE.step_s
    t = np.arange(80)
    for row in np.concatenate([made.context, made.future], 1)[100::97]:
        known = np.isfinite(row)
        basis = np.stack([np.sin(2 * np.pi * t / period), np.cos(2 * np.pi * t / period), np.ones(80)], 1)[known]
        rest = row[known] - basis @ np.linalg.lstsq(basis, row[known], rcond=None)[0]
        assert np.abs(rest[-16:]).mean() < 0.15


def test_what_comes_later_changes_no_part_before() -> None:
    """A clock that behaves differently in the part that is judged teaches exactly the same windows."""
    chosen_s = 0.7 * HOURS * 3600
    plain, other = (examples(recorded(jump_at_s=at), ROLE, train_share=0.7) for at in (1e9, chosen_s + POLL_S))
    np.testing.assert_array_equal(plain.context, other.context)
    np.testing.assert_array_equal(plain.future, other.future)


def test_the_windows_that_choose_begin_after_those_that_teach_have_ended() -> None:
    """A cycle that grows where the held part begins shows in no answer that is learned from."""
    learned_s = 0.7 * (1 - HELD_SHARE) * HOURS * 3600
    plain, other = (examples(recorded(jump_at_s=at), ROLE, train_share=0.7) for at in (1e9, learned_s + POLL_S))
    assert plain.learned == other.learned
    np.testing.assert_array_equal(plain.future[~plain.held], other.future[~other.held])
    # The other clock's jump begins a new epoch, which costs it some windows.
    both = min(plain.held.sum(), other.held.sum())
    assert both > 50
    assert not np.allclose(plain.future[plain.held][:both], other.future[other.held][:both], atol=0.3)


def test_origins_that_are_judged_lie_after_the_rest() -> None:
    """The first question of the report is asked where learning and choosing have ended."""
    made = examples(recorded(), ROLE, train_share=0.6)
    first = made.origins[0].request.windows[0].origin_raw_ns
    assert first >= 0.6 * (HOURS * 3600 - POLL_S) * 1e9
    assert first - 0.6 * HOURS * 3600e9 < 2 * POLL_S * 1e9


def test_several_clocks_are_one() -> None:
    """Joining keeps all windows and origins."""
    one = examples(recorded(until_s=8 * 3600), ROLE, train_share=0.6)
    both = join([one, one])
    assert both.learned == 2 * one.learned
    assert len(both.origins) == 2 * len(one.origins)


def test_a_history_that_is_too_short_gives_none() -> None:
    """Half an hour holds no window of an hour."""
    made = examples(recorded(until_s=1800.0), ROLE, train_share=0.7)
    assert (len(made.context), len(made.origins)) == (0, 0)
