"""The thread that owns a plugin's socket: it speaks first, answers pings at once, and never waits for inference.

The main thread computes. Between the two stand the queue of `work.py`, an outbox and a pipe that wakes the poll.
"""

import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import zmq

from chronotick.errors import ProtocolError
from chronotick.sdk.errors import to_error
from chronotick.sdk.process import leave, rss_bytes
from chronotick.sdk.work import Job, Work
from chronotick.wire import codec, frames
from chronotick.wire.codes import Code, Reaction, rule_for
from chronotick.wire.launch import (
    EXIT_CLEAN,
    EXIT_DO_NOT_RESTART,
    EXIT_HOST_UNREACHABLE,
    EXIT_INTERNAL,
    EXIT_LIFELINE_LOST,
)
from chronotick.wire.messages import (
    AnyMessage,
    Bye,
    Cancel,
    Error,
    ForecastRequest,
    Hello,
    Message,
    Ping,
    Pong,
    Shutdown,
    Status,
    Welcome,
)
from chronotick.wire.sockets import LINGER_MS
from chronotick.wire.validate import check_fits, check_request
from chronotick.wire.version import SUPPORTED

logger: logging.Logger = logging.getLogger(__name__)

NS_PER_MS: Final = 1_000_000
# Distance of two hellos to a host that does not answer.
HELLO_NS: Final = 1_000 * NS_PER_MS
# Longest sleep of the poll: timers are this exact.
TICK_MS: Final = 200
# A host that has been silent for this many heartbeats may be another one by now: say hello again.
SILENT_HEARTBEATS: Final = 5
SIGTERM_GRACE_MS: Final = 5000
# An interpreter that has not run this thread for so long is beyond help, and without a host nobody would end it.
FROZEN_S: Final = 120.0


