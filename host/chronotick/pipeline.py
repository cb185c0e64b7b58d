"""The whole path in one place: NTP exchange -> fix -> window -> (models) -> forecast -> fusion -> what is published.

Pure: outcomes, answers and instants are given, values are returned. `app.py` connects it to sockets and processes. The
stages run in this order, each in the folder of its name, and no stage reaches back:

    outcome   ntp/       judged, voted on; a survivor's exchange becomes a Fix
    fix       clock/     servers brought to one level; the floor's bank of Kalman filters -> FloorUpdate, ClockState
              fusion/    the hard bound, by intersection; candidates/ cycles, ageing, a steered clock -> Curves
    due       window/    measurements on a role's grid                -> Window
              forecast/  windows scaled and batched                   -> Request (answered by plugins/)
    answer    forecast/  checked and unscaled                         -> Forecast
    estimate  fusion/    candidates gated and weighed over the floor  -> FusedForecast, for publish/
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.candidates.local import Local
from chronotick.clock.alignment import Alignment
from chronotick.clock.discontinuity import Kind
from chronotick.clock.floor import Floor, FloorUpdate
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import Config, RoleConfig
from chronotick.forecast.request import UNKNOWN, Offered, Request, batch
from chronotick.forecast.schedule import Schedule
from chronotick.forecast.types import Refusal
from chronotick.forecast.validate import validate
from chronotick.fusion.fusion import Fusion
from chronotick.fusion.hard import HardBound, HardUpdate
from chronotick.fusion.types import FusedForecast
from chronotick.ntp.associations import Associations
from chronotick.ntp.fix import Fix
from chronotick.ntp.outcome import Outcome
from chronotick.ntp.outcome import Refusal as Reason
from chronotick.ntp.select import Selection
from chronotick.window.build import build
from chronotick.window.covariates import CovariateLog
from chronotick.window.history import History
from chronotick.window.presets import history_span_s
from chronotick.window.types import NotReady


class Taken(msgspec.Struct, frozen=True):
    """What one outcome led to: the vote, and, where the exchange was worth a fix, what the fix did."""

    selection: Selection
    fix: Fix | None = None
    update: FloorUpdate | None = None
    hard: HardUpdate | None = None


class Pipeline:
    """Holds the stages and hands each one's value to the next."""

    def __init__(self, config: Config) -> None:
        self.tuning: Tuning = Tuning.of(config.clock)
        self.roles: tuple[RoleConfig, ...] = tuple(role for role in config.roles if role.enabled)
        self.associations: Associations = Associations.of(config.ntp, self.tuning.rate_bound, config.interop.sources)
        self.alignment: Alignment = Alignment(delay_slope=config.clock.delay_slope)
        self.floor: Floor = Floor(self.tuning)
        self.candidates: Local = Local(self.tuning, config.candidates)
        self.hard: HardBound = HardBound(self.tuning.rate_bound)
        # Roles that begin to be asked later must find a past: at least an hour is kept.
        self.history: History = History(span_s=history_span_s(self.roles, least_s=3600.0))
        self.covariates: CovariateLog = CovariateLog.of(self.roles)
        self.schedule: Schedule = Schedule(self.roles)
        self.fusion: Fusion = Fusion(self.tuning, config.fusion, self.roles)
        self.not_ready: dict[str, NotReady] = {}
        self.last_fix: Fix | None = None
        self._void_before_ns = 0

    @property
    def state(self) -> ClockState | None:
        """The floor's belief; None before the first fix."""
        return self.floor.state

    def take(self, outcome: Outcome, raw_now_ns: int) -> Taken:
        """One exchange has ended: vote, and if it is worth a fix, tell the floor, the hard bound and the gate."""
        if (sample := outcome.sample) is not None and sample.raw_ns - sample.span_ns // 2 < self._void_before_ns:
            # Under way while the time base was disturbed: its two ends are not on one clock.
            outcome = msgspec.structs.replace(outcome, sample=None, reason=Reason.SUSPENDED)
        step = self.associations.step(outcome, raw_now_ns)
        self.associations = step.associations
        return Taken(step.selection) if step.fix is None else Taken(step.selection, step.fix, *self.absorb(step.fix))

    def absorb(self, fix: Fix) -> tuple[FloorUpdate, HardUpdate]:
        """A fix has survived the vote: tell the floor, the hard bound and the gate."""
        level = self.alignment.level(fix, self.state)
        update, hard = self.floor.update(level, self.alignment.shifts_ns), self.hard.update(fix)
        self.last_fix = fix
        self.fusion.on_update(update, self.candidates.on_update(update))
        if update.state is not None:
            self.history.take(update.measurements, update.state.epoch)
        return update, hard

    def due(self, mono_now_ns: int, ready: frozenset[str], offered: Offered = UNKNOWN) -> tuple[Request, ...]:
        """Questions to the `ready` plugins, in batches (see there for `offered`); each is answered or refused below."""
        for role in self.schedule.overdue(mono_now_ns):
            plugin = next(one.plugin for one in self.roles if one.name == role)
            self.fusion.on_bad(Refusal(plugin, (role,), "deadline_exceeded", "No answer came within the deadline."))
        state = self.state
        if state is None:
            return ()
        asks = []
        for one in self.schedule.due(mono_now_ns, state.raw_ns):
            if one.plugin not in ready:
                continue
            window = build(self.history, state, one, self.tuning)
            if isinstance(window, NotReady):
                self.not_ready[one.name] = window
                continue
            self.not_ready.pop(one.name, None)
            self.schedule.asked(one.name, mono_now_ns, state.raw_ns)
            asks.append((one, self.covariates.beside(window, one)))
        return batch(asks, offered=offered)

    def answer(
        self, request: Request, quantiles: NDArray[np.float64], mean: NDArray[np.float64] | None, infer_ms: float
    ) -> Refusal | None:
        """A model has answered. Returns why its answer was refused, or None."""
        checked = validate(request, quantiles, infer_ms=infer_ms, mean=mean)
        if isinstance(checked, Refusal):
            return self.refuse(checked)
        for forecast in checked:
            self.schedule.answered(forecast.role)
            self.fusion.on_forecast(forecast)
        return None

    def refuse(self, refusal: Refusal) -> Refusal:
        """A model has not answered, or not with a forecast; this costs it trust."""
        for role in refusal.roles:
            self.schedule.answered(role)
        self.fusion.on_bad(refusal)
        return refusal

    def estimate(self, raw_ns: int, until_raw_ns: int) -> FusedForecast | None:
        """The fused line from `raw_ns` on; None while nothing is known."""
        return self.fusion.estimate(raw_ns, until_raw_ns)

    def disrupt(self, raw_ns: int, kind: Kind) -> None:
        """The time base was disturbed: a new epoch, and nothing of before binds what comes."""
        self._void_before_ns = raw_ns
        if (state := self.floor.restart(raw_ns, kind)) is not None:
            self.fusion.restart(state)
        self.alignment.restart(kind)
        self.hard.restart()
        self.schedule.forget()
        self.associations = self.associations.restarted()
