"""Ordering events of many hosts: how many verdicts are proofs, and whether any is wrong.

    python tests/bench/ordering.py [--pairs 1000000] [--worlds 10] [--hosts 24] [--hours 2] [--seed 1] [--lopsided 0.4]
        [--json]

Each host has a raw clock with an offset and a wandering rate of its own, and five servers, one of which lies: by
microseconds up to seconds, and claiming to be exact. Paths are asymmetric, differently for each host and server, and
queue at random: of a path's delay a share of one half, give or take up to `--lopsided`, is on the way there. The hosts
run the real pipeline (vote, hard bound, floor), on outcomes made here; nothing else is simulated, and no clock is read.
Pairs of events happen on two different hosts, from a microsecond to ten seconds apart, evenly in the logarithm, either
one first. Each pair is ordered four times:

    compare       chronotick.compare on what both hosts know then: BEFORE, AFTER or AMBIGUOUS
    estimates     by the hosts' best estimates alone
    NTP stamps    by what the servers' combined offset at each host's last vote says, as a plain NTP client would
    raw clocks    by each machine's free-running clock, set once when it started

Pairs are spread over several worlds, each with hosts, servers and paths of its own. Only the first way may abstain. A
definite verdict is wrong when true time says otherwise.

The probability of an AMBIGUOUS pair is held against what came true: of the pairs whose likelier order was said with
such a probability, the share that had it. Beside it stands the same from the calibrated intervals alone, which know
nothing of a path's asymmetry, nor of a server that is wrong within its claim. A tenth as many pairs more happen on one
host each, whose shift is the same for both events.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chronotick import Comparison, Instant, Order, Status, compare
from chronotick.config.schema import Config, NtpConfig
from chronotick.ntp.outcome import Outcome, Sample
from chronotick.ntp.select import Verdict
from chronotick.pipeline import Pipeline

S = 1_000_000_000
START_NS = 1_700_000_000 * S
POLL_S = 64.0
# Events begin when every host has voted a few times.
WARM_UP_S = 600.0
LEAST_GAP_S, MOST_GAP_S = 1e-6, 10.0
SERVERS = 5
LOPSIDED = 0.4
# Edges of the classes of the probability that is said for the likelier order.
CONFIDENCE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


class Server(NamedTuple):
    """One server as one host sees it: its error, what it claims, and the path there and back, s."""

    name: str
    error_s: float
    root_delay_s: float
    root_dispersion_s: float
    there_s: float
    back_s: float
    queue_s: float


@dataclass(slots=True)
class Event:
    """One event of a pair: when it truly was, and what its host knew then."""

    true_ns: int
    known: Instant | None = None
    ntp_ns: int = 0
    raw_clock_ns: int = 0


@dataclass
class Machine:
    """A host: its oscillator, its servers, its pipeline, and the events that happen on it."""

    seed: int
    lopsided: float = LOPSIDED
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = self.rng = random.Random(self.seed)
        self.boot_ns = START_NS - rng.randint(60, 10**6) * S
        self.rate = rng.uniform(-40e-6, 40e-6)
        self.wave = rng.uniform(0, 1.5e-3), rng.uniform(1800, 9000), rng.uniform(0, math.tau)
        self.set_wrong_ns = round(rng.gauss(0, 20e-3) * S)
        self.servers = tuple(self._server(number, liar=number == 0) for number in range(SERVERS))
        names = tuple(f"192.0.2.{number + 1}" for number in range(SERVERS))
        self.pipeline = Pipeline(Config(ntp=NtpConfig(servers=names)))
        self.names = [state.name for state in self.pipeline.associations.servers]
        self.ntp_theta_ns = 0

    def _server(self, number: int, *, liar: bool) -> Server:
        rng = self.rng
        dispersion = 10 ** rng.uniform(-4, -2.3)
        lie = rng.choice((-1, 1)) * 10 ** rng.uniform(-4.5, 0.5)
        whole = 10 ** rng.uniform(-3.3, -1.1)
        share = 0.5 + rng.uniform(-self.lopsided, self.lopsided)
        return Server(
            f"server {number}",
            lie if liar else rng.uniform(-1, 1) * dispersion,
            0.0 if liar else rng.uniform(0, 4e-3),
            1e-5 if liar else dispersion,
            whole * share,
            whole * (1 - share),
            whole * rng.uniform(0.02, 1.0),
        )

    def raw_ns(self, true_ns: int) -> int:
        """The raw clock at a true instant."""
        height, period, phase = self.wave
        at_s = (true_ns - START_NS) / S
        gained_s = self.rate * at_s + height * math.sin(math.tau * at_s / period + phase)
        return true_ns - self.boot_ns + round(gained_s * S)

    def exchange(self, number: int, true_ns: int) -> int:
        """Ask a server; returns the true instant of the reply."""
        server, rng = self.servers[number], self.rng
        there, back, busy = (
            round((one + rng.expovariate(1 / server.queue_s)) * S) for one in (server.there_s, server.back_s, 0)
        )
        busy = min(busy, 50_000)
        replied = true_ns + there + busy + back
        received = true_ns + there + round(server.error_s * S)
        sent, came = self.raw_ns(true_ns), self.raw_ns(replied)
        sample = Sample(
            raw_ns=(sent + came) // 2,
            theta_ns=((received - sent) + (received + busy - came)) // 2,
            delay_ns=max((came - sent) - busy, 0),
            span_ns=came - sent,
            precision_s=1e-6,
            root_delay_s=server.root_delay_s,
            root_dispersion_s=server.root_dispersion_s,
            stratum=2,
            leap=0,
            reference_id=b"SIMU",
            transmit=true_ns,
            realtime_theta_ns=0,
        )
        name = self.names[number]
        outcome = Outcome(server=name, address=name.split(":")[0], port=123, raw_ns=came, sample=sample)
        taken = self.pipeline.take(outcome, came)
        if taken.selection.verdict is Verdict.AGREED:
            self.ntp_theta_ns = taken.selection.theta_ns
        return replied

    def meet(self, event: Event) -> None:
        """Note what this host knows at an event."""
        raw = self.raw_ns(event.true_ns)
        state, bound = self.pipeline.state, self.pipeline.hard.at(raw)
        assert state is not None
        assert bound is not None
        earliest, latest = raw + bound[0], raw + bound[1]
        utc = min(max(raw + state.theta_at_ns(raw), earliest), latest)
        sigma_s = state.sigma_s(raw)
        half_s = sigma_s * self.pipeline.fusion.intervals.multiplier(max(state.ahead_s(raw), 0.0), 0.0)
        event.known = Instant(
            utc,
            earliest,
            latest,
            round(sigma_s * S),
            round(half_s * S),
            raw - state.raw_ns,
            Status.SYNCHRONISED,
            epoch=1,
            host_instance=self.seed,
        )
        event.ntp_ns = raw + self.ntp_theta_ns
        event.raw_clock_ns = self.boot_ns + raw + self.set_wrong_ns

    def run(self, seconds: float) -> None:
        """Poll each server in turn to the end, meeting the events on the way."""
        polls = sorted(
            (START_NS + round((turn * POLL_S + self.rng.uniform(0, POLL_S)) * S), number)
            for number in range(SERVERS)
            for turn in range(math.ceil((seconds + 2 * MOST_GAP_S) / POLL_S))
        )
        left = iter(sorted(self.events, key=lambda event: event.true_ns))
        event = next(left, None)
        for asked, number in polls:
            while event is not None and event.true_ns < asked:
                self.meet(event)
                event = next(left, None)
            self.exchange(number, asked)
        while event is not None:
            self.meet(event)
            event = next(left, None)


def pairs_of(
    machines: list[Machine], count: int, seconds: float, rng: random.Random, *, apart: bool = True
) -> Iterator[tuple[Event, Event]]:
    """Pairs of events on two different hosts, or on one."""
    for _ in range(count):
        one, two = rng.sample(machines, 2) if apart else [rng.choice(machines)] * 2
        begin = START_NS + round(rng.uniform(WARM_UP_S, seconds - 2 * MOST_GAP_S) * S)
        gap = round(10 ** rng.uniform(math.log10(LEAST_GAP_S), math.log10(MOST_GAP_S)) * S)
        pair = Event(begin), Event(begin + rng.choice((-1, 1)) * gap)
        one.events.append(pair[0])
        two.events.append(pair[1])
        yield pair


WAYS: dict[str, Callable[[Event], int]] = {
    "estimates": lambda event: event.known.utc_ns if event.known else 0,
    "NTP stamps": lambda event: event.ntp_ns,
    "raw clocks": lambda event: event.raw_clock_ns,
}


class Reliability:
    """What was said with a probability, beside what came true."""

    def __init__(self) -> None:
        self.pairs = 0
        self.squares = self.surprise = 0.0
        self.classes = {edge: [0, 0.0, 0] for edge in CONFIDENCE}

    def add(self, probability: float, *, before: bool) -> None:
        """One pair, said to be in order with this probability."""
        self.pairs += 1
        self.squares += (probability - before) ** 2
        self.surprise -= math.log(probability if before else 1 - probability)
        said = max(probability, 1 - probability)
        one = self.classes[max(edge for edge in CONFIDENCE if said >= edge)]
        one[0] += 1
        one[1] += said
        one[2] += before == (probability > 0.5)

    def result(self) -> dict[str, Any]:
        """Mean scores (less is better; always one half: 0.25 and 0.693), and each class: pairs, said, came true."""
        return {
            "pairs": self.pairs,
            "brier": self.squares / self.pairs if self.pairs else None,
            "log_loss": self.surprise / self.pairs if self.pairs else None,
            "classes": {
                f"{edge}": {"pairs": count, "said": said / count, "came_true": true / count}
                for edge, (count, said, true) in self.classes.items()
                if count
            },
        }


def alone(a: Instant, b: Instant) -> Comparison:
    """`compare` as if the calibrated intervals were all that there is to know: as of one host's two instants."""
    return compare(a._replace(host_instance=1), b._replace(host_instance=1))


