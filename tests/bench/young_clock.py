"""What reading the first fixes again brings in the first hours, on simulated servers whose queues differ.

    python tests/bench/young_clock.py [--seeds 100] [--first 5000] [--processes 2] [--json]

Simulated clocks and servers through `Alignment` and `Floor`, polled at one interval, in us: the mean absolute error of
the line in the first quarter of the run (without its first ten minutes) and in the rest; as built, with every
fix read once as it came (`READ_AGAIN_AT` emptied), and of the newest fix. `worst` is the first quarter's error in
the worst run. Where paths differ by a constant the mean of each run's last quarter is taken off. The ratio's interval
is two standard errors over the seeds, which are pairs.
"""

import argparse
import json
from multiprocessing import Pool
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from chronotick.clock.alignment import Alignment
from chronotick.clock.floor import Floor
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.ntp.fix import Fix

S = 10**9
FAR_MS = ((8, 1.0), (10, 2.0), (15, 2.0), (25, 3.0), (40, 4.0))
SPIKE_S = 0.03


class Path(NamedTuple):
    """Delay without queues, ms, mean queue each way, ms, shares of spikes and losses, and the asymmetry's error, ms."""

    delay_ms: float
    queue_ms: float
    spikes: float = 0.0
    loss: float = 0.0
    off_ms: float = 0.0


class World(NamedTuple):
    """Servers, the interval of polls, s, the length, h, and the clock: amplitude, s/s, and period, s; walk."""

    paths: tuple[Path, ...]
    poll_s: float
    hours: float
    cycle: tuple[float, float] = (0.05e-6, 3600.0)
    walk: float = 0.3e-9


def _far(offs_ms: tuple[float, ...] = (0.0,) * 5) -> tuple[Path, ...]:
    return tuple(Path(2 * ms, queue, 0.01, 0.005, off) for (ms, queue), off in zip(FAR_MS, offs_ms, strict=True))


WORLDS = {
    "Internet, 64 s": World(_far(), 64.0, 6.0),
    "Internet, 16 s": World(_far(), 16.0, 3.0),
    "Internet, paths differ by ms, 64 s": World(_far((0.3, -0.6, 0.2, -1.0, 2.0)), 64.0, 6.0),
    "one far server, 64 s": World((Path(20, 1.0),), 64.0, 12.0, walk=1e-9),
    "two, 0.35 ms apart, 64 s": World((Path(9, 0.3, 0.02, 0, 0.15), Path(11, 0.4, 0.02, 0, -0.2)), 64.0, 12.0),
    "lossy, spikes, 16 s": World((*(Path(2 * d, 0.5, 0.1, 0.33) for d in (3, 5, 8, 12)), Path(12, 0.5)), 16.0, 1.0),
    "10 ms out, 18 ms back, 16 s": World((*(Path(28, 0.2, off_ms=-4.0),) * 3, *(Path(24, 0.2),) * 2), 16.0, 2.0),
    "LAN, 16 s": World((Path(0.2, 0.02),) * 4, 16.0, 2.0, (0.3e-6, 1800.0), 1e-9),
    "LAN, 1 s": World((Path(0.2, 0.02),) * 4, 1.0, 0.15, (0.3e-6, 1800.0), 1e-9),
}


def _packets(world: World, rng: np.random.Generator) -> list[tuple[float, str, float, float]]:
    """Of each exchange: its instant, s, the server, the round trip, s, and what theta is wrong by, s."""
    made = []
    for k, path in enumerate(world.paths):
        for i in range(int(world.hours * 3600 / world.poll_s) - 1):
            if rng.random() < path.loss:
                continue
            out, back = rng.exponential(path.queue_ms * 1e-3, 2)
            out, back = (one + rng.exponential(SPIKE_S) * (rng.random() < path.spikes) for one in (out, back))
            at_s = world.poll_s * (i + 0.9 * (k + 0.3) / len(world.paths))
            made.append((at_s, f"s{k}", path.delay_ms * 1e-3 + out + back, (out - back) / 2 + path.off_ms * 1e-3))
    return sorted(made)


