"""How agents reach the server: over standard input and output, or over HTTP on this machine."""

import ipaddress
import logging
import re
from collections.abc import Sequence

from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from chronotick.errors import ConfigError

HOST = "127.0.0.1"
PORT = 3000
PATH = "/mcp"
# A call carries a few numbers, at most a payload to stamp.
MAX_BODY_BYTES = 1 << 20
# Connections of the earlier era that can be open at once, and for how long without a request, s.
MAX_SESSIONS = 256
IDLE_S = 1800.0

# A name, an IPv4 address, or an IPv6 address in brackets; then perhaps a port.
_NAME = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)

log: logging.Logger = logging.getLogger("chronotick.mcp")


async def serve_stdio(server: Server[None]) -> None:
    """Speak on standard input and output until the input ends."""
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def http_app(server: Server[None], host: str, port: int, allowed: Sequence[str]) -> Starlette:
    """The server as a web application at PATH.

    A web page can make a browser talk to this machine under a name that it has pointed here (DNS rebinding); so only
    requests that name an expected host, and come from a page of one if from a page at all, are answered.

    Args:
        host, port: where it is bound.
        allowed: further `Host` headers to answer, `NAME` or `NAME:PORT`; NAME alone stands for this port and none.

    Raises:
        ConfigError: bound to other machines without saying under which names they call it.
    """
    if not loopback(host) and not allowed:
        raise ConfigError(
            f"Binding to {host} opens the server to other machines, and there is no list of host names to answer.",
            mend="Bind to 127.0.0.1, or name each expected host: --allow-host NAME[:PORT].",
        )
    hosts = allowed_hosts(port, allowed)
    return server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_BODY_BYTES,
        session_idle_timeout=IDLE_S,
        max_sessions=MAX_SESSIONS,
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=hosts,
            allowed_origins=[f"{scheme}://{name}" for name in hosts for scheme in ("http", "https")],
        ),
        host=host,
    )


async def serve_http(server: Server[None], host: str, port: int, allowed: Sequence[str]) -> None:
    """Serve HTTP until SIGTERM or SIGINT.

    Raises:
        ConfigError: as `http_app`.
    """
    # Imported late: an adapter on standard input and output does not need it.
    import uvicorn

    app = http_app(server, host, port, allowed)
    log.info("serving http://%s:%d%s", f"[{host}]" if ":" in host else host, port, PATH)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    await uvicorn.Server(config).serve()


def loopback(host: str) -> bool:
    """Whether only this machine can reach an address or name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_hosts(port: int, further: Sequence[str]) -> list[str]:
    """The `Host` headers that are answered: this machine's own names, and those given.

    Raises:
        ConfigError: what is no name, such as a pattern.
    """
    names = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    for one in further:
        if not _NAME.fullmatch(one):
            raise ConfigError(f"{one!r} is no host name; expected NAME or NAME:PORT, without patterns.")
        names += [one] if one.rpartition(":")[2].isdigit() else [one, f"{one}:{port}"]
    return names
