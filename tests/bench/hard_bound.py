"""Does the hard interval hold the truth wherever a majority is honest? Simulated worlds, beside two plain rules.

    python tests/bench/hard_bound.py [--family NAME ...] [--worlds 20] [--hours 1] [--seed 1] [--json]

Each world has 3 to 9 servers, as many liars as a minority allows (colluding or not, by microseconds beyond their claim
or by seconds), paths that are asymmetric by up to the whole delay, and an oscillator that stays inside the rate bound.
The real pipeline takes every exchange; after each, and at two instants before the next, its hard interval is held
against the truth. At the same instants:

    each vote     what ChronoTick's votes say, each by itself
    RFC 5905      the survivors' combined offset, give or take the smallest root distance among them (15 ppm ageing)
    intersection  RFC 5905's interval: what the most servers share, midpoints inside
    average       the mean of all servers' newest offsets, give or take their mean root distance

    honest        nobody lies
    steady        the liars stay the same
    asymmetric    most paths take 10 ms out and 18 ms back
    tails         delays with an infinite variance, and lost packets
    edge          the oscillator runs at the rate bound, one way or the other
    changing      servers go silent, and come back at other addresses
    steps         the time base is disturbed and declared, or the host starts anew
    turns         other servers lie every few minutes, once those before them have answered honestly
    at_once       the same, but others lie from one moment to the next
    split         no majority is honest, and none lies alike: there must be no time at all, and the vote must say so

In `at_once` a majority is honest at every moment, and yet not all newest samples of a majority are: servers are asked
one after the other, so those who lied a moment ago still have a false sample in the vote beside those who lie now. A
sample that an agreeing majority contradicted counts for nothing until its server has answered anew, and the bound is
what any vote of the last round allowed (docs/adr/0005). "Excused" are the misses of a host that had at some vote before
no true majority among the servers' newest samples: there the assumption of each vote by itself fails. `changing` has
such, too: where honest servers fall silent, those who lie may be most of those who are left.
"""

import argparse
import bisect
import json
import math
import random
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from chronotick.clock.discontinuity import Kind
from chronotick.config.schema import Config, NtpConfig
from chronotick.fusion.hard import HardBound
from chronotick.ntp.outcome import Outcome, Refusal, Sample
from chronotick.ntp.select import Selection, Standing, Verdict
from chronotick.ntp.server import ServerState
from chronotick.pipeline import Pipeline, Taken

S = 1_000_000_000
RATE_BOUND = 5e-5
# What RFC 5905 lets an oscillator drift, s/s (PHI).
RFC_DRIFT = 15e-6
FAMILIES = ("honest", "steady", "asymmetric", "tails", "edge", "changing", "steps", "turns", "at_once", "split")
RULES = ("chronotick", "each_vote", "rfc5905", "intersection", "average")


class Oscillator:
    """Theta as a chain of straight lines whose slopes stay inside the rate bound."""

    def __init__(self, rng: random.Random, seconds: float, edge: bool) -> None:
        self.base_ns = 1_700_000_000 * S + rng.randrange(S)
        self._at, self._theta, self._rate = [0], [0.0], []
        t = 0.0
        while t < seconds:
            rate = rng.choice((-1, 1)) if edge else rng.uniform(-1, 1)
            # The bound counts from both ends of an exchange's own span, too: stay a hair inside.
            self._rate.append(0.999 * RATE_BOUND * rate)
            step = rng.expovariate(1 / 900.0) + 1.0
            t += step
            self._at.append(round(t * S))
            self._theta.append(self._theta[-1] + self._rate[-1] * step * S)
        self._rate.append(0.0)

    def theta_ns(self, raw_ns: int) -> int:
        """UTC minus raw."""
        i = bisect.bisect_right(self._at, raw_ns) - 1
        return self.base_ns + round(self._theta[i] + self._rate[i] * (raw_ns - self._at[i]))


