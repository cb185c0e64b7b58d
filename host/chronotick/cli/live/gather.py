"""One look at a host: what its snapshot says, and what it says of itself."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from chronotick.client import Clock, Reading
from chronotick.client.connection import Connection
from chronotick.errors import ChronoTickError, ClockError

if TYPE_CHECKING:
    from types import TracebackType

TIMEOUT_S = 0.7
"""A host that does not answer must not make the keys lame."""


class Frame(NamedTuple):
    """What was seen.

    Attributes:
        at_s: monotonic clock, s.
        reading: None where there is no snapshot that can be read.
        sections: the host's status; None where it does not answer.
        problem: why one of them is missing; "" where none is.
    """

    at_s: float
    reading: Reading | None
    sections: dict[str, Any] | None
    problem: str


class Gatherer:
    """Looks at one host again and again; keeps what it has opened, and goes on when the host goes or comes."""

    def __init__(self, runtime_dir: str) -> None:
        self._runtime_dir = runtime_dir
        self._clock = Clock(runtime_dir, fall_back=False)
        self._connection: Connection | None = None

    def look(self) -> Frame:
        """Never raises for anything that the host does or fails to do."""
        reading: Reading | None = None
        sections: dict[str, Any] | None = None
        problem = ""
        try:
            reading = self._clock.now(allow_unknown=True)
        except ClockError as error:
            problem = str(error)
        try:
            sections = self._ask()
        except ChronoTickError as error:
            problem = problem or str(error)
            # The directory may be another one next time.
            self._hang_up()
        if sections is not None and not sections:
            sections = None
        return Frame(time.monotonic(), reading, sections, problem)

    def close(self) -> None:
        """Give up what is open."""
        self._hang_up()
        self._clock.close()

    def __enter__(self) -> "Gatherer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()

    def _ask(self) -> dict[str, Any]:
        from chronotick.cli import host

        if self._connection is None:
            self._connection = Connection(f"ipc://{host.directory(self._runtime_dir).client}", TIMEOUT_S)
        sections: dict[str, Any] = self._connection.request("status_query")["sections"]
        return sections

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(ChronoTickError):
                connection.close()
