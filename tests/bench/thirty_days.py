"""Thirty simulated days: does the error stay, and the memory?

    python tests/bench/thirty_days.py [--days 30] [--min-poll 64] [--trace] [--seed 1] [--json]

The real pipeline without models takes every exchange with four servers, polled every 64 (or `--min-poll`) to 1024 s as
the real adaptive poll decides. The oscillator has a daily cycle of 0.15 ppm, ages by 1 ppb a day and walks by 0.05 ppb
per square root of a second. At random instants, some 64 s apart, the answer is held against the truth. The last day's
mean absolute error is to be at most 1.2 times the first's (and the second's, which has no warm-up in it), and the
memory that of day 2.

Beside it, the last sample held. `--trace` also counts what Python has allocated, which takes three times as long.
"""

import argparse
import gc
import json
import math
import random
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import psutil

from chronotick.config.schema import Config, NtpConfig
from chronotick.ntp.outcome import Outcome, Refusal, Sample
from chronotick.ntp.poll import wait_s
from chronotick.pipeline import Pipeline

S = 1_000_000_000
DAY_S = 86_400.0
EPOCH_NS = 1_700_000_000 * S
# One-way delays out and back, and the mean of the queueing each way, s.
PATHS = ((2e-3, 2e-3, 2e-4), (4e-3, 4e-3, 4e-4), (8e-3, 8e-3, 8e-4), (12e-3, 12e-3, 1e-3))
STEP_S = 16.0
LOOK_S = 64.0


class Oscillator:
    """Theta on a fine grid, drawn as time goes on: only the newest nodes are kept."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._walk = 0.0
        self._nodes = [(0.0, 0.0, self._rate(0.0))]
        self._first = 0

    def _rate(self, t_s: float) -> float:
        cycle = 0.15e-6 * math.sin(math.tau * t_s / DAY_S)
        return 12e-6 + cycle + 1e-9 * t_s / DAY_S + self._walk

    def theta_ns(self, raw_ns: int) -> int:
        """UTC minus raw. Not more than 4096 steps before the newest instant asked for."""
        t_s = raw_ns / S
        while self._nodes[-1][0] < t_s + STEP_S:
            begun_s, theta_ns, rate = self._nodes[-1]
            self._walk += self._rng.gauss(0.0, 0.05e-9 * math.sqrt(STEP_S))
            now = self._rate(begun_s + STEP_S)
            self._nodes.append((begun_s + STEP_S, theta_ns + (rate + now) / 2 * STEP_S * S, now))
        while len(self._nodes) > 8192:
            del self._nodes[:4096]
            self._first += 4096
        i = int(t_s / STEP_S) - self._first
        begun_s, theta_ns, rate = self._nodes[i]
        since_s = t_s - begun_s
        bend = (self._nodes[i + 1][2] - rate) / STEP_S
        return EPOCH_NS + round(theta_ns + (rate + bend * since_s / 2) * since_s * S)


class Run:
    """The simulation. Attributes: errors_us, held_us: by day; memory: by day, (RSS MB, traced MB)."""

    def __init__(self, days: int, seed: int, min_poll_s: float) -> None:
        self.days = days
        self.rng = random.Random(seed)
        self.oscillator = Oscillator(random.Random(f"{seed} oscillator"))
        self.names = tuple(f"192.0.2.{i + 1}" for i in range(len(PATHS)))
        self.pipeline = Pipeline(Config(ntp=NtpConfig(servers=self.names, min_poll_s=min_poll_s)))
        self.errors_us: list[list[float]] = [[] for _ in range(days)]
        self.held_us: list[list[float]] = [[] for _ in range(days)]
        self.outside = 0
        self.memory: list[tuple[float, float]] = []
        self.exchanges = 0
        self.held_ns = 0

    def run(self, progress: Callable[[str], None]) -> None:
        """All days, polling as the servers' own states say."""
        rng = self.rng
        due = [(rng.uniform(0, 1), i) for i in range(len(PATHS))]
        look_s, day = 600.0, 0
        while day < self.days:
            due.sort()
            t_s, i = due[0]
            while look_s < min(t_s, self.days * DAY_S):
                self._look(look_s)
                look_s += LOOK_S * rng.uniform(0.5, 1.5)
            while day < self.days and t_s >= (day + 1) * DAY_S:
                gc.collect()
                traced = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0
                self.memory.append((psutil.Process().memory_info().rss / 1e6, traced / 1e6))
                day += 1
                progress(f"day {day} of {self.days}")
            self._exchange(t_s, i)
            state = self.pipeline.associations.servers[i]
            due[0] = (t_s + wait_s(state.poll, self.pipeline.associations.config, rng.random()), i)

    def _exchange(self, t_s: float, i: int) -> None:
        rng, (out_s, back_s, queue_s) = self.rng, PATHS[i]
        sent_ns = round(t_s * S)
        out_ns, back_ns = (round((way + rng.expovariate(1 / queue_s)) * S) for way in (out_s, back_s))
        came_ns = sent_ns + out_ns + back_ns
        sample = None
        if rng.random() > 0.01:
            server_ns = sent_ns + out_ns + self.oscillator.theta_ns(sent_ns + out_ns)
            sample = Sample(
                raw_ns=(sent_ns + came_ns) // 2,
                theta_ns=(2 * server_ns - sent_ns - came_ns) // 2,
                delay_ns=out_ns + back_ns,
                span_ns=out_ns + back_ns,
                precision_s=1e-6,
                root_delay_s=1e-3,
                root_dispersion_s=1e-3,
                stratum=2,
                leap=0,
                reference_id=b"SIMU",
                transmit=sent_ns + 1,
                realtime_theta_ns=EPOCH_NS,
            )
        outcome = Outcome(
            server=self.pipeline.associations.servers[i].name,
            address=self.names[i],
            port=123,
            raw_ns=came_ns,
            sample=sample,
            reason=None if sample else Refusal.TIMEOUT,
        )
        taken = self.pipeline.take(outcome, came_ns)
        self.exchanges += 1
        if taken.fix is not None:
            self.held_ns = taken.fix.theta_ns

    def _look(self, t_s: float) -> None:
        raw_ns = round(t_s * S)
        found, hard = self.pipeline.estimate(raw_ns, raw_ns + S), self.pipeline.hard.at(raw_ns)
        assert found is not None
        assert hard is not None
        truth_ns = self.oscillator.theta_ns(raw_ns)
        day = int(t_s / DAY_S)
        self.errors_us[day].append(abs(found.theta_ns - truth_ns) / 1e3)
        self.held_us[day].append(abs(self.held_ns - truth_ns) / 1e3)
        self.outside += not hard[0] <= truth_ns <= hard[1]


