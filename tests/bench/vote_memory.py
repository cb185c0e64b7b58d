"""For how long should the floor's bank remember how well its filters foretold? The floor alone, on simulated clocks.

    python tests/bench/vote_memory.py [--seeds 6] [--first 900] [--json] [CLASS...]

Mean absolute error against the truth as built (two memories that vote themselves), in us, and by how much it differs
with one memory: the shorter or the longer of the two, and 200 fixes however far apart. Ratios are geometric means over
the clocks, other memory over built, with their standard errors: above 1 what is built is better. Classes are those of
gate.py, one day each; `long-...` are three days whose network and polls change every few hours; `semi` needs
CHRONOTICK_TEST_DATA. Seeds 400 to 420 (days) and 500 to 510 (three days) were used to choose, 800 to 805 were in sight.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from checkpoint_skill import CLASSES
from gate import HORIZONS_S, LONG, simulated

from chronotick.backtest.trace import Trace
from chronotick.clock.floor import Floor
from chronotick.clock.tuning import Tuning
from chronotick.units import NS_PER_S, ns_to_s, s_to_ns

BUILT = Tuning()
# Shorter than any poll: the number of fixes alone counts.
NO_TIME_S = 1e-3
OTHERS = {
    "200 fixes": msgspec.structs.replace(BUILT, vote_memories=((NO_TIME_S, 200),)),
    "the shorter": msgspec.structs.replace(BUILT, vote_memories=BUILT.vote_memories[:1]),
    "the longer": msgspec.structs.replace(BUILT, vote_memories=BUILT.vote_memories[-1:]),
}
ALL = (*CLASSES, "semi", *LONG)


def errors_us(trace: Trace, tuning: Tuning) -> dict[str, float]:
    """Mean absolute error of the floor's line by horizon, less its constant as in `backtest`; without those at which no
    truth is known."""
    floor = Floor(tuning)
    raw_s = np.array([fix.raw_ns for fix in trace.fixes]) / NS_PER_S
    ahead_s = {"now": 0.0, **HORIZONS_S}
    truth_s = {name: trace.truth.at(raw_s + h_s) for name, h_s in ahead_s.items()}
    found: dict[str, list[float]] = {name: [] for name in HORIZONS_S}
    settled: list[float] = []
    for i, fix in enumerate(trace.fixes):
        floor.update(fix)
        state = floor.state
        scored = raw_s[i] >= trace.score_from_s
        if state is None or raw_s[i] < trace.score_from_s / 2:
            continue
        for name in HORIZONS_S if scored else ("now",):
            if math.isfinite(true_s := float(truth_s[name][i])):
                line_ns = state.theta_at_ns(fix.raw_ns + s_to_ns(ahead_s[name]))
                (found[name] if scored else settled).append(ns_to_s(line_ns - s_to_ns(true_s)))
    constant_s = float(np.median(settled)) if trace.constant_s and settled else 0.0
    return {name: float(np.abs(np.array(one) - constant_s).mean()) * 1e6 for name, one in found.items() if one}


def run(kind: str, seeds: Sequence[int]) -> dict[str, Any]:
    """One class: errors as built, and the ratio of each other memory to it with its standard error, by horizon."""
    traces = [simulated(kind, seed) for seed in seeds]
    built = [errors_us(trace, BUILT) for trace in traces]
    others: dict[str, dict[str, tuple[float, float]]] = {}
    for name, tuning in OTHERS.items():
        logs = [
            {h: math.log(error / mine[h]) for h, error in errors_us(trace, tuning).items()}
            for trace, mine in zip(traces, built, strict=True)
        ]
        others[name] = {h: _mean([log[h] for log in logs if h in log]) for h in built[0]}
    return {
        "class": kind,
        "built_us": {h: float(np.exp(np.mean([math.log(one[h]) for one in built if h in one]))) for h in built[0]},
        "ratio": others,
    }


def _mean(logs: list[float]) -> tuple[float, float]:
    return math.exp(float(np.mean(logs))), float(np.std(logs)) / math.sqrt(max(len(logs) - 1, 1))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("classes", nargs="*", metavar="CLASS", help=f"by default all: {', '.join(ALL)}")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first", type=int, default=900)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    if unknown := set(options.classes) - set(ALL):
        parser.error(f"no such class: {', '.join(sorted(unknown))}")
    rows = []
    for kind in options.classes or ALL:
        rows.append(run(kind, range(options.first, options.first + options.seeds)))
        if options.json:
            print(kind, file=sys.stderr, flush=True)
            continue
        print(f"{kind}: built " + ", ".join(f"{h} {us:.4g} us" for h, us in rows[-1]["built_us"].items()))
        for name, ratios in rows[-1]["ratio"].items():
            cells = [f"{h} {ratio:.3f} +- {error:.3f}" for h, (ratio, error) in ratios.items()]
            print(f"  {name:>13}: " + ", ".join(cells), flush=True)
    if options.json:
        print(json.dumps({"classes": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
