"""The checks that need a model that is ready: what it forecasts, and how it behaves while it does."""

import random
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chronotick.sdk.tiny_host import HOST_INSTANCE, Failed, TinyHost
from chronotick.wire import codec
from chronotick.wire.messages import Cancel, Capabilities, Error, ForecastOk, ForecastRequest, Ping, Pong, Series
from chronotick.wire.validate import check_answer
from chronotick.wire.version import MAGIC

# Two runs of one model may differ by this share of the window's range when its arithmetic is single precision.
ARITHMETIC_TOLERANCE: Final = 2e-3
# A model that scales its input answers a x + b with a f(x) + b up to this share of the range.
SCALING_TOLERANCE: Final = 2e-2
PONG_TIMEOUT_S: Final = 5.0
MEMORY_FORECASTS: Final = 60
MEMORY_SECONDS: Final = 20.0
MEMORY_GROWTH_BYTES: Final = 24 * 1024 * 1024


class Subject:
    """A plugin that is ready, and a way to ask it."""

    def __init__(self, host: TinyHost, capabilities: Capabilities, timeout_s: float) -> None:
        self.host = host
        self.capabilities = capabilities
        self.timeout_s = timeout_s
        self._next_id = 0

    def request(
        self, values: NDArray[np.float64], *, horizon: int = 0, levels: tuple[float, ...] = (), **more: Any
    ) -> ForecastRequest:
        """A request for windows (k, n) or (n,), with a deadline at the time-out unless told otherwise."""
        self._next_id += 1
        deadline_ns = time.monotonic_ns() + int(self.timeout_s * 1e9)
        return ForecastRequest(
            id=self._next_id,
            deadline_ns=more.get("deadline_ns", deadline_ns),
            series=Series(
                t0_ns=1_000_000_000, step_ns=64_000_000_000, values=np.atleast_2d(values), mask=more.get("mask")
            ),
            horizon=horizon or min(self.capabilities.horizon_max, 16),
            levels=levels or self.capabilities.levels,
            covariates=more.get("covariates"),
        )

    def forecast(self, values: NDArray[np.float64], **more: Any) -> NDArray[np.float64]:
        """Quantiles (k, levels, horizon) of these windows, checked.

        Raises:
            Failed: an error came instead. ProtocolError: `bad_output`.
        """
        request = self.request(values, **more)
        self.host.send(request)
        answer = self.host.answer(request.id, self.timeout_s)
        if isinstance(answer, Error):
            raise Failed(f"A forecast was answered with {answer.code}: {answer.message}")
        check_answer(request, answer)
        return answer.quantiles

    def window(self, n: int = 0, *, phase: float = 0.0) -> NDArray[np.float64]:
        """A wandering, noisy wave of `n` points (default: a middling number), always the same for the same phase."""
        offered = self.capabilities
        n = n or max(offered.context_min, min(offered.context_max, 128))
        noise = np.random.default_rng(7).normal(size=n)
        t = np.arange(n) / 24
        return np.sin(2 * np.pi * t + phase) + 0.1 * noise + 0.02 * np.cumsum(noise)

    def error(self, request: ForecastRequest) -> Error:
        """Send a request that must be refused."""
        self.host.send(request)
        answer = self.host.answer(request.id, self.timeout_s)
        if not isinstance(answer, Error):
            raise Failed(f"Request {request.id} was answered with a forecast, expected a refusal.")
        return answer