def simulate(
    days: int, seed: int, progress: Callable[[str], None], *, min_poll_s: float = 64.0, trace: bool = False
) -> dict[str, Any]:
    """The run and its figures; equal arguments give equal errors."""
    if trace:
        tracemalloc.start(1)
    try:
        run = Run(days, seed, min_poll_s)
        run.run(progress)
    finally:
        tracemalloc.stop()
    ours = [sum(day) / len(day) for day in run.errors_us]
    held = [sum(day) / len(day) for day in run.held_us]
    base = min(1, days - 1)
    return {
        "days": days,
        "exchanges": run.exchanges,
        "looks": sum(len(day) for day in run.errors_us),
        "mae_us_by_day": ours,
        "hold_last_mae_us_by_day": held,
        "last_over_first_day": ours[-1] / ours[0],
        "last_over_second_day": ours[-1] / ours[base],
        "hard_misses": run.outside,
        "rss_mb": {"day_2": run.memory[base][0], "last_day": run.memory[-1][0]},
        "traced_mb": {"day_2": run.memory[base][1], "last_day": run.memory[-1][1]},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30, help="at least 2")
    parser.add_argument("--min-poll", type=float, default=64.0, help="shortest poll, s")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    def progress(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    begun = time.monotonic()
    said = simulate(max(args.days, 2), args.seed, progress, min_poll_s=args.min_poll, trace=args.trace)
    progress("")
    if args.json:
        print(json.dumps(said, indent=2))
        return 0
    print(f"{said['days']} days, {said['exchanges']} exchanges, {time.monotonic() - begun:.0f} s")
    print(f"{'MAE, us':<16}{'day 1':>9}{'day 2':>9}{'last day':>10}{'last/first':>12}{'last/second':>12}")
    for name, days in (("ChronoTick", said["mae_us_by_day"]), ("hold last", said["hold_last_mae_us_by_day"])):
        ratios = f"{days[-1] / days[0]:>12.2f}{days[-1] / days[1]:>12.2f}"
        print(f"{name:<16}{days[0]:>9.1f}{days[1]:>9.1f}{days[-1]:>10.1f}{ratios}")
    for name, key in (("resident, MB", "rss_mb"), ("traced, MB", "traced_mb"))[: 1 + args.trace]:
        print(f"{name:<16}{'':>9}{said[key]['day_2']:>9.2f}{said[key]['last_day']:>10.2f}")
    print(f"truth outside the hard interval: {said['hard_misses']} of {said['looks']} times")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
