"""What poisoned models can do: fuzzed steps of fusing and publishing, and how soon each poison is silenced.

    python tests/bench/poison.py [--steps 1000000] [--seeds 2] [--json FILE]

First, every step fuses a random state of the floor with candidates that have been given random weight (the gate is not
asked: it may have been fooled) and that say NaN, infinity, 1e9, a constant, noise, or a plausible drift, and publishes
the answer under a random hard interval. Counted is what lies outside: the published output at the anchor and later, and
the fused answer beyond the clip.

Second, a model that knows a cycle earns its say on a simulated clock, and then turns, while four fixes come to each
of its answers. Printed are, over the seeds, the median and the most of the fixes after the first bad answer until the
model has less weight than it had (19/20 of its mean at the horizons where it was heard; 0: at once), less than half of
it, and none at any horizon; and the ratio of the fused to the floor's mean absolute error from the turn on, mean and
worst.

Third, what fixes alone can tell: a line that leaves the truth by d standard deviations of a fix with each fix, against
one that does not. n fixes hold d^2 n^3 / 6 nats, so the limit of the watch is met after (6 limit / d^2)^(1/3) of them:
three need d > 0.8, and what creeps by less is not told sooner by anybody. Until then it has moved the answer by n d.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.fusion.conftest import Oscillator, make_oscillator, oracle, run_clock  # noqa: E402
from tests.fusion.test_simulated_clocks import TURNS_S, turned  # noqa: E402

from chronotick.clock.state import ClockState  # noqa: E402
from chronotick.clock.tuning import Tuning  # noqa: E402
from chronotick.config.schema import FusionConfig  # noqa: E402
from chronotick.forecast import Request  # noqa: E402
from chronotick.fusion.candidate import Candidate  # noqa: E402
from chronotick.fusion.fuse import fuse  # noqa: E402
from chronotick.fusion.gate import FLOOR, Gate  # noqa: E402
from chronotick.fusion.interval import IntervalModel  # noqa: E402
from chronotick.fusion.rules import GateRules  # noqa: E402
from chronotick.fusion.trust import Trust  # noqa: E402
from chronotick.fusion.types import Status  # noqa: E402
from chronotick.fusion.watch import cost  # noqa: E402
from chronotick.publish.slew import next_publication  # noqa: E402
from chronotick.publish.types import HardBound, Publication  # noqa: E402

S = 10**9
THETA_NS = 1_700_000_000 * S
LADDER = (15.0, 60.0, 600.0, 3600.0, 21_600.0)
CLIP = FusionConfig().clip_sigma
POISONS = ("nan", "silent", "1e9", "900 sigma", "constant", "nearly constant", "reversed", "negated", "creeping")
# At a horizon with less weight than this a model was not heard.
HEARD = 0.05
# Every wrong number that a curve may come to.
WORST = (math.nan, math.inf, -math.inf, 1e9, -1e9, 1e308, -1e308, 5e-324, 0.0)


class Poison(msgspec.Struct):
    """A candidate that says `level_s + slope * age`, and NaN and the like as it is told."""

    name: str
    level_s: float = 0.0
    slope: float = 0.0
    trusted: bool = False
    log_odds: float | None = None
    model: str = "poison"
    role: str = ""
    epoch: int = 1
    origin_raw_ns: int = 0
    end_raw_ns: int = 2**62
    span_s: float = 1e9

    def correction_s(self, state: ClockState, raw_ns: int) -> float:
        return self.level_s + self.slope * state.ahead_s(raw_ns)

    def sigma_s(self, state: ClockState, raw_ns: int) -> None:
        """It only forecasts."""


class FooledGate(Gate):
    """Gives everybody the weights that it was told last."""

    given: dict[str, float]

    def weights(self, h_s: float, candidates: Sequence[Candidate], origin_raw_ns: int) -> dict[str, float]:
        return self.given


class Found(msgspec.Struct):
    """Counts over the fuzzed steps."""

    steps: int = 0
    outside: int = 0
    beyond_clip: int = 0
    refused: int = 0


def fuzz(steps: int, seed: int = 0, progress: bool = False) -> Found:
    """Fuse and publish `steps` times; see the head of the file."""
    rng = np.random.default_rng(seed)
    gate, intervals = FooledGate(LADDER, Tuning(), FusionConfig()), IntervalModel(LADDER)
    poisons = [Poison(name=f"p{i}") for i in range(3)]
    found, previous, raw_ns = Found(), None, 10**12
    for step in range(steps):
        if step % 1000 == 0:
            # Random numbers a thousand at a time; every so often the publication starts anew.
            u, z, pick = rng.random((1000, 8)), rng.standard_normal((1000, 8)), rng.integers(0, 14, (1000, 3))
            previous = None
            if progress and step % 50_000 == 0 and sys.stderr.isatty():
                print(f"\r{step:9d} of {steps}", end="", file=sys.stderr, flush=True)
        a, b, kinds = u[step % 1000].tolist(), z[step % 1000].tolist(), pick[step % 1000].tolist()
        raw_ns += 1 + int(a[0] * 10.0 ** (11 * a[1]))
        state = ClockState(
            raw_ns=raw_ns - int(a[2] * 10.0 ** (12 * a[3])),
            theta_ns=THETA_NS + int(1e5 * b[0]),
            rate=1e-5 * b[1],
            variance=(10.0 ** (-16 + 10 * a[4]), 0.0, 10.0 ** (-20 + 10 * a[5]), 1e-22),
            widen=1.0 + a[6],
            fixes=100,
            noise_s=1e-6,
            wander=1e-9,
            restarts=0,
            epoch=1,
        )
        sigma_s = state.sigma_s(raw_ns)
        for one, kind in zip(poisons, kinds, strict=True):
            one.level_s = WORST[kind] if kind < len(WORST) else 2.0 * sigma_s * b[2]
            one.slope = 0.0 if kind < len(WORST) else sigma_s * b[3] / 600.0
        gate.given = _weights(a[7], poisons)
        previous = _publish(found, state, poisons, gate, intervals, raw_ns, previous, b, a)
    return found


def _weights(share: float, poisons: Sequence[Poison]) -> dict[str, float]:
    return {FLOOR: 1.0 - share} | {one.name: share / len(poisons) for one in poisons}


def _publish(
    found: Found,
    state: ClockState,
    poisons: Sequence[Poison],
    gate: Gate,
    intervals: IntervalModel,
    raw_ns: int,
    previous: Publication | None,
    b: Sequence[float],
    a: Sequence[float],
) -> Publication | None:
    found.steps += 1
    fused = fuse(state, poisons, gate, intervals, raw_ns, raw_ns + S, CLIP)
    if not abs(fused.theta_ns - fused.floor_theta_ns) <= CLIP * fused.floor_sigma_s * S + 2:
        found.beyond_clip += 1
    half_ns = 1 + int(10.0 ** (3 + 5 * a[5]))
    middle_ns = state.theta_at_ns(raw_ns) + int(0.5 * half_ns * b[4])
    bound = HardBound(raw_ns, middle_ns - half_ns, middle_ns + half_ns, 5e-5)
    try:
        published = next_publication(
            previous,
            fused,
            bound,
            raw_ns=raw_ns,
            status=Status.SYNCHRONISED,
            fix_raw_ns=state.raw_ns,
            void_raw_ns=raw_ns + 10**14,
            stale_raw_ns=raw_ns + 10**13,
            slew_ppm=500.0,
            step=previous is None,
            host_instance=1,
            sequence=1,
        )
    except ValueError:
        # A rate that is no clock's: no time is published then, and the readers' last line goes on.
        found.refused += 1
        return None
    for age_ns in (0, int(a[6] * 10**10)):
        age_s = age_ns / S
        slewed_s = min(age_ns, published.slew_until_raw_ns - raw_ns) / S
        out_ns = published.theta_ns + (published.rate * age_s + published.slew_rate * slewed_s) * S
        grown_ns = published.bound_growth * age_s * S + 1
        if not published.earliest_theta_ns - grown_ns <= out_ns <= published.latest_theta_ns + grown_ns:
            found.outside += 1
    stepped = previous is None
    if stepped and not bound.earliest_theta_ns <= published.theta_ns <= bound.latest_theta_ns:
        found.outside += 1
    return published


class Turn(msgspec.Struct):
    """What one poison did after its turn.

    Attributes:
        before: mean weight before the turn, at the horizons where it was heard.
        less, half, silent: fixes after the first bad answer until that is less by a twentieth, by half, and until
            nothing of the model has weight at any horizon; infinity: never within the run.
        ratios: by horizon in s of the lab's time, fused over floor from the turn on.
    """

    poison: str
    seed: int
    before: float
    less: float
    half: float
    silent: float
    ratios: dict[str, float]


def turn(how: str, seed: int, length_s: float = 66.0) -> Turn:
    """A model that knows the cycle, and turns. It answers once a second, and fixes come four times a second."""
    asked_s: list[float] = []
    model = turned(how, oracle)

    def answer(request: Request, oscillator: Oscillator, t_s: float) -> NDArray[np.float64] | None:
        asked_s.append(t_s)
        return model(request, oscillator, t_s)

    run = run_clock(make_oscillator("sine", seed), answer, seed=seed, length_s=length_s, measure_after_s=TURNS_S - 5.0)
    # The state is at the fix that led to the question.
    turned_s = min(t for t in asked_s if t >= TURNS_S) - 1e-6
    weights: dict[float, dict[float, float]] = {}
    for one in run.samples:
        weights.setdefault(one.t_s, {})[one.h_s] = one.weight
    horizons = sorted({one.h_s for one in run.samples})
    had = {h_s: float(np.mean([w[h_s] for t, w in weights.items() if t < turned_s])) for h_s in horizons}
    heard = [h_s for h_s in horizons if had[h_s] >= HEARD]
    before = float(np.mean([had[h_s] for h_s in heard]))
    after = [weights[t] for t in sorted(weights) if t >= turned_s]

    def fixes_until(share: float) -> float:
        return next((i for i, w in enumerate(after) if np.mean([w[h_s] for h_s in heard]) < share * before), math.inf)

    ratios = {}
    for h_s in horizons:
        chosen = [one for one in run.samples if one.h_s == h_s and one.t_s > TURNS_S]
        ratios[f"{h_s:g}"] = sum(abs(one.fused_error_s) for one in chosen) / sum(
            abs(one.floor_error_s) for one in chosen
        )
    silent = next((i for i, w in enumerate(after) if max(w.values()) == 0.0), math.inf)
    return Turn(how, seed, before, fixes_until(0.95), fixes_until(0.5), silent, ratios)


def fixes_alone(step: float, tries: int = 400, most: int = 200) -> tuple[float, float]:
    """Fixes until the watch's sum has left half of a share, and until it shuts: medians, for a line that leaves the
    truth by `step` standard deviations of a fix with each fix, against one that is right."""
    rng, rules = np.random.default_rng(1), GateRules()
    halves, shuts = [], []
    for _ in range(tries):
        trust, half, shut = Trust(1, rules), math.inf, math.inf
        for n in range(1, most + 1):
            miss = rng.standard_normal()
            total = trust.watch("one", 0, cost(miss - step * n, 1.0) - cost(miss, 1.0))
            half = min(half, n if trust.left("one", 0) < 0.5 else math.inf)
            if total > rules.watch_limit:
                shut = n
                break
        halves.append(half)
        shuts.append(shut)
    return float(np.median(halves)), float(np.median(shuts))


def _row(turns: Sequence[Turn]) -> str:
    cells = [f"{turns[0].poison:15} {np.mean([one.before for one in turns]):6.2f}"]
    for what in ("less", "half", "silent"):
        found = [getattr(one, what) for one in turns]
        cells.append(f"{np.median(found):6g} {max(found):5g}")
    for h_s in turns[0].ratios:
        found = [one.ratios[h_s] for one in turns]
        cells.append(f"{np.mean(found):6.3f} {max(found):5.3f}")
    return "  ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    began = time.perf_counter()
    found = fuzz(args.steps, progress=True)
    took_s = time.perf_counter() - began
    print(
        f"{found.steps} fuzzed steps in {took_s:.0f} s: outside the hard interval {found.outside}, "
        f"beyond the clip {found.beyond_clip}, refused as no clock's rate {found.refused}"
    )
    print(f"\n{args.seeds} seeds: fixes after the turn, median and most; fused / floor from then on, mean and worst")
    head = "  ".join(f"{what:>12}" for what in ("less weight", "half", "silent", "0.1 s", "1 s", "4 s", "16 s"))
    print(f"{'poison':15} {'before':>6}  {head}")
    turns = []
    for how in POISONS:
        found_here = [turn(how, seed) for seed in range(3, 3 + args.seeds)]
        turns += found_here
        print(_row(found_here), flush=True)
    limit = GateRules().watch_limit
    print("\nfixes alone: d sigma a fix; fixes until half of the share is left, until shut, and as derived")
    for step in (2.0, 1.0, 0.8, 0.5, 0.2, 0.1, 0.05):
        half, shut = fixes_alone(step)
        print(f"{step:5g} {half:6g} {shut:6g} {(6.0 * limit / step**2) ** (1 / 3):6.1f}")
    if args.json:
        args.json.write_text(json.dumps({"fuzz": msgspec.to_builtins(found), "turns": msgspec.to_builtins(turns)}))


if __name__ == "__main__":
    main()
