"""Questions of the command line to a running host, over its sockets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chronotick.errors import HostAbsent, RuntimeDirError

if TYPE_CHECKING:
    from chronotick.client.connection import Connection
    from chronotick.wire.runtime_dir import RuntimeDir

TIMEOUT_S = 2.0


def directory(runtime_dir: str) -> "RuntimeDir":
    """The runtime directory of a host.

    Raises:
        HostAbsent: there is none that can be used.
    """
    from chronotick.wire import runtime_dir as directories

    try:
        return directories.find(runtime_dir)
    except RuntimeDirError as error:
        raise HostAbsent(error.message, mend=error.mend) from error


@contextmanager
def connected(runtime_dir: str, timeout_s: float = TIMEOUT_S, *, admin: bool = False) -> Iterator["Connection"]:
    """A connection to the socket of read-only questions, or to that of commands.

    Raises:
        HostAbsent: there is no runtime directory, or the socket in it may not be used.
    """
    import os

    from chronotick.client.connection import Connection

    found = directory(runtime_dir)
    path = found.admin if admin else found.client
    if path.exists() and not os.access(path, os.W_OK):
        raise HostAbsent(
            f"The host's socket {path} can not be used by user {os.geteuid()}: permission denied.",
            mend="Run as the host's user.",
        )
    connection = Connection(f"ipc://{path}", timeout_s)
    try:
        yield connection
    finally:
        connection.close()


def ask(runtime_dir: str, verb: str, timeout_s: float = TIMEOUT_S, **fields: object) -> dict[str, Any]:
    """The answer to one read-only question.

    Raises:
        HostAbsent: no host answers.
        ClockError: the host refuses.
    """
    with connected(runtime_dir, timeout_s) as connection:
        return connection.request(verb, **fields)


def command(runtime_dir: str, verb: str, **arguments: object) -> dict[str, Any]:
    """What a running host says after it has carried out a command. Errors as `ask`."""
    with connected(runtime_dir, admin=True) as connection:
        result: dict[str, Any] = connection.request("command", verb=verb, arguments=arguments)["result"]
        return result


def status(runtime_dir: str, *sections: str, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The host's status, by section; all of them where none is named. Errors as `ask`."""
    found: dict[str, Any] = ask(runtime_dir, "status_query", timeout_s, sections=sections)["sections"]
    return found
