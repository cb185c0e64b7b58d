"""A host that has just been started: how soon it has an interval, and whether the truth is in it.

    python tests/bench/cold_start.py [--starts 1000] [--seconds 120] [--seed 1] [--json]

Each start has 3 to 6 servers, round trips from 0.2 to 160 ms with queueing of up to half of that, an oscillator that
is off by any rate up to the bound of 50 ppm and wanders, one packet in fifty lost, and in every third start a server
that lies. The real pipeline takes the exchanges, and each server is asked when `ntp/poll.py` says so: in the warm-up
every 2 s, eight times, and a server that was not heard yet sooner; then every 64 s.
Paths are of one of three kinds:

    even     as long out as back; queueing alone makes them uneven
    uneven   45 to 55 % of the way is out
    any      0 to 100 % of the way is out: nothing on this side of the network can see it

From the first interval on, once a second: is the truth in the hard interval, and in each calibrated one as a reader
gets it (clipped to the hard one)? "first" counts the first answers alone, "all" every second. Beside it, what a plain
client would claim: the newest sample, give or take its half delay and dispersion (root distance), or three times the
spread of the samples so far (sigma; one sample has none, so it never has a first interval). And by how much the answer
errs, in the median over the starts so many seconds after the first, beside the newest sample.
"""

import argparse
import heapq
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from chronotick.config.schema import Config, NtpConfig
from chronotick.ntp.outcome import Outcome, Refusal, Sample
from chronotick.ntp.poll import PollState, patience_s, wait_s
from chronotick.pipeline import Pipeline
from chronotick.wire.levels import LEVELS

S = 1_000_000_000
ERRORS_AT_S = (1, 2, 3, 5, 8, 12, 16, 24)
EPOCH_NS = 1_700_000_000 * S
RATE_BOUND = 5e-5
KINDS = ("even", "uneven", "any")
PLAIN = ("root distance", "sigma")
NAMES = ("hard", *(f"{level:.1%}" for level in LEVELS), *PLAIN)


class Path(NamedTuple):
    """One server's path and claim, s."""

    out_s: float
    back_s: float
    queue_s: float
    dispersion_s: float
    error_s: float


