"""Windows of smoothed oscillator rates, as the host would cut them from simulated clocks, with the true rates after.

Time is counted in grid steps and offset in units of the noise of one fix, so one set of numbers stands for every grid
and path. Each series is a sum of drawn effects (random walk and white FM, cycles with wandering phase, duty cycles and
load steps through a thermal lag, warm-up, ageing), measured with noise, outliers and gaps, filtered by the best of
several Kalman filters and smoothed backwards over all fixes up to the origin (Rauch, Tung and Striebel 1965).

    python simulate.py POOL --shards 64 --first 0 --seed 7
    python simulate.py POOL --shards 560 --seed 9 --mix first,late --jobs 2

Of several mixes the shards take turns.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CONTEXT = 256
HORIZON = 64
SHARD = 16_384
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mix:
    """How often the effects occur, and how large cycles are.

    Attributes:
        cycles: chances of the first, second and third cycle.
        peak: log10 of the range of a cycle's peak offset.
        kinds: chances of a cycle being a sine, rich in harmonics, squared, or a duty cycle through the thermal lag.
        jitter: chance that a cycle's phase wanders.
        fade: chance that a cycle's amplitude wanders.
        daily: chance of a daily cycle with weather, most often on a grid of 900 s.
    """

    cycles: tuple[float, float, float] = (0.75, 0.35, 0.12)
    peak: tuple[float, float] = (-0.3, 3.0)
    kinds: tuple[float, float, float, float] = (0.35, 0.3, 0.1, 0.25)
    jitter: float = 0.55
    fade: float = 0.3
    daily: float = 0.0


MIXES = {
    "first": Mix(),
    # More of what the first mix taught least: cycles that wander and are small beside the noise, and days.
    "late": Mix(
        cycles=(0.9, 0.35, 0.12), peak=(-0.5, 2.3), kinds=(0.27, 0.38, 0.05, 0.3), jitter=0.75, fade=0.5, daily=0.2
    ),
}
# Steps of a day on grids of 900, 600, 300, 256 and 1800 s, and how often each.
DAY_STEPS = (96.0, 144.0, 288.0, 337.5, 48.0)
DAY_CHANCES = (0.6, 0.1, 0.1, 0.1, 0.1)


@dataclass(frozen=True)
class Windows:
    """A batch of windows.

    Attributes:
        context: shape (n, CONTEXT), smoothed rates, oldest first, NaN before the start and in gaps.
        future: shape (2, n, HORIZON), the true rates of the next steps, without white FM: two futures that share the
            past, their random innovations mirrored, so that the two together have less variance than any two draws.
        cyclic: shape (n,), True where a cycle rules the offset.
    """

    context: Array
    future: Array
    cyclic: NDArray[np.bool_]


class Draw:
    """Column vectors of random numbers, one row per series."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self.n, self.rng = n, rng

    def uniform(self, low: float, high: float) -> Array:
        return self.rng.uniform(low, high, (self.n, 1))

    def log10(self, low: float, high: float) -> Array:
        return 10.0 ** self.uniform(low, high)

    def chance(self, p: float) -> Array:
        return (self.rng.random((self.n, 1)) < p).astype(float)

    def normal(self, steps: int) -> tuple[Array, Array]:
        """Innovations of a series and of its twin, which are mirrored after the origin."""
        e = self.rng.standard_normal((self.n, steps))
        twin = e.copy()
        twin[:, CONTEXT:] *= -1.0
        return e, twin


def _lag(u: Array, tau: Array) -> Array:
    """First-order response, time constant `tau` steps, starting from rest at the first input."""
    a = np.exp(-1.0 / tau[:, 0])
    y = np.empty_like(u)
    y[:, 0] = u[:, 0]
    for i in range(1, u.shape[1]):
        y[:, i] = a * y[:, i - 1] + (1 - a) * u[:, i]
    return y


def _wander(d: Draw, steps: int) -> tuple[Array, Array]:
    """Random walk of the rate, or one that is pulled back to its mean."""
    size = d.log10(-4.0, 0.4) * d.chance(0.75)
    pull = np.exp(-1.0 / d.log10(1.0, 2.7))
    pull = np.where(d.chance(0.25) > 0, pull, 1.0)[:, 0]
    out = []
    for e in d.normal(steps):
        y = np.empty_like(e)
        y[:, 0] = e[:, 0]
        for i in range(1, steps):
            y[:, i] = pull * y[:, i - 1] + e[:, i]
        out.append(size * y)
    return out[0], out[1]


