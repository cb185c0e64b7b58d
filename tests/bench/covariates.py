"""What temperature and load are worth: the floor, a model without and the same with covariates, on the lab's clocks.

Two scenarios of the lab, whose crystals follow their temperature late: `thermal_cycle` (a room's cycle and weather) and
`server_load` (a processor that works for irregular times). Fixes go through the host's own pipeline, sensors are read
every 16 s, the model runs in its own process and is asked over the wire; errors are against the true clock. Bare is the
model's own curve, gated what ChronoTick publishes; the local candidates are off, so that what is gained is the model's.

    python tests/bench/covariates.py [--seeds 2] [--hours 16] [--plugin chronos] [--weights FOLDER] [--json]
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from chronotick.backtest.models import PluginModels
from chronotick.backtest.trace import fixes_of
from chronotick.config.schema import CandidatesConfig, Config, PluginConfig, RoleConfig
from chronotick.forecast.types import Refusal
from chronotick.lab.oscillator import Oscillator
from chronotick.lab.presets import preset
from chronotick.ntp.fix import Fix
from chronotick.pipeline import Pipeline
from chronotick.units import NS_PER_S
from chronotick.window.covariates import Sensed

SCENARIOS = ("thermal_cycle", "server_load")
HORIZONS_S = (600.0, 3600.0)
POLL_S, SENSE_S, WARM_S = 32.0, 16.0, 4 * 3600.0
QUEUE_S = 1e-4
NO_LOCAL = CandidatesConfig(harmonic=False, ageing=False, steered=False)


def roles(plugin: str, *, use: bool) -> tuple[RoleConfig, ...]:
    """Two grids: 64 s for 10 min, 192 s for 1 h."""
    return tuple(
        RoleConfig(name=name, plugin=plugin, step_s=step, interval_s=128.0, min_context=64, use_covariates=use)
        for name, step in (("short", 64.0), ("long", 192.0))
    )


def clock(scenario: str, seed: int, hours: float) -> tuple[Oscillator, list[Fix]]:
    """One clock and its fixes with queueing both ways."""
    oscillator = Oscillator(preset(scenario).oscillator, seed)
    rng = np.random.default_rng([11, seed])
    t = np.arange(POLL_S, hours * 3600, POLL_S)
    theta = np.array([oscillator.phase_s(at) for at in t])
    out, back = (rng.exponential(QUEUE_S, len(t)) for _ in range(2))
    fixes = fixes_of(t, theta + (out - back) / 2, 1e-2 + out + back, np.full(len(t), 1e-3), ["simulated"] * len(t))
    return oscillator, list(fixes)


def drive(oscillator: Oscillator, fixes: list[Fix], config: Config, models: PluginModels) -> Iterator[Pipeline]:
    """The pipeline after each fix, when sensors were read and all questions answered."""
    pipeline = Pipeline(config)
    sensed_s = 0.0
    for fix in fixes:
        while sensed_s * NS_PER_S <= fix.raw_ns:
            climate = oscillator.climate(sensed_s)
            assert climate is not None
            # A sensor of whole degrees, as most are.
            shown = Sensed(
                raw_ns=round(sensed_s * NS_PER_S), temperature_c=round(climate.temperature_c), load=climate.load
            )
            pipeline.covariates.take(shown)
            sensed_s += SENSE_S
        pipeline.absorb(fix)
        for request in pipeline.due(fix.raw_ns, models.ready, models.offered):
            answer = models.ask(request)
            if isinstance(answer, Refusal):
                raise SystemExit(f"the model refused: {answer.reason}")
            pipeline.answer(request, answer.quantiles, answer.mean, answer.infer_ms)
        yield pipeline


def errors(scenario: str, seed: int, hours: float, plugin: str, models: PluginModels, *, use: bool) -> dict[str, Any]:
    """Mean absolute errors, us, by method and horizon."""
    oscillator, fixes = clock(scenario, seed, hours)
    config = Config(roles=roles(plugin, use=use), candidates=NO_LOCAL)
    found: dict[str, list[list[float]]] = {}
    for number, pipeline in enumerate(drive(oscillator, fixes, config, models)):
        raw_ns = fixes[number].raw_ns
        if not WARM_S * NS_PER_S < raw_ns < (hours * 3600 - HORIZONS_S[-1]) * NS_PER_S or number % 4:
            continue
        said: dict[str, list[float]] = {}
        for horizon_s in HORIZONS_S:
            at_ns = raw_ns + round(horizon_s * NS_PER_S)
            fused = pipeline.estimate(at_ns, at_ns + NS_PER_S)
            assert fused is not None
            all_of_them = {"floor": fused.floor_theta_ns, "gated": fused.theta_ns, **pipeline.fusion.alone(at_ns)}
            true_ns = oscillator.phase_s(at_ns / NS_PER_S) * NS_PER_S
            for name, theta_ns in all_of_them.items():
                said.setdefault(name.removeprefix(f"{plugin}/"), []).append(abs(theta_ns - true_ns) / 1e3)
        for name in ("floor", "gated", "short", "long"):
            found.setdefault(name, []).append(said.get(name, [float("nan")] * len(HORIZONS_S)))
    return {name: np.nanmean(np.array(rows), 0).tolist() for name, rows in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--hours", type=float, default=16.0)
    parser.add_argument("--scenarios", nargs="*", default=SCENARIOS)
    parser.add_argument("--plugin", default="chronos")
    parser.add_argument("--weights", default="", help="folder with the plugin's weights (default: its own)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with PluginModels([PluginConfig(name=args.plugin, path=args.weights)]) as models:
        models.load()
        for scenario in args.scenarios:
            for seed in range(args.seeds):
                for use in (False, True):
                    began_s = time.monotonic()
                    found = errors(scenario, seed, args.hours, args.plugin, models, use=use)
                    rows.append({"scenario": scenario, "seed": seed, "covariates": use, "mae_us": found})
                    took = f"{scenario} {seed} covariates {use}: {time.monotonic() - began_s:.0f} s"
                    print(took, file=sys.stderr, flush=True)
    if args.json:
        print(json.dumps({"rows": rows}))
        return
    print(table(rows))


def table(rows: list[dict[str, Any]]) -> str:
    """Floor in us, and ratios to it: geometric mean over the seeds, and the worst seed."""
    head = f"{'scenario':14} {'ahead':>6} {'floor us':>9}  {'covariates':10}"
    lines = [f"{head} {'64 s grid':>15} {'192 s grid':>15} {'gated':>15}"]
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        for i, horizon_s in enumerate(HORIZONS_S):
            for use in (False, True):
                some = [row["mae_us"] for row in rows if (row["scenario"], row["covariates"]) == (scenario, use)]
                floor = np.array([one["floor"][i] for one in some])
                cells = []
                for name in ("short", "long", "gated"):
                    ratio = np.array([one[name][i] for one in some]) / floor
                    cells.append(f"{np.exp(np.log(ratio).mean()):7.3f} ({ratio.max():5.2f})")
                word = "with" if use else "without"
                head = f"{scenario:14} {horizon_s / 60:3.0f} min {floor.mean():9.1f}  {word:10}"
                lines.append(head + " " + " ".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
