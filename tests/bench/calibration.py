"""Do intervals hold what they say? Simulated clocks through the whole pipeline, scored on their truth.

    python tests/bench/calibration.py [--days 1.5] [--from 1] [--seeds 5] [--kinds walk,...] [--polls 16,64] [--json]

Eight kinds of oscillators behind a network whose load, tail and poll interval change every few hours (see clocks.py).
Per horizon: coverage of 50, 90, 95, 99 and 99.9 %, and the interval score (Gneiting and Raftery 2007) as geometric mean
over the clocks, in us, beside the floor's and a plain Kalman filter's own Gaussian bands on the same fixes. `serve` is
between one fix and the next, as readers ask. Overlapping forecasts are few witnesses: +- is 1.96 standard errors of the
mean over clocks, each of which has a seed, so a network, of its own. Beside the number of points stands by how much
the clocks' shares at 90 % differ (standard deviation), and how much of that is chance: the standard error within a
clock, over blocks of two horizons, 3 h at least. Below each horizon stands what 90, 99 and 99.9 % hold on each kind of
oscillator. The first hour of each clock is not scored, unless `--from` says so: `--from 0.5 --days 0.0417` are clocks
between half an hour and one hour after their start.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from clocks import KINDS, POLLS_S, clock, trace
from numpy.typing import NDArray

from chronotick.backtest.baselines import PlainKalman
from chronotick.backtest.drive import drive
from chronotick.backtest.score import name_of
from chronotick.config.schema import Config
from chronotick.units import NS_PER_S, ns_to_s, s_to_ns
from chronotick.wire.levels import LEVELS, Z

HORIZONS_S = (60.0, 600.0, 3600.0, 21600.0)
SERVE = "serve"
METHODS = ("chronotick", "floor", "kalman")
# Origins of one horizon are no closer than this share of it.
SPACING = 8
# On noisy paths errors go together for hours.
LEAST_BLOCK_S = 10_800.0
AT_90 = LEVELS.index(0.9)
BY_KIND = tuple(LEVELS.index(level) for level in (0.9, 0.99, 0.999))


class Said(NamedTuple):
    """What was said of one clock, by horizon.

    Attributes:
        rows: |error| and five half widths for each of `METHODS`, s; shape (n, 3, 6).
        origin_s: when it was said; shape (n,).
    """

    rows: dict[str, NDArray[np.float64]]
    origin_s: dict[str, NDArray[np.float64]]


def run(kind: str, seed: int, days: float, polls_s: Sequence[float] = POLLS_S, from_s: float = 3600.0) -> Said:
    """One clock, from its start; scored from `from_s` on."""
    length_s = days * 86400.0
    true = clock(kind, seed, length_s + HORIZONS_S[-1] + 60)
    record = trace(true, seed, length_s, polls_s)
    rng = np.random.default_rng(seed)
    kalman = PlainKalman()
    rows: dict[str, list[list[list[float]]]] = {name: [] for name in (SERVE, *map(name_of, HORIZONS_S))}
    origins: dict[str, list[float]] = {name: [] for name in rows}
    last_s = dict.fromkeys(HORIZONS_S, -math.inf)
    for i, (fix, pipeline) in enumerate(drive(record, Config())):
        kalman.take(fix)
        at_s = ns_to_s(fix.raw_ns)
        if at_s < from_s:
            continue
        asked = []
        if i + 1 < len(record.fixes):
            asked.append((SERVE, rng.uniform(0, ns_to_s(record.fixes[i + 1].raw_ns - fix.raw_ns))))
        for h in HORIZONS_S:
            if at_s - last_s[h] >= h / SPACING:
                last_s[h] = at_s
                asked.append((name_of(h), h))
        for name, h in asked:
            raw_ns = fix.raw_ns + s_to_ns(h)
            fused = pipeline.estimate(raw_ns, raw_ns + NS_PER_S)
            if fused is None:
                continue
            true_ns = s_to_ns(float(true.at(ns_to_s(raw_ns))))
            errors = (
                ns_to_s(fused.theta_ns - true_ns),
                ns_to_s(fused.floor_theta_ns - true_ns),
                kalman.at_s(raw_ns, true_ns),
            )
            sigmas = (fused.floor_sigma_s, kalman.sigma_s(raw_ns))
            halves = (fused.half_widths_s, *(tuple(z * sigma_s for z in Z) for sigma_s in sigmas))
            origins[name].append(at_s)
            rows[name].append([[abs(e), *half] for e, half in zip(errors, halves, strict=True)])
    some = [name for name, found in rows.items() if found]
    return Said({name: np.array(rows[name]) for name in some}, {name: np.array(origins[name]) for name in some})


def block_error(origin_s: NDArray[np.float64], inside: NDArray[np.bool_], block_s: float) -> float:
    """Standard error of the mean of `inside`, both of shape (n,), from sums over blocks; NaN with fewer than two."""
    _, block = np.unique(np.floor((origin_s - origin_s[0]) / block_s), return_inverse=True)
    count = int(block.max()) + 1
    if count < 2:
        return math.nan
    rest = np.bincount(block, inside) - np.bincount(block) * inside.mean()
    return float(math.sqrt((rest @ rest) * count / (count - 1)) / len(inside))


def interval_scores(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean interval score of each method and level, s; rows of shape (n, 3, 6), result (3, 5)."""
    size, half = rows[:, :, :1], rows[:, :, 1:]
    scores = 2 * half + 2 / (1 - np.array(LEVELS)) * np.maximum(size - half, 0)
    mean: NDArray[np.float64] = scores.mean(axis=0)
    return mean


