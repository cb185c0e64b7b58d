"""The tools: one table, from which the server lists and calls them."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import anyio.to_thread
from mcp_types import Tool, ToolAnnotations

from chronotick.mcp import arguments, clock_tools, earlier_tools, results, waiting
from chronotick.mcp.access import HostAccess
from chronotick.mcp.progress import Report

# Answers a call, given the host, the tool's own arguments, and a way to tell how far it is.
Call = Callable[[HostAccess, Any, Report], Awaitable[results.Answer]]


class ToolSpec(NamedTuple):
    """A tool: its name and words for the model, what it is asked, what it answers, and how."""

    name: str
    title: str
    description: str
    asked: type[arguments.Arguments]
    answered: type[results.Answer]
    call: Call

    def listed(self) -> Tool:
        """As `tools/list` shows it. Every tool only reads, and none reaches beyond this machine."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.asked.model_json_schema(),
            output_schema=self.answered.model_json_schema(),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=True,
                destructive_hint=False,
                open_world_hint=False,
            ),
        )


def _in_thread(answer: Callable[[HostAccess, Any], results.Answer]) -> Call:
    """A tool that may have to ask the host's socket: in a thread, so that a host that hangs holds up nobody else."""

    async def call(access: HostAccess, asked: Any, report: Report) -> results.Answer:
        return await anyio.to_thread.run_sync(answer, access, asked)

    return call


SPECS: tuple[ToolSpec, ...] = (
    ToolSpec(
        "now",
        "What time it is",
        "Read trusted UTC with the interval that holds it. Use it whenever you need the time, for any purpose; never "
        "write a time from memory. `max_width_ms` refuses an answer that is less certain than you need.",
        arguments.Now,
        results.TimeReading,
        _in_thread(clock_tools.now),
    ),
    ToolSpec(
        "compare",
        "Which event came first",
        "Tell the order of two events from their intervals: BEFORE and AFTER are proofs, AMBIGUOUS comes with a "
        "probability. Give each as the whole object that a tool returned, or as a token of stamp.",
        arguments.Compare,
        results.ComparisonResult,
        _in_thread(clock_tools.compare),
    ),
    ToolSpec(
        "wait_until",
        "Wait for an instant",
        "Return when UTC has reached `target`, or when the event `past` lies in the past beyond doubt (commit-wait). "
        "Reports progress; can be cancelled.",
        arguments.WaitUntil,
        results.Waited,
        waiting.wait_until,
    ),
    ToolSpec(
        "stamp",
        "Signed timestamp",
        "Have the host sign that a payload existed now. Hand on the token unchanged; nobody can invent one.",
        arguments.Stamp,
        results.StampedInstant,
        _in_thread(clock_tools.stamp),
    ),
    ToolSpec(
        "verify",
        "Check a signed timestamp",
        "What a token of stamp says, when this host has made it; an invented or altered token is refused.",
        arguments.Verify,
        results.StampedInstant,
        _in_thread(clock_tools.verify),
    ),
    ToolSpec(
        "convert_past",
        "Time of a past stamp",
        "When a past reading of this machine's raw or system clock was taken, in true UTC with its interval: for log "
        "lines and events that were stamped without ChronoTick.",
        arguments.ConvertPast,
        results.EventInstant,
        _in_thread(clock_tools.convert_past),
    ),
    ToolSpec(
        "status",
        "Condition of the clock",
        "Whether the clock is sane and why: servers, vote, models and their weight, cost. With `wait_seconds` it waits "
        "for a first time or for the warm-up after a start, and tells the progress.",
        arguments.GetStatus,
        results.HostStatus,
        waiting.status,
    ),
    ToolSpec(
        "get_time",
        "Corrected time",
        "The corrected time with offset, drift and uncertainties, under the names of the earlier ChronoTick.",
        arguments.GetTime,
        results.CorrectedTime,
        _in_thread(earlier_tools.get_time),
    ),
    ToolSpec(
        "get_daemon_status",
        "Condition of the host process",
        "Warm-up, success rate, memory and last error of the host, under the names of the earlier ChronoTick.",
        arguments.NoArguments,
        results.DaemonStatus,
        _in_thread(earlier_tools.get_daemon_status),
    ),
    ToolSpec(
        "get_time_with_future_uncertainty",
        "Uncertainty of a later time",
        "The corrected time, and how uncertain it will be `future_seconds` from now if nothing is measured until then.",
        arguments.GetFutureTime,
        results.FutureTime,
        _in_thread(earlier_tools.get_time_with_future_uncertainty),
    ),
    ToolSpec(
        "get_time_with_confidence_interval",
        "Corrected time with an interval at a level",
        "The corrected time, and the calibrated interval that holds true time with probability `confidence_level`.",
        arguments.GetTimeWithInterval,
        results.TimeWithInterval,
        _in_thread(earlier_tools.get_time_with_confidence_interval),
    ),
)

BY_NAME = {spec.name: spec for spec in SPECS}
