"""How many files and sockets this process may have open."""

import resource
from typing import Final

# More connections than any machine has agents; beyond it a limit protects more than it endangers.
WANTED: Final = 65_536


def raise_limit(wanted: int = WANTED) -> int:
    """Raise the soft limit on descriptors towards `wanted`, as far as the hard one allows; returns what it is now.

    libzmq ends the process when it can not accept a connection for want of a descriptor, so the usual 1024 would let
    one agent that forgets to close its clocks end the host.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return soft
