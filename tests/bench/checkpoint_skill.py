"""The embedded checkpoint's skill on simulated clocks that it has never seen, through the real floor, windows and gate.

The clocks are simulated here, in continuous time and physical units, with code and seeds of their own. Each is
measured by one server with queueing both ways. Printed, per class and horizon: the floor's mean absolute error on
truth, and the ratio to it (geometric mean over the seeds, worst seed) of the bare model on two grids and of what the
gate makes of both. With CHRONOTICK_TEST_DATA the same for two other checkpoints.

    python tests/bench/checkpoint_skill.py [--seeds 4] [--classes wander rw] [--weights NAME=FOLDER ...]

The compressed check is the lab's regime: cycles of 25 to 30 s on a grid of 0.5 s, 60 to 160 points of context.
"""

import argparse
import os
import subprocess
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.clock.floor import Floor, FloorUpdate
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig, RoleConfig
from chronotick.forecast.request import Request, batch
from chronotick.forecast.types import Forecast
from chronotick.forecast.validate import validate
from chronotick.fusion.candidate import ForecastCurve
from chronotick.fusion.fusion import Fusion
from chronotick.ntp.fix import Fix
from chronotick.window.build import build
from chronotick.window.history import History
from chronotick.window.presets import history_span_s
from chronotick.window.types import Window

ROOT = Path(__file__).resolve().parents[2]
PLUGIN_PYTHON = ROOT / "plugins" / "chronos" / ".venv" / "bin" / "python"
CLASSES = ("rw", "sine", "wander", "duty", "daily", "warm")
HORIZONS_S = (600.0, 3600.0)
NS = 1_000_000_000
START_NS = 1_000 * NS
Array = NDArray[np.float64]

# Runs in the plugin's environment: the plugin's own forecaster over a file of windows.
_INFER = """
import json, sys
import numpy as np
from chronotick.sdk import Batch, Params
from chronotick_chronos import ChronosForecaster
levels = tuple(round(0.1 * k, 1) for k in range(1, 10))
for line in sys.stdin:
    job = json.loads(line)
    model = ChronosForecaster()
    model.load(Params(values=job["params"]), lambda *_: None)
    data = np.load(job["windows"])
    out = {}
    for key in data.files:
        rows = data[key]
        parts = [rows[i : i + 64] for i in range(0, len(rows), 64)]
        said = [model.forecast(Batch(values=p, horizon=64, levels=levels)).values for p in parts]
        out[key] = np.concatenate(said)
    np.savez(job["out"], **out)
    print("done", flush=True)
"""


@dataclass(frozen=True)
class Clock:
    """A simulated clock and its fixes. `truth(t)` is theta at `t` seconds after START_NS."""

    name: str
    poll_s: float
    warm_s: float
    fixes: list[Fix]
    time_s: Array
    theta_s: Array

    def truth_s(self, t: Array) -> Array:
        """True theta, s."""
        return np.interp(t, self.time_s, self.theta_s)


def simulate(kind: str, seed: int) -> Clock:
    """One clock of a class: a day of polls every 64 s, or five days every 256 s for the daily cycle."""
    rng = np.random.default_rng([zlib.crc32(b"skill " + kind.encode()), seed])
    daily = kind == "daily"
    length_s, poll_s, dt = (5 * 86_400.0, 256.0, 16.0) if daily else (86_400.0, 64.0, 4.0)
    t = np.arange(0.0, length_s, dt)
    n = len(t)
    walk = 10 ** (rng.uniform(-9.5, -8.4) if kind == "rw" else rng.uniform(-10.5, -9.2))
    rate = 15e-6 * rng.standard_normal() + walk * np.sqrt(dt) * np.cumsum(rng.standard_normal(n))
    period = np.exp(rng.uniform(np.log(1000.0), np.log(12_000.0)))
    size = 10 ** rng.uniform(-6.7, -5.9)
    turns = t / period + rng.uniform()
    if kind == "sine":
        rate += size * np.sin(2 * np.pi * turns)
    elif kind == "wander":
        turns += 0.07 * np.cumsum(rng.standard_normal(n)) * np.sqrt(dt / period)
        swell = np.exp(0.15 * np.cumsum(rng.standard_normal(n)) * np.sqrt(dt / period) / 2)
        rate += size * swell * (np.sin(2 * np.pi * turns) + rng.uniform(0.2, 0.5) * np.cos(4 * np.pi * turns + 0.7))
    elif kind == "duty":
        rate += 2 * size * _switched(rng, t, dt, period)
    elif kind == "daily":
        day = t / 86_400.0 + rng.uniform()
        weather = 1 + 0.2 * np.cumsum(rng.standard_normal(n)) * np.sqrt(dt / 86_400.0)
        rate += size * weather * (np.sin(2 * np.pi * day) + 0.3 * np.sin(4 * np.pi * day + rng.uniform(0, 6)))
    elif kind == "warm":
        rate += 3 * size * np.exp(-t / 10 ** rng.uniform(3.3, 4.1))
    theta = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) * dt / 2)))
    fixes = _measure(rng, t, theta, np.arange(10.0, length_s - poll_s, poll_s), 10 ** rng.uniform(-4.5, -3.3))
    return Clock(f"{kind}{seed}", poll_s, 2 * 86_400.0 if daily else 14_400.0, fixes, t, theta)


