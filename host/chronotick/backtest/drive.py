"""A trace through the pipeline, causally: each fix in its turn, models asked when a live host would ask them."""

from collections.abc import Iterator
from typing import Protocol

from chronotick.backtest.trace import Trace
from chronotick.config.schema import Config
from chronotick.forecast.request import UNKNOWN, Offered, Request
from chronotick.forecast.types import Refusal
from chronotick.ntp.fix import Fix
from chronotick.pipeline import Pipeline
from chronotick.plugins.types import Answer


class Models(Protocol):
    """Who answers the pipeline's questions.

    `ready` names the plugins, `offered` the levels that their models have; `ask` answers or refuses one question.
    """

    @property
    def ready(self) -> frozenset[str]: ...

    @property
    def offered(self) -> Offered: ...

    def ask(self, request: Request) -> Answer | Refusal: ...


class NoModels:
    """The pipeline alone."""

    ready: frozenset[str] = frozenset()
    offered: Offered = UNKNOWN

    def ask(self, request: Request) -> Answer | Refusal:
        """Nobody is asked."""
        return Refusal(request.plugin, request.roles, "not_ready", "There are no models.")


def drive(trace: Trace, config: Config, models: Models | None = None) -> Iterator[tuple[Fix, Pipeline]]:
    """Yield after each fix, when the pipeline has taken it and all questions that it raised are answered."""
    models = models or NoModels()
    pipeline = Pipeline(config)
    for fix in trace.fixes:
        pipeline.absorb(fix)
        # A trace has one clock: the raw one stands for the monotonic one.
        for request in pipeline.due(fix.raw_ns, models.ready, models.offered):
            answer = models.ask(request)
            if isinstance(answer, Refusal):
                pipeline.refuse(answer)
            else:
                pipeline.answer(request, answer.quantiles, answer.mean, answer.infer_ms)
        yield fix, pipeline
