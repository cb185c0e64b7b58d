"""Tools that take their time: they tell how far they are, and a cancelled one ends at once."""

import time

import anyio
import anyio.to_thread

from chronotick.client import wait
from chronotick.errors import ClockError, WaitTimeout
from chronotick.mcp import answers, arguments, clock_tools, results
from chronotick.mcp import status as status_of
from chronotick.mcp.access import HostAccess
from chronotick.mcp.instants import from_text
from chronotick.mcp.progress import Report
from chronotick.units import NS_PER_S

# While it waits for the host, `status` asks it this often, s.
ASK_S = 0.5


async def wait_until(access: HostAccess, asked: arguments.WaitUntil, report: Report) -> results.Waited:
    """Wait until an instant is reached, or an event is past beyond doubt.

    Raises:
        OutOfRange: the target is past.
        WaitTimeout: it is further away than `timeout_seconds`, or was not reached within it.
        ClockError: as `Clock.now()`, at any time during the wait.
    """
    first, _ = await anyio.to_thread.run_sync(access.now)
    if asked.past is not None:
        event = await anyio.to_thread.run_sync(clock_tools.event, access, asked.past)
        waiting = wait.for_past(event, asked.timeout_seconds)
        target_ns, certain = event.latest_ns + 1, True
    else:
        target_ns, certain = from_text(asked.target or ""), asked.certain
        waiting = wait.for_target(target_ns, first, certain=certain, timeout_s=asked.timeout_seconds)
    begun = first.earliest_ns if certain else first.utc_ns
    total_s = max(target_ns - begun, 0) / NS_PER_S
    if total_s > asked.timeout_seconds:
        raise WaitTimeout(
            f"The target is {total_s:.3f} s away, and the wait may take {asked.timeout_seconds:g} s.",
            mend="Give a longer timeout_seconds (at most 3600), or call again later.",
        )
    began = time.monotonic()
    reading, told_s = first, -1.0
    while (nap_s := waiting.nap_s(reading)) is not None:
        done_s = min(time.monotonic() - began, total_s)
        if done_s - told_s >= wait.LONGEST_NAP_S:
            told_s = done_s
            await report(done_s, total_s, f"{total_s - done_s:.1f} s to go")
        await anyio.sleep(nap_s)
        reading, _ = await anyio.to_thread.run_sync(access.now)
    reached_ns = reading.earliest_ns if certain else reading.utc_ns
    return results.Waited(
        now=answers.time_reading(reading),
        target_ns=str(target_ns),
        waited_seconds=time.monotonic() - began,
        late_ns=str(reached_ns - target_ns),
    )


async def status(access: HostAccess, asked: arguments.GetStatus, report: Report) -> results.HostStatus:
    """The host's condition; with `wait_seconds`, once it has what is waited for or the wait is over.

    Raises:
        HostAbsent: no host answers, also not at the end of the wait.
    """
    end_s = time.monotonic() + asked.wait_seconds
    told = -1.0
    while True:
        left_s = end_s - time.monotonic()
        try:
            sections = await anyio.to_thread.run_sync(access.sections)
        except ClockError:
            if left_s <= 0:
                raise
            done, sentence = 0.0, "No host answers yet."
        else:
            warm_up = asked.wait_for == "warm_up"
            done = status_of.warm_up(sections)[0] if warm_up else status_of.first_time(sections)
            sentence = sections["clock"]["sentence"]
            if done >= 1 or left_s <= 0:
                return status_of.host_status(sections)
        if done > told:
            # The protocol wants progress to increase with each report.
            told = done
            await report(done, 1.0, sentence)
        await anyio.sleep(min(ASK_S, max(left_s, 0)))