class Start:
    """One start, run to the end.

    Attributes:
        first_s: of the first interval, after the first reply.
        hits: seconds at which an interval held the truth, by interval.
        errors_s: of the answer and of the newest sample, at each second.
    """

    def __init__(self, kind: str, seed: str, seconds: float) -> None:
        self.rng = rng = random.Random(seed)
        self.seconds = seconds
        self.rate = rng.choice((-1, 1)) * RATE_BOUND * rng.uniform(0, 0.999) ** 0.5
        self.drift = rng.gauss(0, 1e-9)
        count = rng.randint(3, 6)
        liar = rng.randrange(3 * count)
        self.paths = [self._path(kind, lies=i == liar) for i in range(count)]
        names = tuple(f"192.0.2.{i + 1}" for i in range(count))
        self.config = NtpConfig(servers=names)
        self.pipeline = Pipeline(Config(ntp=self.config))
        self.names = [state.name for state in self.pipeline.associations.servers]
        self.addresses = names
        self.thetas_ns: list[int] = []
        self.newest: Sample | None = None
        self.first_s: float | None = None
        self.first: dict[str, bool] = {}
        self.hits = dict.fromkeys(NAMES, 0)
        self.looks = 0
        self.widths_s: dict[str, float] = {}
        self.wide_s: list[float] = []
        self.errors_s: list[tuple[float, float]] = []

    def _path(self, kind: str, *, lies: bool) -> Path:
        rng = self.rng
        whole_s = 10 ** rng.uniform(-3.7, -0.8)
        share = {"even": 0.5, "uneven": rng.uniform(0.45, 0.55), "any": rng.uniform(0, 1)}[kind]
        dispersion_s = 10 ** rng.uniform(-4, -2.3)
        error_s = 10 ** rng.uniform(-2, 1) if lies else 0.1 * rng.uniform(-1, 1) * dispersion_s
        return Path(whole_s * share, whole_s * (1 - share), whole_s * rng.uniform(0.01, 0.5), dispersion_s, error_s)

    def theta_ns(self, raw_ns: int) -> int:
        """The truth: a rate and a steady change of it."""
        t = raw_ns / S
        return EPOCH_NS + round((self.rate * t + 0.5 * self.drift * t * t) * S)

    def run(self) -> None:
        """Every server is asked when `ntp/poll.py` says; answers are looked at between the exchanges."""
        rng, end_ns = self.rng, round(self.seconds * S)
        ends = [self._exchange(round(rng.uniform(0, 0.05) * S), i) for i in range(len(self.paths))]
        heapq.heapify(ends)
        look_ns, replied_ns = 0, 0
        while ends:
            came_ns, i, sent_ns, outcome = heapq.heappop(ends)
            while look_ns and look_ns < came_ns:
                self._look(look_ns)
                look_ns += S
            if outcome.sample is not None:
                replied_ns = replied_ns or came_ns
                self.newest = outcome.sample
            taken = self.pipeline.take(outcome, came_ns)
            if taken.fix is not None:
                self.thetas_ns.append(taken.fix.theta_ns)
                if not look_ns:
                    self.first_s = (came_ns - replied_ns) / S
                    look_ns = came_ns + 1
            asked_ns = max(came_ns, sent_ns + round(wait_s(self._poll(i), self.config, rng.random()) * S))
            if asked_ns < end_ns:
                heapq.heappush(ends, self._exchange(asked_ns, i))
        while 0 < look_ns < end_ns:
            self._look(look_ns)
            look_ns += S

    def _poll(self, i: int) -> PollState:
        return self.pipeline.associations.servers[i].poll

    def _exchange(self, sent_ns: int, i: int) -> tuple[int, int, int, Outcome]:
        path, rng = self.paths[i], self.rng
        out_ns, back_ns = (round((way + rng.expovariate(1 / path.queue_s)) * S) for way in (path.out_s, path.back_s))
        came_ns = sent_ns + out_ns + back_ns
        sample = None
        if rng.random() > 0.02 and out_ns + back_ns < S:
            server_ns = sent_ns + out_ns + self.theta_ns(sent_ns + out_ns) + round(path.error_s * S)
            sample = Sample(
                raw_ns=(sent_ns + came_ns) // 2,
                theta_ns=(2 * server_ns - sent_ns - came_ns) // 2,
                delay_ns=out_ns + back_ns,
                span_ns=out_ns + back_ns,
                precision_s=1e-6,
                root_delay_s=0.0,
                root_dispersion_s=path.dispersion_s,
                stratum=2,
                leap=0,
                reference_id=b"SIMU",
                transmit=sent_ns + 1,
                realtime_theta_ns=0,
            )
        else:
            came_ns = sent_ns + round(patience_s(self._poll(i), self.config) * S)
        outcome = Outcome(
            server=self.names[i],
            address=self.addresses[i],
            port=123,
            raw_ns=came_ns,
            sample=sample,
            reason=None if sample else Refusal.TIMEOUT,
        )
        return came_ns, i, sent_ns, outcome

    def _look(self, raw_ns: int) -> None:
        found = self.pipeline.estimate(raw_ns, raw_ns + S)
        hard = self.pipeline.hard.at(raw_ns)
        assert found is not None
        assert hard is not None
        assert self.newest is not None
        truth_ns = self.theta_ns(raw_ns)
        theta_ns = min(max(found.theta_ns, hard[0]), hard[1])
        claims: dict[str, tuple[float, float]] = {"hard": (hard[0], hard[1])}
        for level, half_s in zip(LEVELS, found.half_widths_s, strict=True):
            # As published: an estimate beyond the hard interval is moved to its edge, and the way counts as error.
            half_ns = half_s * S + abs(found.theta_ns - theta_ns)
            claims[f"{level:.1%}"] = max(theta_ns - half_ns, hard[0]), min(theta_ns + half_ns, hard[1])
        newest = self.newest
        self.errors_s.append((abs(theta_ns - truth_ns) / S, abs(newest.theta_ns - truth_ns) / S))
        distance_ns = newest.root_distance_at_s(raw_ns, 15e-6) * S
        claims["root distance"] = newest.theta_ns - distance_ns, newest.theta_ns + distance_ns
        if len(self.thetas_ns) < 2:
            self._count(claims, truth_ns)
            return
        mean_ns = sum(one - self.thetas_ns[0] for one in self.thetas_ns) / len(self.thetas_ns)
        squares = sum((one - self.thetas_ns[0] - mean_ns) ** 2 for one in self.thetas_ns)
        spread_ns = 3 * math.sqrt(squares / max(len(self.thetas_ns) - 1, 1))
        claims["sigma"] = newest.theta_ns - spread_ns, newest.theta_ns + spread_ns
        self._count(claims, truth_ns)

    def _count(self, claims: dict[str, tuple[float, float]], truth_ns: int) -> None:
        inside = {name: low <= truth_ns <= high for name, (low, high) in claims.items()}
        if not self.looks:
            self.first = inside
            self.widths_s = {name: (high - low) / S for name, (low, high) in claims.items()}
        self.looks += 1
        self.wide_s.append((claims["99.9%"][1] - claims["99.9%"][0]) / S)
        for name, hit in inside.items():
            self.hits[name] += hit


