"""States, curves and whole simulated clocks with known truth for the fusion stage."""

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from chronotick.clock.floor import Floor
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import FusionConfig, RoleConfig
from chronotick.forecast import Forecast, Refusal, Request, batch, validate
from chronotick.forecast.schedule import Schedule
from chronotick.fusion import Fusion
from chronotick.ntp.fix import Fix
from chronotick.window import History, Window, build

S = 10**9
RAW0_NS = 1_000 * S
THETA0_NS = 1_700_000_000 * S


def make_state(raw_ns: int = RAW0_NS, **changes: object) -> ClockState:
    """A floor's belief: 10 us at once, growing, unless changed."""
    fields: dict[str, object] = {
        "raw_ns": raw_ns,
        "theta_ns": THETA0_NS,
        "rate": 0.0,
        "variance": (1e-10, 0.0, 1e-16, 1e-20),
        "widen": 1.0,
        "fixes": 100,
        "noise_s": 1e-6,
        "wander": 1e-9,
        "restarts": 0,
        "epoch": 1,
    }
    return ClockState(**(fields | changes))  # type: ignore[arg-type]


def make_forecast(
    rate: Sequence[float] | NDArray[np.float64],
    *,
    origin_raw_ns: int = RAW0_NS,
    step_s: float = 64.0,
    model: str = "chronos",
    role: str = "test",
    anchor: float = 0.0,
    epoch: int = 1,
    span_s: float = 1e6,
) -> Forecast:
    """A forecast of `rate`, the starting point included."""
    curve = np.asarray(rate, np.float64)
    return Forecast(
        model=model,
        role=role,
        epoch=epoch,
        origin_raw_ns=origin_raw_ns,
        step_ns=round(step_s * S),
        rate=curve,
        low=curve,
        high=curve,
        anchor=anchor,
        span_s=span_s,
        infer_ms=1.0,
    )


class OwnLine(msgspec.Struct, frozen=True):
    """A candidate that filters the fixes by itself: its line is apart from the floor's already at the state."""

    offset_s: float
    slope: float = 0.0
    trusted: bool = False
    log_odds: float | None = None
    model: str = "own"
    role: str = "fit"
    epoch: int = 1
    origin_raw_ns: int = RAW0_NS
    end_raw_ns: int = RAW0_NS + 10**15
    span_s: float = 1e6
    believed_s: float | None = None

    @property
    def name(self) -> str:
        return f"{self.model}/{self.role}"

    def correction_s(self, state: ClockState, raw_ns: int) -> float:
        return self.offset_s + self.slope * (raw_ns - self.origin_raw_ns) / S

    def sigma_s(self, state: ClockState, raw_ns: int) -> float | None:
        return self.believed_s


class Oscillator(msgspec.Struct, frozen=True, eq=False):
    """Truth on a fine grid: rate, and theta as its exact integral between the points.

    Attributes:
        t_s: float64, shape (n,); rate: s/s; theta_s: s, relative to the base.
    """

    t_s: NDArray[np.float64]
    rate: NDArray[np.float64]
    theta_s: NDArray[np.float64]

    def rate_at(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(t_s, self.t_s, self.rate)

    def theta_at(self, t_s: float) -> float:
        return float(np.interp(t_s, self.t_s, self.theta_s))


def make_oscillator(kind: str, seed: int, *, length_s: float = 300.0, k: float = 60.0) -> Oscillator:
    """A clock whose physics run k times faster: "walk" wanders, "sine" and "cycle" cycle as well."""
    rng = np.random.default_rng(seed)
    dt = 4.0 / k
    n = int(length_s / dt) + 2
    t = np.arange(n) * dt
    rate = 20e-6 * k + 1e-9 * k**1.5 * math.sqrt(dt) * np.cumsum(rng.standard_normal(n))
    period_s, amplitude = 1600.0 / k, 1e-6 * k
    if kind == "sine":
        rate += amplitude * np.sin(2 * np.pi * t / period_s + rng.uniform(0, 6))
    elif kind == "cycle":
        tempo = np.exp(0.25 * math.sqrt(dt / period_s) * np.cumsum(rng.standard_normal(n)))
        phase = np.cumsum(2 * np.pi / period_s * tempo * dt)
        rate += amplitude * (np.sin(phase) + 0.4 * np.sin(2 * phase + 1))
    else:
        assert kind == "walk"
    theta = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * dt)))
    return Oscillator(t_s=t, rate=rate, theta_s=theta)


