"""A log of the truth: one CSV line per interval, so that any tool can compare with it later. Bounded in size."""

import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from chronotick.errors import LabError
from chronotick.lab.truth import Truth

HEADER = "t_s,raw_ns,theta_ns,rate_ppm\n"
LINES_MAX = 1_000_000
"""Some 60 MB; eleven days of one line a second."""

log: logging.Logger = logging.getLogger("chronotick.lab")


class TruthLog:
    """Writes `t_s,raw_ns,theta_ns,rate_ppm` lines to a new file. A context manager.

    Raises:
        LabError: the file can not be written.
    """

    def __init__(self, path: Path, truth: Truth, lines_max: int = LINES_MAX) -> None:
        self._truth = truth
        self._left = lines_max
        try:
            # Line-buffered: what was true up to a crash is in the file.
            self._file = path.open("w", encoding="ascii", buffering=1)
        except OSError as error:
            raise LabError(
                f"The truth log {str(path)!r} can not be written: {error.strerror}.",
                mend="Name a file in a folder that this user may write.",
            ) from error
        self._file.write(HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()

    def write(self, raw_ns: int) -> None:
        """Log the truth at `raw_ns`; nothing once the log is full."""
        if self._left == 0:
            return
        self._left -= 1
        if self._left == 0:
            log.warning("the truth log is full and ends here", extra={"file": self._file.name})
        truth = self._truth
        self._file.write(f"{truth.t_s(raw_ns):.6f},{raw_ns},{truth.theta_ns(raw_ns)},{truth.rate(raw_ns) * 1e6:.6f}\n")
