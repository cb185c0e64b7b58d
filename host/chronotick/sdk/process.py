"""What the process does to itself before a model library is imported, and how large it is."""

import contextlib
import os
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn


def set_streams_aside() -> None:
    """Point standard output at standard error and standard input at nothing.

    Model libraries print, and one asks on standard input whether remote code may run.
    """
    sys.stdout.flush()
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def limit_threads(threads: int) -> None:
    """Tell OpenMP and the like how many threads to use, where the environment does not say so already.

    Spinning OpenMP threads made a 10 ms forecast take 650 ms beside one other busy process (measured).
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of these distributions, without importing them; those not installed are left out."""
    found = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def rss_bytes() -> int:
    """Resident memory now; the peak so far where /proc is missing."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def leave(code: int) -> NoReturn:
    """End the process now. Not sys.exit: model libraries' threads and exit handlers can hang an interpreter's end."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