# A model: scaled quantiles for a request, None for no answer in time. It may look at the truth: some are oracles.
Model = Callable[[Request, Oscillator, float], NDArray[np.float64] | None]


class Sample(msgspec.Struct, frozen=True):
    """What was answered some time after a fix, beside the truth; all in seconds."""

    t_s: float
    h_s: float
    fused_error_s: float
    floor_error_s: float
    half_width_s: float
    sigma_s: float
    floor_sigma_s: float
    weight: float


class Simulated(msgspec.Struct, frozen=True, eq=False):
    """A finished run.

    Attributes:
        opened: (candidate, horizon) to when it opened first.
        windows: all windows that were shown to the model.
    """

    fusion: Fusion
    samples: list[Sample]
    opened: dict[tuple[str, float], float]
    windows: list[Window]

    def ratio(self, h_s: float, *, after_s: float = 0.0) -> float:
        """Mean absolute error of the fused answer over the floor's at a horizon."""
        chosen = [one for one in self.samples if one.h_s == h_s and one.t_s > after_s]
        return sum(abs(one.fused_error_s) for one in chosen) / sum(abs(one.floor_error_s) for one in chosen)


DEMO_ROLE = RoleConfig(
    name="demo", plugin="m", step_s=0.5, context=128, min_context=16, horizon=64, interval_s=1.0, deadline_s=2.0
)


def run_clock(
    oscillator: Oscillator,
    model: Model,
    *,
    length_s: float = 95.0,
    k: float = 60.0,
    seed: int = 1,
    role: RoleConfig = DEMO_ROLE,
    servers: int = 2,
    poll_s: float = 0.5,
    queue_s: float = 1e-4,
    measure_after_s: float = 50.0,
    ahead_s: tuple[float, ...] = (0.1, 1.0, 4.0, 16.0),
    config: FusionConfig | None = None,
) -> Simulated:
    """Run floor, windows, model and fusion over `length_s` of a clock behind a symmetric, queueing network."""
    rng = np.random.default_rng(seed + 1000)
    tuning = Tuning().compressed(k)
    floor, fusion = Floor(tuning), Fusion(tuning, config or FusionConfig(), [role])
    history, schedule = History(span_s=2 * role.context * role.step_s), Schedule([role])
    polls = sorted(
        (float(t), server)
        for server in range(servers)
        for t in np.arange(rng.uniform(0, poll_s), length_s, poll_s) + rng.uniform(0, 0.02 * poll_s)
    )
    run = Simulated(fusion=fusion, samples=[], opened={}, windows=[])
    for t, server in polls:
        out_s, back_s = rng.exponential(queue_s, 2)
        raw_ns = RAW0_NS + round(t * S)
        theta_ns = THETA0_NS + round((oscillator.theta_at(t) + (out_s - back_s) / 2) * S)
        half_ns = round((5e-4 + out_s + back_s) * S)
        update = floor.update(
            Fix(
                raw_ns=raw_ns,
                theta_ns=theta_ns,
                delay_s=1e-3 + out_s + back_s,
                root_distance_s=half_ns / S,
                server=f"s{server}",
                survivors=(),
                earliest_theta_ns=theta_ns - half_ns,
                latest_theta_ns=theta_ns + half_ns,
            )
        )
        fusion.on_update(update)
        state = update.state
        if state is None:
            continue
        history.take(update.measurements, state.epoch)
        for due in schedule.due(raw_ns, state.raw_ns):
            window = build(history, state, due, tuning)
            if isinstance(window, Window):
                run.windows.append(window)
                schedule.asked(due.name, raw_ns, state.raw_ns)
                (request,) = batch([(due, window)])
                scaled = model(request, oscillator, t)
                schedule.answered(due.name)
                _hand_over(fusion, request, scaled)
        if t > measure_after_s:
            _measure(run, oscillator, state, ahead_s)
        for one in fusion.explain():
            if one.open:
                run.opened.setdefault((one.candidate, one.horizon_s), t)
    return run


