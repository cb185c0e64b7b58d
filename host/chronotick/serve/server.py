"""One ROUTER socket in a thread of its own: every question gets one answer, and nobody can hold it up."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import zmq

from chronotick.errors import ChronoTickError, ProtocolError
from chronotick.wire.codec import decode, encode
from chronotick.wire.codes import Code, rule_for
from chronotick.wire.keys import ServerKeys, start_authenticator
from chronotick.wire.messages import Error, Message
from chronotick.wire.runtime_dir import RuntimeLock
from chronotick.wire.sockets import bind_router

log: logging.Logger = logging.getLogger(__name__)

QUIET_S = 60.0
# Questions are short; a peer that sends more than this in one message is hung up on.
MOST_BYTES = 65_536

# Answers a question, given its message: raises ProtocolError for one that it refuses.
Answer = Callable[[Any], Message]


class Server:
    """Answers the questions that come to one endpoint.

    The thread blocks in the socket and shares nothing with the host's event loop but what `answer` reads, so that a
    busy loop delays no answer. An answer that its asker does not take away is dropped: nobody waits here for a slow or
    vanished peer.

    Attributes:
        answered, refused, dropped: questions answered, answered with an error, and answers that could not be sent.
    """

    def __init__(
        self,
        endpoint: str,
        answer: Answer,
        *,
        name: str,
        lock: RuntimeLock | None = None,
        keys: ServerKeys | None = None,
    ) -> None:
        """Bind at once; answer from `start()` on.

        Args:
            endpoint: `ipc://PATH`, in a runtime directory whose `lock` the caller holds, or `tcp://ADDRESS:PORT`.
            keys: needed for tcp: the host's pair, and the clients that may ask.
            answer: called in the server's thread; must not block.
            name: of the thread.

        Raises:
            RuntimeDirError: the endpoint can not be bound.
        """
        self.answered: int = 0
        self.refused: int = 0
        self.dropped: int = 0
        self._quiet_until = 0.0
        self._answer = answer
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._end_authenticator = start_authenticator(self._context, keys) if keys else lambda: None
        try:
            self._socket = bind_router(self._context, endpoint, lock=lock, keys=keys, max_bytes=MOST_BYTES)
        except BaseException:
            self._end_authenticator()
            self._context.term()
            raise
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and give the endpoint back. Once stopped, it stays so."""
        if self._thread.ident is None:
            self._socket.close(linger=0)
        self._end_authenticator()
        # A blocked receive ends when its context does.
        self._context.term()
        if self._thread.ident is not None:
            self._thread.join()

    def _serve(self) -> None:
        try:
            while True:
                self._turn()
        except zmq.ContextTerminated:
            pass
        finally:
            self._socket.close(linger=0)

    def _turn(self) -> None:
        identity, *frames = self._socket.recv_multipart()
        reply = self._reply(frames)
        if reply is None:
            return
        try:
            self._socket.send_multipart([identity, *reply], zmq.DONTWAIT)
        except zmq.Again:
            self.dropped += 1
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.dropped += 1

    def _reply(self, frames: Sequence[bytes]) -> list[bytes] | None:
        number: int | None = None
        try:
            message = decode(frames)
            if isinstance(message, Error):
                # An error about an answer: to answer it could go on for ever.
                return None
            number = getattr(message, "id", None)
            reply = encode(self._answer(message))
        except ProtocolError as error:
            reply = self._refuse(error, error.request_id if number is None else number)
        except ChronoTickError as error:
            reply = self._refuse(ProtocolError(Code.INTERNAL, error.message, mend=error.mend), number)
        except Exception:  # noqa: BLE001
            self._complain()
            reply = self._refuse(ProtocolError(Code.INTERNAL, "The host failed on this question; see its log."), number)
        else:
            self.answered += 1
        return reply

    def _complain(self) -> None:
        # Whoever asks decides how often this happens, so it must not decide how long the log gets.
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_S
            log.exception("A question could not be answered; the next %g s of such faults are not logged.", QUIET_S)

    def _refuse(self, error: ProtocolError, number: int | None) -> list[bytes]:
        self.refused += 1
        retryable = rule_for(error.code).retryable
        return encode(Error(code=error.code, message=error.message, retryable=retryable, id=number, mend=error.mend))
