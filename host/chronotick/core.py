"""All that the host decides, from inputs alone: the pipeline, what its time is worth, and what is published.

Pure, so that a log of the inputs gives every published snapshot again, bit for bit. `app.py` gives it inputs from
sockets, processes and clocks; `chronotick replay` gives it those of a log.
"""

import msgspec

from chronotick.config.schema import Config
from chronotick.forecast.request import Request
from chronotick.forecast.types import Refusal
from chronotick.fusion.types import FusedForecast, Status
from chronotick.inputs import Answered, Disrupted, Due, Felt, Heard, Models, Publish, Refused
from chronotick.ntp.select import Selection
from chronotick.pipeline import Pipeline, Taken
from chronotick.publish.condition import Condition
from chronotick.publish.issuer import Issuer
from chronotick.publish.types import HardBound
from chronotick.units import s_to_ns


class Question(msgspec.Struct, frozen=True, eq=False):
    """A request to a model, and the number that its answer is to carry."""

    number: int
    request: Request


class Issued(msgspec.Struct, frozen=True):
    """What came of publishing.

    Attributes:
        status: what the time is worth.
        fused: the estimate that was published; None when no time is known.
        fault: why an estimate that there is can not be published; "" where that is not so.
    """

    status: Status
    fused: FusedForecast | None = None
    fault: str = ""


class Core:
    """One host's decisions.

    Attributes:
        config: the whole configuration.
        pipeline: from exchanges to the fused estimate.
        condition: from fixes and discontinuities to the status.
        issuer: what readers are told.
        selection: the last vote; None before the first.
        status: what the time was worth when it was last published.
        weights: (candidate, weight) of what was last published.
    """

    def __init__(self, config: Config, issuer: Issuer) -> None:
        self.config: Config = config
        self._publish_ns = s_to_ns(config.publish.interval_s)
        self.pipeline: Pipeline = Pipeline(config)
        self.condition: Condition = Condition(config.clock.void_after_s, config.ntp.timeout_s)
        self.issuer: Issuer = issuer
        self.selection: Selection | None = None
        self.status: Status = Status.UNKNOWN
        self.weights: dict[str, float] = {}
        self._models = Models()
        self._open: dict[int, Request] = {}
        self._asked = 0

    def hear(self, one: Heard) -> Taken:
        """An exchange has ended: the way of every measurement into the pipeline."""
        taken = self.pipeline.take(one.outcome, one.raw_ns)
        self.selection = taken.selection
        if taken.fix is not None:
            self.condition.on_fix(taken.fix.raw_ns, one.poll_s)
        return taken

    def disrupt(self, one: Disrupted) -> None:
        """What was known is void."""
        self.pipeline.disrupt(one.raw_ns, one.kind)
        self.condition.on_discontinuity()
        if self.issuer.resumed:
            # Nothing was measured yet: what the last host left would go on, on a clock that it does not fit.
            self.issuer.issue_unknown(raw_ns=one.raw_ns)

    def publish(self, one: Publish) -> Issued:
        """Bring what readers are told up to date."""
        issued = self._issue(one)
        if issued.fused is None and not self.issuer.resumed and self.issuer.current.status is not Status.UNKNOWN:
            # What the last host left still stands until this one knows better; an unknown is said once.
            self.issuer.issue_unknown(fix_raw_ns=self.condition.fix_raw_ns, raw_ns=one.raw_ns)
        if issued.fused is not None:
            self.weights = dict(issued.fused.weights)
        self.status = issued.status
        return issued

    def feel(self, one: Felt) -> None:
        """The machine's sensors were read."""
        self.pipeline.covariates.take(one.sensed)

    def models(self, one: Models) -> None:
        """Other models can be asked than before."""
        self._models = one

    def due(self, one: Due) -> tuple[Question, ...]:
        """The questions to be put now; each is answered or refused below."""
        ready, offered = frozenset(self._models.ready), dict(self._models.offered)
        questions = []
        for request in self.pipeline.due(one.mono_ns, ready, offered):
            self._asked += 1
            self._open[self._asked] = request
            questions.append(Question(self._asked, request))
        return tuple(questions)

    def answer(self, one: Answered) -> Refusal | None:
        """A model has answered. Returns why its answer was refused, or None."""
        request = self._open.pop(one.question, None)
        if request is None:
            return None
        return self.pipeline.answer(request, one.quantiles, one.mean, one.infer_ms)

    def refuse(self, one: Refused) -> Refusal | None:
        """A model has not answered; this costs it trust."""
        request = self._open.pop(one.question, None)
        if request is None:
            return None
        return self.pipeline.refuse(Refusal(request.plugin, request.roles, one.code, one.message))

    def question(self, number: int) -> Request | None:
        """The question of that number that is still open; None where there is none."""
        return self._open.get(number)

    def number_of(self, like: Request) -> int | None:
        """Number of the open question to the same plugin about the same windows; None where there is none."""
        key = (like.plugin, like.roles, like.t0_ns, like.values.shape, like.horizon, like.levels)
        for number, one in self._open.items():
            if (one.plugin, one.roles, one.t0_ns, one.values.shape, one.horizon, one.levels) == key:
                return number
        return None

    def _issue(self, one: Publish) -> Issued:
        state = self.pipeline.state
        status = self.condition.at(one.raw_ns, state)
        bound = self.pipeline.hard.at(one.raw_ns)
        if status is Status.UNKNOWN or bound is None or state is None:
            return Issued(Status.UNKNOWN)
        fused = self.pipeline.estimate(one.raw_ns, one.raw_ns + self._publish_ns)
        if fused is None:
            return Issued(Status.UNKNOWN)
        try:
            self.issuer.issue(
                fused,
                HardBound(one.raw_ns, *bound, growth=self.pipeline.hard.rate_bound),
                status=status,
                fix_raw_ns=self.condition.fix_raw_ns,
                void_raw_ns=self.condition.void_raw_ns,
                epoch=state.epoch,
                raw_ns=one.raw_ns,
                suspended_ns=one.suspended_ns,
            )
        except ValueError as error:
            # Servers whose time leaps by years lead to rates that are no clock's: no time then, but still a host.
            return Issued(Status.UNKNOWN, fault=str(error))
        return Issued(status, fused)
