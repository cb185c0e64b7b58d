"""Faults of a plugin, by name. `NAME=VALUE` sets when or how long; without a value the first forecast is hit.

At start, before hello:
    silent_start            says nothing, ever
    crash_start             dies of SIGKILL
    exit_start=CODE         exits with CODE
    wrong_version           offers only protocol major 99
    wrong_magic             writes CTK9 into the first frame
    wrong_token, wrong_name says another token or name
While loading:
    hang_load, crash_load, slow_load=S, oom_load, load_failed, weights_missing, device_missing, exit_load=CODE
From the Nth forecast on (default 1):
    hang=N          sleeps for ever; hang_gil=N: and holds the interpreter's lock, so that not even ping is answered
    crash=N         dies of SIGABRT
    exit=CODE       exits with CODE at the first forecast
    slow=S          takes S seconds for each, and does not look whether it was cancelled
    patient=S       takes S seconds for each, and stops when cancelled
    oom=N, oom_torch=N      raises MemoryError, or what torch raises
    nan, crossing, shape    bad output that the SDK catches
    raw_nan, raw_crossing, raw_shape    bad output that reaches the host
    flaky           never quite the same twice
    unscaled        forgets the scale of the window
    mixed           lets series of a batch see each other
    leak=MB         keeps MB more with each forecast
    garbage=N       sends random bytes instead of the answer
    mute=N          never answers the request
    double=N        answers each request twice
    late=S          answers S seconds after the deadline
    deaf=N          reads and answers nothing any more, pings included
    picky           can not forecast a constant
    peeks           looks behind the mask
At any time:
    prints          prints to standard output all the time, from loading on
    ignore_shutdown ignores shutdown and SIGTERM
    no_pong         never answers a ping
    short           claims windows four times longer than it can take
    no_deadline     forgets deadlines
    unchecked       takes requests outside its capabilities
    shrugs          says nothing to messages that make no sense
    loyal           never says hello to a second host
    agreeable       accepts any protocol version
    stubborn        waits for a host for ever
    no_lifeline     does not notice that the host has died
    keeps_stdout    leaves standard output where it is
    frozen=S        the watchdog of a frozen interpreter waits S seconds
"""

import ctypes
import importlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.sdk import Batch, Cancelled, DeviceMissing, LoadFailed, WeightsMissing
from chronotick.sdk.link import Link
from chronotick.sdk.work import Job
from chronotick.wire.messages import Error, ForecastRequest, Hello, Message, Ping

FOREVER_S = 3600.0


class OutOfMemoryError(RuntimeError):
    """Looks like torch's."""