def _switched(rng: np.random.Generator, t: Array, dt: float, period: float) -> Array:
    """A load that is on and off for irregular times, through a thermal lag with two time constants."""
    on = np.zeros(len(t))
    share = rng.uniform(0.25, 0.65)
    at = 0.0
    while at < t[-1]:
        busy, idle = np.abs(np.array([share, 1 - share]) * period * (1 + 0.05 * rng.standard_normal(2)))
        on[(t >= at) & (t < at + busy)] = 1.0
        at += busy + idle
    out = np.zeros(len(t))
    for tau, part in ((10 ** rng.uniform(1.8, 2.5), 0.7), (10 ** rng.uniform(2.5, 3.1), 0.3)):
        keep, y = float(np.exp(-dt / tau)), 0.0
        for i, u in enumerate(on):
            y = keep * y + (1 - keep) * u
            out[i] += part * y
    return out


def _measure(rng: np.random.Generator, t: Array, theta: Array, polls: Array, queue_s: float) -> list[Fix]:
    """Exchanges with one server; queueing of mean `queue_s` each way, sometimes much more."""
    at = polls + rng.uniform(0, 0.02 * (polls[1] - polls[0]), len(polls))
    out, back = (rng.gamma(0.8, queue_s / 0.8, len(at)) for _ in range(2))
    out = out + (rng.random(len(at)) < 0.01) * 10 * queue_s
    measured = np.interp(at, t, theta) + (out - back) / 2
    delay = 8 * queue_s + out + back
    return [_fix(*one) for one in zip(at.tolist(), measured.tolist(), delay.tolist(), strict=True)]


def _fix(at_s: float, theta_s: float, delay_s: float) -> Fix:
    theta_ns, half_ns = round(theta_s * NS), round(delay_s * NS / 2) + 1
    return Fix(
        raw_ns=START_NS + round(at_s * NS),
        theta_ns=theta_ns,
        delay_s=delay_s,
        root_distance_s=delay_s / 2,
        server="simulated",
        survivors=("simulated",),
        earliest_theta_ns=theta_ns - half_ns,
        latest_theta_ns=theta_ns + half_ns,
    )


def roles(clock_poll_s: float) -> tuple[RoleConfig, ...]:
    """Two grids: 64 s for 10 min, a wider one for 1 h."""
    if clock_poll_s > 64:
        grids = (("short", 256.0), ("long", 900.0))
    else:
        grids = (("short", 64.0), ("long", 192.0))
    return tuple(
        RoleConfig(name=name, plugin="chronos", step_s=step, context=256, horizon=64, interval_s=2 * clock_poll_s)
        for name, step in grids
    )


@dataclass(frozen=True)
class Step:
    """What one fix did, and the questions it led to."""

    update: FloorUpdate
    requests: tuple[Request, ...]


def walk(clock: Clock) -> list[Step]:
    """Floor and windows over all fixes. No window depends on any forecast, so models can answer afterwards."""
    tuning = Tuning()
    floor, asked = Floor(tuning), roles(clock.poll_s)
    history = History(span_s=history_span_s(asked, least_s=3600.0))
    steps = []
    for index, fix in enumerate(clock.fixes):
        update = floor.update(fix)
        if update.state is not None:
            history.take(update.measurements, update.state.epoch)
        requests: tuple[Request, ...] = ()
        if update.state is not None and index % 2 == 0:
            built = [(role, build(history, update.state, role, tuning)) for role in asked]
            requests = batch([(role, window) for role, window in built if isinstance(window, Window)])
        steps.append(Step(update, requests))
    return steps


