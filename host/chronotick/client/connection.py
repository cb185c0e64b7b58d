"""Questions to the host over ZeroMQ, for readers that can not map its snapshot, and for all that is not in it."""

import os
import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from chronotick.errors import ClockError, ClockUnknown, HostAbsent, OutOfRange, RuntimeDirError, TokenRefused
from chronotick.wire.version import MAGIC

if TYPE_CHECKING:
    import zmq

# Secret key file of this side and public key file of the host, for tcp.
KeyFiles = tuple[str | os.PathLike[str], str | os.PathLike[str]]

_REFUSALS: dict[str, type[ClockError]] = {
    "bad_horizon": OutOfRange,
    "out_of_range": OutOfRange,
    "no_time": ClockUnknown,
    "bad_stamp": TokenRefused,
}

# What a parent process has connected belongs to it: a child keeps it untouched, since even closing it would talk.
_INHERITED: list[object] = []


class Connection:
    """One DEALER to one host's client socket. One question at a time; thread-safe, fork-safe, connects at need.

    Every question has an id and only the answer with this id counts, so that an answer which comes after its time-out
    is dropped instead of being taken for the next one.
    """

    def __init__(self, endpoint: str, timeout_s: float, keys: KeyFiles | None = None) -> None:
        """Nothing is opened before the first question.

        Args:
            endpoint: `ipc://PATH` or `tcp://HOST:PORT` of the host's client socket.
            timeout_s: how long a question may take in all, s.
            keys: needed for tcp: file with this side's secret CURVE key, and the host's public one.
        """
        self.endpoint = endpoint
        self._keys = keys
        self._timeout_s = timeout_s
        self._ids = count(1)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._open: tuple[zmq.Context[zmq.Socket[bytes]], zmq.Socket[bytes]] | None = None

    def request(self, kind: str, /, **fields: object) -> dict[str, Any]:
        """Ask, and give the answer's fields.

        Args:
            kind: type of the message: `now`, `forecast_at`, `convert`, `stamp`, `verify`, `status_query`, `history` or
                `explain`.

        Raises:
            HostAbsent: nobody answers in time, or the endpoint can not be used.
            ClockError: the host answers with an error; of the type that its code stands for.
        """
        import msgpack

        if os.getpid() != self._pid:
            _INHERITED.append(self._open)
            self._open, self._lock, self._pid = None, threading.Lock(), os.getpid()
        with self._lock:
            deadline = time.monotonic() + self._timeout_s
            number = next(self._ids)
            socket = self._socket()
            if not socket.poll(self._left_ms(deadline), 2):
                raise self._silent()
            socket.send_multipart([MAGIC, msgpack.packb({"type": kind, "id": number} | fields)])
            while socket.poll(self._left_ms(deadline)):
                frames = socket.recv_multipart()
                if len(frames) < 2 or frames[0] != MAGIC:
                    continue
                answer = msgpack.unpackb(frames[1])
                if answer.get("id") == number:
                    break
            else:
                raise self._silent()
        if answer.get("type") == "error":
            refusal = _REFUSALS.get(str(answer.get("code")), ClockError)
            raise refusal(f"The host refuses: {answer.get('message')}", mend=answer.get("mend"))
        return dict(answer)

    def close(self) -> None:
        """Hang up. The next question connects anew."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None:
            context, socket = opened
            socket.close(linger=0)
            context.term()

    def __del__(self) -> None:
        self.close()

    def _socket(self) -> "zmq.Socket[bytes]":
        if self._open is None:
            # Imported late: most clients never need it.
            from pathlib import Path

            import zmq

            from chronotick.wire.keys import load_client_keys
            from chronotick.wire.sockets import connect_dealer

            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            try:
                keys = None if self._keys is None else load_client_keys(Path(self._keys[0]), Path(self._keys[1]))
                self._open = context, connect_dealer(context, self.endpoint, keys=keys)
            except RuntimeDirError as error:
                context.term()
                raise HostAbsent(error.message, mend=error.mend) from error
        return self._open[1]

    def _left_ms(self, deadline: float) -> int:
        return max(round((deadline - time.monotonic()) * 1000), 0)

    def _silent(self) -> HostAbsent:
        return HostAbsent(
            f"No host answers at {self.endpoint} within {self._timeout_s:g} s.", mend="Start the host: chronotick run."
        )
