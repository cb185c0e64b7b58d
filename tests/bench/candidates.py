"""What the local candidates bring on recorded clocks: errors beside the floor, the last sample held, and chronyd.

    CHRONOTICK_TEST_DATA=FOLDER python tests/bench/candidates.py [--json] [--without NAME] [--delay-slope] [TRACE...]

Mean absolute errors in us against the truth, through the host's own pipeline without models. Recorded clocks: the last
60 %, less each method's own constant, learned before that (`absolute` is with it, `own` without the median over the
scored part itself). Simulated ones: after 30 minutes, nothing taken off. `serve` is between fixes. A candidate that
says nothing at an instant is given the floor's error there. `fused` is what the host would have published; `steered`
the share of fixes at which the clock was held to be steered; `ms/fix` the mean time of one fix through everything.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from chronotick.backtest.read import read_trace
from chronotick.backtest.score import OURS, Column, Scores, score
from chronotick.backtest.trace import Trace
from chronotick.config.schema import CandidatesConfig, ClockConfig, Config
from chronotick.pipeline import Pipeline

SIMULATED = tuple(f"{kind}_{polls}" for kind in ("lan", "thermal", "inet") for polls in ("p4", "p6"))
RECORDED = (
    "munzz_ntp_vs_pps",
    "semi_munzzclock_pfsensentp64",
    "munzz_freerun",
    "ocxo_vs_maser",
    "radclock_tsc_dag",
    "iotlab_cn50_freerun_pps",
    "iotlab_cn53_freerun_pps",
)
DISCIPLINED = ("exp7_AS4", "exp8_AS3", "exp12_AS3")
# Fixes are thinned to this, s: what a host that polls at the usual rate would have had of these dense records.
POLL_S = {"munzz_freerun": 64.0, "exp7_AS4": 16.0, "exp8_AS3": 16.0, "exp12_AS3": 16.0}
METHODS = ("fused", "floor", "harmonic", "harmonic_h", "ageing", "steered", "hold_last", "chronyd")
CANDIDATES = ("harmonic", "harmonic_h", "ageing", "steered")
HORIZONS_S = (60.0, 600.0, 3600.0, 21_600.0)


def find(folder: Path, name: str) -> Path:
    """The file of a trace."""
    for path in (f"clknetsim_{name}_meas.csv.gz", f"{name}.csv.gz", f"scion/{name}.csv.gz", f"earlier/{name}.csv.gz"):
        if (folder / path).exists():
            return folder / path
    raise SystemExit(f"no trace {name} in {folder}")


def load(folder: Path, name: str) -> Trace:
    """A trace, thinned."""
    # A hundredth of tolerance: intervals of a record jitter.
    return read_trace(find(folder, name), poll_s=0.99 * POLL_S.get(name, 0.0))


def figures(column: Column, name: str, constant_s: float) -> dict[str, float] | None:
    """MAE of one method in us; the floor's error where a candidate said nothing."""
    key = OURS if name == "fused" else name
    if key not in column.error_s:
        return None
    error_s = np.array(column.error_s[key], np.float64)
    spoke = np.isfinite(error_s)
    if name in CANDIDATES:
        error_s = np.where(spoke, error_s, np.array(column.error_s["floor"], np.float64))
    error_s = error_s[np.isfinite(error_s)]
    if not len(error_s):
        return None
    return {
        "mae": float(np.abs(error_s).mean() * 1e6),
        "absolute": float(np.abs(error_s + constant_s).mean() * 1e6),
        "own": float(np.abs(error_s - np.median(error_s)).mean() * 1e6),
        "spoke": float(spoke.mean()),
    }


def constant_of(scores: Scores, name: str) -> float:
    """What was taken off a method's errors."""
    return scores.constants_s.get(OURS if name == "fused" else name, 0.0)


def run(folder: Path, name: str, config: Config, horizons_s: tuple[float, ...] = HORIZONS_S) -> dict[str, Any]:
    """Everything about one trace."""
    trace = load(folder, name)
    length_s = (trace.fixes[-1].raw_ns - trace.fixes[0].raw_ns) * 1e-9
    far = tuple(h for h in horizons_s if h < 0.45 * length_s)
    scores = score(trace, config, far)
    pipeline, steered, began_s = Pipeline(config), 0, time.perf_counter()
    for fix in trace.fixes:
        pipeline.absorb(fix)
        steered += pipeline.candidates.steered
    return {
        "trace": name,
        "fixes": len(trace.fixes),
        "steered": steered / len(trace.fixes),
        "ms_per_fix": (time.perf_counter() - began_s) / len(trace.fixes) * 1e3,
        "horizons": {
            horizon: {name: found for name in METHODS if (found := figures(column, name, constant_of(scores, name)))}
            for horizon, column in scores.columns.items()
        },
    }


def show(row: dict[str, Any]) -> None:
    """One trace as a table."""
    print(f"\n{row['trace']}: {row['fixes']} fixes, steered {row['steered']:.2f}, {row['ms_per_fix']:.2f} ms/fix")
    for horizon, methods in row["horizons"].items():
        cells = [f"{methods[name]['mae']:>11.4g}" if name in methods else f"{'-':>11}" for name in METHODS]
        rest = [f"{name} {methods[name]['absolute']:.4g} / {methods[name]['own']:.4g}" for name in ("fused", "floor")]
        print(f"  {horizon:>6}" + "".join(cells) + "   absolute / own: " + ", ".join(rest), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("traces", nargs="*", metavar="TRACE", help="by default all")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--without", action="append", default=[], choices=("harmonic", "ageing", "steered"))
    parser.add_argument("--delay-slope", action="store_true", help="with clock.delay_slope, which is off by default")
    options = parser.parse_args()
    if "CHRONOTICK_TEST_DATA" not in os.environ:
        parser.error("CHRONOTICK_TEST_DATA names no folder with recorded traces")
    folder = Path(os.environ["CHRONOTICK_TEST_DATA"]) / "data"
    config = Config(
        candidates=CandidatesConfig(**dict.fromkeys(options.without, False)),
        clock=ClockConfig(delay_slope=options.delay_slope),
    )
    rows = []
    if not options.json:
        print("MAE, us  " + "".join(f"{name:>11}" for name in METHODS))
    for name in options.traces or (*SIMULATED, *RECORDED, *DISCIPLINED):
        rows.append(run(folder, name, config))
        if not options.json:
            show(rows[-1])
    if options.json:
        print(json.dumps({"traces": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
