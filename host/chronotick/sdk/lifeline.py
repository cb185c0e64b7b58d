"""Dying with the host: the read end of a pipe whose write end only the host holds."""

import os
import threading

from chronotick.errors import PluginError
from chronotick.wire.launch import EXIT_LIFELINE_LOST, LIFELINE_FD


def watch(fd: int) -> threading.Thread:
    """End this process with code 75 as soon as the pipe's other end is closed, whatever it is doing.

    Raises:
        PluginError: `fd` is not an open file descriptor.
    """
    try:
        os.set_inheritable(fd, False)
        os.set_blocking(fd, True)
    except OSError as error:
        raise PluginError(f"{LIFELINE_FD} names descriptor {fd}: {error.strerror}.") from error
    thread = threading.Thread(target=_wait, args=(fd,), name="lifeline", daemon=True)
    thread.start()
    return thread


def _wait(fd: int) -> None:
    while True:
        try:
            if not os.read(fd, 1):
                break
        except OSError:
            break
    # No logging, no flushing: whoever would read it is gone, and a full pipe would hold us here.
    os._exit(EXIT_LIFELINE_LOST)