def run(name: str, seed: int) -> list[list[float]]:
    """MAE in us of (as built, read once, newest fix), in the first quarter and in the rest."""
    world, rng = WORLDS[name], np.random.default_rng(seed)
    step_s = min(world.poll_s / 16, 1.0)
    t = np.arange(0.0, world.hours * 3600 + 2 * step_s, step_s)
    amplitude, period_s = world.cycle
    rate = 2e-5 + amplitude * np.sin(2 * np.pi * (t / period_s + rng.random()))
    rate += world.walk * np.sqrt(step_s) * np.cumsum(rng.standard_normal(len(t)))
    x = np.concatenate(([0.0], np.cumsum(rate[:-1] * step_s)))
    packets = _packets(world, rng)
    length_s = world.hours * 3600
    marks = np.arange(min(600.0, length_s / 6), length_s - world.poll_s, max(world.poll_s / 2, 1.0))
    at_s = np.array([packet[0] for packet in packets])
    newest, truth_s = np.searchsorted(at_s, marks) - 1, np.interp(marks, t, x)

    def ours_s() -> np.ndarray:
        states = _states(packets, np.interp(at_s, t, x))
        lines = [states[i].theta_at_ns(round(mark_s * S)) / S for i, mark_s in zip(newest, marks, strict=True)]
        return np.array(lines) - truth_s

    errors = [ours_s()]
    with patch("chronotick.clock.floor.READ_AGAIN_AT", frozenset({0})):
        errors.append(ours_s())
    errors.append(np.array([packets[i][3] for i in newest]) + np.interp(at_s[newest], t, x) - truth_s)
    young = marks < length_s / 4
    if any(path.off_ms for path in world.paths):
        errors = [one - one[len(one) * 3 // 4 :].mean() for one in errors]
    return [[float(np.abs(one[part]).mean() * 1e6) for part in (young, ~young)] for one in errors]


def _states(packets: list[tuple[float, str, float, float]], truth_s: np.ndarray) -> list[ClockState]:
    """The floor's belief after each exchange."""
    floor, alignment, states = Floor(Tuning()), Alignment(), []
    for (at_s, server, delay_s, error_s), true_s in zip(packets, truth_s, strict=True):
        theta_ns, half_ns = round((true_s + error_s) * S), round((1e-3 + delay_s / 2) * S)
        fix = Fix(
            raw_ns=round(at_s * S),
            theta_ns=theta_ns,
            delay_s=delay_s,
            root_distance_s=half_ns / S,
            server=server,
            survivors=(server,),
            earliest_theta_ns=theta_ns - half_ns,
            latest_theta_ns=theta_ns + half_ns,
        )
        state = floor.update(alignment.level(fix, floor.state), alignment.shifts_ns).state
        assert state is not None
        states.append(state)
    return states


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with Pool(options.processes) as pool:
        for name in WORLDS:
            seeds = [(name, options.first + i) for i in range(options.seeds)]
            found[name] = np.array(pool.starmap(run, seeds, chunksize=1))
            if not options.json:
                if len(found) == 1:
                    print(
                        "MAE, us: as built / read once / newest fix | ratio of the first two; worst run's first quarter"
                    )
                print(f"{name:36s}", *(_line(found[name][:, :, part]) for part in (0, 1)), _worst(found[name]))
    if options.json:
        print(json.dumps({name: one.mean(0).tolist() for name, one in found.items()}))


def _line(errors: np.ndarray) -> str:
    mean = errors.mean(0)
    se = (errors[:, 0] - errors[:, 1]).std(ddof=1) / np.sqrt(len(errors)) / mean[1] if len(errors) > 1 else np.nan
    return f"{mean[0]:7.2f} / {mean[1]:7.2f} / {mean[2]:6.0f} | {mean[0] / mean[1]:.2f} +- {2 * se:.2f} "


def _worst(errors: np.ndarray) -> str:
    return "  worst " + " / ".join(f"{one:.0f}" for one in errors[:, :2, 0].max(0))


if __name__ == "__main__":
    main()
