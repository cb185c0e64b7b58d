"""The smallest host there can be: it starts one plugin and talks to it, for the conformance check and for tests."""

import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

import zmq

from chronotick.errors import PluginError, ProtocolError
from chronotick.wire import codec, runtime_dir, sockets
from chronotick.wire.launch import Launch
from chronotick.wire.limits import MAX_MESSAGE_BYTES
from chronotick.wire.messages import AnyMessage, Error, ForecastOk, Hello, Message, Scalar, Status, Welcome

MessageT = TypeVar("MessageT")

HOST_INSTANCE: Final = 0x7E57
KILL_WAIT_S: Final = 10.0


class Failed(PluginError):
    """What was expected of the plugin did not happen."""


class Unanswered(Failed):
    """Nothing came in time."""


class TinyHost:
    """A bound plugin socket in a directory of its own, and at most one plugin at a time."""

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None) -> None:
        self._argv = list(argv)
        self._env = dict(os.environ if env is None else env)
        self._cwd = cwd
        self._folder = tempfile.TemporaryDirectory(prefix="ctk-")
        directory = runtime_dir.create(self._folder.name)
        self._lock = directory.lock()
        self.endpoint: str = sockets.ipc_endpoint(directory.plugins)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = sockets.bind_router(self._context, self.endpoint, lock=self._lock)
        self._lifeline_write = -1
        self._backlog: list[AnyMessage] = []
        self._identity = b""
        self.token: str = secrets.token_hex(16)
        self.instance: str = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.strays: int = 0

    def __enter__(self) -> "TinyHost":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the plugin and remove everything."""
        self.kill()
        self._socket.close(linger=0)
        self._context.term()
        self._lock.close()
        self._folder.cleanup()

    def start(self, *, host_wait_s: float = 30.0, endpoint: str = "", lifeline: bool = True) -> None:
        """Start a new process of the plugin; what the last one said is forgotten.

        Args:
            host_wait_s: how long the plugin waits for a host.
            endpoint: where it looks for one; here by default.
            lifeline: False starts it as a service, which must outlive its host.
        """
        self.kill()
        self._drop_all()
        self._identity, self.instance, self.strays = b"", secrets.token_hex(8), 0
        lifeline_read, self._lifeline_write = os.pipe()
        launch = Launch(
            endpoint=endpoint or self.endpoint,
            token=self.token,
            instance=self.instance,
            lifeline_fd=lifeline_read if lifeline else None,
            host_wait_s=host_wait_s,
        )
        try:
            with open(self._file("stdout"), "wb") as out, open(self._file("stderr"), "wb") as err:
                self.process = subprocess.Popen(
                    self._argv,
                    env={**self._env, **launch.to_environ()},
                    cwd=self._cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=(lifeline_read,),
                    start_new_session=True,
                )
        except OSError as error:
            raise Failed(f"{self._argv[0]} can not be started: {error.strerror}.") from error
        finally:
            os.close(lifeline_read)

    def cut_lifeline(self) -> None:
        """Do what the host's death does."""
        if self._lifeline_write >= 0:
            os.close(self._lifeline_write)
            self._lifeline_write = -1

    def kill(self) -> None:
        """End the process, if there is one, and wait for that."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(KILL_WAIT_S)
            self.process = None
        self.cut_lifeline()

    def wait_exit(self, timeout_s: float) -> int:
        """The process's exit code.

        Raises:
            Failed: it still runs.
        """
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"The process still runs after {timeout_s:g} s.") from None

    def output(self, stream: str) -> str:
        """What the process has written to `stdout` or `stderr` so far."""
        return self._file(stream).read_text(errors="replace")

    def hello(self, timeout_s: float) -> Hello:
        """Wait for the hello of the process that was started."""
        return self.expect(Hello, timeout_s)

    def welcome(
        self,
        params: Mapping[str, Scalar] | None = None,
        *,
        seed: int = 0,
        threads: int = 1,
        host_instance: int = HOST_INSTANCE,
        protocol: tuple[int, int] = (1, 0),
        heartbeat_ms: int = 1000,
    ) -> None:
        """Answer a hello."""
        self.send(
            Welcome(
                protocol=protocol,
                host_instance=host_instance,
                heartbeat_ms=heartbeat_ms,
                max_message_bytes=MAX_MESSAGE_BYTES,
                params=dict(params or {}),
                seed=seed,
                threads=threads,
                sent_ns=time.monotonic_ns(),
            )
        )

    def ready(self, timeout_s: float) -> list[Status]:
        """Wait until the plugin is ready, or has failed, and return every status on the way."""
        seen: list[Status] = []
        end = time.monotonic() + timeout_s
        while not seen or seen[-1].state not in ("ready", "failed"):
            seen.append(self.expect(Status, end - time.monotonic()))
        return seen

    def answer(self, request_id: int, timeout_s: float) -> ForecastOk | Error:
        """Wait for the answer to a request."""

        def fits(message: AnyMessage) -> bool:
            return isinstance(message, ForecastOk | Error) and message.id == request_id

        message = self._wait(fits, timeout_s, f"answer to request {request_id}")
        assert isinstance(message, ForecastOk | Error)
        return message

    def expect(self, kind: type[MessageT], timeout_s: float) -> MessageT:
        """Wait for the next message of a kind; others are kept for later.

        Raises:
            Failed: it does not come, or the process ends first.
        """
        message = self._wait(lambda one: isinstance(one, kind), timeout_s, kind.__name__.lower())
        assert isinstance(message, kind)
        return message

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            Failed: the plugin is not connected any more.
        """
        self.send_frames(codec.encode(message))

    def send_frames(self, frames: Sequence[bytes]) -> None:
        """Send frames as they are."""
        try:
            self._socket.send_multipart([self._identity, *frames], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise Failed(f"The plugin can not be reached: {error.strerror}.") from error

    def take_all(self, settle_s: float) -> list[AnyMessage]:
        """Every message kept so far and within `settle_s` more of silence."""
        while self._receive(settle_s):
            pass
        taken, self._backlog = self._backlog, []
        return taken

    def _wait(self, fits: Callable[[AnyMessage], bool], timeout_s: float, what: str) -> AnyMessage:
        end = time.monotonic() + timeout_s
        looked = 0
        while True:
            for index in range(looked, len(self._backlog)):
                if fits(self._backlog[index]):
                    return self._backlog.pop(index)
            looked = len(self._backlog)
            left_s = end - time.monotonic()
            if self._receive(min(max(left_s, 0.0), 0.1)):
                continue
            # What a process said before it ended may still be on its way: look once more.
            if self.process is not None and self.process.poll() is not None and not self._receive(0.1):
                raise Failed(f"The process ended with code {self.process.returncode} before its {what}.")
            if left_s <= 0:
                raise Unanswered(f"No {what} within {timeout_s:g} s.")

    def _receive(self, timeout_s: float) -> bool:
        if not self._socket.poll(int(timeout_s * 1000)):
            return False
        identity, *frames = self._socket.recv_multipart()
        if not identity.endswith(self.instance.encode()):
            return True  # of a process that has been killed
        self._identity = identity
        try:
            self._backlog.append(codec.decode(frames))
        except ProtocolError:
            self.strays += 1
        return True

    def _drop_all(self) -> None:
        while self._receive(0.0):
            pass
        self._backlog.clear()

    def _file(self, stream: str) -> Path:
        return Path(self._folder.name) / stream
