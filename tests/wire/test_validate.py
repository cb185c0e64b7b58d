"""Requests that no model could answer, and answers that no host may use."""

from typing import Any

import msgspec
import numpy as np
import pytest

from chronotick.errors import ProtocolError
from chronotick.wire.codes import Code
from chronotick.wire.messages import Capabilities, ForecastOk, ForecastRequest, Series
from chronotick.wire.validate import check_answer, check_fits, check_request

REQUEST = ForecastRequest(
    id=4,
    deadline_ns=0,
    series=Series(t0_ns=0, step_ns=1, values=np.arange(8.0).reshape(2, 4)),
    horizon=3,
    levels=(0.1, 0.5),
)
OFFERED = Capabilities(context_min=2, context_max=8, horizon_max=3, levels=(0.1, 0.5, 0.9), batch_max=2)
ANSWER = ForecastOk(id=4, quantiles=np.arange(12.0).reshape(2, 2, 3))


def asked(**fields: Any) -> ForecastRequest:
    return msgspec.structs.replace(REQUEST, **fields)


def series(values: Any, mask: Any = None) -> Series:
    return Series(t0_ns=0, step_ns=1, values=values, mask=mask)


def test_a_sound_request_and_its_answer_pass() -> None:
    check_request(REQUEST)
    check_request(asked(covariates=np.zeros((2, 1, 4)), future=np.zeros((2, 1, 3))))
    check_fits(REQUEST, OFFERED)
    check_answer(REQUEST, ANSWER)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (asked(series=series(np.zeros(4))), Code.BAD_WINDOW),
        (asked(series=series(np.zeros((0, 4)))), Code.BAD_WINDOW),
        (asked(series=series(np.zeros((2, 4), np.float32))), Code.BAD_WINDOW),
        (asked(series=series(np.full((2, 4), np.inf))), Code.BAD_WINDOW),
        (asked(series=series(np.array([[1.0, 2.0], [np.nan, np.nan]]))), Code.BAD_WINDOW),
        (asked(series=series(np.ones((1, 2)), np.zeros((1, 2), bool))), Code.BAD_WINDOW),
        (asked(series=series(np.ones((1, 2)), np.ones((1, 3), bool))), Code.BAD_WINDOW),
        (asked(series=series(np.ones((1, 2)), np.ones((1, 2)))), Code.BAD_WINDOW),
        (asked(covariates=np.zeros((2, 1, 5))), Code.BAD_WINDOW),
        (asked(covariates=np.zeros((2, 4))), Code.BAD_WINDOW),
        (asked(covariates=np.full((2, 1, 4), np.inf)), Code.BAD_WINDOW),
        (asked(future=np.zeros((2, 1, 3))), Code.BAD_WINDOW),
        (asked(covariates=np.zeros((2, 1, 4)), future=np.zeros((2, 2, 3))), Code.BAD_WINDOW),
        (asked(horizon=0), Code.BAD_HORIZON),
        (asked(levels=()), Code.BAD_LEVELS),
        (asked(levels=(0.5, 0.5)), Code.BAD_LEVELS),
        (asked(levels=(0.0, 0.5)), Code.BAD_LEVELS),
        (asked(levels=(0.5, 1.0)), Code.BAD_LEVELS),
        (asked(levels=(float("nan"),)), Code.BAD_LEVELS),
    ],
)
def test_a_request_that_no_model_could_answer_is_refused(bad: ForecastRequest, code: Code) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_request(bad)
    assert (caught.value.code, caught.value.request_id) == (code, 4)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (asked(series=series(np.zeros((1, 1)))), Code.BAD_WINDOW),
        (asked(series=series(np.zeros((1, 9)))), Code.BAD_WINDOW),
        (asked(series=series(np.zeros((3, 4)))), Code.BAD_WINDOW),
        (asked(covariates=np.zeros((2, 1, 4))), Code.BAD_WINDOW),
        (asked(horizon=4), Code.BAD_HORIZON),
        (asked(levels=(0.1, 0.2)), Code.BAD_LEVELS),
    ],
)
def test_a_request_outside_the_capabilities_is_refused(bad: ForecastRequest, code: Code) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_fits(bad, OFFERED)
    assert (caught.value.code, caught.value.request_id) == (code, 4)


def test_a_level_that_went_through_single_precision_is_the_same_level() -> None:
    check_fits(REQUEST, msgspec.structs.replace(OFFERED, levels=(float(np.float32(0.1)), 0.5)))


@pytest.mark.parametrize(
    "bad",
    [
        {"id": 5},
        {"quantiles": np.zeros((2, 2, 4))},
        {"quantiles": np.zeros((2, 2, 3), np.float32)},
        {"quantiles": np.full((2, 2, 3), np.nan)},
        {"quantiles": np.full((2, 2, 3), np.inf)},
        {"quantiles": -ANSWER.quantiles},
        {"mean": np.zeros((2, 2))},
        {"mean": np.full((2, 3), np.nan)},
    ],
)
def test_nan_crossing_and_misshapen_answers_are_bad_output(bad: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_answer(REQUEST, msgspec.structs.replace(ANSWER, **bad))
    assert (caught.value.code, caught.value.request_id) == (Code.BAD_OUTPUT, 4)