class Server(NamedTuple):
    """One server: path, what it claims, and its own honest error, s."""

    out_s: float
    back_s: float
    queue_s: float
    heavy: bool
    loss: float
    dispersion_s: float
    error_s: float
    poll_s: float

    def queued_s(self, rng: random.Random) -> float:
        """Queueing of one way; heavy tails are Pareto's with exponent 1.2, cut at 0.4 s."""
        if self.heavy:
            return float(min(self.queue_s * (rng.paretovariate(1.2) - 1.0), 0.4))
        return rng.expovariate(1 / self.queue_s)


class Liars:
    """Who lies when, and by how much. Never a majority at one time but in `split`."""

    def __init__(self, family: str, count: int, rng: random.Random) -> None:
        self.family, self.count, self.rng = family, count, rng
        most = (count - 1) // 2
        self.size = rng.randint(1, most)
        self.collude = rng.random() < 0.7
        self.scale_s = 10 ** rng.uniform(-4.5, 0.7)
        self.sign = rng.choice((-1, 1))
        self.now: dict[int, float] = {}
        # Turned honest, and not yet heard since.
        self.tainted: set[int] = set()
        self.next_s = 0.0
        if family == "honest":
            self.next_s = math.inf
        if family == "split":
            # Each tells a time of its own, far apart: at most two tell the truth of four and more.
            honest = set(rng.sample(range(count), max(count // 2 - 1, 1)))
            self.now = {i: (i + 1) * 3.0 * self.sign for i in range(count) if i not in honest}
            self.next_s = math.inf

    def at(self, t_s: float, radius_s: float) -> dict[int, float]:
        """The liars of this moment with their errors, s. radius_s: of a typical claim, for lies just beyond it."""
        waits = self.family != "at_once" and self.tainted
        if t_s >= self.next_s and not waits:
            turns = self.family in ("turns", "at_once")
            self.next_s = t_s + self.rng.expovariate(1 / 300.0) if turns else math.inf
            before = set(self.now)
            pool = [i for i in range(self.count) if i not in before] if turns else list(range(self.count))
            if self.family == "turns" and before:
                # First all are honest; the next ones begin once these were heard.
                self.tainted, self.now, self.next_s = before, {}, t_s
                return self.now
            chosen = self.rng.sample(pool, min(self.size, len(pool)))
            lie = self._lie_s(radius_s)
            self.now = {i: lie if self.collude else self._lie_s(radius_s) for i in chosen}
        return self.now

    def heard(self, server: int) -> None:
        """This server has answered."""
        self.tainted.discard(server)

    def _lie_s(self, radius_s: float) -> float:
        if self.rng.random() < 0.5:
            return self.sign * radius_s * self.rng.uniform(0.5, 3.0)
        return self.sign * self.scale_s * self.rng.uniform(0.5, 2.0)


class World:
    """One simulated host with its servers, run to the end."""

    def __init__(self, family: str, seed: str, hours: float) -> None:
        self.family, self.seconds = family, hours * 3600.0
        self.rng = rng = random.Random(seed)
        self.oscillator = Oscillator(rng, self.seconds + 100.0, family == "edge")
        count = rng.randint(4 if family == "split" else 3, 9)
        self.servers = [self._server(i, count) for i in range(count)]
        self.liars = Liars(family, count, rng)
        self.names = tuple(f"192.0.2.{i + 1}" for i in range(count))
        self.addresses = list(self.names)
        self.silent_until = [0.0] * count
        self.pipeline = self._started()
        self.plain = HardBound(RATE_BOUND)
        self.jump_ns = 0
        self.published = dict.fromkeys(RULES, 0)
        self.missed = dict.fromkeys(RULES, 0)
        # Servers whose newest sample claims an interval without the truth; whether they were ever too many for a vote.
        self.false: set[int] = set()
        self.broken = False
        self.excused = 0
        self.widths_s: list[float] = []
        self.plain_widths_s: list[float] = []
        self.verdicts: dict[str, int] = {}

    def _started(self) -> Pipeline:
        return Pipeline(Config(ntp=NtpConfig(servers=self.names)))

    def _server(self, i: int, count: int) -> Server:
        rng = self.rng
        whole_s = 10 ** rng.uniform(-3.3, -1.0)
        share = rng.choice((0.0, 1.0, 0.5)) if rng.random() < 0.3 else rng.uniform(0, 1)
        out_s, back_s = whole_s * share, whole_s * (1 - share)
        if self.family == "asymmetric":
            out_s, back_s = (0.010, 0.018) if i <= count // 2 else (0.012, 0.012)
        dispersion_s = 10 ** rng.uniform(-4, -2.3)
        heavy = self.family == "tails"
        return Server(
            out_s,
            back_s,
            queue_s=(out_s + back_s) * rng.uniform(0.02, 1.0),
            heavy=heavy,
            loss=rng.uniform(0, 0.4) if heavy else 0.01,
            dispersion_s=dispersion_s,
            error_s=rng.uniform(-1, 1) * dispersion_s,
            poll_s=2.0 ** rng.randint(3, 6),
        )

    def theta_ns(self, raw_ns: int) -> int:
        """The truth."""
        return self.oscillator.theta_ns(raw_ns) + self.jump_ns

    def run(self) -> None:
        """Poll every server to the end; an exchange ends where its reply comes."""
        rng = self.rng
        radius_s = sorted(s.dispersion_s + (s.out_s + s.back_s) / 2 for s in self.servers)[len(self.servers) // 2]
        due = [(rng.uniform(0, server.poll_s), i) for i, server in enumerate(self.servers)]
        disturbed_s = rng.expovariate(1 / 1200.0)
        while True:
            due.sort()
            t_s, i = due[0]
            if t_s > self.seconds:
                return
            if self.family == "steps" and t_s > disturbed_s:
                self._disturb(round(t_s * S))
                disturbed_s = t_s + rng.expovariate(1 / 1200.0)
            if self.family == "changing":
                self._change(t_s)
            taken, raw_ns = self._exchange(i, round(t_s * S), self.liars.at(t_s, radius_s))
            due[0] = (t_s + self.servers[i].poll_s * rng.uniform(1.0, 1.05), i)
            until_ns = max(round(min(due)[0] * S), raw_ns)
            self._judge(taken, (raw_ns, *(rng.randint(raw_ns, until_ns) for _ in range(2))))

    def _disturb(self, raw_ns: int) -> None:
        """A suspend or a new time base of any size, declared; or a restart of the host."""
        self.false.clear()
        self.broken = False
        self.plain.restart()
        if self.rng.random() < 0.3:
            self.pipeline = self._started()
            return
        self.jump_ns += round(self.rng.gauss(0, 100.0) * S)
        self.pipeline.disrupt(raw_ns, self.rng.choice((Kind.SUSPEND, Kind.TIME_BASE)))

    def _change(self, t_s: float) -> None:
        """Now and then a server falls silent for a while, or its name leads to another address."""
        i = self.rng.randrange(len(self.servers))
        if self.rng.random() < 0.01:
            self.silent_until[i] = t_s + self.rng.expovariate(1 / 600.0)
        if self.rng.random() < 0.005:
            self.addresses[i] = f"198.51.100.{self.rng.randint(1, 254)}"
            self.servers[i] = self._server(i, len(self.servers))

    def _exchange(self, i: int, sent_ns: int, lies: dict[int, float]) -> tuple[Taken, int]:
        server, rng = self.servers[i], self.rng
        out_ns = round((server.out_s + server.queued_s(rng)) * S)
        back_ns = round((server.back_s + server.queued_s(rng)) * S)
        came_ns = sent_ns + out_ns + back_ns
        lost = rng.random() < server.loss or self.silent_until[i] * S > sent_ns or out_ns + back_ns > S
        sample = None
        if not lost:
            # The queue is where the asymmetry is unknown; T2 and T3 are the server's clock at one instant.
            server_ns = sent_ns + out_ns + self.theta_ns(sent_ns + out_ns)
            server_ns += round((lies.get(i, 0.0) + server.error_s) * S)
            sample = Sample(
                raw_ns=(sent_ns + came_ns) // 2,
                theta_ns=((server_ns - sent_ns) + (server_ns - came_ns)) // 2,
                delay_ns=out_ns + back_ns,
                span_ns=out_ns + back_ns,
                precision_s=1e-6,
                root_delay_s=0.0,
                root_dispersion_s=server.dispersion_s,
                stratum=2,
                leap=0,
                reference_id=b"SIMU",
                transmit=sent_ns,
                realtime_theta_ns=0,
            )
            self.liars.heard(i)
            away_ns = abs(sample.theta_ns - self.theta_ns(sample.raw_ns))
            (
                self.false.add
                if away_ns > sample.root_distance_at_s(sample.raw_ns, RATE_BOUND) * S
                else self.false.discard
            )(i)
        came_ns = came_ns if not lost else sent_ns + 2 * S
        outcome = Outcome(
            server=self.pipeline.associations.servers[i].name,
            address=self.addresses[i],
            port=123,
            raw_ns=came_ns,
            sample=sample,
            reason=None if sample else Refusal.TIMEOUT,
        )
        return self.pipeline.take(outcome, came_ns), came_ns

    def _judge(self, taken: Taken, instants_ns: tuple[int, ...]) -> None:
        selection = taken.selection
        if taken.fix is not None:
            low_ns, high_ns = selection.earliest_theta_ns, selection.latest_theta_ns
            self.plain.update(replace(taken.fix, earliest_theta_ns=low_ns, latest_theta_ns=high_ns))
        self.verdicts[selection.verdict.value] = self.verdicts.get(selection.verdict.value, 0) + 1
        table = self.pipeline.associations.servers
        states = [state for state in table if state.last is not None and state.reach]
        voting = [i for i, state in enumerate(table) if state.last is not None and state.reach]
        everyone = len(voting) + len(selection.named(Standing.UNHEARD))
        self.broken |= everyone - len(self.false.intersection(voting)) < everyone // 2 + 1
        for raw_ns in instants_ns:
            claims = {"chronotick": self.pipeline.hard.at(raw_ns), "each_vote": self.plain.at(raw_ns)}
            if states:
                claims["average"] = average(states, raw_ns)
            if selection.verdict is Verdict.AGREED:
                claims["rfc5905"] = root_distance(states, selection, raw_ns)
                claims["intersection"] = intersection(states, raw_ns)
            truth_ns = self.theta_ns(raw_ns)
            for rule, claim in claims.items():
                if claim is not None:
                    self.published[rule] += 1
                    missed = not claim[0] <= truth_ns <= claim[1]
                    self.missed[rule] += missed
                    self.excused += missed and self.broken and rule == "chronotick"
        if (mine := self.pipeline.hard.at(instants_ns[0])) is not None:
            self.widths_s.append((mine[1] - mine[0]) / S)
        if (plain := self.plain.at(instants_ns[0])) is not None:
            self.plain_widths_s.append((plain[1] - plain[0]) / S)


def _claims(states: list[ServerState], raw_ns: int) -> list[tuple[float, float, float]]:
    claims = []
    for state in states:
        assert state.last is not None
        distance_ns = state.last.root_distance_at_s(raw_ns, RFC_DRIFT) * S
        claims.append((state.last.theta_ns - distance_ns, state.last.theta_ns, state.last.theta_ns + distance_ns))
    return claims


def average(states: list[ServerState], raw_ns: int) -> tuple[float, float]:
    """Mean offset, give or take the mean root distance."""
    claims = _claims(states, raw_ns)
    return sum(one[0] for one in claims) / len(claims), sum(one[2] for one in claims) / len(claims)


def root_distance(states: list[ServerState], selection: Selection, raw_ns: int) -> tuple[float, float] | None:
    """RFC 5905 section 11.2.3: the combined offset, give or take the system peer's root distance."""
    survivors = set(selection.survivors)
    distances = [s.last.root_distance_at_s(raw_ns, RFC_DRIFT) for s in states if s.last and s.identity in survivors]
    if not distances:
        return None
    return selection.theta_ns - min(distances) * S, selection.theta_ns + min(distances) * S


def intersection(states: list[ServerState], raw_ns: int) -> tuple[float, float] | None:
    """RFC 5905 section 11.2.1: the interval that the most claims share with as many midpoints inside."""
    claims = _claims(states, raw_ns)
    for allowed in range((len(claims) + 1) // 2):
        need = len(claims) - allowed
        lows = [low for low, _, _ in claims if sum(a <= low <= b for a, _, b in claims) >= need]
        highs = [high for _, _, high in claims if sum(a <= high <= b for a, _, b in claims) >= need]
        if lows and highs and sum(not min(lows) <= mid <= max(highs) for _, mid, _ in claims) <= allowed:
            return min(lows), max(highs)
    return None


def simulate(family: str, worlds: int, hours: float, seed: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """One family; equal arguments give equal results."""
    published, missed = dict.fromkeys(RULES, 0), dict.fromkeys(RULES, 0)
    verdicts: dict[str, int] = {}
    widths: list[float] = []
    plain: list[float] = []
    excused = 0
    for number in range(worlds):
        progress(f"{family}: world {number + 1} of {worlds}")
        world = World(family, f"{seed} {family} {number}", hours)
        world.run()
        for rule in RULES:
            published[rule] += world.published[rule]
            missed[rule] += world.missed[rule]
        for verdict, count in world.verdicts.items():
            verdicts[verdict] = verdicts.get(verdict, 0) + count
        widths += world.widths_s
        plain += world.plain_widths_s
        excused += world.excused
    return {
        "published": published,
        "missed": missed,
        "excused": excused,
        "verdicts": verdicts,
        "width_p50_ms": _quantile_ms(widths, 0.5),
        "width_p95_ms": _quantile_ms(widths, 0.95),
        "each_vote_width_p50_ms": _quantile_ms(plain, 0.5),
        "each_vote_width_p95_ms": _quantile_ms(plain, 0.95),
    }


def _quantile_ms(widths_s: list[float], share: float) -> float | None:
    return sorted(widths_s)[int(share * len(widths_s))] * 1e3 if widths_s else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    def progress(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    begun = time.monotonic()
    result = {name: simulate(name, args.worlds, args.hours, args.seed, progress) for name in args.family}
    progress("")
    if args.json:
        print(json.dumps(result, indent=2))
        return 0
    print(f"{args.worlds} worlds of {args.hours:g} h each, {time.monotonic() - begun:.0f} s; missed / published")
    rules = ("ChronoTick", "each vote", "RFC 5905", "intersection", "average")
    heads = [f"{name:>18}" for name in rules]
    print(f"{'':<12}{heads[0]} excused{''.join(heads[1:])}  width p50 (95 %), each vote's  agreed")
    for name, said in result.items():
        first, *rest = (f"{said['missed'][rule]:>8} /{said['published'][rule]:>8}" for rule in RULES)
        cells = "".join((first, f"{said['excused']:>8}", *rest))
        width = "-"
        if said["width_p50_ms"] is not None:
            width = ", ".join(
                f"{said[key + '_p50_ms']:.1f} ({said[key + '_p95_ms']:.1f}) ms" for key in ("width", "each_vote_width")
            )
        agreed = said["verdicts"].get("agreed", 0) / sum(said["verdicts"].values())
        print(f"{name:<12}{cells}  {width:>27}  {agreed:>6.1%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
