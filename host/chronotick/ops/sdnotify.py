"""Tells a service manager how the host fares, by sd_notify(3)'s datagram protocol. Silent where there is none."""

import os
import socket
from collections.abc import Mapping


class SdNotify:
    """Sends state to the socket named by NOTIFY_SOCKET (a path, or an abstract name after `@`)."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s: float | None = int(watchdog) / 1e6 if watchdog.isdigit() and int(watchdog) > 0 else None

    def send(self, **fields: str | int) -> bool:
        """Send `KEY=value` lines, e.g. `send(READY=1, STATUS="5 servers")`. False: nobody listens."""
        if not self._address:
            return False
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        message = "\n".join(f"{key}={value}" for key, value in fields.items()).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
                channel.sendto(message, address)
        except OSError:
            return False
        return True
