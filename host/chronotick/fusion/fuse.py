"""The fused answer: the floor's line, plus the candidates' clipped corrections by their weights."""

import math
from collections.abc import Sequence

import msgspec

from chronotick.clock.small_sample import tails
from chronotick.clock.state import ClockState
from chronotick.fusion.candidate import Candidate, heard_s
from chronotick.fusion.gate import FLOOR, Gate
from chronotick.fusion.interval import IntervalModel
from chronotick.fusion.types import FusedForecast
from chronotick.units import NS_PER_S, s_to_ns
from chronotick.wire.levels import never_crossing


class Mix(msgspec.Struct, frozen=True):
    """What the candidates together say at one instant.

    Attributes:
        correction_s: fused theta minus the floor's line, s; exactly 0 without candidates of weight.
        weights: (candidate, weight), floor first.
        share: weight of all candidates together, 0..1.
        departed: that share, as far as the answer's error is no longer the floor's: at the last fix whoever only
            forecasts still says what the floor says.
        ratio: standard deviation of the fused theta over the floor's, as those who are heard believe: the sum of theirs
            by their weights, which is what it is at most. Who does not know its own has the floor's.
    """

    correction_s: float
    weights: tuple[tuple[str, float], ...]
    share: float
    departed: float
    ratio: float


ALONE = Mix(correction_s=0.0, weights=((FLOOR, 1.0),), share=0.0, departed=0.0, ratio=1.0)


def mix(state: ClockState, candidates: Sequence[Candidate], gate: Gate, raw_ns: int, clip_sigma: float) -> Mix:
    """Weigh the candidates at `raw_ns`; each is kept within `clip_sigma` of the floor's sigma first.

    Below the first rung its weights hold, down to the state itself; before the state what is said at the state holds.
    """
    if not candidates:
        return ALONE
    h_s = max(state.ahead_s(raw_ns), 0.0)
    at_ns = max(raw_ns, state.raw_ns)
    weights = gate.weights(h_s, candidates, state.raw_ns)
    heard = [one for one in candidates if weights.get(one.name, 0.0) > 0.0]
    if not heard:
        return ALONE
    sigma_s = state.sigma_s(at_ns)
    correction_s = departed = 0.0
    ratio = weights[FLOOR]
    gone = min(h_s / gate.horizons[0], 1.0)
    for one in heard:
        weight = weights[one.name]
        correction_s += weight * heard_s(one, state, at_ns, sigma_s, clip_sigma)
        apart = gone >= 1.0 or one.correction_s(state, state.raw_ns) != 0.0
        departed += weight * (1.0 if apart else gone)
        believed_s = one.sigma_s(state, at_ns)
        if believed_s is not None and 0.0 < believed_s < math.inf and sigma_s > 0.0:
            ratio += weight * believed_s / sigma_s
        else:
            ratio += weight
    share = sum(weights[one.name] for one in heard)
    return Mix(correction_s, _by_model(weights, candidates), min(share, 1.0), min(departed, 1.0), ratio)


def fuse(
    state: ClockState,
    candidates: Sequence[Candidate],
    gate: Gate,
    intervals: IntervalModel,
    raw_ns: int,
    until_raw_ns: int,
    clip_sigma: float,
) -> FusedForecast:
    """The fused line from `raw_ns` to `until_raw_ns`. Where nothing but the floor has weight it is the floor's own,
    bit for bit, and so is sigma.

    Raises:
        ValueError: when `until_raw_ns` is not after `raw_ns`.
    """
    if until_raw_ns <= raw_ns:
        raise ValueError(f"a line needs two instants, not {raw_ns} and {until_raw_ns}")
    length_s = (until_raw_ns - raw_ns) / NS_PER_S
    now = mix(state, candidates, gate, raw_ns, clip_sigma)
    then = mix(state, candidates, gate, until_raw_ns, clip_sigma)
    h_now, h_then = max(state.ahead_s(raw_ns), 0.0), max(state.ahead_s(until_raw_ns), 0.0)
    floor_sigma_s = state.sigma_s(raw_ns)
    sigma_s = floor_sigma_s * intervals.shrink(h_now, now.departed, now.ratio)
    sigma_then_s = state.sigma_s(until_raw_ns) * intervals.shrink(h_then, then.departed, then.ratio)
    half_widths_s = widths_s(state, intervals, raw_ns, now)
    half_then_s = widths_s(state, intervals, until_raw_ns, then)
    growths = (max(end - start, 0.0) / length_s for start, end in zip(half_widths_s, half_then_s, strict=True))
    floor_theta_ns = state.theta_at_ns(raw_ns)
    bend = (then.correction_s - now.correction_s) / length_s
    return FusedForecast(
        raw_ns=raw_ns,
        theta_ns=floor_theta_ns + s_to_ns(now.correction_s),
        rate=state.rate + bend,
        sigma_s=sigma_s,
        sigma_growth=max(sigma_then_s - sigma_s, 0.0) / length_s,
        floor_theta_ns=floor_theta_ns,
        floor_sigma_s=floor_sigma_s,
        half_widths_s=half_widths_s,
        half_growths=never_crossing(tuple(growths)),
        weights=now.weights,
        horizon_s=state.ahead_s(raw_ns),
        until_raw_ns=until_raw_ns,
    )


def widths_s(state: ClockState, intervals: IntervalModel, raw_ns: int, mixed: Mix) -> tuple[float, ...]:
    """Half widths of the intervals at `LEVELS` at `raw_ns`, s, of what is said there.

    While there are few fixes the outer levels are wider than the calibration says: it has no scores yet, and Student's
    tails are longer than the normal ones."""
    h_s = max(state.ahead_s(raw_ns), 0.0)
    half_widths_s = intervals.half_widths_s(state.sigma_s(raw_ns), h_s, mixed.departed, mixed.ratio)
    return tuple(one * tail for one, tail in zip(half_widths_s, tails(state.fixes), strict=True))


def _by_model(weights: dict[str, float], candidates: Sequence[Candidate]) -> tuple[tuple[str, float], ...]:
    """Weights under the published names: the roles of one model together, floor first."""
    total = {FLOOR: weights[FLOOR]}
    for one in candidates:
        if weights.get(one.name, 0.0) > 0.0:
            total[one.model] = total.get(one.model, 0.0) + weights[one.name]
    return tuple(total.items())
