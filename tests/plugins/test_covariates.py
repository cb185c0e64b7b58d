"""A model gets covariates where it takes them, and is asked without them where it does not."""

import asyncio
import itertools
import logging
import time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from chronotick.plugins.dialogue import Dialogue
from chronotick.plugins.link import Sent
from chronotick.plugins.states import State
from chronotick.plugins.types import Answer
from chronotick.wire.messages import Capabilities, ForecastOk, ForecastRequest

BESIDE = np.arange(2 * 64, dtype=np.float64).reshape(1, 2, 64)


@pytest.mark.parametrize("takes", [True, False])
def test_only_a_model_that_takes_covariates_gets_them(takes: bool) -> None:
    """The same question to both: one is sent the covariates as they are, the other none, and both may answer."""
    sent: list[ForecastRequest] = []
    dialogue: Dialogue

    def send(identity: bytes, message: Any) -> Sent:
        sent.append(message)
        answer = ForecastOk(id=message.id, quantiles=np.zeros((1, 3, 4)))
        asyncio.get_running_loop().call_soon(dialogue.heard, answer)
        return Sent.OK

    ids = itertools.count()
    around = cast(Any, SimpleNamespace(send=send, next_id=lambda: next(ids)))
    question = SimpleNamespace(
        t0_ns=0, step_ns=1, values=np.zeros((1, 64)), mask=None, horizon=4, levels=(0.1, 0.5, 0.9),
        covariates=BESIDE, future=None,
    )  # fmt: skip

    async def ask() -> Any:
        nonlocal dialogue
        dialogue = Dialogue("model", 4, around, logging.getLogger("test"), lambda *_: None)
        dialogue.identity = b"model:ab"
        dialogue.capabilities = Capabilities(
            context_min=8, context_max=128, horizon_max=8, levels=(0.1, 0.5, 0.9), covariates=takes
        )
        return await dialogue.forecast(cast(Any, question), time.monotonic_ns() + 10**10, State.READY, "")

    assert isinstance(asyncio.run(ask()), Answer)
    if takes:
        np.testing.assert_array_equal(sent[0].covariates, BESIDE)
    else:
        assert sent[0].covariates is None