@dataclass
class Faults:
    """The faults that are switched on, and how many forecasts have been asked for."""

    given: Iterable[str] = ()
    _values: dict[str, str] = field(default_factory=dict)
    _kept: list[bytes] = field(default_factory=list)
    forecasts: int = 0

    def __post_init__(self) -> None:
        self.add(self.given)

    def add(self, given: Iterable[str]) -> None:
        """Switch faults on."""
        for one in given:
            name, _, value = one.strip().partition("=")
            if name:
                self._values[name] = value

    def on(self, name: str) -> bool:
        """Whether a fault is switched on."""
        return name in self._values

    def due(self, name: str) -> bool:
        """Whether a fault that counts forecasts has been reached."""
        return self.on(name) and self.forecasts >= int(self._values[name] or 1)

    def number(self, name: str, default: float) -> float:
        """The value of a fault."""
        return float(self._values.get(name) or default)

    def at_start(self) -> None:
        """Faults before hello."""
        if self.on("crash_start"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.on("exit_start"):
            os._exit(int(self.number("exit_start", 1)))
        if self.on("silent_start"):
            time.sleep(FOREVER_S)

    def at_load(self) -> None:
        """Faults of loading."""
        if self.on("prints"):
            threading.Thread(target=_print_on, daemon=True).start()
        if self.on("crash_load"):
            os.abort()
        if self.on("exit_load"):
            os._exit(int(self.number("exit_load", 1)))
        if self.on("hang_load"):
            time.sleep(FOREVER_S)
        if self.on("slow_load"):
            time.sleep(self.number("slow_load", 1.0))
        if self.on("oom_load"):
            raise MemoryError
        if self.on("load_failed"):
            raise LoadFailed("The weights' server did not answer.")
        if self.on("weights_missing"):
            raise WeightsMissing("There are no weights.", mend="Run: chronotick plugins sync echo")
        if self.on("device_missing"):
            raise DeviceMissing("There is no device cuda:0.", mend="Set device: cpu")

    def before_forecast(self, batch: Batch) -> None:
        """Faults that come instead of a forecast."""
        self.forecasts += 1
        if self.due("crash"):
            os.abort()
        if self.on("exit"):
            os._exit(int(self.number("exit", 1)))
        if self.due("hang"):
            time.sleep(FOREVER_S)
        if self.due("hang_gil"):
            # PyDLL keeps the interpreter's lock during the call.
            ctypes.PyDLL(None).sleep(int(FOREVER_S))
        if self.due("oom"):
            raise MemoryError
        if self.due("oom_torch"):
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        if self.on("picky") and np.nanmin(batch.values) == np.nanmax(batch.values):
            raise ZeroDivisionError("division by the window's range")
        if self.on("short") and batch.values.shape[1] > 512:
            raise ValueError("window too long")
        if self.on("slow"):
            time.sleep(self.number("slow", 1.0))
        if self.on("late"):
            time.sleep(max(batch.deadline_mono_ns * 1e-9 - time.monotonic(), 0) + self.number("late", 0.2))
        end = time.monotonic() + self.number("patient", 0.0)
        while time.monotonic() < end:
            if batch.cancelled():
                raise Cancelled("Cancelled between two steps.")
            time.sleep(0.01)
        if self.on("leak"):
            self._kept.append(os.urandom(1024) * int(1024 * self.number("leak", 1.0)))

    def after_forecast(self, values: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
        """Faults of the output."""
        if self.on("nan") or self.on("raw_nan"):
            values[-1, 0, -1] = np.nan
        if self.on("crossing") or self.on("raw_crossing"):
            values = values[:, ::-1, :] - np.arange(values.shape[1])[None, :, None]
        if self.on("shape") or self.on("raw_shape"):
            values = values[:, :, :-1]
        if self.on("flaky"):
            values = values * (1 + random.random() * 1e-9)
        if self.on("unscaled"):
            values = np.tanh(values)
        if self.on("mixed"):
            values = values + np.nanmean(batch.values)
        return values


def break_sdk(faults: Faults) -> None:
    """Replace the parts of the SDK that would keep some faults from the host."""
    # By name: the package's attribute `serve` is the function.
    serve = importlib.import_module("chronotick.sdk.serve")
    compute = importlib.import_module("chronotick.sdk.compute")
    link = importlib.import_module("chronotick.sdk.link")
    serve.Link = _faulty_link(faults)  # type: ignore[attr-defined]
    if faults.on("frozen"):
        link.FROZEN_S = faults.number("frozen", 1.0)  # type: ignore[attr-defined]
    if faults.on("unchecked"):
        link.check_request = link.check_fits = lambda *_: None  # type: ignore[attr-defined]
        compute.check_quantiles = lambda *_, **__: None  # type: ignore[attr-defined]
    if faults.on("agreeable"):
        link.SUPPORTED = tuple((major, 0) for major in range(256))  # type: ignore[attr-defined]
    if faults.on("no_lifeline"):
        serve.lifeline.watch = lambda fd: None  # type: ignore[attr-defined]
    if faults.on("keeps_stdout"):
        serve.set_streams_aside = lambda: None  # type: ignore[attr-defined]
    if faults.on("peeks"):
        compute.np = _Peeking()  # type: ignore[attr-defined]
    if any(faults.on(name) for name in ("raw_nan", "raw_crossing", "raw_shape")):
        compute.check_quantiles = lambda *_, **__: None  # type: ignore[attr-defined]
    if faults.on("late"):
        real = compute.compute

        def compute_late(forecaster: object, job: Job, *rest: object) -> Message:
            end, job.deadline_ns = job.deadline_ns, 2**63 - 1
            proxy = _WithDeadline(forecaster, end)
            return real(proxy, job, *rest)

        serve.compute = compute_late  # type: ignore[attr-defined]


class _Peeking:
    """numpy, except that `where` does not hide what the mask hides."""

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)

    def where(self, mask: object, values: object, hidden: object) -> object:
        return values


class _WithDeadline:
    """Shows the forecaster the real deadline, which the rest of the SDK has been made to forget."""

    def __init__(self, forecaster: object, deadline_ns: int) -> None:
        self._forecaster = forecaster
        self._deadline_ns = deadline_ns

    def forecast(self, batch: Batch) -> object:
        return self._forecaster.forecast(  # type: ignore[attr-defined]
            msgspec.structs.replace(batch, deadline_mono_ns=self._deadline_ns)
        )


def _faulty_link(faults: Faults) -> type[Link]:
    class FaultyLink(Link):
        """A link that does what it should not."""

        def __init__(self, context: object, socket: object, hello: Hello, *rest: object, **named: object) -> None:
            if faults.on("wrong_version"):
                hello = msgspec.structs.replace(hello, protocols=((99, 0),))
            if faults.on("wrong_token"):
                hello = msgspec.structs.replace(hello, token="wrong")
            if faults.on("wrong_name"):
                hello = msgspec.structs.replace(hello, name="impostor")
            if faults.on("stubborn"):
                named["host_wait_s"] = FOREVER_S
            super().__init__(context, socket, hello, *rest, **named)  # type: ignore[arg-type]

        def send(self, message: Message) -> None:
            if faults.on("shrugs") and isinstance(message, Error) and message.id is None:
                return
            super().send(message)

        def answer(self, job: Job, message: Message) -> None:
            if faults.due("mute"):
                return
            if faults.due("garbage") and self._work.claim(job):
                self._outbox.append([random.randbytes(40), random.randbytes(200)])
                self._wake()
                return
            super().answer(job, message)
            if faults.due("double"):
                self.send(message)

        def _receive(self) -> None:
            if not faults.due("deaf"):
                super()._receive()

        def _flush(self) -> None:
            if faults.due("deaf"):
                self._outbox.clear()
            if faults.on("wrong_magic"):
                for frames in self._outbox:
                    frames[0] = b"CTK9"
            super()._flush()

        def _pong(self, ping: Ping, now_ns: int) -> None:
            if not faults.on("no_pong"):
                super()._pong(ping, now_ns)
            if faults.on("loyal"):
                self._stranger = False

        def _drain(self, grace_ms: int, reason: str) -> None:
            if not faults.on("ignore_shutdown"):
                super()._drain(grace_ms, reason)

        def _enqueue(self, request: ForecastRequest, now_ns: int) -> None:
            if faults.on("no_deadline"):
                request = msgspec.structs.replace(request, deadline_ns=2**62)
            super()._enqueue(request, now_ns)

    return FaultyLink


def _print_on() -> None:
    while True:
        os.write(1, b"noise on standard output\n")
        time.sleep(0.01)