def _hand_over(fusion: Fusion, request: Request, scaled: NDArray[np.float64] | None) -> None:
    if scaled is None:
        late = Refusal(model=request.plugin, roles=request.roles, code="deadline_exceeded", reason="No answer in time.")
        fusion.on_bad(late)
        return
    answer = validate(request, scaled, infer_ms=1.0)
    if isinstance(answer, Refusal):
        fusion.on_bad(answer)
    else:
        for forecast in answer:
            fusion.on_forecast(forecast)


def _measure(run: Simulated, oscillator: Oscillator, state: ClockState, ahead_s: tuple[float, ...]) -> None:
    for h_s in ahead_s:
        at_ns = state.raw_ns + round(h_s * S)
        truth_s = oscillator.theta_at((at_ns - RAW0_NS) / S)
        fused = run.fusion.estimate(at_ns, at_ns + S // 10)
        assert fused is not None
        run.samples.append(
            Sample(
                t_s=(state.raw_ns - RAW0_NS) / S,
                h_s=h_s,
                fused_error_s=(fused.theta_ns - THETA0_NS) / S - truth_s,
                floor_error_s=(fused.floor_theta_ns - THETA0_NS) / S - truth_s,
                half_width_s=fused.half_width_95_s,
                sigma_s=fused.sigma_s,
                floor_sigma_s=fused.floor_sigma_s,
                weight=1.0 - dict(fused.weights)["floor"],
            )
        )


def exact(request: Request, oscillator: Oscillator, t_s: float) -> NDArray[np.float64]:
    """A model that knows the true rate."""
    window = request.windows[0]
    start = (window.origin_raw_ns - RAW0_NS) / S
    ahead = start + np.arange(1, request.horizon + 1) * window.step_ns / S
    scaled = (oscillator.rate_at(ahead) - request.mean[0]) / request.scale[0]
    return np.broadcast_to(scaled, (1, len(request.levels), request.horizon)).copy()


def oracle(request: Request, oscillator: Oscillator, t_s: float) -> NDArray[np.float64]:
    """A model that knows the true rate, but for an error of each forecast, up to a third of the window's deviation."""
    return exact(request, oscillator, t_s) + 0.3 * math.sin(7919 * t_s)


def autoregression(request: Request, oscillator: Oscillator, t_s: float) -> NDArray[np.float64]:
    """A model that only knows its window: least squares on lagged values, iterated. It sees patterns in any walk."""
    v = request.values[0]
    v = np.interp(np.arange(len(v)), np.flatnonzero(request.mask[0]), v[request.mask[0]])
    order = min(24, len(v) // 4)
    lagged = np.stack([v[i : len(v) - order + i] for i in range(order)], axis=1)
    ridge = 1e-2 * len(lagged) * np.eye(order)
    weights = np.linalg.solve(lagged.T @ lagged + ridge, lagged.T @ v[order:])
    series = list(v[-order:])
    for _ in range(request.horizon):
        series.append(float(np.clip(weights @ np.array(series[-order:]), -20, 20)))
    return np.broadcast_to(np.array(series[order:]), (1, len(request.levels), request.horizon)).copy()


def trend(request: Request, oscillator: Oscillator, t_s: float) -> NDArray[np.float64]:
    """A model that continues the slope of the last sixteen points."""
    v = request.values[0]
    i = np.flatnonzero(request.mask[0])[-16:]
    slope = np.polyfit(i, v[i], 1)[0]
    scaled = v[i[-1]] + slope * np.arange(1, request.horizon + 1)
    return np.broadcast_to(scaled, (1, len(request.levels), request.horizon)).copy()


@pytest.fixture(scope="session")
def state() -> Callable[..., ClockState]:
    return make_state


@pytest.fixture(scope="session")
def forecast() -> Callable[..., Forecast]:
    return make_forecast


@pytest.fixture(scope="session")
def oscillator() -> Callable[..., Oscillator]:
    return make_oscillator


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Simulated]:
    return run_clock


@pytest.fixture(scope="session")
def models() -> dict[str, Model]:
    return {"exact": exact, "oracle": oracle, "autoregression": autoregression, "trend": trend}


@pytest.fixture(scope="session")
def own_line() -> Callable[..., OwnLine]:
    return OwnLine
