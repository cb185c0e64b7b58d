"""Does a plugin keep the protocol? Named checks over a running one, each with a verdict and a sentence.

`check_plugin` starts the plugin's command as the host would, with a host of its own (`tiny_host`). A plugin that is not
ready (no weights, say) fails the check `ready` with its own words, and what needs a model is skipped.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Literal

from msgspec import Struct

from chronotick.errors import ProtocolError
from chronotick.sdk.conformance_model import MODEL_CHECKS, Subject
from chronotick.sdk.tiny_host import HOST_INSTANCE, Failed, TinyHost, Unanswered
from chronotick.wire.launch import (
    EXIT_CLEAN,
    EXIT_DO_NOT_RESTART,
    EXIT_HOST_UNREACHABLE,
    EXIT_INTERNAL,
    EXIT_LIFELINE_LOST,
)
from chronotick.wire.messages import Bye, Capabilities, Error, Hello, Ping, Scalar, Shutdown, Status
from chronotick.wire.validate import check_levels
from chronotick.wire.version import MAJOR

Verdict = Literal["pass", "fail", "skip"]
# A plugin says hello to a new host within this time.
NEW_HOST_S: Final = 3.0

Talk = Callable[[TinyHost, "Settings"], str]


class Check(Struct, frozen=True):
    """The outcome of one check. `sentence` says what was seen."""

    name: str
    verdict: Verdict
    sentence: str
    seconds: float


class Settings(Struct, frozen=True, kw_only=True):
    """How to ask.

    Attributes:
        name: that hello must say; "" for any.
        params, seed, threads: as the host would give them.
        start_timeout_s: from start to ready.
        answer_timeout_s: for one forecast.
        exit_timeout_s: for the end of the process after shutdown.
    """

    name: str = ""
    params: dict[str, Scalar] = {}
    seed: int = 1
    threads: int = 1
    start_timeout_s: float = 120.0
    answer_timeout_s: float = 60.0
    exit_timeout_s: float = 10.0


class Skipped(Exception):
    """A check that does not apply. Its text says why."""


def check_plugin(
    argv: Sequence[str],
    settings: Settings | None = None,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    only: Sequence[str] = (),
) -> list[Check]:
    """Run all checks, or `only` those named, against a launch command: four short starts and a whole one at most."""
    settings = settings or Settings()
    checks: list[Check] = []

    def wanted(name: str) -> bool:
        return not only or name in only

    def run(name: str, talk: Callable[[], str]) -> None:
        started = time.monotonic()
        verdict: Verdict = "pass"
        try:
            sentence = talk()
        except (Failed, ProtocolError) as error:
            verdict, sentence = "fail", str(error)
        except Skipped as reason:
            verdict, sentence = "skip", str(reason)
        checks.append(Check(name, verdict, sentence, time.monotonic() - started))

    with TinyHost(argv, env=env, cwd=cwd) as host:
        for name in filter(wanted, START_CHECKS):
            run(name, partial(START_CHECKS[name], host, settings))
        needing_ready = [name for name in (*MODEL_CHECKS, *END_CHECKS) if wanted(name)]
        if not needing_ready and not wanted("ready"):
            return checks
        subjects: list[Subject] = []
        run("ready", lambda: _become_ready(host, settings, subjects))
        for name in needing_ready:
            if not subjects:
                run(name, partial(_skip, "The plugin did not become ready."))
            elif host.process is None or host.process.poll() is not None:
                run(name, partial(_skip, "The process has ended in an earlier check."))
            elif name in MODEL_CHECKS:
                run(name, partial(MODEL_CHECKS[name], subjects[0]))
            else:
                run(name, partial(END_CHECKS[name], host, settings))
    return checks


def handshake(host: TinyHost, settings: Settings) -> str:
    """The plugin speaks first, says who it is, and gives its token back."""
    host.start()
    hello = host.hello(settings.start_timeout_s)
    _check_hello(host, hello, settings)
    return f"{hello.name} {hello.version} said hello, Python {hello.python}."


def wrong_version(host: TinyHost, settings: Settings) -> str:
    """A host that picks a version the plugin does not speak is refused, for good."""
    host.start()
    host.hello(settings.start_timeout_s)
    host.welcome(protocol=(MAJOR + 98, 0))
    error = host.expect(Error, settings.exit_timeout_s)
    if error.code != "version_mismatch":
        raise Failed(f"Protocol {MAJOR + 98} was answered with {error.code}, expected version_mismatch.")
    _check_exit(host, EXIT_DO_NOT_RESTART, settings)
    return "Refused with version_mismatch and exit code 78."


def host_death(host: TinyHost, settings: Settings) -> str:
    """The plugin goes when the host's end of the lifeline closes."""
    host.start()
    host.hello(settings.start_timeout_s)
    started = time.monotonic()
    host.cut_lifeline()
    _check_exit(host, EXIT_LIFELINE_LOST, settings)
    return f"Gone {(time.monotonic() - started) * 1000:.0f} ms after the host, exit code 75."


