"""Tools that answer from the clock alone."""

from chronotick.mcp import answers, arguments, results
from chronotick.mcp.access import HostAccess


def now(access: HostAccess, asked: arguments.Now) -> results.TimeReading:
    """What time it is."""
    reading, _ = access.now()
    return answers.time_reading(reading, asked.level)