def simulate(kind: str, starts: int, seconds: float, seed: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """All starts of one kind; equal arguments give equal results."""
    missing = 0
    first, hits = dict.fromkeys(NAMES, 0), dict.fromkeys(NAMES, 0)
    looks, waits, widths, wide_s, silent = 0, [], [], [], 0
    errors_s: dict[int, list[tuple[float, float]]] = {at_s: [] for at_s in ERRORS_AT_S}
    for number in range(starts):
        if number % 20 == 0:
            progress(f"{kind}: start {number} of {starts}")
        start = Start(kind, f"{seed} {kind} {number}", seconds)
        start.run()
        if start.first_s is None or not start.first:
            silent += 1
            continue
        waits.append(start.first_s)
        widths.append(start.widths_s["hard"])
        looks += start.looks
        wide_s += start.wide_s
        for name in NAMES:
            first[name] += start.first.get(name, False)
            hits[name] += start.hits[name]
        missing += start.hits["99.9%"] < start.looks
        for at_s, found in errors_s.items():
            found += start.errors_s[at_s : at_s + 1]
    waits.sort()
    widths.sort()
    answered = starts - silent
    return {
        "starts": starts,
        "without_time": silent,
        "first_interval_s": {"p50": waits[answered // 2], "p99": waits[answered * 99 // 100], "max": waits[-1]},
        "within_5_s": sum(one <= 5.0 for one in waits) / starts,
        "first_hard_width_p50_ms": widths[answered // 2] * 1e3,
        "width_99.9_p50_ms": sorted(wide_s)[len(wide_s) // 2] * 1e3,
        "missing_starts": missing,
        "first": {name: count / answered for name, count in first.items()},
        "all": {name: count / looks for name, count in hits.items()},
        "looks": looks,
        "error_p50_us": {
            str(at_s): [statistics.median(column) * 1e6 for column in zip(*found, strict=True)]
            for at_s, found in errors_s.items()
            if found
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=1000, help="of each kind")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    def progress(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    begun = time.monotonic()
    result = {kind: simulate(kind, args.starts, args.seconds, args.seed, progress) for kind in KINDS}
    progress("")
    if args.json:
        print(json.dumps(result, indent=2))
        return 0
    print(f"{args.starts} starts of each kind, {args.seconds:g} s each; took {time.monotonic() - begun:.0f} s")
    print(f"{'':<16}{'within 5 s':>11}{'p50':>8}{'max':>8}   " + "".join(f"{name:>14}" for name in NAMES))
    for kind, said in result.items():
        for part in ("first", "all"):
            waits = said["first_interval_s"]
            head = f"{said['within_5_s']:>11.2%}{waits['p50']:>6.2f} s{waits['max']:>6.2f} s" if part == "first" else ""
            cells = "".join(f"{said[part][name]:>14.2%}" for name in NAMES)
            print(f"{kind + ', ' + part:<16}{head:<27}   {cells}")
        print(
            f"  99.9 %: median full width {said['width_99.9_p50_ms']:.3f} ms, "
            f"missed at some second in {said['missing_starts']} of {said['starts']} starts"
        )
        errors = (f"{ours:.0f} ({newest:.0f}) at {at_s} s" for at_s, (ours, newest) in said["error_p50_us"].items())
        print(f"  median error, us (of the newest sample): {', '.join(errors)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
