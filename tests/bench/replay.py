"""A day of a host in its event log: how large it is, and how long it takes to replay it.

    python tests/bench/replay.py [--hours 24] [--models] [--json]

The log is made by the host's own code on a simulated clock: four servers at the default polls (64 to 1024 s), a
snapshot each second and after each fix. The exchanges are drawn; all that decides about them is what runs in a host.
Beside the replay stands what making the log took: the same decisions, and writing them down. `--models` adds a model
that answers at once, asked as the default configuration asks it (three roles).
"""

import argparse
import heapq
import json
import math
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from chronotick.config.defaults import ROLES
from chronotick.config.schema import Config, NtpConfig
from chronotick.core import Core
from chronotick.forecast.request import LEVELS, Request
from chronotick.inputs import Answered, Due, Heard, Models, Publish
from chronotick.ntp.outcome import Outcome, Sample
from chronotick.ntp.poll import wait_s
from chronotick.ntp.server import after_outcome, new_server
from chronotick.publish.issuer import Issuer, Writer
from chronotick.store import state
from chronotick.store.compare import Tally
from chronotick.store.journal import Journal
from chronotick.store.log import EventLog
from chronotick.store.replay import Replay
from chronotick.store.segments import files
from chronotick.store.worker import Job, Worker

S = 1_000_000_000
RAW0_NS = 100 * S
EPOCH_NS = 1_790_000_000 * S
SERVERS = tuple(f"192.0.2.{n}" for n in range(1, 5))
GOAL_S = 60.0


class Clock:
    """The local oscillator: 8 ppm, a day of 0.2 ppm, and a rate that wanders by 0.3 ppb per square root of a second."""

    def __init__(self, seconds: float, rng: np.random.Generator) -> None:
        grid = np.arange(0.0, seconds + 20.0, 10.0)
        rate = (
            8e-6
            + 2e-7 * np.sin(2 * np.pi * grid / 86_400)
            + np.cumsum(3e-10 * math.sqrt(10) * rng.standard_normal(len(grid)))
        )
        self._grid, self._theta_s = grid, np.concatenate(([0.0], np.cumsum(10.0 * rate[:-1])))

    def theta_ns(self, raw_ns: int) -> int:
        return EPOCH_NS + round(float(np.interp((raw_ns - RAW0_NS) / S, self._grid, self._theta_s)) * S)