class Tally:
    """Counts over all pairs of all worlds."""

    def __init__(self) -> None:
        self.pairs = self.definite = self.wrong = self.outside = 0
        self.wrong_by = dict.fromkeys(WAYS, 0)
        self.by_gap: dict[int, list[int]] = {}
        self.said = {"compare": Reliability(), "calibrated alone": Reliability(), "one host": Reliability()}
        self.widths: list[int] = []

    def add(self, a: Event, b: Event) -> None:
        """Order one pair of two hosts in every way."""
        assert a.known is not None
        assert b.known is not None
        before = a.true_ns < b.true_ns
        said = compare(a.known, b.known)
        sure = said.order is not Order.AMBIGUOUS
        self.pairs += 1
        self.definite += sure
        self.outside += any(not one.earliest_ns <= true <= one.latest_ns for one, true in known(a, b))
        self.widths.append(a.known.latest_ns - a.known.earliest_ns)
        gap = self.by_gap.setdefault(math.floor(math.log10(abs(b.true_ns - a.true_ns) / S)), [0, 0])
        gap[0] += 1
        gap[1] += sure
        if sure:
            self.wrong += (said.order is Order.BEFORE) != before
        else:
            self.said["compare"].add(said.probability, before=before)
            self.said["calibrated alone"].add(alone(a.known, b.known).probability, before=before)
        for name, stamp in WAYS.items():
            self.wrong_by[name] += (stamp(a) < stamp(b)) != before

    def add_of_one_host(self, a: Event, b: Event) -> None:
        """Order one pair of one host."""
        assert a.known is not None
        assert b.known is not None
        before = a.true_ns < b.true_ns
        said = compare(a.known, b.known)
        if said.order is Order.AMBIGUOUS:
            self.said["one host"].add(said.probability, before=before)
        else:
            self.wrong += (said.order is Order.BEFORE) != before

    def result(self) -> dict[str, Any]:
        """All counts and shares."""
        widths = sorted(self.widths)
        return {
            "pairs": self.pairs,
            "definite": self.definite,
            "wrong_definite": self.wrong,
            "ambiguous_share": 1 - self.definite / self.pairs,
            "pairs_with_true_time_outside_a_hard_interval": self.outside,
            "wrong_share": {name: count / self.pairs for name, count in self.wrong_by.items()},
            "reliability": {name: one.result() for name, one in self.said.items()},
            "definite_share_by_gap": {
                f"1e{power} s": [count, sure / count] for power, (count, sure) in sorted(self.by_gap.items())
            },
            "hard_width_ms": {"p50": widths[len(widths) // 2] / 1e6, "p99": widths[len(widths) * 99 // 100] / 1e6},
        }


def known(*events: Event) -> Iterator[tuple[Instant, int]]:
    """What was known of each event, and when it truly was."""
    for event in events:
        assert event.known is not None
        yield event.known, event.true_ns


def simulate(
    pairs: int, worlds: int, hosts: int, hours: float, seed: int, lopsided: float = LOPSIDED
) -> dict[str, Any]:
    """One run; equal arguments give equal results."""
    tally = Tally()
    seconds = hours * 3600
    for world in range(worlds):
        rng = random.Random(f"{seed} {world}")
        machines = [Machine(rng.getrandbits(64), lopsided) for _ in range(hosts)]
        share = pairs // worlds + (world < pairs % worlds)
        made = list(pairs_of(machines, share, seconds, rng))
        alike = list(pairs_of(machines, share // 10, seconds, rng, apart=False))
        for machine in machines:
            machine.run(seconds)
        for a, b in made:
            tally.add(a, b)
        for a, b in alike:
            tally.add_of_one_host(a, b)
    given = {"worlds": worlds, "hosts_each": hosts, "servers_each": SERVERS, "liars_each": 1, "hours": hours}
    return given | {"lopsided": lopsided, "seed": seed} | tally.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--worlds", type=int, default=10)
    parser.add_argument("--hosts", type=int, default=24)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--lopsided", type=float, default=LOPSIDED, help="0: symmetric paths, 0.5: up to all on one way"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    begun = time.monotonic()
    result = simulate(args.pairs, args.worlds, args.hosts, args.hours, args.seed, args.lopsided) | {
        "took_s": round(time.monotonic() - begun, 1)
    }
    if args.json:
        print(json.dumps(result))
        return
    print(
        f"{result['pairs']} pairs, {args.worlds} worlds of {args.hosts} hosts, {SERVERS} servers each, one lying; "
        f"{result['took_s']} s"
    )
    print(
        f"hard interval        p50 {result['hard_width_ms']['p50']:.2f} ms, p99 {result['hard_width_ms']['p99']:.2f} ms"
    )
    print(f"compare              {result['definite']} definite, {result['wrong_definite']} of them wrong")
    print(f"                     {result['ambiguous_share']:.1%} AMBIGUOUS")
    for name, share in result["wrong_share"].items():
        print(f"{name:20} {share:.2%} wrong, none admitted")
    print("\ngap          pairs  definite")
    for gap, (count, share) in result["definite_share_by_gap"].items():
        print(f"from {gap:6} {count:7} {share:9.1%}")
    print("\nAMBIGUOUS pairs: probability said for the likelier order, and how often it was so")
    for name, one in result["reliability"].items():
        print(f"{name}: Brier score {one['brier']:.3f} (a coin 0.250), log loss {one['log_loss']:.3f} (a coin 0.693)")
        print("  from        pairs      said  came true")
        for edge, row in one["classes"].items():
            print(f"  {edge:8}{row['pairs']:9}{row['said']:10.1%}{row['came_true']:11.1%}")


if __name__ == "__main__":
    main()