def shapes(subject: Subject) -> str:
    """Answers have the shape of their question: small, largest window, longest horizon, one level."""
    offered = subject.capabilities
    asked = 0
    for n in {offered.context_min, min(offered.context_max, 100), offered.context_max}:
        for horizon in {1, offered.horizon_max}:
            for levels in (offered.levels, offered.levels[len(offered.levels) // 2 :][:1]):
                subject.forecast(subject.window(max(n, offered.context_min)), horizon=horizon, levels=levels)
                asked += 1
    return f"{asked} combinations of window, horizon and levels."


def batch(subject: Subject) -> str:
    """The largest batch is taken, and a batch says what its windows say one by one."""
    windows = np.stack(
        [subject.window(phase=0.7 * i) * (1.0 + i) for i in range(min(subject.capabilities.batch_max, 4))]
    )
    together = subject.forecast(windows)
    alone = np.concatenate([subject.forecast(one) for one in windows])
    _check_close(together, alone, windows, ARITHMETIC_TOLERANCE, "A batch and its windows one by one")
    largest = np.tile(subject.window(), (min(subject.capabilities.batch_max, 64), 1))
    subject.forecast(largest)
    return f"A batch of {len(windows)} equals its windows; a batch of {len(largest)} is taken."


def deterministic(subject: Subject) -> str:
    """The same question gets the same answer, bit for bit where that is claimed."""
    window = subject.window()
    first = subject.forecast(window)
    subject.forecast(subject.window(phase=1.0))
    second = subject.forecast(window)
    if not subject.capabilities.deterministic:
        return "The plugin does not claim to be deterministic."
    if not np.array_equal(first, second):
        worst = float(np.abs(first - second).max())
        raise Failed(f"Claimed to be deterministic, but two answers to one question differ by {worst:.3g}.")
    return "Two answers to one question are equal bit for bit."


def odd_windows(subject: Subject) -> str:
    """Gaps, constants, steps, outliers, tiny and huge values are forecast without complaint."""
    base = subject.window()
    gaps = base.copy()
    gaps[1 : len(gaps) // 2 : 3] = np.nan
    late = base.copy()
    late[-2:] = np.nan
    early = base.copy()
    early[: len(early) // 2] = np.nan
    spike = base.copy()
    spike[len(spike) // 2] = 1e6
    step = base + np.where(np.arange(len(base)) < len(base) // 2, 0.0, 100.0)
    odd = {
        "with gaps": gaps,
        "ending in a gap": late,
        "beginning with a gap": early,
        "of zeros": np.zeros_like(base),
        "constant": np.full_like(base, 3.25e-6),
        "with a spike": spike,
        "with a step": step,
        "tiny": base * 1e-12,
        "huge": base * 1e9,
        "far from zero": base + 1e4,
        "negative": -base - 5.0,
    }
    for name, window in odd.items():
        try:
            subject.forecast(window)
        except Failed as error:
            raise Failed(f"A window {name}: {error.message}") from error
    if subject.capabilities.covariates:
        _odd_covariates(subject, base)
    return f"{len(odd)} odd windows."


def _odd_covariates(subject: Subject, window: NDArray[np.float64]) -> None:
    """A temperature that begins late and a load that never changes are borne, or refused by their number."""
    degrees = 45.0 + 10.0 * np.roll(window, 3)
    degrees[: len(degrees) // 4] = np.nan
    request = subject.request(window, covariates=np.stack([degrees, np.full(len(window), 0.5)])[np.newaxis])
    subject.host.send(request)
    answer = subject.host.answer(request.id, subject.timeout_s)
    if not isinstance(answer, Error):
        check_answer(request, answer)
    elif answer.code != "bad_window":
        raise Failed(f"Two covariates were answered with {answer.code}: {answer.message}")


def mask(subject: Subject) -> str:
    """What the mask hides has no influence."""
    window = subject.window()
    seen = np.ones_like(window, dtype=bool)
    seen[3::5] = False
    hidden = np.where(seen, window, 1e5)
    first = subject.forecast(window, mask=np.atleast_2d(seen))
    second = subject.forecast(hidden, mask=np.atleast_2d(seen))
    _check_close(first, second, window, ARITHMETIC_TOLERANCE, "Answers to windows that differ only behind the mask")
    return "Values behind the mask have no influence."


def scaling(subject: Subject) -> str:
    """A window in other units gets the same forecast in those units."""
    window = subject.window()
    plain = subject.forecast(window)
    for a, b in ((1e-6, 0.0), (1e3, -2e3), (2.5, 4.0)):
        scaled = (subject.forecast(a * window + b) - b) / a
        _check_close(scaled, plain, window, SCALING_TOLERANCE, f"Forecasts of x and of {a:g} x + {b:g}")
    return "Three changes of units leave the forecast as it is."


def refusals(subject: Subject) -> str:
    """What is outside the capabilities is refused with the right code."""
    offered = subject.capabilities
    window = subject.window()
    bad = {
        "a horizon too long": (subject.request(window, horizon=offered.horizon_max + 1), "bad_horizon"),
        "a window too long": (subject.request(np.zeros(offered.context_max + 1)), "bad_window"),
        "a batch too large": (subject.request(np.tile(window, (offered.batch_max + 1, 1))), "bad_window"),
        "levels out of order": (subject.request(window, levels=(0.9, 0.1)), "bad_levels"),
        "a level of 1": (subject.request(window, levels=(0.5, 1.0)), "bad_levels"),
        "a window of gaps": (subject.request(np.full_like(window, np.nan)), "bad_window"),
        "infinite values": (subject.request(np.full_like(window, np.inf)), "bad_window"),
    }
    if not offered.covariates:
        bad["a covariate"] = (subject.request(window, covariates=np.zeros((1, 1, len(window)))), "bad_window")
    for name, (request, code) in bad.items():
        error = subject.error(request)
        if error.code != code:
            raise Failed(f"{name.capitalize()} was refused with {error.code}, expected {code}.")
    return f"{len(bad)} kinds of bad request are refused."


def deadline(subject: Subject) -> str:
    """A deadline that has passed on arrival is refused without computing."""
    served = _ping(subject).served
    error = subject.error(subject.request(subject.window(), deadline_ns=time.monotonic_ns() - 1))
    if error.code != "deadline_exceeded":
        raise Failed(f"A request after its deadline was answered with {error.code}, expected deadline_exceeded.")
    if _ping(subject).served != served:
        raise Failed("A request after its deadline was computed all the same.")
    return "Refused without computing."


def one_answer_each(subject: Subject) -> str:
    """A crowd of requests, some of them cancelled, gets one answer each; those beyond the queue are refused as busy."""
    requests = [subject.request(subject.window()) for _ in range(24)]
    cancelled = {request.id for request in requests[1::4]}
    for request in requests:
        subject.host.send(request)
        if request.id in cancelled:
            subject.host.send(Cancel(id=request.id))
    codes: list[str] = []
    for request in requests:
        answer = subject.host.answer(request.id, subject.timeout_s)
        codes.append(answer.code if isinstance(answer, Error) else "forecast_ok")
    extra = [message for message in subject.host.take_all(0.3) if isinstance(message, ForecastOk | Error)]
    if extra:
        raise Failed(f"{len(extra)} answers came twice, e.g. to request {extra[0].id}.")
    wrong = set(codes) - {"forecast_ok", "busy", "cancelled"}
    if wrong:
        raise Failed(f"A crowd of requests was answered with {sorted(wrong)}.")
    counted = ", ".join(f"{codes.count(code)} {code}" for code in sorted(set(codes)))
    return f"{len(requests)} requests: {counted}."


def ping_while_busy(subject: Subject) -> str:
    """Ping is answered while the model computes."""
    size = min(subject.capabilities.batch_max, 8)
    windows = np.tile(subject.window(), (size, 1))
    request = subject.request(windows, horizon=subject.capabilities.horizon_max)
    subject.host.send(request)
    slowest_ms = 0.0
    for _ in range(5):
        started = time.monotonic()
        _ping(subject)
        slowest_ms = max(slowest_ms, (time.monotonic() - started) * 1000)
    subject.host.answer(request.id, subject.timeout_s)
    return f"Slowest of 5 pongs: {slowest_ms:.0f} ms."


def garbage(subject: Subject) -> str:
    """Nonsense is answered with an error, and the plugin goes on."""
    rng = random.Random(11)
    nonsense: list[tuple[list[bytes], str]] = [
        ([b"CTK9", b"\x80"], "version_mismatch"),
        ([b"HTTP", b"GET /"], "bad_magic"),
        ([MAGIC, b"\xc1"], "bad_message"),
        ([MAGIC], "bad_message"),
        ([MAGIC, codec.encode(Ping(seq=1, sent_ns=1))[1][:-3]], "bad_message"),
        ([MAGIC, b"\x81\xa4type\xa6gossip"], "unknown_type"),
        ([MAGIC, b"\x81\xa4type\xa8forecast"], "bad_message"),
        ([rng.randbytes(4), rng.randbytes(300)], "bad_magic"),
    ]
    for frames, code in nonsense:
        subject.host.send_frames(frames)
        error = subject.host.expect(Error, min(PONG_TIMEOUT_S, subject.timeout_s))
        if error.code != code:
            raise Failed(f"Frames {frames[0]!r}, {frames[-1][:12]!r} were answered with {error.code}, expected {code}.")
    subject.forecast(subject.window())
    return f"{len(nonsense)} kinds of nonsense were answered, and the next forecast was made."


def memory(subject: Subject) -> str:
    """Memory stays where it is over many forecasts."""
    window = subject.window()
    end = time.monotonic() + MEMORY_SECONDS
    sizes: list[int] = []
    made = 0
    while made < MEMORY_FORECASTS and (time.monotonic() < end or made < 6):
        subject.forecast(window)
        made += 1
        if made in (MEMORY_FORECASTS // 3, 2) or made == MEMORY_FORECASTS:
            sizes.append(_ping(subject).rss_bytes)
    sizes.append(_ping(subject).rss_bytes)
    # From the second reading on where there is one: allocators and caches fill up at first.
    growth = sizes[-1] - sizes[min(1, len(sizes) - 2)]
    if growth > MEMORY_GROWTH_BYTES:
        raise Failed(f"Memory grew by {growth / 2**20:.0f} MiB over {made} forecasts.")
    return f"{made} forecasts, {sizes[-1] / 2**20:.0f} MiB resident, {growth / 2**20:+.1f} MiB."


MODEL_CHECKS: Final[dict[str, Callable[[Subject], str]]] = {
    "shapes": shapes,
    "batch": batch,
    "deterministic": deterministic,
    "odd_windows": odd_windows,
    "mask": mask,
    "scaling": scaling,
    "refusals": refusals,
    "deadline": deadline,
    "one_answer_each": one_answer_each,
    "ping_while_busy": ping_while_busy,
    "garbage": garbage,
    "memory": memory,
}


def _ping(subject: Subject) -> Pong:
    sent_ns = time.monotonic_ns()
    subject.host.send(Ping(seq=sent_ns, sent_ns=sent_ns, host_instance=HOST_INSTANCE))
    while True:
        pong = subject.host.expect(Pong, min(PONG_TIMEOUT_S, subject.timeout_s))
        if pong.seq == sent_ns:
            return pong


def _check_close(
    one: NDArray[np.float64], other: NDArray[np.float64], windows: NDArray[np.float64], tolerance: float, what: str
) -> None:
    reach = np.ptp(np.atleast_2d(windows), axis=1)[:, None, None]
    worst = float((np.abs(one - other) / reach).max())
    if worst > tolerance:
        raise Failed(f"{what} differ by {worst:.2g} of the window's range, expected at most {tolerance:g}.")