def _cycles(d: Draw, steps: int, tau: Array, mix: Mix) -> tuple[Array, Array, Array]:
    """Up to three cycles: both futures and the largest peak offset of any."""
    t = np.arange(steps)
    total = [np.zeros((d.n, steps)), np.zeros((d.n, steps))]
    largest = np.zeros((d.n, 1))
    for p in mix.cycles:
        period = d.log10(np.log10(5.0), np.log10(400.0))
        peak = d.log10(*mix.peak) * d.chance(p)
        start = d.uniform(0, 2 * np.pi)
        jitter = d.chance(mix.jitter) * d.log10(-1.7, 0.0) / np.sqrt(period)
        fade = d.chance(mix.fade) * d.log10(-1.7, -0.3) / np.sqrt(period)
        second, third = d.uniform(-0.6, 0.6), d.uniform(-0.3, 0.3)
        shift2, shift3 = d.uniform(0, 2 * np.pi), d.uniform(0, 2 * np.pi)
        duty, edge = d.uniform(0.15, 0.85), d.log10(0.3, 1.2)
        kind = d.rng.choice(4, (d.n, 1), p=mix.kinds)
        for k, (e, g) in enumerate(zip(d.normal(steps), d.normal(steps), strict=True)):
            phase = 2 * np.pi * t / period + start + jitter * np.cumsum(e, 1)
            sine = np.sin(phase)
            rich = sine + second * np.sin(2 * phase + shift2) + third * np.sin(3 * phase + shift3)
            square = np.tanh(edge * (sine - np.cos(np.pi * duty)))
            on = (np.mod(phase / (2 * np.pi), 1.0) < duty).astype(float)
            thermal = 2.0 * _lag(on, tau)
            shape = np.select([kind == 0, kind == 1, kind == 2], [sine, rich, square], thermal)
            total[k] += peak * (2 * np.pi / period) * shape * np.exp(fade * np.cumsum(g, 1))
        largest = np.maximum(largest, peak)
    return total[0], total[1], largest


def _days(d: Draw, steps: int, chance: float) -> tuple[Array, Array, Array]:
    """A daily cycle whose size and level change with the weather: both futures and the peak offset, zero without."""
    t = np.arange(steps)
    period = d.rng.choice(DAY_STEPS, (d.n, 1), p=DAY_CHANCES)
    peak = d.log10(-0.3, 4.0) * d.chance(chance)
    phase = 2 * np.pi * t / period + d.uniform(0, 2 * np.pi)
    shape = np.sin(phase)
    shape = shape + d.uniform(0, 0.6) * np.sin(2 * phase + d.uniform(0, 2 * np.pi))
    shape = shape + d.uniform(0, 0.3) * np.sin(3 * phase + d.uniform(0, 2 * np.pi))
    swing, level = d.log10(-1.5, -0.3), d.log10(-1.5, -0.2)
    slow, fast = period * d.log10(-0.3, 0.7), period * d.log10(-1.3, 0.3)
    out = []
    for e, g in zip(d.normal(steps), d.normal(steps), strict=True):
        weather = _lag(e, slow) * np.sqrt(2 * slow), _lag(g, fast) * np.sqrt(2 * fast)
        out.append(peak * (2 * np.pi / period) * (shape * np.exp(swing * weather[0]) + level * weather[1]))
    return out[0], out[1], peak


def _loads(d: Draw, steps: int, tau: Array) -> Array:
    """Load that is switched at a few random instants, through the thermal lag. The past rules: few lie ahead."""
    t = np.arange(steps)
    u = np.zeros((d.n, steps))
    for _ in range(3):
        u += d.chance(0.6) * d.rng.choice((-1.0, 1.0), (d.n, 1)) * (t >= d.uniform(0, CONTEXT * 1.1))
    return d.chance(0.25) * d.log10(-1.5, 1.0) * _lag(u, tau)