def exchange(server: str, raw_ns: int, clock: Clock, rng: np.random.Generator) -> Outcome:
    """One exchange over an internet path: 10 ms each way and some queueing."""
    out_s, back_s = 0.01 + rng.exponential(3e-4, 2)
    delay_ns = round((out_s + back_s) * S)
    sample = Sample(
        raw_ns=raw_ns - delay_ns // 2,
        theta_ns=clock.theta_ns(raw_ns - delay_ns // 2) + round((out_s - back_s) / 2 * S),
        delay_ns=delay_ns,
        span_ns=delay_ns,
        precision_s=1e-6,
        root_delay_s=1e-3,
        root_dispersion_s=1e-3,
        stratum=2,
        leap=0,
        reference_id=bytes((192, 0, 2, 9)),
        transmit=raw_ns,
        realtime_theta_ns=EPOCH_NS,
    )
    return Outcome(server=server, address=server, port=123, raw_ns=raw_ns, sample=sample)


class PatientWorker(Worker):
    """A day passes here in seconds: what is to be stored waits for the disk, where a host would have dropped it."""

    def do(self, job: Job) -> bool:
        self._jobs.put(job)
        return True


def answer(request: Request) -> np.ndarray:
    """The last value goes on, with bands."""
    last = np.nan_to_num(request.values[:, -1])[:, None, None]
    spread = np.linspace(-1.0, 1.0, len(request.levels))[None, :, None]
    growth = np.sqrt(np.arange(1, request.horizon + 1))[None, None, :]
    return last + 0.1 * spread * growth


def make(folder: Path, hours: float, models: bool) -> None:
    """A host's log of so many hours."""
    rng, spread = np.random.default_rng(1), random.Random(1)
    clock = Clock(hours * 3600.0, rng)
    config = Config(ntp=NtpConfig(servers=SERVERS), roles=ROLES if models else ())
    issuer = Issuer(config.publish, Writer(1, 1, 1), raw_ns=RAW0_NS, suspended_ns=0)
    core, worker = Core(config, issuer), PatientWorker()
    log = EventLog(folder, 1_000_000_000, worker)
    now_ns = RAW0_NS
    journal = Journal(core, state.prints(core), log, realtime_ns=lambda: now_ns + clock.theta_ns(now_ns))
    journal.models(Models(("chronos",), (("chronos", LEVELS),)) if models else Models())
    servers = {name: new_server(name, config.ntp) for name in SERVERS}
    # What happens next: (when, kind, server); a tick of the host has no server.
    todo = [(RAW0_NS + number, name) for number, name in enumerate(("", *SERVERS))]
    end_ns = RAW0_NS + round(hours * 3600 * S)
    told_s = time.monotonic()
    while (now_ns := todo[0][0]) < end_ns:
        name = todo[0][1]
        if name:
            outcome = exchange(name, now_ns, clock, rng)
            servers[name] = after_outcome(servers[name], outcome, config.ntp)
            polls = [wait_s(one.poll, config.ntp, 0.0) for one in servers.values() if one.reach]
            if journal.hear(Heard(now_ns, outcome, max(polls))).fix is not None:
                journal.publish(Publish(now_ns, 0))
            pause_s = wait_s(servers[name].poll, config.ntp, spread.random())
        else:
            journal.publish(Publish(now_ns, 0))
            for one in journal.due(Due(now_ns)):
                journal.answer(Answered(one.number, answer(one.request), None, 8.0))
            pause_s = config.publish.interval_s
        heapq.heapreplace(todo, (now_ns + round(pause_s * S), name))
        if sys.stderr.isatty() and time.monotonic() - told_s > 1:
            told_s = time.monotonic()
            print(f"\rmaking the log: {(now_ns - RAW0_NS) / (end_ns - RAW0_NS):4.0%}", end="", file=sys.stderr)
    journal.close()
    worker.close()


def measure(hours: float, models: bool) -> dict[str, float]:
    """Make a log and replay it."""
    with tempfile.TemporaryDirectory(prefix="ck-bench-") as name:
        folder = Path(name)
        begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
        make(folder, hours, models)
        made_s, made_cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
        size = sum(path.stat().st_size for path in files(folder))
        replay, tally = Replay(folder), Tally()
        begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
        for moment in replay.moments():
            tally.take(moment)
        took_s, took_cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    return {
        "hours": hours,
        "segments": replay.segments,
        "log_mb": round(size / 1e6, 2),
        "log_mb_per_day": round(size / 1e6 * 24 / hours, 2),
        "made_s": round(made_s, 2),
        "made_cpu_s": round(made_cpu_s, 2),
        "replayed_s": round(took_s, 2),
        "replayed_cpu_s": round(took_cpu_s, 2),
        "times_real_time": round(hours * 3600 / took_s),
        "compared": tally.compared,
        "differing": tally.differing + len(replay.skipped),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--models", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.hours, args.models)
    if args.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'':<44}{'':>10}{'goal':>10}")
    goal = f"{GOAL_S * args.hours / 24:.0f}"
    for label, value, wanted in (
        ("simulated, h", found["hours"], "-"),
        ("event log, MB per day", found["log_mb_per_day"], "-"),
        ("making it (deciding and writing), s", found["made_s"], "-"),
        ("  of that CPU, s", found["made_cpu_s"], "-"),
        ("replaying it, s", found["replayed_s"], goal),
        ("  of that CPU, s", found["replayed_cpu_s"], "-"),
        ("times as fast as it happened", found["times_real_time"], "1440"),
        ("snapshots compared", found["compared"], "-"),
        ("  of these differing", found["differing"], "0"),
    ):
        print(f"{label:<44}{value:>10}{wanted:>10}")


if __name__ == "__main__":
    main()