def report(clocks: list[Said], kinds: Sequence[str] = ()) -> dict[str, Any]:
    """Figures by horizon and method; where the clocks' kinds are given, also what is held on each of them."""
    made: dict[str, Any] = {}
    for name, h_s in zip((SERVE, *map(name_of, HORIZONS_S)), (0.0, *HORIZONS_S), strict=True):
        parts = [one.rows[name] for one in clocks if name in one.rows]
        if not parts:
            continue
        origins = [one.origin_s[name] for one in clocks if name in one.rows]
        inside = [np.mean(part[:, :, :1] <= part[:, :, 1:], axis=0) for part in parts]
        counts = np.array([len(part) for part in parts], dtype=np.float64)
        covered = np.average(inside, axis=0, weights=counts)
        error = 1.96 * np.std(inside, axis=0) / math.sqrt(len(parts))
        score = np.exp(np.mean([np.log(interval_scores(part)) for part in parts], axis=0))
        block_s = max(2 * h_s, LEAST_BLOCK_S)
        chance = [
            block_error(at_s, one[:, 0, 0] <= one[:, 0, 1 + AT_90], block_s)
            for at_s, one in zip(origins, parts, strict=True)
        ]
        made[name] = {
            "points": int(counts.sum()),
            "apart_at_90": round(float(np.std([one[0, AT_90] for one in inside])), 6),
            "chance_at_90": _root_mean_square(chance),
        } | {
            method: {
                "coverage": _by_level(covered[m], 1.0),
                "plus_minus": _by_level(error[m], 1.0),
                "interval_score_us": _by_level(score[m], 1e6),
            }
            for m, method in enumerate(METHODS)
        }
        if kinds:
            made[name]["by_kind"] = _by_kind(name, clocks, kinds)
    return made


def _by_kind(name: str, clocks: list[Said], kinds: Sequence[str]) -> dict[str, dict[str, float]]:
    pooled: dict[str, list[NDArray[np.float64]]] = {}
    for one, kind in zip(clocks, kinds, strict=True):
        if name in one.rows:
            pooled.setdefault(kind, []).append(one.rows[name][:, 0])
    covered = {kind: np.mean(np.vstack(rows)[:, :1] <= np.vstack(rows)[:, 1:], axis=0) for kind, rows in pooled.items()}
    return {kind: {f"{100 * LEVELS[i]:g}": round(float(of[i]), 6) for i in BY_KIND} for kind, of in covered.items()}


def _root_mean_square(values: Sequence[float]) -> float | None:
    known = [one for one in values if math.isfinite(one)]
    return round(math.sqrt(sum(one * one for one in known) / len(known)), 6) if known else None


def _by_level(values: NDArray[np.float64], scale: float) -> dict[str, float]:
    return {f"{100 * level:g}": round(float(value) * scale, 6) for level, value in zip(LEVELS, values, strict=True)}


def lines(made: dict[str, Any]) -> list[str]:
    """The same as a table."""
    out = [f"{'horizon':8}{'method':12}" + "".join(f"{100 * level:>16g} %" for level in LEVELS)]
    for horizon, found in made.items():
        chance = "" if found["chance_at_90"] is None else f", {100 * found['chance_at_90']:.1f} by chance"
        out.append(
            f"{horizon:8}{found['points']} points; clocks {100 * found['apart_at_90']:.1f} apart at 90 %{chance}"
        )
        for method in METHODS:
            of = found[method]
            shares = "".join(
                f"{100 * share:>10.2f} +-{100 * of['plus_minus'][level]:5.2f}"
                for level, share in of["coverage"].items()
            )
            score = "".join(f"{value:>18.3g}" for value in of["interval_score_us"].values())
            out += [f"{'':8}{method:12}{shares}", f"{'':8}{'  score, us':12}{score}"]
        for kind, of in found.get("by_kind", {}).items():
            shares = "".join(f"{100 * share:>8.2f}" for share in of.values())
            out.append(f"{'':10}{kind:10}{shares}")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage and interval score on simulated clocks.")
    parser.add_argument("--days", type=float, default=1.5, help="length of each clock")
    parser.add_argument("--from", type=float, default=1.0, dest="from_h", help="age from which it is scored, h")
    parser.add_argument("--seeds", type=int, default=5, help="clocks of each kind")
    parser.add_argument("--first", type=int, default=100, help="first seed")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--polls", default=",".join(f"{one:g}" for one in POLLS_S), help="drawn from, s")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    kinds, polls_s = asked.kinds.split(","), tuple(float(one) for one in asked.polls.split(","))
    jobs = [
        (kinds[i % len(kinds)], asked.first + i, asked.days, polls_s, 3600.0 * asked.from_h)
        for i in range(asked.seeds * len(kinds))
    ]
    done = []
    with ProcessPoolExecutor(asked.processes) as pool:
        for i, one in enumerate(pool.map(run, *zip(*jobs, strict=True))):
            done.append(one)
            print(f"\r{i + 1} of {len(jobs)} clocks", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    made = report(done, [kind for kind, *_ in jobs])
    print(json.dumps(made) if asked.json else "\n".join(lines(made)))


if __name__ == "__main__":
    main()
