"""The adapter process from start to end."""

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from chronotick.mcp import transports
from chronotick.mcp.access import HostAccess
from chronotick.mcp.server import build


def run(directory: str, *, http: bool, host: str, port: int, allowed: Sequence[str], log_level: str) -> None:
    """Serve until the client hangs up (stdio) or the process is told to stop (HTTP).

    Raises:
        ConfigError: see `transports.http_app`.
    """
    # Standard output belongs to the protocol.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="chronotick mcp: %(message)s")
    logging.getLogger("chronotick").setLevel(log_level.upper())
    access = HostAccess(directory)
    try:
        server = build(access)
        if http:
            asyncio.run(transports.serve_http(server, host, port, allowed))
        else:
            # A thread waits in standard input and can not be woken; on a terminal Ctrl-C would wait for it.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            asyncio.run(transports.serve_stdio(server))
    finally:
        access.close()
