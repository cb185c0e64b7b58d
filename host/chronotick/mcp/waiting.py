"""Tools that take their time: they tell how far they are, and a cancelled one ends at once."""

import time

import anyio
import anyio.to_thread

from chronotick.errors import ClockError
from chronotick.mcp import arguments, results
from chronotick.mcp import status as status_of
from chronotick.mcp.access import HostAccess
from chronotick.mcp.progress import Report

# While it waits for a first time, the host is asked this often, s.
ASK_S = 0.5


async def status(access: HostAccess, asked: arguments.GetStatus, report: Report) -> results.HostStatus:
    """The host's condition; with `wait_seconds`, once it has a time or the wait is over.

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
            found = status_of.host_status(sections)
            if found.ready or left_s <= 0:
                return found
            done, sentence = status_of.warm_up(sections), found.sentence
        if done > told:
            # The protocol wants progress to increase with each report.
            told = done
            await report(done, 1.0, sentence)
        await anyio.sleep(min(ASK_S, max(left_s, 0)))
