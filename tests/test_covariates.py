"""Temperature from a simulated machine's sensors to the model that is asked, and what it is worth there."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from chronotick.config.schema import CandidatesConfig, Config, NtpConfig
from chronotick.forecast.request import Request
from chronotick.lab.oscillator import Oscillator
from chronotick.lab.presets import server_load
from chronotick.pipeline import Pipeline
from chronotick.window.covariates import Sensed
from tests.test_pipeline import EPOCH_NS, ROLE, SERVERS, START_RAW_NS, S, Simulation

AHEAD_S = 600.0
# They cost most of the time here, and have no part in what is tested.
NO_LOCAL = CandidatesConfig(harmonic=False, ageing=False, steered=False)


class Heated(Simulation):
    """A crystal beside a processor that works now and then; its sensors are read every four seconds."""

    def __init__(self, answer: Callable[[Request], np.ndarray], *, use: bool, seed: int = 1) -> None:
        super().__init__(answer, seed)
        role = msgspec.structs.replace(ROLE, use_covariates=use)
        self.pipeline = Pipeline(Config(ntp=NtpConfig(servers=SERVERS), roles=(role,), candidates=NO_LOCAL))
        config = server_load().oscillator
        strong = msgspec.structs.replace(config.thermal, ppm_per_c=0.2)  # type: ignore[type-var]
        self.oscillator = Oscillator(msgspec.structs.replace(config, thermal=strong), seed)
        self.sensed: list[Sensed] = []
        self.asked: list[Request] = []
        due = self.pipeline.due

        def keep(now_ns: int, ready: frozenset[str]) -> tuple[Request, ...]:
            requests = due(now_ns, ready)
            self.asked.extend(requests)
            return requests

        self.pipeline.due = keep  # type: ignore[method-assign, assignment]

    def theta_ns(self, raw_ns: int) -> int:
        return EPOCH_NS + round(self.oscillator.phase_s((raw_ns - START_RAW_NS) / S) * S)

    def exchange(self, server: str) -> None:
        climate = self.oscillator.climate((self.raw_ns - START_RAW_NS) / S)
        assert climate is not None
        self.sensed.append(Sensed(raw_ns=self.raw_ns, temperature_c=climate.temperature_c, load=climate.load))
        self.pipeline.covariates.take(self.sensed[-1])
        super().exchange(server)


def lagging(request: Request) -> np.ndarray:
    """Continues the rate as a first-order lag behind the temperature where there is one, else behind its own mean."""
    rate = request.values[0]
    columns = [rate[:-1], np.ones(len(rate) - 1)]
    if request.covariates is not None:
        columns.append(request.covariates[0, request.names.index("temperature_c"), :-1])
    known = np.isfinite(np.stack([*columns, rate[1:]])).all(0)
    fit = np.linalg.lstsq(np.stack(columns, 1)[known], rate[1:][known], rcond=None)[0]
    last = (
        0.0 if request.covariates is None else fit[2] * request.covariates[0, request.names.index("temperature_c"), -1]
    )
    points, value = [], rate[-1]
    for _ in range(request.horizon):
        value = fit[0] * value + fit[1] + last
        points.append(value)
    return np.tile(np.array(points), (1, len(request.levels), 1))


def run(*, use: bool) -> tuple[Heated, float]:
    """Six hours; the mean error of the model's own forecasts so far ahead, s."""
    errors: list[float] = []

    def answer(request: Request) -> np.ndarray:
        said = lagging(request)
        window, steps = request.windows[0], round(AHEAD_S * S) // request.step_ns
        rates = np.r_[window.series_rate, request.mean[0] + request.scale[0] * said[0, 0, :steps]]
        rates += window.floor_rate - window.series_rate
        moved_s = ((rates[1:] + rates[:-1]) / 2).sum() * request.step_ns / S
        at = window.origin_raw_ns
        true_s = (simulation.theta_ns(at + steps * request.step_ns) - simulation.theta_ns(at)) / S
        if at > START_RAW_NS + 2 * 3600 * S:
            errors.append(abs(moved_s - true_s))
        return said

    simulation = Heated(answer, use=use)
    simulation.run(6 * 3600)
    assert simulation.refusals == 0
    return simulation, float(np.mean(errors))


@pytest.fixture(scope="module")
def with_them() -> tuple[Heated, float]:
    return run(use=True)


def test_the_model_receives_the_covariates_of_its_grid(with_them: tuple[Heated, float]) -> None:
    """Every value is the mean of what the sensors said in the cells around its grid point, none after the origin."""
    simulation, _ = with_them
    raw = np.array([one.raw_ns for one in simulation.sensed])
    shown = np.array([[one.temperature_c, one.load] for one in simulation.sensed], dtype=float)
    cell_ns = ROLE.step_s * S / 4
    centre = (raw // cell_ns + 0.5) * cell_ns
    asked = simulation.asked[5::40]
    assert len(asked) > 5
    for request in asked:
        assert request.names == ("temperature_c", "load")
        assert request.covariates is not None
        assert request.covariates.shape == (1, 2, request.values.shape[1])
        origin = request.windows[0].origin_raw_ns
        for i, value in enumerate(request.covariates[0].T):
            at = request.t0_ns + i * request.step_ns
            near = (centre >= at - request.step_ns / 2) & (centre < at + request.step_ns / 2) & (centre <= origin)
            near &= raw <= origin
            expected = shown[near].mean(0) if near.any() else np.full(2, np.nan)
            np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_temperature_makes_the_forecast_better(with_them: tuple[Heated, float]) -> None:
    """A model that knows how rate follows temperature errs by much less ten minutes ahead than without it."""
    without, error_without_s = run(use=False)
    assert all(request.covariates is None for request in without.asked)
    assert with_them[1] < 0.6 * error_without_s
