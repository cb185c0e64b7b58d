"""What was said at a fix about an instant ahead, until its target is known: then gate and intervals hear of it."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from chronotick.clock.measurement import Measurement
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.fusion.candidate import Candidate, heard_s
from chronotick.fusion.fuse import mix
from chronotick.fusion.gate import Gate
from chronotick.fusion.interval import IntervalModel, Multipliers
from chronotick.fusion.target import disagreement, future_target, ready_raw_ns
from chronotick.units import ns_to_s, s_to_ns
from chronotick.window.history import History

# Origins are remembered no closer than these shares of the horizon and of the target's lag: closer ones say the same.
HORIZON_SHARE: Final = 8
_LAG_SHARE: Final = 32
# What the floor says so soon after an epoch began (30 min) is no habit of the clock: its rate is hardly known.
_SETTLED_LAGS: Final = 3.0
# Horizon whose targets show how noisy targets are (60 s), in lags, and how often they are asked: targets of one lag are
# mostly made of the same fixes.
_NOISE_HORIZON_LAGS: Final = 0.1
_NOISE_SPACING_LAGS: Final = 0.125
# Origins of one horizon that wait for their target. More can only wait when fixes fail to come.
MOST_WAITING: Final = 256


class Origin(msgspec.Struct, frozen=True):
    """What was said at one fix about one horizon.

    `crossed`: the clock has stepped since. Then only the intervals are held against the target.
    """

    state: ClockState
    target_raw_ns: int
    sigma_s: float
    fused_sigma_s: float
    corrections_s: dict[str, float]
    fused_s: float | None
    issued: Multipliers
    crossed: bool = False


class Origins:
    """Remembers what is said at each rung, and scores it when the fixes around its instant are there.

    Args:
        clip_sigma: as of `fusion.fuse.mix`.
    """

    def __init__(self, tuning: Tuning, gate: Gate, intervals: IntervalModel, clip_sigma: float) -> None:
        self._tuning = tuning
        self._gate = gate
        self._intervals = intervals
        self._clip_sigma = clip_sigma
        self._horizons = gate.horizons
        self._epoch_raw_ns = 0
        # A target needs fixes from two lags before it to one after; the rest is room for polls that slow down.
        self._history = History(span_s=self._horizons[-1] + 16 * tuning.target_lag_s)
        self._waiting: list[deque[Origin]] = [deque(maxlen=MOST_WAITING) for _ in self._horizons]
        self._last_ns: list[int | None] = [None] * len(self._horizons)
        self._noise_rung = bisect_left(self._horizons, 0.99 * _NOISE_HORIZON_LAGS * tuning.target_lag_s)
        # How far the halves of the fixes last disagreed, and about which instant.
        self._disagreement: float | None = None
        self._disagreed_ns: int | None = None

    @property
    def ready(self) -> bool:
        """Whether there is any fix that a target could be made of."""
        return len(self._history) > 0

    def add(self, fix: Measurement, epoch: int) -> None:
        """A fix that targets can be made of."""
        self._history.append(fix.raw_ns, fix.theta_ns, fix.variance, epoch)

    def begin(self, epoch_raw_ns: int) -> None:
        """An epoch begins: nothing waits any more."""
        self._epoch_raw_ns = epoch_raw_ns
        for waiting in self._waiting:
            waiting.clear()
        self._last_ns = [None] * len(self._horizons)
        self._disagreed_ns = None

    def cross(self, before: ClockState | None, epoch_raw_ns: int) -> None:
        """The clock has stepped: score what can be scored from before it, and go on waiting for what lies beyond.

        Who asked about an instant after the step was told something wrong, too: intervals that are held only against
        what no step has ended hold less than they say.
        """
        if before is not None and len(self._history):
            last_ns = self._history.last_raw_ns
            for rung, waiting in enumerate(self._waiting):
                while waiting and waiting[0].target_raw_ns <= last_ns:
                    self._score(rung, waiting.popleft(), last_ns, before)
        crossed = [[msgspec.structs.replace(one, crossed=True) for one in waiting] for waiting in self._waiting]
        self.begin(epoch_raw_ns)
        for waiting, those in zip(self._waiting, crossed, strict=True):
            waiting.extend(those)

    def score_due(self, state: ClockState) -> None:
        """Score all whose targets can be known by now."""
        lag_ns = s_to_ns(self._tuning.target_lag_s)
        for rung, waiting in enumerate(self._waiting):
            # Most have not come due, and the state alone says so.
            while waiting and state.raw_ns >= waiting[0].target_raw_ns + lag_ns:
                known_ns = ready_raw_ns(self._history, waiting[0].target_raw_ns, self._tuning)
                if known_ns is None:
                    break
                self._score(rung, waiting.popleft(), known_ns, state)

    def remember(self, state: ClockState, live: Sequence[Candidate]) -> list[tuple[int, Origin]]:
        """Settle the intervals at what is said now, and keep what is said at each rung where the last is far enough
        back; returns those, with their rungs."""
        ahead_ns = [state.raw_ns + s_to_ns(horizon_s) for horizon_s in self._horizons]
        sigmas_s = [state.sigma_s(at_ns) for at_ns in ahead_ns]
        mixed = [mix(state, live, self._gate, at_ns, self._clip_sigma) for at_ns in ahead_ns]
        fused_sigmas_s = [one.ratio * sigma_s for one, sigma_s in zip(mixed, sigmas_s, strict=True)]
        self._intervals.settle(sigmas_s, fused_sigmas_s)
        kept = []
        for rung, horizon_s in enumerate(self._horizons):
            spacing_s = max(horizon_s / HORIZON_SHARE, self._tuning.target_lag_s / _LAG_SHARE)
            last_ns = self._last_ns[rung]
            if last_ns is not None and state.raw_ns - last_ns < s_to_ns(spacing_s):
                continue
            self._last_ns[rung] = state.raw_ns
            origin = Origin(
                state=state,
                target_raw_ns=ahead_ns[rung],
                sigma_s=sigmas_s[rung],
                fused_sigma_s=fused_sigmas_s[rung],
                corrections_s={
                    one.name: heard_s(one, state, ahead_ns[rung], sigmas_s[rung], self._clip_sigma)
                    for one in live
                    if self._gate.stands(one, rung, state.raw_ns)
                },
                fused_s=mixed[rung].correction_s if mixed[rung].share > 0 else None,
                issued=self._intervals.issued(rung),
            )
            self._waiting[rung].append(origin)
            kept.append((rung, origin))
        return kept

    def _score(self, rung: int, origin: Origin, known_raw_ns: int, state: ClockState) -> None:
        target = future_target(
            self._history, origin.state, origin.target_raw_ns, known_raw_ns, state.wander, self._tuning
        )
        if target is None or not math.isfinite(target.offset_s):
            return
        y = target.offset_s
        if not origin.crossed:
            if rung == self._noise_rung:
                self._compare_halves(origin, known_raw_ns, state)
            self._gate.score(
                rung,
                origin.state.raw_ns,
                y,
                {name: y - correction_s for name, correction_s in origin.corrections_s.items()},
                variance_s2=target.variance_s2,
                noise_s=state.noise_s,
                now_raw_ns=state.raw_ns,
            )
        self._intervals.score(
            rung,
            origin.state.raw_ns,
            floor_error_s=y,
            fused_error_s=None if origin.fused_s is None else y - origin.fused_s,
            sigma_s=origin.sigma_s,
            fused_sigma_s=origin.fused_sigma_s,
            variance_s2=target.variance_s2,
            issued=origin.issued,
            # How noisy targets are is no question of what the clock did between them.
            disagreement=None if origin.crossed else self._disagreement,
            # Never so for what was said in an earlier epoch.
            settled=ns_to_s(origin.state.raw_ns - self._epoch_raw_ns) >= _SETTLED_LAGS * self._tuning.target_lag_s,
        )

    def _compare_halves(self, origin: Origin, known_raw_ns: int, state: ClockState) -> None:
        spacing_ns = s_to_ns(_NOISE_SPACING_LAGS * self._tuning.target_lag_s)
        if self._disagreed_ns is not None and origin.target_raw_ns - self._disagreed_ns < spacing_ns:
            return
        found = disagreement(
            self._history, origin.state, origin.target_raw_ns, known_raw_ns, state.wander, self._tuning
        )
        if found is not None and math.isfinite(found):
            self._disagreement, self._disagreed_ns = found, origin.target_raw_ns
