"""The floor on recorded packets with known truth, beside chronyd on the same packets and the last sample.

    CHRONOTICK_TEST_DATA=FOLDER python tests/bench/floor_clknetsim.py [--json] [SET...]

"serve" error: at each second between a fix and the next, the floor's last state extrapolated minus the truth, after
30 minutes of warm-up, no bias removed. chronyd is the recorded clock error of chronyd 4.3 in the same simulation.
The last sample is the newest fix held. `us/update` is the median over fixes of `Floor.update`, beside one bare numpy
operation on as many numbers (`x += dt * f`) in the same run.
"""

import argparse
import csv
import gzip
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from chronotick.clock.bank import Bank
from chronotick.clock.floor import Floor
from chronotick.clock.tuning import Tuning
from chronotick.ntp.fix import Fix
from chronotick.units import s_to_ns

# Serve MAE in us of the prototype that this floor has to match.
STUDY_US = {
    "lan_p4": 1.8,
    "lan_p6": 3.5,
    "inet_p4": 32.0,
    "inet_p6": 44.3,
    "thermal_p4": 9.3,
    "thermal_p6": 19.7,
}
WARM_UP_S = 1800.0
CLIENT = "5"


def load_fixes(folder: Path, name: str) -> list[Fix]:
    """All exchanges of the simulated client, in order, as fixes with a root distance of half the delay."""
    fixes = []
    with gzip.open(folder / f"clknetsim_{name}_meas.csv.gz", "rt") as lines:
        for row in csv.DictReader(lines):
            if row["client_node"] != CLIENT:
                continue
            delay_s, theta_ns = float(row["delay"]), s_to_ns(float(row["offset_raw"]))
            half_ns = math.ceil(delay_s * 0.5e9)
            fixes.append(
                Fix(
                    raw_ns=(s_to_ns(float(row["T1_raw"])) + s_to_ns(float(row["T4_raw"]))) // 2,
                    theta_ns=theta_ns,
                    delay_s=delay_s,
                    root_distance_s=delay_s / 2,
                    server=row["server"],
                    survivors=(row["server"],),
                    earliest_theta_ns=theta_ns - half_ns,
                    latest_theta_ns=theta_ns + half_ns,
                )
            )
    return sorted(fixes, key=lambda fix: fix.raw_ns)


def load_truth(folder: Path, name: str) -> dict[str, np.ndarray]:
    """Each second: raw clock, true theta and chronyd's error, all s."""
    with gzip.open(folder / f"clknetsim_{name}_truth.csv.gz", "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", skiprows=1)
    return {"raw_s": table[:, 0] + table[:, 1], "theta_s": -table[:, 1], "chronyd_s": table[:, 3]}


def serve(folder: Path, name: str) -> dict[str, Any]:
    """Figures of one set; errors in us."""
    fixes, truth = load_fixes(folder, name), load_truth(folder, name)
    floor, states, took_s = Floor(Tuning()), [], []
    for fix in fixes:
        start = time.perf_counter()
        state = floor.update(fix).state
        took_s.append(time.perf_counter() - start)
        assert state is not None
        states.append(state)
    arrived_s = np.array([fix.raw_ns * 1e-9 for fix in fixes])
    newest = np.searchsorted(arrived_s, truth["raw_s"], side="right") - 1
    judged = (truth["raw_s"] > WARM_UP_S) & (newest >= 3) & (newest < len(fixes) - 1)
    at, raw_s, theta_s = newest[judged], truth["raw_s"][judged], truth["theta_s"][judged]
    line_s = np.array([(s.theta_ns * 1e-9, s.rate, s.raw_ns * 1e-9) for s in states])[at]
    error_s = line_s[:, 0] + line_s[:, 1] * (raw_s - line_s[:, 2]) - theta_s
    sigma_s = np.array([states[i].sigma_s(s_to_ns(r)) for i, r in zip(at, raw_s, strict=True)])
    held_s = np.array([fix.theta_ns * 1e-9 for fix in fixes])[at] - theta_s
    return {
        "set": name,
        "fixes": len(fixes),
        "floor": _figures(error_s),
        "coverage_95": float(np.mean(np.abs(error_s) <= 1.96 * sigma_s)),
        "study_mae": STUDY_US[name],
        "chronyd": _figures(truth["chronyd_s"][judged]),
        "last_sample": _figures(held_s),
        "us_per_update": statistics.median(took_s) * 1e6,
        "epochs": states[-1].epoch + 1,
    }


def numpy_baseline_us() -> float:
    """Median time of one multiply-add on as many numbers as the bank has members, us."""
    members = Bank(Tuning(), 0.0, 1e-6, 0.0).members
    x, f = np.zeros(members), np.full(members, 1e-6)
    took_s = []
    for _ in range(2000):
        start = time.perf_counter()
        x += 16.0 * f
        took_s.append(time.perf_counter() - start)
    return statistics.median(took_s) * 1e6


def _figures(error_s: np.ndarray) -> dict[str, float]:
    size_us = np.abs(error_s) * 1e6
    return {
        "mae": float(size_us.mean()),
        "rmse": float(np.sqrt(np.mean(size_us**2))),
        "p99": float(np.quantile(size_us, 0.99)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(STUDY_US)}; all without")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    if unknown := set(options.sets) - set(STUDY_US):
        parser.error(f"no such set: {', '.join(sorted(unknown))}")
    if "CHRONOTICK_TEST_DATA" not in os.environ:
        parser.error("CHRONOTICK_TEST_DATA names no folder with recorded traces")
    folder = Path(os.environ["CHRONOTICK_TEST_DATA"]) / "data"
    rows = [serve(folder, name) for name in options.sets or STUDY_US]
    baseline_us = numpy_baseline_us()
    if options.json:
        print(json.dumps({"sets": rows, "numpy_baseline_us": baseline_us}))
        return 0
    head = ("set", "floor MAE", "RMSE", "p99", "cover95", "study", "chronyd MAE", "RMSE", "last MAE", "us/update")
    print(" ".join(f"{title:>11}" for title in head))
    for row in rows:
        numbers = (
            row["floor"]["mae"],
            row["floor"]["rmse"],
            row["floor"]["p99"],
            row["coverage_95"],
            row["study_mae"],
            row["chronyd"]["mae"],
            row["chronyd"]["rmse"],
            row["last_sample"]["mae"],
            row["us_per_update"],
        )
        print(f"{row['set']:>11} " + " ".join(f"{number:11.2f}" for number in numbers))
    print(f"errors in us; one bare numpy multiply-add on 108 numbers: {baseline_us:.2f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
