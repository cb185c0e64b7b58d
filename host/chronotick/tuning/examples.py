"""A recorded clock as questions and answers: the windows that the host would have asked about, and what came after.

Causal throughout. The history is split in time: models learn on the first part, its end chooses among the weights of
the run, and the rest, which neither has touched, is what the report is about. What came after is the rate smoothed over
the fixes of the same part, so no answer of one part is made of fixes of the next.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.backtest.trace import Trace
from chronotick.clock.floor import Floor
from chronotick.clock.state import ClockState
from chronotick.clock.tuning import Tuning
from chronotick.config.schema import RoleConfig
from chronotick.forecast.request import Request, batch
from chronotick.units import NS_PER_S
from chronotick.window.build import build
from chronotick.window.history import History
from chronotick.window.types import NotReady, Window

# The last part of what is learned from, which chooses among the weights of the run.
HELD_SHARE: Final = 0.2
# More questions than this about one clock say the same again.
_MOST_ORIGINS: Final = 4000
# Answers further than this many deviations from their window are a jump of the clock, not its way.
_FAR: Final = 30.0


class Origin(msgspec.Struct, frozen=True, eq=False):
    """One instant at which a model would have been asked.

    Attributes:
        state: the floor's belief then.
        request: the question.
        last_theta_ns: what the last fix measured.
    """

    state: ClockState
    request: Request
    last_theta_ns: int


class Examples(msgspec.Struct, frozen=True, eq=False):
    """Windows and what came after them, scaled as the question is.

    Attributes:
        context: float32, shape (n, points), NaN in gaps.
        future: float32, shape (n, horizon), NaN where nothing is known.
        held: bool, shape (n,): True for those that are not learned from.
        origins: of the rest of the history, to be judged on.
    """

    context: NDArray[np.float32]
    future: NDArray[np.float32]
    held: NDArray[np.bool_]
    origins: tuple[Origin, ...]

    @property
    def learned(self) -> int:
        """Windows that are learned from."""
        return int((~self.held).sum())


def examples(
    trace: Trace,
    role: RoleConfig,
    *,
    train_share: float,
    tuning: Tuning | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> Examples:
    """Drive the trace through the floor and the windows, and split it in time.

    Args:
        train_share: share of the trace's time that is learned from, its end for choosing included; 0 to 1.
    """
    tuning = tuning or Tuning()
    begin_ns, end_ns = trace.fixes[0].raw_ns, trace.fixes[-1].raw_ns
    learned_ns = begin_ns + round(train_share * (1 - HELD_SHARE) * (end_ns - begin_ns))
    chosen_ns = begin_ns + round(train_share * (end_ns - begin_ns))
    spacing_ns = max(round(role.step_s * NS_PER_S), (end_ns - begin_ns) // _MOST_ORIGINS)
    floor = Floor(tuning)
    history = History(span_s=(end_ns - begin_ns) / NS_PER_S + 1.0, max_fixes=len(trace.fixes) + 1)
    origins: list[Origin] = []
    parts: list[tuple[int, Window]] = []
    ends, last_ns, state = [learned_ns, chosen_ns], begin_ns - spacing_ns, None
    for number, fix in enumerate(trace.fixes):
        while ends and fix.raw_ns > ends[0]:
            if state is not None and (line := _line(history, state, role, tuning, begin_ns)) is not None:
                parts.append((ends[0], line))
            ends.pop(0)
        update = floor.update(fix)
        state = update.state
        if state is None:
            continue
        history.take(update.measurements, state.epoch)
        if fix.raw_ns - last_ns < spacing_ns:
            continue
        window = build(history, state, role, tuning)
        if isinstance(window, NotReady):
            continue
        last_ns = fix.raw_ns
        origins.append(Origin(state, batch([(role, window)])[0], fix.theta_ns))
        progress((number + 1) / len(trace.fixes))
    return _split(origins, parts, role, chosen_ns)


def join(parts: Sequence[Examples]) -> Examples:
    """Those of several clocks as one."""
    return Examples(
        np.concatenate([one.context for one in parts]),
        np.concatenate([one.future for one in parts]),
        np.concatenate([one.held for one in parts]),
        tuple(origin for one in parts for origin in one.origins),
    )


def _line(history: History, state: ClockState, role: RoleConfig, tuning: Tuning, begin_ns: int) -> Window | None:
    """The smoothed rate of everything so far on the role's grid, which a window of that length is."""
    points = max(int((state.raw_ns - begin_ns) / NS_PER_S / role.step_s), 2)
    whole = msgspec.structs.replace(role, context=points, min_context=2)
    window = build(history, state, whole, tuning)
    return None if isinstance(window, NotReady) else window


def _split(origins: list[Origin], parts: list[tuple[int, Window]], role: RoleConfig, chosen_ns: int) -> Examples:
    context, future, held = [], [], []
    ahead_ns = (np.arange(role.horizon) + 1) * round(role.step_s * NS_PER_S)
    begins_ns = 0
    for number, (end_ns, line) in enumerate(parts):
        grid_ns = line.t0_raw_ns + np.arange(len(line.rate)) * line.step_ns
        for origin in origins:
            request = origin.request
            at_ns = request.windows[0].origin_raw_ns
            # The answer ends within the part, and begins after what was learned from before.
            if not begins_ns <= at_ns or at_ns + ahead_ns[-1] > min(end_ns, int(grid_ns[-1])):
                continue
            rates = np.interp((at_ns + ahead_ns) - grid_ns[0], grid_ns - grid_ns[0], line.rate)
            scaled = (rates - request.mean[0]) / request.scale[0]
            if np.nanmax(np.abs(scaled), initial=0.0) > _FAR:
                continue
            context.append(request.values[0])
            future.append(scaled)
            held.append(number > 0)
        begins_ns = end_ns
    judged = tuple(one for one in origins if one.request.windows[0].origin_raw_ns >= chosen_ns)
    return Examples(
        np.array(context, np.float32).reshape(len(context), role.context),
        np.array(future, np.float32).reshape(len(future), role.horizon),
        np.array(held, bool),
        judged,
    )