class Link:
    """Owns the socket. `hello` is said to every new host; `host_wait_s` bounds the wait for a welcome."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        socket: "zmq.Socket[bytes]",
        hello: Hello,
        work: Work,
        *,
        host_wait_s: float,
        is_child: bool,
        same_clock: bool,
        leave: Callable[[int], None] = leave,
    ) -> None:
        self._context = context
        self._socket = socket
        self._hello = hello
        self._work = work
        self._host_wait_ns = int(host_wait_s * 1e9)
        self._is_child = is_child
        self._same_clock = same_clock
        self._leave = leave
        self._outbox: deque[list[bytes]] = deque()
        # A host that we have not met has pinged us.
        self._stranger = False
        self._status = Status(state="loading", detail="starting")
        self._served = 0
        self._welcome: Welcome | None = None
        self._welcomed = threading.Event()
        self._bye: Bye | None = None
        self._closed = threading.Event()
        # Minima of (our clock - the host's sent_ns): the difference of both clocks plus the fastest way here.
        self._clock_gaps: deque[int] = deque(maxlen=16)
        now = time.monotonic_ns()
        self._heard_ns = now
        self._hello_ns = now - HELLO_NS
        self._grace_end_ns: int | None = None
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        """Start the thread, and take SIGTERM and SIGINT for a shutdown. Main thread only."""
        # The handler must exist for the number to be written; what it means is decided where the pipe is read, because
        # Python runs handlers in the main thread, which may be inside a long inference.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._thread.start()

    def wait_welcome(self) -> Welcome:
        """Block until a host has said welcome. If none does, the process ends."""
        self._welcomed.wait()
        assert self._welcome is not None
        return self._welcome

    def report(self, status: Status) -> None:
        """Tell the host a new state, and every later host too."""
        if self._status.state == "draining" and status.state != "failed":
            return
        self._status = status
        self.send(status)

    def answer(self, job: Job, message: Message) -> None:
        """Answer a job, unless it has been answered."""
        if self._work.claim(job):
            if not isinstance(message, Error):
                self._served += 1
            self.send(message)

    def send(self, message: Message) -> None:
        """Queue a message for the thread to send."""
        try:
            encoded = codec.encode(message)
        except ProtocolError as error:
            encoded = codec.encode(to_error(error, request_id=getattr(message, "id", None)))
        self._outbox.append(encoded)
        self._wake()

    def close(self, exit_code: int, reason: str) -> None:
        """Say bye, deliver what is queued, close the socket. Blocks for a second at most."""
        self._bye = Bye(reason=reason, exit_code=exit_code)
        self._wake()
        self._closed.wait(2 * LINGER_MS / 1000)

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            return  # full: it will wake

    def _run(self) -> None:
        try:
            poller = zmq.Poller()
            poller.register(self._wake_read, frames.POLLIN)
            asked = 0
            next_tick_ns = 0
            while not self._closed.is_set():
                # A hello that is due goes out the moment there is a connection.
                to_send = bool(self._outbox) or self._hello_due(time.monotonic_ns())
                wanted = frames.POLLIN | (frames.POLLOUT if to_send else 0)
                if wanted != asked:
                    asked = wanted
                    poller.register(self._socket, wanted)
                events = 0
                for one, what in poller.poll(TICK_MS):
                    if one is self._socket:
                        events = what
                    else:
                        self._read_wakes()
                # Answers first: someone waits for them.
                self._flush()
                if events & frames.POLLIN:
                    self._receive()
                now_ns = time.monotonic_ns()
                # Only where it can leave at once: a hello that waits in the outbox would be said several times.
                if events & frames.POLLOUT and self._hello_due(now_ns):
                    self._hello_ns = now_ns
                    self._outbox.appendleft(codec.encode(self._hello))
                if now_ns >= next_tick_ns:
                    next_tick_ns = now_ns + TICK_MS * NS_PER_MS // 2
                    if self._is_child:
                        signal.setitimer(signal.ITIMER_REAL, FROZEN_S)
                    self._tick(now_ns)
                self._flush()
                if self._bye is not None:
                    self._shut(self._bye)
        except Exception:
            logger.exception("The link to the host failed.")
            self._leave(EXIT_INTERNAL)

    def _read_wakes(self) -> None:
        try:
            numbers = os.read(self._wake_read, 4096)
        except BlockingIOError:
            return
        # Wakes are zeros; what is left are numbers of signals.
        if set(numbers.strip(b"\0")) & {signal.SIGTERM, signal.SIGINT}:
            self._drain(SIGTERM_GRACE_MS, "signal")

    def _receive(self) -> None:
        # Bounded, so that a flood can not keep the timers from running.
        for _ in range(64):
            # Asked first: an exception for "nothing there" costs more than the question, and someone waits.
            if not frames.events(self._socket) & frames.POLLIN:
                return
            received = frames.receive(self._socket)
            self._heard_ns = time.monotonic_ns()
            try:
                self._handle(codec.decode(received), self._heard_ns)
            except ProtocolError as error:
                logger.warning("Refused a message: %s", error)
                self.send(to_error(error, request_id=error.request_id))
                if error.code == Code.VERSION_MISMATCH and self._welcome is None:
                    self._end(EXIT_DO_NOT_RESTART, error.message)

    def _handle(self, message: AnyMessage, now_ns: int) -> None:
        match message:
            case Ping():
                self._pong(message, now_ns)
            case ForecastRequest():
                self._enqueue(message, now_ns)
            case Cancel():
                job = self._work.cancel(message.id)
                if job is not None:
                    self._refuse(job.request.id, Code.CANCELLED, "Cancelled before it was computed.")
            case Welcome():
                self._meet(message, now_ns)
            case Shutdown():
                self._drain(message.grace_ms, message.reason or "shutdown")
            case Error():
                logger.warning("The host complains: %s: %s", message.code, message.message)
                if rule_for(message.code).reaction is Reaction.REFUSE:
                    self._end(EXIT_DO_NOT_RESTART, message.message)
            case Pong():
                return
            case _:
                raise ProtocolError(Code.BAD_MESSAGE, f"A plugin takes no {type(message).__name__}.")

    def _meet(self, welcome: Welcome, now_ns: int) -> None:
        if welcome.protocol[0] not in {major for major, _ in SUPPORTED}:
            raise ProtocolError(
                Code.VERSION_MISMATCH, f"The host chose protocol {welcome.protocol}, this plugin offers {SUPPORTED}."
            )
        known = self._welcome
        if known is None:
            logger.info("Welcomed by host %x.", welcome.host_instance)
        elif (known.params, known.seed, known.threads) != (welcome.params, welcome.seed, welcome.threads):
            self._end(EXIT_LIFELINE_LOST, "A new host wants other parameters than those loaded.")
            return
        elif known.host_instance != welcome.host_instance:
            logger.info("Host %x has taken over from %x.", welcome.host_instance, known.host_instance)
            # Nobody waits for the old host's answers.
            self._outbox.clear()
            for job in self._work.claim_all():
                job.cancelled = True
            self._clock_gaps.clear()
        self._welcome = welcome
        self._stranger = False
        if welcome.sent_ns:
            self._clock_gaps.append(now_ns - welcome.sent_ns)
        self._welcomed.set()
        self.send(self._status)

    def _pong(self, ping: Ping, now_ns: int) -> None:
        self._clock_gaps.append(now_ns - ping.sent_ns)
        job = self._work.running()
        self.send(
            Pong(
                seq=ping.seq,
                sent_ns=ping.sent_ns,
                state=self._status.state,
                busy_id=job.request.id if job else None,
                busy_ms=(now_ns - job.started_ns) / NS_PER_MS if job else 0.0,
                rss_bytes=rss_bytes(),
                served=self._served,
            )
        )
        if self._welcome is not None and ping.host_instance not in (0, self._welcome.host_instance):
            self._stranger = True

    def _enqueue(self, request: ForecastRequest, now_ns: int) -> None:
        state, capabilities = self._status.state, self._status.capabilities
        if state == "draining":
            self._refuse(request.id, Code.DRAINING, "This plugin is shutting down.")
        elif state != "ready" or capabilities is None:
            self._refuse(request.id, Code.NOT_READY, f"This plugin is {state}.")
        elif self._work.holds(request.id):
            raise ProtocolError(Code.BAD_MESSAGE, f"Request {request.id} is being answered already.")
        else:
            check_request(request)
            check_fits(request, capabilities)
            deadline_ns = request.deadline_ns
            if not self._same_clock and self._clock_gaps:
                deadline_ns += min(self._clock_gaps)
            if deadline_ns <= now_ns:
                self._refuse(request.id, Code.DEADLINE_EXCEEDED, "The deadline had passed on arrival.")
            elif not self._work.offer(Job(request, now_ns, deadline_ns)):
                self._refuse(request.id, Code.BUSY, "The queue is full.")

    def _refuse(self, request_id: int, code: Code, message: str) -> None:
        self.send(Error(id=request_id, code=code, message=message, retryable=rule_for(code).retryable))

    def _drain(self, grace_ms: int, reason: str) -> None:
        if self._status.state in ("loading", "warming"):
            self._end(EXIT_CLEAN, reason)
        elif self._grace_end_ns is None:
            logger.info("Draining: %s.", reason)
            self.report(Status(state="draining", detail=reason))
            self._grace_end_ns = time.monotonic_ns() + grace_ms * NS_PER_MS
            self._work.close()

    def _tick(self, now_ns: int) -> None:
        for job in self._work.claim_late(now_ns):
            self._refuse(job.request.id, Code.DEADLINE_EXCEEDED, "The deadline passed in the queue.")
        if self._grace_end_ns is not None and now_ns >= self._grace_end_ns and self._bye is None:
            for job in self._work.claim_all():
                self._refuse(job.request.id, Code.DRAINING, "The grace of the shutdown is over.")
            self._end(EXIT_CLEAN, "grace over")
            return
        silent_ns = now_ns - self._heard_ns
        # A child stays as long as its lifeline: its host may only be stopped in a debugger.
        if silent_ns > self._host_wait_ns and (self._welcome is None or not self._is_child):
            self._end(EXIT_HOST_UNREACHABLE, f"No host has answered for {silent_ns / 1e9:.1f} s.")

    def _hello_due(self, now_ns: int) -> bool:
        if now_ns - self._hello_ns < HELLO_NS:
            return False
        if self._welcome is None or self._stranger:
            return True
        return now_ns - self._heard_ns > max(SILENT_HEARTBEATS * self._welcome.heartbeat_ms * NS_PER_MS, HELLO_NS)

    def _flush(self) -> None:
        while self._outbox:
            try:
                frames.send(self._socket, self._outbox[0])
            except zmq.Again:
                return
            self._outbox.popleft()

    def _end(self, exit_code: int, reason: str) -> None:
        """End the process from this thread, whatever the main thread is doing."""
        logger.info("Leaving with code %d: %s", exit_code, reason)
        self._shut(Bye(reason=reason, exit_code=exit_code))
        self._leave(exit_code)

    def _shut(self, bye: Bye) -> None:
        self._outbox.append(codec.encode(bye))
        self._flush()
        self._socket.close(linger=LINGER_MS)
        self._context.term()
        self._closed.set()
