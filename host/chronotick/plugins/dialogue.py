"""What a host and one connected plugin say to each other after the handshake: forecasts, answers, heartbeats.

It judges nothing by itself: what it notices it reports as an event of the transition table.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from chronotick.errors import ProtocolError
from chronotick.plugins.ledger import Durations, Ledger, refusal
from chronotick.plugins.link import Sent
from chronotick.plugins.states import Event, State
from chronotick.plugins.surroundings import Surroundings
from chronotick.plugins.types import Answer, Ask, Refusal
from chronotick.wire.codes import Code, Reaction, rule_for
from chronotick.wire.messages import (
    Cancel,
    Capabilities,
    Error,
    ForecastOk,
    ForecastRequest,
    Message,
    Ping,
    Pong,
    Series,
)
from chronotick.wire.validate import check_answer, check_fits, check_request

# Pongs in a row in which the plugin computes nothing that it owes: then the answer is lost, not late.
IDLE_PONGS: Final = 2


class Dialogue:
    """Requests and heartbeats of one plugin. Needs a running event loop.

    Attributes:
        identity: of the peer; empty for none.
        capabilities: of the model; None before READY.
        ledger: requests in flight.
        rss_bytes: resident size at the last pong.
        totals, inferences: durations of good answers, as the host and as the plugin measured them.
        served, refused: good answers, and refusals by code, since the host started.
    """

    def __init__(
        self, name: str, queue: int, around: Surroundings, logger: logging.Logger, feed: Callable[[Event, str], None]
    ) -> None:
        self._name, self._queue, self._around, self._logger, self._feed = name, queue, around, logger, feed
        self.identity: bytes = b""
        self.capabilities: Capabilities | None = None
        self.ledger: Ledger = Ledger(self._on_late)
        self.rss_bytes: int = 0
        self.totals: Durations = Durations()
        self.inferences: Durations = Durations()
        self.served: int = 0
        self.refused: Counter[str] = Counter()
        # It may be SUSPECT: what is heard next may be its recovery.
        self._doubted = False
        self._sequence = self._unanswered = self._idle_pongs = self._strikes = 0

    def reset(self) -> None:
        """Begin anew with another process. What was counted stays."""
        self.identity, self.capabilities, self.rss_bytes = b"", None, 0
        self._unanswered = self._idle_pongs = self._strikes = 0
        self._doubted = False

    def send(self, message: Message) -> Sent:
        """Hand a message to the peer."""
        return self._around.send(self.identity, message) if self.identity else Sent.NO_ROUTE

    async def forecast(self, ask: Ask, deadline_mono_ns: int, state: State, detail: str) -> Answer | Refusal:
        """Ask. Refuses at once whatever can not be answered, and at the deadline what was not.

        A model that takes no covariates is asked without them.
        """
        began_ns = time.monotonic_ns()
        takes_covariates = self.capabilities is not None and self.capabilities.covariates
        request = ForecastRequest(
            id=self._around.next_id(),
            deadline_ns=deadline_mono_ns,
            series=Series(t0_ns=ask.t0_ns, step_ns=ask.step_ns, values=ask.values, mask=ask.mask),
            horizon=ask.horizon,
            levels=ask.levels,
            covariates=ask.covariates if takes_covariates else None,
            future=ask.future if takes_covariates else None,
        )
        if state is not State.READY or self.capabilities is None:
            return self._refuse(Code.NOT_READY, f"{self._name} is {state}" + (f": {detail}" if detail else "") + ".")
        if deadline_mono_ns <= began_ns:
            return self._refuse(Code.DEADLINE_EXCEEDED, "The deadline had passed before asking.")
        if len(self.ledger) >= self._queue:
            return self._refuse(Code.BUSY, f"{self._name} has {len(self.ledger)} requests in flight.")
        try:
            check_request(request)
            check_fits(request, self.capabilities)
            sent = self.send(request)
        except ProtocolError as error:
            return self._refuse(error.code, error.message)
        if sent is Sent.FULL:
            return self._refuse(Code.BUSY, f"The queue to {self._name} is full.")
        if sent is Sent.NO_ROUTE:
            self._doubted = True
            self._feed(Event.SILENT, "its connection is gone")
            return self._refuse(Code.PLUGIN_DIED, f"The connection of {self._name} is gone.")
        return await self._wait(request, began_ns)

    async def _wait(self, request: ForecastRequest, began_ns: int) -> Answer | Refusal:
        try:
            reply = await self.ledger.open(request)
        except asyncio.CancelledError:
            if self.ledger.abandon(request.id):
                self.send(Cancel(id=request.id))
            raise
        if isinstance(reply, Refusal):
            self.refused[reply.code] += 1
            return reply
        total_ms = (time.monotonic_ns() - began_ns) / 1e6
        self.served += 1
        self.totals.add(total_ms)
        self.inferences.add(reply.infer_ms)
        return Answer(
            quantiles=reply.quantiles,
            mean=reply.mean,
            model_id=reply.model_id,
            revision=reply.revision,
            queue_ms=reply.queue_ms,
            infer_ms=reply.infer_ms,
            total_ms=total_ms,
        )

    def heard(self, message: Message) -> None:
        """The peer said something; answers and pongs end here."""
        self._unanswered = 0
        if isinstance(message, Pong):
            self._on_pong(message)
        elif isinstance(message, ForecastOk):
            self._on_answer(message)
        elif isinstance(message, Ping):
            self.send(Pong(seq=message.seq, sent_ns=message.sent_ns))
        elif isinstance(message, Error):
            self._on_error(message)
        if self._doubted and not self.ledger.overdue:
            self._doubted = False
            self._feed(Event.RECOVERED, "answers again")

    def beat(self) -> None:
        """One heartbeat: see what the last pings have come to, and ping."""
        if not self.identity:
            return
        if self._unanswered >= self._around.timing.missed:
            self._doubted = True
            self._feed(Event.SILENT, f"has not answered {self._unanswered} pings")
        self._sequence += 1
        self._unanswered += 1
        ping = Ping(seq=self._sequence, sent_ns=time.monotonic_ns(), host_instance=self._around.host_instance)
        if self.send(ping) is Sent.NO_ROUTE:
            self._doubted = True
            self._feed(Event.SILENT, "its connection is gone")

    def strike(self, code: str, sentence: str) -> None:
        """Something failed. Several of these in a row, or a single grave one, end in a restart."""
        reaction = rule_for(code).reaction
        if reaction is Reaction.RESTART:
            self._feed(Event.CONDEMNED, f"{code}: {sentence}")
        elif reaction is Reaction.SUSPECT:
            self._strikes += 1
            if self._strikes >= self._around.timing.strikes:
                self._feed(Event.CONDEMNED, f"failed {self._strikes} times in a row, at last with {code}: {sentence}")

    def _refuse(self, code: str, message: str) -> Refusal:
        self.refused[str(code)] += 1
        return refusal(code, message)

    def _on_pong(self, pong: Pong) -> None:
        self.rss_bytes = pong.rss_bytes
        if self.ledger.overdue and pong.busy_id not in self.ledger.overdue:
            self._idle_pongs += 1
            if self._idle_pongs >= IDLE_PONGS:
                self.ledger.overdue.clear()
        else:
            self._idle_pongs = 0

    def _on_answer(self, message: ForecastOk) -> None:
        request = self.ledger.request(message.id)
        if request is not None:
            try:
                check_answer(request, message)
            except ProtocolError as error:
                self.ledger.settle(message.id, refusal(error.code, error.message))
                self.strike(error.code, error.message)
                return
            self._strikes = 0
        self.ledger.settle(message.id, message)

    def _on_error(self, message: Error) -> None:
        if message.id is None:
            self._logger.warning("It complains: %s: %s", message.code, message.message)
            self.strike(message.code, message.message)
            return
        if self.ledger.settle(message.id, Refusal(message.code, message.message, message.retryable)):
            self.strike(message.code, message.message)

    def _on_late(self, request_id: int) -> None:
        self.send(Cancel(id=request_id))
        self._doubted = True
        self._feed(Event.OVERDUE, "computes past a deadline")
        self.strike(Code.DEADLINE_EXCEEDED, "the deadline passed")
