"""How a plugin process is told where its host is: environment variables, the same for a child and for a service.

CHRONOTICK_ENDPOINT     ipc://PATH or tcp://HOST:PORT of the host's plugin socket. Needed.
CHRONOTICK_TOKEN        secret that hello must carry; empty for none.
CHRONOTICK_INSTANCE     hex id of this process, 8 to 64 digits; made up when missing.
CHRONOTICK_LIFELINE_FD  number of an inherited pipe read end that closes when the host dies; none for a service.
CHRONOTICK_HOST_WAIT_S  how long to wait for a host's welcome before exit 69; default 30.
CHRONOTICK_KEY          file with the plugin's own CURVE pair (.key_secret); needed for tcp.
CHRONOTICK_SERVER_KEY   file with the host's public CURVE key (.key); needed for tcp.
CHRONOTICK_LOG_LEVEL    debug, info, warning or error; default info.
"""

from collections.abc import Mapping, MutableMapping
from typing import Final

import msgspec

from chronotick.errors import PluginError

ENDPOINT: Final = "CHRONOTICK_ENDPOINT"
TOKEN: Final = "CHRONOTICK_TOKEN"
INSTANCE: Final = "CHRONOTICK_INSTANCE"
LIFELINE_FD: Final = "CHRONOTICK_LIFELINE_FD"
HOST_WAIT_S: Final = "CHRONOTICK_HOST_WAIT_S"
KEY: Final = "CHRONOTICK_KEY"
SERVER_KEY: Final = "CHRONOTICK_SERVER_KEY"
LOG_LEVEL: Final = "CHRONOTICK_LOG_LEVEL"

# Exit codes of a plugin process: what they mean is API.
EXIT_CLEAN: Final = 0
EXIT_HOST_UNREACHABLE: Final = 69
EXIT_INTERNAL: Final = 70
EXIT_LIFELINE_LOST: Final = 75
EXIT_DO_NOT_RESTART: Final = 78


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin process is told at its start."""

    endpoint: str
    token: str = ""
    instance: str = ""
    lifeline_fd: int | None = None
    host_wait_s: float = 30.0
    key: str = ""
    server_key: str = ""
    log_level: str = "info"

    def to_environ(self) -> dict[str, str]:
        """The variables to add to a plugin's environment."""
        variables = {
            ENDPOINT: self.endpoint,
            TOKEN: self.token,
            INSTANCE: self.instance,
            LIFELINE_FD: "" if self.lifeline_fd is None else str(self.lifeline_fd),
            HOST_WAIT_S: str(self.host_wait_s),
            KEY: self.key,
            SERVER_KEY: self.server_key,
            LOG_LEVEL: self.log_level,
        }
        return {name: value for name, value in variables.items() if value}


def from_environ(environ: Mapping[str, str]) -> Launch:
    """Read the variables.

    Raises:
        PluginError: one is missing or wrong.
    """
    if not environ.get(ENDPOINT):
        raise PluginError(
            f"{ENDPOINT} is not set.",
            mend="A plugin is started by the host; to try one: chronotick plugins check NAME.",
        )
    try:
        lifeline = environ.get(LIFELINE_FD)
        return Launch(
            endpoint=environ[ENDPOINT],
            token=environ.get(TOKEN, ""),
            instance=environ.get(INSTANCE, ""),
            lifeline_fd=int(lifeline) if lifeline else None,
            host_wait_s=float(environ.get(HOST_WAIT_S) or 30.0),
            key=environ.get(KEY, ""),
            server_key=environ.get(SERVER_KEY, ""),
            log_level=environ.get(LOG_LEVEL) or "info",
        )
    except ValueError as error:
        raise PluginError(f"{LIFELINE_FD} or {HOST_WAIT_S} is not a number: {error}.") from error


def take_secrets(environ: MutableMapping[str, str]) -> None:
    """Remove the token, so that what the plugin starts does not inherit it."""
    environ.pop(TOKEN, None)
