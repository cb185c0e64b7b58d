"""Several servers whose queues differ, through the host's pipeline: what it brings to know whose fixes are noisier.

    python tests/bench/unequal_servers.py [--seeds 3] [--first 10] [--hours 6] [--polls 64,16] [--json] [WORLD...]

Simulated oscillators that wander, and servers with exponential queues on both legs, alike on either. Mean absolute
error of the published line at the fixes and 60 s after them, after half an hour, us: as built; with one scale of noise
for all servers; and the newest fix held. `ratio` is the first over the second at the fixes.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np

from chronotick.backtest.trace import Trace, Truth, fixes_of
from chronotick.clock.server_noise import ServerNoise
from chronotick.config.schema import Config
from chronotick.pipeline import Pipeline
from chronotick.units import NS_PER_S, s_to_ns

# Mean queue of a leg and fastest round trip of each server, s.
WORLDS: dict[str, tuple[tuple[float, float], ...]] = {
    "four alike": ((1e-3, 0.02),) * 4,
    "five nearly alike": ((8e-4, 0.02), (1e-3, 0.03), (1.2e-3, 0.02), (9e-4, 0.025), (1.1e-3, 0.02)),
    "one better": ((2.5e-4, 0.01), (1e-3, 0.02), (1e-3, 0.02), (1e-3, 0.03)),
    "one far worse": ((2e-4, 0.01),) * 4 + ((1e-2, 0.05),),
    "a ladder": ((2e-4, 0.01), (5e-4, 0.02), (1e-3, 0.03), (3e-3, 0.04), (5e-3, 0.05)),
    "two": ((3e-4, 0.02), (3e-3, 0.04)),
    "a LAN and the Internet": ((2e-5, 1e-3), (1e-3, 0.02), (2e-3, 0.03)),
}
GRID_S = 4.0
SETTLED_S = 1800.0
AHEAD_S = 60.0
# Wander of the oscillators, s/s/sqrt(s).
WANDER = 3e-10


class Alike(ServerNoise):
    """All servers are taken to be as noisy as each other."""

    def factor(self, server: str) -> float:
        return 1.0


def world(name: str, seed: int, poll_s: float, hours: float) -> Trace:
    """One clock and its fixes."""
    rng = np.random.default_rng((seed, list(WORLDS).index(name)))
    t = np.arange(0.0, hours * 3600.0 + 2 * AHEAD_S, GRID_S)
    rate = rng.uniform(-1e-5, 1e-5) + WANDER * np.sqrt(GRID_S) * np.cumsum(rng.standard_normal(len(t)))
    theta = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * GRID_S)))
    at, offset, delay, servers = [], [], [], []
    for number, (queue_s, fastest_s) in enumerate(WORLDS[name]):
        polls = np.arange(rng.uniform(0, poll_s), hours * 3600.0, poll_s)
        polls = polls + rng.uniform(0, 0.02 * poll_s, len(polls))
        out, back = rng.exponential(queue_s, (2, len(polls)))
        at.append(polls)
        offset.append(np.interp(polls, t, theta) + (out - back) / 2)
        delay.append(fastest_s + out + back)
        servers += [f"server {number}"] * len(polls)
    raw = np.concatenate(at)
    fixes = fixes_of(raw, np.concatenate(offset), np.concatenate(delay), np.full(len(raw), 1e-4), servers)
    return Trace(name, fixes, Truth(t, theta, 2 * GRID_S), SETTLED_S, 0.0, True)


def errors(trace: Trace, *, alike: bool) -> tuple[float, float, float]:
    """Mean absolute error at the fixes, 60 s after them, and of the fixes themselves, us."""
    pipeline, found = Pipeline(Config()), []
    if alike:
        pipeline.floor._servers = Alike()
    for fix in trace.fixes:
        pipeline.absorb(fix)
        if fix.raw_ns < s_to_ns(trace.score_from_s):
            continue
        row = [fix.theta_ns / NS_PER_S]
        instants = [fix.raw_ns, fix.raw_ns + s_to_ns(AHEAD_S)]
        for raw_ns in instants:
            fused = pipeline.estimate(raw_ns, raw_ns + NS_PER_S)
            assert fused is not None
            row.append(fused.theta_ns / NS_PER_S)
        now, ahead = trace.truth.at(np.array(instants) / NS_PER_S)
        found.append((row[1] - now, row[2] - ahead, row[0] - now))
    here, later, held = np.abs(np.array(found)).mean(axis=0) * 1e6
    return float(here), float(later), float(held)


def run(name: str, poll_s: float, hours: float, seeds: range) -> dict[str, Any]:
    """Means over seeds of one world."""
    built, same = [], []
    for seed in seeds:
        trace = world(name, seed, poll_s, hours)
        built.append(errors(trace, alike=False))
        same.append(errors(trace, alike=True))
    ours, one = np.mean(built, axis=0), np.mean(same, axis=0)
    return {
        "world": name,
        "poll_s": poll_s,
        "mae_us": {"at_fixes": ours[0], "60s": ours[1]},
        "one_scale_us": {"at_fixes": one[0], "60s": one[1]},
        "newest_fix_us": ours[2],
        "ratio": ours[0] / one[0],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("worlds", nargs="*", metavar="WORLD", help=f"of {', '.join(WORLDS)}; all without")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=10, help="first seed")
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--polls", default="64,16", help="of each server, s")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    if not options.json:
        print(
            f"{'servers':24}{'poll':>6}{'at fixes':>10}{'60 s':>8}{'one scale':>11}{'60 s':>8}{'newest':>9}{'ratio':>8}"
        )
    for name in options.worlds or WORLDS:
        for poll_s in map(float, options.polls.split(",")):
            hours = options.hours * min(poll_s, 32.0) / 32.0
            row = run(name, poll_s, hours, range(options.first, options.first + options.seeds))
            rows.append(row)
            if not options.json:
                ours, one = row["mae_us"], row["one_scale_us"]
                print(
                    f"{name:24}{poll_s:6g}{ours['at_fixes']:10.2f}{ours['60s']:8.2f}{one['at_fixes']:11.2f}"
                    f"{one['60s']:8.2f}{row['newest_fix_us']:9.1f}{row['ratio']:8.3f}",
                    flush=True,
                )
    if options.json:
        print(json.dumps({"worlds": rows}, default=float))
    return 0


if __name__ == "__main__":
    sys.exit(main())