def true_rates(n: int, rng: np.random.Generator, mix: Mix) -> tuple[Array, Array, Array]:
    """Rates of `n` oscillators on CONTEXT + HORIZON steps, of their twins, and each one's largest cycle."""
    d = Draw(n, rng)
    steps = CONTEXT + HORIZON
    t = np.arange(steps)
    tau = d.log10(-0.3, 1.8)
    walk, walk_twin = _wander(d, steps)
    cycle, cycle_twin, largest = _cycles(d, steps, tau, mix)
    common = _loads(d, steps, tau)
    common += d.chance(0.2) * d.log10(-1.5, 1.0) * d.rng.choice((-1.0, 1.0), (n, 1)) * np.exp(-t / d.log10(0.7, 2.5))
    common += d.chance(0.25) * d.log10(-5.0, -2.0) * d.rng.choice((-1.0, 1.0), (n, 1)) * t
    if mix.daily:
        day, day_twin, peak = _days(d, steps, mix.daily)
        alone = np.where((peak > 0) & (d.chance(0.6) > 0), 0.0, 1.0)
        cycle, cycle_twin, largest = cycle * alone + day, cycle_twin * alone + day_twin, np.maximum(largest, peak)
    return walk + cycle + common, walk_twin + cycle_twin + common, largest


def _fix_mask(n: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Array, NDArray[np.int64]]:
    """Which grid points have fixes (n, CONTEXT), how many fixes a point averages (n, 1), first point (n,)."""
    every = rng.choice((1, 1, 1, 2, 3, 4), n)
    age = CONTEXT - 1 - np.arange(CONTEXT)
    mask = age[None, :] % every[:, None] == 0
    density = np.where(every > 1, 1.0, rng.choice((1.0, 1.0, 2.0, 4.0, 8.0, 16.0), n))
    length = np.exp(rng.uniform(np.log(24.0), np.log(CONTEXT), n)).astype(int)
    first = np.where(rng.random(n) < 0.35, CONTEXT - length, 0)
    mask &= np.arange(CONTEXT)[None, :] >= first[:, None]
    gap_end = rng.integers(20, CONTEXT - 8, n)
    gap = np.where(rng.random(n) < 0.15, rng.integers(5, 60, n), 0)
    at = np.arange(CONTEXT)[None, :]
    mask &= ~((at < gap_end[:, None]) & (at >= (gap_end - gap)[:, None]))
    return mask, density[:, None], first


def _update(z: Array, seen: Array, r: Array, state: tuple[Array, ...]) -> tuple[tuple[Array, ...], Array]:
    """One fix into offset-and-rate filters, Huberised at 2.5 sigma; also its log Student-t likelihood."""
    x, f, a, b, c = state
    s = a + r
    e = z - x
    root = np.sqrt(s)
    wide = np.maximum(s, np.abs(e) * root / 2.5)
    gain_x, gain_f = seen * a / wide, seen * b / wide
    score = seen * (-0.5 * np.log(s) - 2.5 * np.log1p(e * e / s / 4.0))
    return (x + gain_x * e, f + gain_f * e, a - gain_x * a, b - gain_x * b, c - gain_f * b), score


