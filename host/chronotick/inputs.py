"""Everything that the host decides from, as values: what happened, and when it looked. Log these and replay.

Instants are of CLOCK_MONOTONIC_RAW, but for `Due`, whose deadlines are of CLOCK_MONOTONIC. All are tagged and packed as
arrays, since that is how the event log holds them: new fields go to the end and have a default.
"""

from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.clock.discontinuity import Kind
from chronotick.ntp.outcome import Outcome
from chronotick.window.covariates import Sensed


class Heard(msgspec.Struct, frozen=True, array_like=True, tag="heard"):
    """An exchange has ended.

    Attributes:
        raw_ns: now.
        outcome: how it ended.
        poll_s: longest wait between two polls of the servers that answer, s: how much silence is patience.
    """

    raw_ns: int
    outcome: Outcome
    poll_s: float


class Disrupted(msgspec.Struct, frozen=True, array_like=True, tag="disrupted"):
    """The time base was disturbed; noticed at `raw_ns`."""

    raw_ns: int
    kind: Kind


class Publish(msgspec.Struct, frozen=True, array_like=True, tag="publish"):
    """It is time to publish.

    Attributes:
        raw_ns: now: the new anchor.
        suspended_ns: what the machine has slept since it booted.
    """

    raw_ns: int
    suspended_ns: int


class Felt(msgspec.Struct, frozen=True, array_like=True, tag="felt"):
    """What the machine's sensors say."""

    sensed: Sensed


class Models(msgspec.Struct, frozen=True, array_like=True, tag="models"):
    """Which models can be asked from now on.

    Attributes:
        ready: names of their plugins, sorted.
        offered: for each that said so, the quantile levels that it has.
    """

    ready: tuple[str, ...] = ()
    offered: tuple[tuple[str, tuple[float, ...]], ...] = ()


class Due(msgspec.Struct, frozen=True, array_like=True, tag="due"):
    """It is time to look which questions are due; `mono_ns` is now."""

    mono_ns: int


class Answered(msgspec.Struct, frozen=True, eq=False, array_like=True, tag="answered"):
    """A model has answered.

    Attributes:
        question: number of the question, from `Question`.
        quantiles: float64, shape (k, levels, horizon), scaled as the question was.
        mean: float64, shape (k, horizon), or None.
        infer_ms: what the inference took.
    """

    question: int
    quantiles: NDArray[np.float64]
    mean: NDArray[np.float64] | None
    infer_ms: float


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """A model has not answered question number `question`: the wire's error code, and a sentence."""

    question: int
    code: str
    message: str


Input: TypeAlias = Heard | Disrupted | Publish | Felt | Models | Due | Answered | Refused