class Model:
    """The plugin's forecaster in its own environment, over files."""

    def __init__(self, folder: str) -> None:
        self._params = {"path": folder} if folder else {}
        environ = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        self._process = subprocess.Popen(
            [PLUGIN_PYTHON, "-c", _INFER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environ,
        )

    def __call__(self, windows: dict[str, Array]) -> dict[str, Array]:
        """Scaled windows of each grid, shape (k, n), to quantiles (k, 9, 64)."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = f"{folder}/windows.npz", f"{folder}/out.npz"
            np.savez(source, **{k: v for k, v in windows.items() if len(v)})
            job = {"params": self._params, "windows": source, "out": target}
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(msgspec.json.encode(job).decode() + "\n")
            self._process.stdin.flush()
            if not self._process.stdout.readline():
                raise SystemExit("the model's process died: is the plugin's environment built?")
            with np.load(target) as data:
                return {k: data[k] for k in data.files}

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def answers(steps: Sequence[Step], model: Model) -> dict[tuple[int, str], Forecast]:
    """Every question's forecast, by (step, role)."""
    windows: dict[str, list[Array]] = {}
    places: dict[str, list[tuple[int, Request]]] = {}
    for index, step in enumerate(steps):
        for request in step.requests:
            key = request.roles[0]
            windows.setdefault(key, []).append(request.values[0])
            places.setdefault(key, []).append((index, request))
    said = model({key: np.array(rows) for key, rows in windows.items()})
    out = {}
    for key, rows in places.items():
        for (index, request), quantiles in zip(rows, said[key], strict=True):
            checked = validate(request, quantiles[None], infer_ms=0.0)
            if isinstance(checked, tuple):
                out[index, key] = checked[0]
    return out


@dataclass(frozen=True)
class Errors:
    """Mean absolute errors on truth, s: shape (horizons,)."""

    floor: Array
    bare: dict[str, Array]
    fused: Array


def judge(clock: Clock, steps: Sequence[Step], forecasts: dict[tuple[int, str], Forecast]) -> Errors:
    """Run the fusion stage over the clock and hold everything against truth, from `warm_s` on."""
    asked = roles(clock.poll_s)
    fusion = Fusion(Tuning(), FusionConfig(), asked)
    rows: list[tuple[float, ClockState, dict[str, Any], Array]] = []
    horizons_ns = [round(h * NS) for h in HORIZONS_S]
    latest: dict[str, ForecastCurve] = {}
    for index, step in enumerate(steps):
        state = step.update.state
        if state is None:
            continue
        fusion.on_update(step.update)
        for role in asked:
            forecast = forecasts.get((index, role.name))
            if forecast is not None:
                fusion.on_forecast(forecast)
                latest[role.name] = ForecastCurve(forecast)
        at_s = (state.raw_ns - START_NS) / NS
        if at_s < clock.warm_s or at_s > clock.time_s[-1] - HORIZONS_S[-1] or index % 2 or len(latest) < len(asked):
            continue
        truth = clock.truth_s(at_s + np.array(HORIZONS_S)) * NS
        line = np.array([float(state.theta_at_ns(state.raw_ns + h)) for h in horizons_ns])
        corrections = {
            name: np.array([curve.correction_s(state, state.raw_ns + h) for h in horizons_ns])
            for name, curve in latest.items()
        }
        fused = []
        for h in horizons_ns:
            one = fusion.estimate(state.raw_ns + h, state.raw_ns + h + NS)
            assert one is not None
            fused.append(float(one.theta_ns))
        rows.append((at_s, state, corrections, np.array([truth - line, truth - np.array(fused)]) / NS))
    floor = np.array([row[3][0] for row in rows])
    bare = {role.name: np.abs(floor - np.array([row[2][role.name] for row in rows])).mean(0) for role in asked}
    return Errors(np.abs(floor).mean(0), bare, np.abs(np.array([row[3][1] for row in rows])).mean(0))


def table(models: dict[str, str], classes: Sequence[str], seeds: int, first: int) -> None:
    """Print the skill table, a line per class, horizon and model."""
    running = {name: Model(folder) for name, folder in models.items()}
    print(f"{'class':7} {'ahead':>6} {'floor us':>9}  {'model':10} {'64 s grid':>14} {'wide grid':>14} {'gated':>14}")
    for kind in classes:
        clocks = [simulate(kind, seed) for seed in range(first, first + seeds)]
        walks = [walk(clock) for clock in clocks]
        for name, model in running.items():
            found = [judge(c, w, answers(w, model)) for c, w in zip(clocks, walks, strict=True)]
            for i, horizon in enumerate(HORIZONS_S):
                floor = np.array([one.floor[i] for one in found])
                cells = [
                    _ratio(np.array([one.bare[role][i] for one in found]) / floor) for role in ("short", "long")
                ] + [_ratio(np.array([one.fused[i] for one in found]) / floor)]
                ahead = f"{horizon / 60:.0f} min"
                print(f"{kind:7} {ahead:>6} {floor.mean() * 1e6:9.1f}  {name:10} " + " ".join(cells), flush=True)
    for model in running.values():
        model.close()


def _ratio(values: Array) -> str:
    """Geometric mean and worst."""
    return f"{np.exp(np.log(values).mean()):6.3f} ({values.max():5.2f})"


def compressed(models: dict[str, str], clocks: int) -> None:
    """The lab's regime, sixty times faster than physics: error 8 and 16 s ahead of floor and bare model, by context."""
    role = RoleConfig(
        name="short", plugin="chronos", step_s=0.5, context=160, min_context=40, horizon=64, interval_s=0.5
    )
    tuning = Tuning().compressed(60.0)
    requests: list[Request] = []
    states: list[ClockState] = []
    truths: list[Array] = []
    lengths: list[int] = []
    for seed in range(clocks):
        rng = np.random.default_rng([77, seed])
        t = np.arange(0.0, 110.0, 0.02)
        period, size = rng.uniform(25.0, 30.0), 10 ** rng.uniform(-4.6, -3.9)
        turns = t / period + rng.uniform() + 0.03 * np.cumsum(rng.standard_normal(len(t))) * np.sqrt(0.02 / period)
        rate = 12e-6 + size * (np.sin(2 * np.pi * turns) + 0.2 * np.sin(4 * np.pi * turns))
        rate += 5e-7 * np.sqrt(0.02) * np.cumsum(rng.standard_normal(len(t)))
        theta = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) * 0.01)))
        floor, history = Floor(tuning), History(span_s=200.0)
        last = 0.0
        for fix in _measure(rng, t, theta, np.arange(0.5, 90.0, 0.1), 3e-5):
            update = floor.update(fix)
            if update.state is None:
                continue
            history.take(update.measurements, update.state.epoch)
            at = (update.state.raw_ns - START_NS) / NS
            if at < 25.0 or at - last < 3.0:
                continue
            last = at
            window = build(history, update.state, role, tuning)
            if isinstance(window, Window):
                requests.extend(batch([(role, window)]))
                states.append(update.state)
                truths.append(np.interp(at + np.array([8.0, 16.0]), t, theta))
                lengths.append(int(np.isfinite(window.rate).sum()))
    values = np.array([request.values[0] for request in requests])
    size_of = np.array(lengths)
    print(f"\ncompressed: cycles of 25..30 s, grid 0.5 s, {len(requests)} origins of {clocks} clocks; MAE in us")
    for name, folder in models.items():
        model = Model(folder)
        said = model({"short": values})["short"]
        model.close()
        errors = []
        for request, state, truth, quantiles in zip(requests, states, truths, said, strict=True):
            checked = validate(request, quantiles[None], infer_ms=0.0)
            assert isinstance(checked, tuple)
            curve = ForecastCurve(checked[0])
            ahead = [state.raw_ns + round(h * NS) for h in (8.0, 16.0)]
            line = np.array([state.theta_at_ns(a) for a in ahead]) / NS
            bent = line + np.array([curve.correction_s(state, a) for a in ahead])
            errors.append([truth - line, truth - bent])
        absolute = np.abs(np.array(errors)) * 1e6
        for low, high in ((40, 70), (70, 110), (110, 161)):
            part = absolute[(size_of >= low) & (size_of < high)].mean(0)
            print(
                f"{name:10} context {low:3}..{high - 1:3}: 8 s floor {part[0, 0]:7.1f} model {part[1, 0]:7.1f} "
                f"({part[1, 0] / part[0, 0]:.2f})   16 s floor {part[0, 1]:7.1f} model {part[1, 1]:7.1f} "
                f"({part[1, 1] / part[0, 1]:.2f})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--classes", nargs="*", default=CLASSES)
    parser.add_argument("--clocks", type=int, default=20, help="clocks of the compressed check; 0 leaves it out")
    parser.add_argument("--weights", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--only", action="store_true", help="only the checkpoints named by --weights")
    args = parser.parse_args()
    models = {} if args.only else {"embedded": ""}
    data = os.environ.get("CHRONOTICK_TEST_DATA")
    if data and not args.only:
        models |= {"tuned": f"{data}/weights/ft-rate-350k", "zero-shot": f"{data}/weights/chronos-bolt-350k"}
    models |= dict(one.split("=", 1) for one in args.weights)
    table(models, args.classes, args.seeds, args.first)
    if args.clocks:
        compressed(models, args.clocks)


if __name__ == "__main__":
    main()
