"""Is the fused answer ever worse than the floor's, and where does it gain? Every trace and class, with intervals.

    python tests/bench/gate.py [TRACE ...] [--classes rw wander ...] [--models none shipped zero-shot ttm]

Recorded clocks (FILE:16 thins one to 16 s) and simulated classes go through the host's own pipeline; the recorded
clocks at hand and seeds 100 to 115, 200 to 202, 300 to 305 and 600 to 602 were looked at when the gate was made, others
(`--first 210`) were not. Per
horizon: mean absolute error on truth of the floor and of the fused answer, their ratio with its 95 % interval (moving
blocks of two horizons), the ratio of an oracle that knows in hindsight which single candidate was best on this trace,
that of naive averaging of floor and candidates, and the mean weights. At the end the cells above 1.02, and the
ablation: the ratio of every set of models by class.

`semi` is a random walk of good and bad crystals with the errors of a recorded NTP path (needs CHRONOTICK_TEST_DATA), so
that queueing is as one-sided and heavy-tailed as a real one's. `long-...` are three days of the clocks of `clocks.py`,
whose network and polls change every few hours.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import clocks
import msgspec
import numpy as np
from checkpoint_skill import CLASSES, simulate
from numpy.typing import NDArray

from chronotick.backtest.bootstrap import ratio_interval
from chronotick.backtest.drive import Models
from chronotick.backtest.models import PluginModels
from chronotick.backtest.read import read_trace
from chronotick.backtest.score import OURS, Column, score
from chronotick.backtest.trace import Trace, Truth, fixes_of
from chronotick.cli.backtest import roles_for
from chronotick.config.schema import Config, PluginConfig
from chronotick.fusion.gate import FLOOR
from chronotick.units import NS_PER_S

HORIZONS_S = {"60s": 60.0, "10m": 600.0, "1h": 3600.0, "6h": 21_600.0}
LIMIT = 1.02
LONG = tuple(f"long-{kind}" for kind in clocks.KINDS)
LONG_S = 3 * 86_400.0
# Baselines that anyone could have are no candidates.
NOT_CANDIDATES = {OURS, FLOOR, "do_nothing", "hold_last", "linear", "holt", "kalman", "chronyd"}
Array = NDArray[np.float64]


def simulated(kind: str, seed: int) -> Trace:
    """A class of `checkpoint_skill`, `semi`, or three days of a kind of `clocks`, as a trace."""
    if kind == "semi":
        return semi(seed)
    if kind in LONG:
        one = clocks.clock(kind.removeprefix("long-"), seed, LONG_S + HORIZONS_S["6h"])
        return msgspec.structs.replace(clocks.trace(one, seed, LONG_S), name=f"{kind}{seed}")
    clock = simulate(kind, seed)
    start_s = clock.fixes[0].raw_ns / NS_PER_S - 10.0
    every = max(1, round(clock.poll_s / 8.0 / (clock.time_s[1] - clock.time_s[0])))
    return Trace(
        name=clock.name,
        fixes=tuple(clock.fixes),
        truth=Truth.of(start_s + clock.time_s[::every], clock.theta_s[::every]),
        score_from_s=start_s + (1800.0 if kind in ("warm", "rw") else clock.warm_s),
        constant_s=0.0,
        independent=True,
    )


def semi(seed: int) -> Trace:
    """The errors and delays of a recorded path on simulated crystals: what one-sided queueing does to anybody."""
    path = read_trace(Path(os.environ["CHRONOTICK_TEST_DATA"], "data") / "munzz_ntp_vs_pps.csv.gz")
    rng = np.random.default_rng([4, seed])
    raw_s = np.array([fix.raw_ns for fix in path.fixes]) / NS_PER_S
    error_s = np.array([fix.theta_ns for fix in path.fixes]) / NS_PER_S - path.truth.at(raw_s)
    good = np.isfinite(error_s)
    # The queue of another day: the path's errors, begun elsewhere.
    picked = np.roll(np.flatnonzero(good), -int(rng.integers(good.sum())))
    raw_s = raw_s[good]
    delay_s = np.array([path.fixes[i].delay_s for i in picked])
    t = np.arange(0.0, raw_s[-1] + 16.0, 16.0)
    rate = 2e-5 * rng.standard_normal() + 10 ** rng.uniform(-11.0, -9.0) * 4.0 * np.cumsum(rng.standard_normal(len(t)))
    day = 10 ** rng.uniform(-8.5, -7.0) * np.sin(2 * np.pi * (t / 86_400.0 + rng.uniform()))
    theta_s = np.concatenate(([0.0], np.cumsum((rate + day)[:-1] * 16.0)))
    truth = Truth.of(t, theta_s)
    measured_s = np.interp(raw_s, t, theta_s) + error_s[picked]
    start_s = float(raw_s[int(0.4 * len(raw_s))])
    constant_s = -float(np.median(error_s[picked][raw_s < start_s]))
    fixes = fixes_of(raw_s, measured_s, delay_s, np.full(len(raw_s), 1e-4), ["path"] * len(raw_s))
    return Trace(f"semi{seed}", fixes, truth, start_s, constant_s, True)


def plugins(name: str) -> tuple[PluginConfig, ...]:
    """The plugins of a set of models by its name here."""
    if name == "none":
        return ()
    if name == "shipped":
        return (PluginConfig(name="chronos"),)
    if Path(name).is_dir():
        return (PluginConfig(name="chronos", path=name),)
    weights = Path(os.environ["CHRONOTICK_TEST_DATA"]) / "weights"
    if name == "ttm":
        return (PluginConfig(name="ttm", path=str(weights / "ttm-r2-512-96-original")),)
    folder = {"zero-shot": "chronos-bolt-350k", "tuned": "ft-rate-350k"}[name]
    return (PluginConfig(name="chronos", path=str(weights / folder)),)


@contextlib.contextmanager
def ready(chosen: tuple[PluginConfig, ...]) -> Iterator[Models | None]:
    """Their processes, READY."""
    if not chosen:
        yield None
        return
    with PluginModels(chosen) as models:
        models.load()
        yield models


def cells(trace: Trace, config: Config, models: Models | None) -> dict[str, dict[str, Any]]:
    """Figures of one trace by horizon."""
    last_s = [0.0]

    def tell(share: float) -> None:
        if time.monotonic() - last_s[0] > 5.0 and sys.stderr.isatty():
            last_s[0] = time.monotonic()
            print(f"\r{trace.name} {share:4.0%} ", end="", file=sys.stderr, flush=True)

    scores = score(trace, config, tuple(HORIZONS_S.values()), models, progress=tell)
    found = {}
    for name, column in scores.columns.items():
        if column.origin_s:
            found[name] = _cell(column, HORIZONS_S.get(name, trace.poll_s), scores.constants_s)
    return found


def _cell(column: Column, horizon_s: float, constants_s: Mapping[str, float]) -> dict[str, Any]:
    at_s = np.array(column.origin_s)
    # An unbiased path is not to be had. Its constant is one, the floor's: with one of each their own, what a candidate
    # did while constants were learned would stand against it ever after.
    base_s = constants_s.get(FLOOR, 0.0)
    error = {
        name: np.array(errors) + constants_s.get(name, base_s) - base_s
        for name, errors in column.error_s.items()
        if len(errors) == len(at_s)
    }
    floor, fused = error[FLOOR], error[OURS]
    spoken = {name: one for name, one in error.items() if name not in NOT_CANDIDATES}
    interval = ratio_interval(at_s, fused, floor, max(2.0 * horizon_s, 600.0))
    base = float(np.abs(floor).mean())
    filled = [np.where(np.isfinite(one), one, floor) for one in spoken.values()]
    best = min([base, *(float(np.abs(one).mean()) for one in filled)])
    naive = float(np.abs(np.mean([floor, *filled], axis=0)).mean())
    names = {name for weights in column.weights for name in weights}
    return {
        "n": len(at_s),
        "floor_us": base * 1e6,
        "fused_us": float(np.abs(fused).mean()) * 1e6,
        "ratio": interval.ratio,
        "low": interval.low,
        "high": interval.high,
        "oracle": best / base,
        "naive": naive / base,
        "alone": {name: float(np.abs(one).mean()) / base for name, one in zip(spoken, filled, strict=True)},
        "weights": {name: float(np.mean([w.get(name, 0.0) for w in column.weights])) for name in sorted(names)},
    }


def line(trace: str, horizon: str, cell: dict[str, Any]) -> str:
    """One row of the table."""
    weights = " ".join(f"{name} {share:.2f}" for name, share in cell["weights"].items() if share >= 0.005)
    spread = f"[{cell['low']:.3f} {cell['high']:.3f}]" if np.isfinite(cell["low"]) else "[too short]"
    alone = " ".join(f"{name} {ratio:.2f}" for name, ratio in cell["alone"].items())
    return (
        f"{trace:28} {horizon:>5} {cell['floor_us']:9.4g} {cell['fused_us']:9.4g} {cell['ratio']:6.3f} {spread:>15} "
        f"{cell['oracle']:6.3f} {cell['naive']:6.3f}  {weights}" + (f"  | alone: {alone}" if alone else "")
    )


HEAD = f"{'trace':28} {'ahead':>5} {'floor us':>9} {'fused us':>9} {'ratio':>6} {'95 %':>15} {'oracle':>6} {'naive':>6}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("traces", nargs="*", type=Path, help="files, each also as FILE:POLL to thin it to POLL s")
    parser.add_argument("--classes", nargs="*", default=[], choices=[*CLASSES, "semi", *LONG])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first", type=int, default=100, help="first seed")
    parser.add_argument(
        "--models", nargs="*", default=["none"], help="none, shipped, zero-shot, tuned, ttm, or a Chronos-Bolt's folder"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    jobs = [partial(_read, path) for path in args.traces]
    jobs += [partial(simulated, k, s) for k in args.classes for s in range(args.first, args.first + args.seeds)]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in args.models:
        chosen = plugins(name)
        config = Config(roles=roles_for([one.name for one in chosen]), plugins=chosen)
        print(f"\nmodels: {name}\n{HEAD}")
        with ready(chosen) as models:
            for job in jobs:
                trace = job()
                found.setdefault(name, {})[trace.name] = cells(trace, config, models)
                for horizon, cell in found[name][trace.name].items():
                    print(line(trace.name, horizon, cell), flush=True)
    _conclude(found)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


def _read(path: Path) -> Trace:
    name, _, poll = str(path).partition(":")
    return read_trace(Path(name), poll_s=float(poll or 0.0))


def _conclude(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    over = [
        (cell["ratio"], cell["low"], f"{models}: {trace} {horizon}")
        for models, traces in found.items()
        for trace, horizons in traces.items()
        for horizon, cell in horizons.items()
        if cell["ratio"] > LIMIT
    ]
    print(
        f"\nabove {LIMIT}: {len(over)}, of these surely (interval above it): {sum(low > LIMIT for _, low, _ in over)}"
    )
    for ratio, low, where in sorted(over, reverse=True):
        print(f"  {ratio:.3f} (from {low:.3f})  {where}")
    print("\nablation: ratio to the floor, geometric mean over the seeds (worst)")
    groups: dict[tuple[str, str], dict[str, list[float]]] = {}
    for models, traces in found.items():
        for trace, horizons in traces.items():
            kind = trace.rstrip("0123456789") if trace.rstrip("0123456789") in (*CLASSES, "semi", *LONG) else trace
            for horizon, cell in horizons.items():
                groups.setdefault((kind, horizon), {}).setdefault(models, []).append(cell["ratio"])
    print(f"{'':28} {'ahead':>5} " + " ".join(f"{name:>15}" for name in found))
    for (kind, horizon), by_models in groups.items():
        values = {name: np.array(by_models[name]) for name in found if name in by_models}
        shown = [f"{np.exp(np.log(v).mean()):.3f} ({v.max():.2f})" for v in values.values()]
        print(f"{kind:28} {horizon:>5} " + " ".join(f"{one:>15}" for one in shown))


if __name__ == "__main__":
    main()
