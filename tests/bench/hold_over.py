"""Six hours without servers: does the time stay inside what is said, and how wide is that?

    python tests/bench/hold_over.py [--clocks 24] [--days 3] [--outage-h 6] [--polls 16,64] [--json]

Simulated oscillators of eight kinds (see clocks.py) are followed for some days; then no server answers any more. Every
minute of the outage the answer is held against the truth: the hard interval, and the calibrated 99.9 % one, clipped to
it as for readers. Beside it, on the same fixes: chrony's default rule (1 ppm from the last estimate on), the safe 50
ppm, and the floor's Gaussian band of the same level. Widths are full ones at the outage's end, medians over the clocks.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from clocks import KINDS, POLLS_S, clock, trace

from chronotick.backtest.drive import drive
from chronotick.config.schema import Config
from chronotick.units import NS_PER_S, ns_to_s, s_to_ns
from chronotick.wire.levels import Z

STEP_S = 60.0
RULES = ("hard", "learned", "gaussian", "1 ppm", "50 ppm")


def run(kind: str, seed: int, days: float, outage_s: float, polls_s: Sequence[float] = POLLS_S) -> dict[str, Any]:
    """One clock: share of minutes outside, and full width at the end in ms, by rule; and the largest error in ms."""
    length_s = days * 86400.0
    true = clock(kind, seed, length_s + outage_s + 600)
    pipeline = None
    for fix, one in drive(trace(true, seed, length_s, polls_s), Config()):
        pipeline, last = one, fix
    assert pipeline is not None
    begin = pipeline.estimate(last.raw_ns, last.raw_ns + NS_PER_S)
    assert begin is not None
    at_first_s = begin.half_widths_s[-1]
    outside = dict.fromkeys(RULES, 0)
    width_ms: dict[str, float] = {}
    worst_s = 0.0
    ages = np.arange(0.0, outage_s + 1.0, STEP_S).tolist()
    for age_s in ages:
        raw_ns = last.raw_ns + s_to_ns(age_s)
        fused = pipeline.estimate(raw_ns, raw_ns + NS_PER_S)
        hard = pipeline.hard.at(raw_ns)
        assert fused is not None
        assert hard is not None
        true_ns = s_to_ns(float(true.at(ns_to_s(raw_ns))))
        half_s = fused.half_widths_s[-1]
        said = {
            "hard": hard,
            "learned": _around(fused.theta_ns, half_s, hard),
            "gaussian": _around(fused.floor_theta_ns, Z[-1] * fused.floor_sigma_s),
            "1 ppm": _around(fused.floor_theta_ns, at_first_s + 1e-6 * age_s),
            "50 ppm": _around(fused.floor_theta_ns, at_first_s + 50e-6 * age_s),
        }
        worst_s = max(worst_s, abs(ns_to_s(fused.theta_ns - true_ns)))
        for rule, (low, high) in said.items():
            outside[rule] += not low <= true_ns <= high
            width_ms[rule] = (high - low) / 1e6
    return {
        "kind": kind,
        "worst_error_ms": worst_s * 1e3,
        "outside": {rule: count / len(ages) for rule, count in outside.items()},
        "width_ms": width_ms,
    }


def _around(theta_ns: int, half_s: float, hard: tuple[int, int] | None = None) -> tuple[int, int]:
    low, high = theta_ns - s_to_ns(half_s), theta_ns + s_to_ns(half_s)
    return (low, high) if hard is None else (max(low, hard[0]), min(high, hard[1]))


def summary(clocks: list[dict[str, Any]]) -> dict[str, Any]:
    """By rule: share of all minutes outside, clocks that were ever outside, median and largest width."""
    return {
        rule: {
            "outside": statistics.fmean(one["outside"][rule] for one in clocks),
            "clocks_outside": sum(one["outside"][rule] > 0 for one in clocks),
            "width_ms": statistics.median(one["width_ms"][rule] for one in clocks),
            "widest_ms": max(one["width_ms"][rule] for one in clocks),
            "widest_share_of_50_ppm": max(one["width_ms"][rule] / one["width_ms"]["50 ppm"] for one in clocks),
        }
        for rule in RULES
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Hours without servers on simulated clocks.")
    parser.add_argument("--clocks", type=int, default=24)
    parser.add_argument("--days", type=float, default=3.0, help="with servers, before the outage")
    parser.add_argument("--outage-h", type=float, default=6.0)
    parser.add_argument("--first", type=int, default=200, help="first seed")
    parser.add_argument("--polls", default=",".join(f"{one:g}" for one in POLLS_S), help="drawn from, s")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    outage_s, polls_s = asked.outage_h * 3600, tuple(float(one) for one in asked.polls.split(","))
    jobs = [(KINDS[i % len(KINDS)], asked.first + i, asked.days, outage_s, polls_s) for i in range(asked.clocks)]
    done = []
    with ProcessPoolExecutor(asked.processes) as pool:
        for one in pool.map(run, *zip(*jobs, strict=True)):
            done.append(one)
            print(f"\r{len(done)} of {len(jobs)} clocks", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    made = summary(done)
    if asked.json:
        print(json.dumps({"rules": made, "clocks": done}))
        return
    print(f"{len(done)} clocks, {asked.days:g} days with servers, {asked.outage_h:g} h without\n")
    print(f"{'rule':12}{'outside':>12}{'clocks':>8}{'width, ms':>12}{'widest':>12}{'of 50 ppm':>12}")
    for rule, of in made.items():
        print(
            f"{rule:12}{of['outside']:>11.2%} {of['clocks_outside']:>7}{of['width_ms']:>12.2f}{of['widest_ms']:>12.2f}"
            f"{of['widest_share_of_50_ppm']:>12.3f}"
        )
    print(f"\n{'kind':10}{'error, ms':>10}" + "".join(f"{rule:>12}" for rule in RULES) + "   (widths, ms; * left it)")
    for one in done:
        widths = (f"{one['width_ms'][r]:>11.2f}{'*' if one['outside'][r] else ' '}" for r in RULES)
        print(f"{one['kind']:10}{one['worst_error_ms']:>10.2f}" + "".join(widths))


if __name__ == "__main__":
    main()