def host_absent(host: TinyHost, settings: Settings) -> str:
    """The plugin gives up when nobody answers."""
    host.start(host_wait_s=0.5, endpoint=host.endpoint + ".absent")
    code = host.wait_exit(settings.start_timeout_s)
    if code != EXIT_HOST_UNREACHABLE:
        raise Failed(f"Without a host the exit code was {code}, expected {EXIT_HOST_UNREACHABLE}.")
    return "Gave up with exit code 69."


def stdout_clean(host: TinyHost, settings: Settings) -> str:
    """Nothing reaches standard output, whatever the libraries print."""
    text = host.output("stdout")
    if text:
        raise Failed(f"Standard output has {len(text)} characters, beginning {text[:60]!r}.")
    return "Standard output is empty."


def new_host(host: TinyHost, settings: Settings) -> str:
    """A ping from a host that the plugin has not met makes it say hello, and tell its state after the welcome."""
    end = time.monotonic() + NEW_HOST_S
    while True:
        # Again and again, as a host does: a plugin also says hello to a host that has fallen silent.
        host.send(Ping(seq=1, sent_ns=time.monotonic_ns(), host_instance=HOST_INSTANCE + 1))
        try:
            _check_hello(host, host.expect(Hello, 0.5), settings)
            break
        except Unanswered:
            if time.monotonic() >= end:
                raise Failed(f"No hello to a new host within {NEW_HOST_S:g} s.") from None
    host.welcome(settings.params, seed=settings.seed, threads=settings.threads, host_instance=HOST_INSTANCE + 1)
    status = host.expect(Status, 10.0)
    if status.state != "ready" or status.capabilities is None:
        raise Failed(f"After the new welcome the plugin said {status.state}, expected ready with capabilities.")
    return "Said hello to the new host and told it that it is ready."


def clean_exit(host: TinyHost, settings: Settings) -> str:
    """Shutdown is answered with bye and exit code 0."""
    host.send(Shutdown(grace_ms=int(settings.exit_timeout_s * 500), reason="check"))
    bye = host.expect(Bye, settings.exit_timeout_s)
    if bye.exit_code != EXIT_CLEAN:
        raise Failed(f"Bye announced exit code {bye.exit_code}, expected 0.")
    _check_exit(host, EXIT_CLEAN, settings)
    return "Said bye and exited with code 0."


START_CHECKS: Final[dict[str, Talk]] = {
    "handshake": handshake,
    "wrong_version": wrong_version,
    "host_death": host_death,
    "host_absent": host_absent,
}
END_CHECKS: Final[dict[str, Talk]] = {"new_host": new_host, "stdout_clean": stdout_clean, "clean_exit": clean_exit}


def _become_ready(host: TinyHost, settings: Settings, subjects: list[Subject]) -> str:
    host.start()
    _check_hello(host, host.hello(settings.start_timeout_s), settings)
    host.welcome(settings.params, seed=settings.seed, threads=settings.threads)
    seen = host.ready(settings.start_timeout_s)
    last = seen[-1]
    if last.state == "failed":
        error = last.error
        if error is None:
            raise Failed("The plugin failed to load and gave no error.")
        expected = EXIT_INTERNAL if error.retryable else EXIT_DO_NOT_RESTART
        code = host.wait_exit(settings.exit_timeout_s)
        wrong = "" if code == expected else f" Its exit code was {code}, expected {expected}."
        raise Failed(f"{error.code}: {error.message}{wrong}", mend=error.mend)
    progress = [status.progress for status in seen]
    if progress != sorted(progress):
        raise Failed(f"Progress went backwards: {progress}.")
    if last.capabilities is None:
        raise Failed("Ready came without capabilities.")
    _check_capabilities(last.capabilities)
    subjects.append(Subject(host, last.capabilities, settings.answer_timeout_s))
    return f"{last.capabilities.model_id or 'A model without a name'} on {last.capabilities.device}."


def _check_capabilities(offered: Capabilities) -> None:
    check_levels(offered.levels)
    if not 1 <= offered.context_min <= offered.context_max:
        raise Failed(f"Contexts from {offered.context_min} to {offered.context_max} are no range.")
    if offered.horizon_max < 1 or offered.batch_max < 1:
        raise Failed(f"horizon_max is {offered.horizon_max}, batch_max {offered.batch_max}; both must be at least 1.")


def _check_hello(host: TinyHost, hello: Hello, settings: Settings) -> None:
    if settings.name and hello.name != settings.name:
        raise Failed(f"Hello says the name {hello.name!r}, expected {settings.name!r}.")
    if hello.token != host.token:
        raise Failed("Hello carries a wrong token.")
    if hello.instance != host.instance:
        raise Failed(f"Hello says instance {hello.instance!r}, expected {host.instance!r}.")
    if host.process is not None and hello.pid != host.process.pid:
        raise Failed(f"Hello says process {hello.pid}, expected {host.process.pid}: is there a wrapper around it?")
    if MAJOR not in {major for major, _ in hello.protocols}:
        raise Failed(f"Hello offers the protocols {hello.protocols}, expected {MAJOR} among them.")


def _check_exit(host: TinyHost, expected: int, settings: Settings) -> None:
    code = host.wait_exit(settings.exit_timeout_s)
    if code != expected:
        raise Failed(f"The exit code was {code}, expected {expected}.")


def _skip(reason: str) -> str:
    raise Skipped(reason)
