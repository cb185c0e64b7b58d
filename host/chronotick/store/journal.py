"""The core as the host uses it: every input is written down before it is decided upon, and what is published after."""

import time
from collections.abc import Callable
from importlib.metadata import version

import msgspec

from chronotick.core import Core, Issued, Question
from chronotick.errors import StoreError
from chronotick.forecast.types import Refusal
from chronotick.inputs import Answered, Disrupted, Due, Felt, Heard, Models, Publish, Refused
from chronotick.pipeline import Taken
from chronotick.store import state
from chronotick.store.entries import VERSION, Entry, Header, published
from chronotick.store.log import EventLog


class Journal:
    """The core's own methods, with the event log beside them.

    Args:
        core: as new, or restored.
        prints: `state.prints` of it when it was new; empty without a log.
        log: where to; None to write nothing.
        realtime_ns: reads the system clock.
    """

    def __init__(
        self,
        core: Core,
        prints: dict[str, bytes],
        log: EventLog | None,
        realtime_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._core = core
        self._writer = core.issuer.writer
        self._prints = prints
        self._log = log
        self._realtime_ns = realtime_ns
        self._raw_ns = core.issuer.record.raw_ns
        self._suspended_ns = core.issuer.record.suspended_ns

    def hear(self, one: Heard) -> Taken:
        """See `Core.hear`."""
        self._note(one, one.raw_ns)
        return self._core.hear(one)

    def disrupt(self, one: Disrupted) -> None:
        """See `Core.disrupt`."""
        self._note(one, one.raw_ns)
        self._core.disrupt(one)

    def publish(self, one: Publish) -> Issued:
        """See `Core.publish`."""
        self._suspended_ns = one.suspended_ns
        self._turn(one.raw_ns)
        issued = self._core.publish(one)
        if self._log is not None:
            self._log.add(published(one, self._core), one.raw_ns)
        return issued

    def feel(self, one: Felt) -> None:
        """See `Core.feel`."""
        self._note(one, self._raw_ns)
        self._core.feel(one)

    def models(self, one: Models) -> None:
        """See `Core.models`."""
        self._note(one, self._raw_ns)
        self._core.models(one)

    def due(self, one: Due) -> tuple[Question, ...]:
        """See `Core.due`."""
        self._note(one, self._raw_ns)
        return self._core.due(one)

    def answer(self, one: Answered) -> Refusal | None:
        """See `Core.answer`."""
        self._note(one, self._raw_ns)
        return self._core.answer(one)

    def refuse(self, one: Refused) -> Refusal | None:
        """See `Core.refuse`."""
        self._note(one, self._raw_ns)
        return self._core.refuse(one)

    def close(self) -> None:
        """End the log."""
        if self._log is not None:
            self._log.close()

    def _note(self, entry: Entry, raw_ns: int) -> None:
        self._turn(raw_ns)
        if self._log is not None:
            self._log.add(entry, raw_ns)

    def _turn(self, raw_ns: int) -> None:
        """Begin a new segment where one is due: between two inputs, so that its state lies between them too."""
        self._raw_ns = raw_ns
        if self._log is None or (cause := self._log.due(raw_ns)) is None:
            return
        try:
            self._log.begin(self._header(cause, raw_ns))
        except StoreError as error:
            self._log.abandon(error.message, raw_ns)

    def _header(self, cause: str, raw_ns: int) -> Header:
        return Header(
            version=VERSION,
            program=version("chronotick"),
            cause=cause,
            raw_ns=raw_ns,
            realtime_ns=self._realtime_ns(),
            suspended_ns=self._suspended_ns,
            instance=self._writer.instance,
            pid=self._writer.pid,
            boot=self._writer.boot,
            config=msgspec.to_builtins(self._core.config),
            prints=self._prints,
            state=state.export(self._core),
        )