def _predict(q: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
    """One step ahead."""
    x, f, a, b, c = state
    return x + f, f, a + 2 * b + c + q / 3, b + c + q / 2, c + q


def smooth_rates(z: Array, mask: NDArray[np.bool_], r: Array, rng: np.random.Generator) -> Array:
    """Rates at every grid point, smoothed over all fixes by the filter whose process noise explains them best.

    Args:
        z: shape (n, CONTEXT), offsets at the grid points.
        mask: shape (n, CONTEXT), where there is a fix.
        r: shape (n, 1), variance of a fix as the filter believes it.
        rng: draws the grid of process noises.
    """
    n, steps = z.shape
    q = r * 10.0 ** (np.arange(-9.0, 3.0)[None, :] + rng.uniform(-0.5, 0.5, (n, 1)))
    seen = mask.astype(float)
    prior = [np.broadcast_to(v, q.shape).copy() for v in (z[:, :1], np.zeros(1), r * 1e6, np.zeros(1), r * 1e5)]
    state: tuple[Array, ...] = tuple(prior)
    total = np.zeros_like(q)
    for i in range(steps):
        if i:
            state = _predict(q, state)
        state, score = _update(z[:, i : i + 1], seen[:, i : i + 1], r, state)
        total += score
    best = np.take_along_axis(q, total.argmax(1)[:, None], 1)[:, 0]

    r1 = r[:, 0]
    one: tuple[Array, ...] = (z[:, 0], np.zeros(n), r1 * 1e6, np.zeros(n), r1 * 1e5)
    kept = []
    for i in range(steps):
        if i:
            one = _predict(best, one)
        one, _ = _update(z[:, i], seen[:, i], r1, one)
        kept.append(one)
    rate = np.empty((n, steps))
    sx, sf = kept[-1][0], kept[-1][1]
    rate[:, -1] = sf
    for i in range(steps - 2, -1, -1):
        x, f, a, b, c = kept[i]
        px, pf, pa, pb, pc = _predict(best, kept[i])
        det = pa * pc - pb * pb
        dx, df = sx - px, sf - pf
        u, v = (pc * dx - pb * df) / det, (pa * df - pb * dx) / det
        sx = x + (a + b) * u + b * v
        sf = f + (b + c) * u + c * v
        rate[:, i] = sf
    return rate


def windows(n: int, rng: np.random.Generator, mix: Mix = MIXES["first"]) -> Windows:
    """`n` windows with their futures."""
    d = Draw(n, rng)
    rate, twin, largest = true_rates(n, rng, mix)
    mask, density, first = _fix_mask(n, rng)
    noise = d.log10(-1.0, 0.8) / np.sqrt(density)
    white = d.chance(0.35) * d.log10(-2.0, 0.0) * rng.standard_normal((n, CONTEXT))
    step = np.zeros((n, CONTEXT))
    step[:, 1:] = (rate[:, : CONTEXT - 1] + rate[:, 1:CONTEXT]) / 2
    offset = np.cumsum(step + white, 1)
    tails = np.where(rng.random((n, CONTEXT)) < 0.03 * d.chance(0.5), 5.0, 1.0)
    z = offset + noise * tails * rng.standard_normal((n, CONTEXT))
    believed = (noise * 10.0 ** (0.2 * rng.standard_normal((n, 1)))) ** 2 + 1e-6
    context = smooth_rates(z, mask, believed, rng)

    at = np.arange(CONTEXT)
    near = np.maximum.accumulate(np.where(mask, at, -10_000), 1)
    after = np.minimum.accumulate(np.where(mask, at, 10_000)[:, ::-1], 1)[:, ::-1]
    context[np.minimum(at - near, after - at) > 4] = np.nan
    context[at[None, :] < first[:, None]] = np.nan
    cut = CONTEXT - np.exp(rng.uniform(np.log(24.0), np.log(CONTEXT), n)).astype(int)
    context[(at[None, :] < cut[:, None]) & (d.chance(0.2) > 0)] = np.nan

    mean = np.nanmean(context, 1, keepdims=True)
    scale = np.nanstd(context, 1, keepdims=True) + 1e-12
    future = np.stack([rate[:, CONTEXT:], twin[:, CONTEXT:]])
    context, future = (context - mean) / scale, (future - mean) / scale
    future[np.broadcast_to(np.abs(future).max(2, keepdims=True) > 5.0, future.shape)] = np.nan
    context[np.abs(context) > 30] = np.nan
    return Windows(context, future, (largest > 10 * noise)[:, 0])


def shard(seed: int, index: int, mix: Mix, n: int = SHARD) -> Windows:
    """Shard `index` of the pool of `seed`: the same windows on every machine."""
    parts = [windows(2048, np.random.default_rng([seed, index, k]), mix) for k in range(n // 2048)]
    return Windows(
        np.concatenate([p.context for p in parts]),
        np.concatenate([p.future for p in parts], 1),
        np.concatenate([p.cyclic for p in parts]),
    )


def write(path: Path, seed: int, index: int, mix: Mix) -> str:
    """Make a shard and keep it, if it is not there; its name."""
    if not path.exists():
        w = shard(seed, index, mix)
        staging = path.with_suffix(".part.npz")
        np.savez(staging, context=w.context.astype(np.float32), future=w.future.astype(np.float32), cyclic=w.cyclic)
        os.replace(staging, path)
    return path.name


def chosen(names: str) -> list[Mix]:
    """Mixes by their names, with commas."""
    if unknown := sorted(set(names.split(",")) - set(MIXES)):
        raise argparse.ArgumentTypeError(f"no mix {', '.join(unknown)}; there are {', '.join(sorted(MIXES))}")
    return [MIXES[name] for name in names.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--mix", type=chosen, default="first", help="first, late or first,late")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes share the work")
    args = parser.parse_args()
    args.pool.mkdir(parents=True, exist_ok=True)
    wanted = range(args.first, args.first + args.shards)
    paths = [args.pool / f"{args.seed}-{index:04d}.npz" for index in wanted]
    mixes = [args.mix[index % len(args.mix)] for index in wanted]
    with ProcessPoolExecutor(args.jobs) as workers:
        for name in workers.map(write, paths, [args.seed] * len(paths), wanted, mixes):
            print(name, flush=True)


if __name__ == "__main__":
    main()
