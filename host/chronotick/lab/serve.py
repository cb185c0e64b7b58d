"""Run a lab until told to stop: the core of `chronotick lab serve`."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from chronotick.clock.timebase import mono_ns, raw_ns
from chronotick.lab.lab import Ready, running
from chronotick.lab.scenario import Scenario
from chronotick.lab.truthlog import TruthLog
from chronotick.units import ns_to_s


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What a lab did: seconds it ran, packets received and answered, per server name."""

    event: str = "served"
    seconds: float
    requests: dict[str, int]
    replies: dict[str, int]


async def serve(
    scenario: Scenario,
    *,
    on_ready: Callable[[Ready], None] | None = None,
    stop: asyncio.Event | None = None,
    seconds: float | None = None,
    truth_log: Path | None = None,
    log_interval_s: float = 1.0,
) -> Served:
    """Serve until `stop` is set, `seconds` have passed, or the task is cancelled.

    Args:
        scenario: need not be resolved.
        on_ready: called once, when all servers answer.
        stop: None runs until one of the others.
        seconds: None runs for ever.
        truth_log: a CSV file to write (`chronotick.lab.truthlog`), a line each `log_interval_s`.

    Raises:
        LabError: the scenario contradicts itself, an address can not be bound, or the log not be written.
    """
    stop = stop or asyncio.Event()
    with ExitStack() as stack:
        lab = stack.enter_context(running(scenario))
        log = stack.enter_context(TruthLog(truth_log, lab.truth)) if truth_log else None
        if on_ready:
            on_ready(lab.ready)
        start = mono_ns()
        ticks = 0
        while not stop.is_set():
            now_s = ns_to_s(mono_ns() - start)
            if seconds is not None and now_s >= seconds:
                break
            wait_s = None if seconds is None else seconds - now_s
            if log:
                if now_s >= ticks * log_interval_s:
                    log.write(raw_ns())
                    # An interval missed in a stall is left out, not caught up with.
                    ticks = int(now_s / log_interval_s) + 1
                until_s = ticks * log_interval_s - now_s
                wait_s = until_s if wait_s is None else min(wait_s, until_s)
            try:
                async with asyncio.timeout(wait_s):
                    await stop.wait()
            except TimeoutError:
                continue
        return Served(
            seconds=ns_to_s(mono_ns() - start),
            requests={name: server.requests for name, server in lab.servers.items()},
            replies={name: server.replies for name, server in lab.servers.items()},
        )
