"""The host process: the pipeline connected to the network, the models, the snapshot and the sockets.

One event loop does the measuring, the estimating and the publishing. Questions of clients are answered by a thread of
their own from values that are ready, so that nothing in the loop delays an answer; agents mostly do not even ask, they
read the snapshot. Nothing here decides anything about time: that is `pipeline.py` and what it names.
"""

import asyncio
import contextlib
import logging
import math
import secrets
import signal
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from chronotick.clock import timebase
from chronotick.clock.discontinuity import Discontinuity, DiscontinuityDetector
from chronotick.config.schema import Config, PluginConfig
from chronotick.errors import PluginError, ProtocolError, RuntimeDirError
from chronotick.forecast.request import Request
from chronotick.forecast.types import Refusal
from chronotick.fusion.hard import HardUpdate
from chronotick.fusion.types import Status
from chronotick.interop import LOCAL_CHRONYD, ChronydSource, Outputs
from chronotick.ntp.outcome import Outcome
from chronotick.ntp.pool import NtpPool
from chronotick.ntp.select import Selection, Verdict
from chronotick.ntp.view import ServerView
from chronotick.ops import report
from chronotick.ops.descriptors import raise_limit
from chronotick.ops.sdnotify import SdNotify
from chronotick.ops.sensors import Sensors
from chronotick.pipeline import Pipeline, Taken
from chronotick.plugins.discovery import discover
from chronotick.plugins.states import State
from chronotick.plugins.supervisor import Supervisor
from chronotick.plugins.types import Answer, PluginEvent
from chronotick.publish.condition import SETTLED_FIXES, Condition
from chronotick.publish.events import EventPublisher
from chronotick.publish.publisher import Publisher
from chronotick.publish.types import HardBound
from chronotick.serve import AdminVerbs, ClientVerbs, Outlook, Past, Server, Signer, Sources
from chronotick.units import NS_PER_S, PPM, s_to_ns
from chronotick.wire import host_key, messages
from chronotick.wire.codes import Code
from chronotick.wire.keys import load_server_keys
from chronotick.wire.runtime_dir import RuntimeDir
from chronotick.wire.sockets import ipc_endpoint

log: logging.Logger = logging.getLogger("chronotick.host")

# The status that clients are told is made anew this often, s.
REPORT_S: Final = 1.0
# Temperature and load are read this often where a role uses covariates, s.
SENSE_S: Final = 1.0
# A command that the loop has not taken up by then is given up, s.
COMMAND_S: Final = 5.0
# Fixes that `history` can tell of.
HISTORY_FIXES: Final = 2048
HISTORY_COLUMNS: Final = ("utc_ns", "server", "theta_ns", "delay_s", "root_distance_s", "innovation_s")


class App:
    """One run of the host."""

    def __init__(self, config: Config, directory: RuntimeDir) -> None:
        self._config = config
        self._directory = directory
        self._instance = secrets.randbits(63)
        self._begun_s = psutil.Process().create_time()
        self._ready_s: float | None = None
        self._stop = asyncio.Event()
        self._pipeline = Pipeline(config)
        self._condition = Condition(config.clock.void_after_s, config.ntp.timeout_s)
        self._detector = DiscontinuityDetector()
        self._selection: Selection | None = None
        self._status = Status.UNKNOWN
        self._weights: dict[str, float] = {}
        self._warmed = 0
        self._rate_told = False
        self._complaint = self._status_fault = ""
        self._asking: set[asyncio.Task[None]] = set()
        self._fixes: deque[tuple[int, str, int, float, float, float]] = deque(maxlen=HISTORY_FIXES)
        self._meter = report.HostMeter()
        self._report: dict[str, Any] = {}
        self._explanation: tuple[tuple[str, ...], dict[str, Any]] = ((), {})
        self._notify = SdNotify()
        self._chronyd: ChronydSource | None = None
        self._past = Past()
        self._outlook: Outlook | None = None

    async def run(self) -> None:
        """Run until SIGTERM, SIGINT or the admin command `shutdown`.

        Raises:
            RuntimeDirError: another host runs in this directory, or a socket can not be bound.
            ConfigError: a server's name can not be read.
        """
        raise_limit()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        with contextlib.ExitStack() as stack:
            lock = stack.enter_context(self._directory.lock())
            self._events = EventPublisher(ipc_endpoint(self._directory.events), lock=lock)
            stack.callback(self._events.close)
            self._publisher = Publisher(self._directory.snapshot, self._config.publish, self._instance)
            stack.callback(self._publisher.close)
            self._outputs = Outputs(self._config.interop, self._publisher.record)
            stack.callback(self._outputs.close)
            if self._config.interop.chronyd:
                self._chronyd = ChronydSource(self._config.interop, self._config.ntp, self._on_outcome)
            self._pool = NtpPool(
                self._config.ntp,
                rng_seed=self._instance,
                on_outcome=self._on_outcome,
                rate_bound=self._pipeline.tuning.rate_bound,
            )
            self._supervisor = Supervisor(
                discover().manifests,
                self._plugins(),
                self._directory,
                lock,
                self._on_plugin,
                host_instance=self._instance,
                log_level=self._config.log.level,
            )
            self._look()
            sources = Sources(
                record=self._publisher.awake_record,
                status=lambda: self._report,
                history=self._history,
                explain=lambda: self._explanation,
                outlook=lambda: self._outlook,
                past=self._past,
                signer=self._signer(),
            )
            commands = AdminVerbs(
                {
                    "shutdown": lambda _: self._shut_down(loop),
                    "restart_plugin": lambda given: self._restart_plugin(loop, given),
                }
            )
            for path, verbs in ((self._directory.admin, commands), (self._directory.client, ClientVerbs(sources))):
                server = Server(ipc_endpoint(path), verbs, name=f"serve {path.name}", lock=lock)
                stack.callback(server.stop)
                server.start()
            if self._config.serve.endpoint:
                keys = load_server_keys(
                    Path(self._config.serve.secret_key_file), Path(self._config.serve.allowed_keys_dir)
                )
                server = Server(self._config.serve.endpoint, ClientVerbs(sources), name="serve tcp", keys=keys)
                stack.callback(server.stop)
                server.start()
            await self._work()
        log.info("stopped")

    async def _work(self) -> None:
        self._ready_s = time.time() - self._begun_s
        log.info(
            "ready",
            extra={
                "ready_s": round(self._ready_s, 3),
                "servers": len(self._config.ntp.servers),
                "in": self._directory.path,
            },
        )
        self._notify.send(READY=1, STATUS="measuring")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._supervisor.run(), name="plugins")
            workers = [
                tasks.create_task(self._pool.run(), name="ntp"),
                tasks.create_task(self._tick(), name="tick"),
            ]
            if self._pipeline.covariates.wanted:
                workers.append(tasks.create_task(self._sense(), name="sensors"))
            if self._chronyd is not None:
                workers.append(tasks.create_task(self._chronyd.run(), name="chronyd"))
            await self._stop.wait()
            self._notify.send(STOPPING=1)
            for worker in (*workers, *self._asking):
                worker.cancel()
            await self._supervisor.stop()

    async def _tick(self) -> None:
        """Look at the clocks, publish, ask models, and renew the status, at the pace of `publish.interval_s`."""
        interval_s = self._config.publish.interval_s
        loop = asyncio.get_running_loop()
        watchdog_s = (self._notify.watchdog_s or 0) / 2
        fed_s = reported_s = 0.0
        due_s = loop.time()
        while True:
            clocks = timebase.reading()
            if (found := self._detector.feed(clocks)) is not None:
                self._on_discontinuity(found)
            self._publish()
            self._past.feed(self._publisher.record, clocks)
            self._ask_models()
            now_s = loop.time()
            if now_s - reported_s >= min(REPORT_S, 5 * interval_s):
                reported_s = now_s
                self._renew_status()
            if watchdog_s and now_s - fed_s >= watchdog_s:
                fed_s = now_s
                self._notify.send(WATCHDOG=1)
            due_s = max(due_s + interval_s, now_s)
            await asyncio.sleep(due_s - now_s)

    async def _sense(self) -> None:
        """Read the sensors for ever, in a thread: some take their time."""
        sensors = Sensors()
        while True:
            self._pipeline.covariates.take(await asyncio.to_thread(sensors.read))
            await asyncio.sleep(SENSE_S)

    def _on_outcome(self, outcome: Outcome) -> None:
        """An exchange has ended: the way of every measurement into the pipeline."""
        taken = self._pipeline.take(outcome, timebase.raw_ns())
        self._follow_vote(taken)
        if taken.fix is None or taken.update is None:
            return
        # A server that asks for fewer polls than configured must not make the silence of all others look like patience.
        longest_s = self._config.ntp.max_poll_s
        polls = [min(view.poll_s, longest_s) for view in self._views() if view.reach]
        self._condition.on_fix(taken.fix.raw_ns, max(polls, default=longest_s))
        if taken.hard is HardUpdate.CONTRADICTED:
            self._on_contradiction(taken.fix.server)
        fix, surprise_s = taken.fix, taken.update.innovation_s
        utc_ns = fix.raw_ns + fix.theta_ns
        self._fixes.append((utc_ns, fix.server, fix.theta_ns, fix.delay_s, fix.root_distance_s, surprise_s))
        self._publish()

    def _follow_vote(self, taken: Taken) -> None:
        before, self._selection = self._selection, taken.selection
        verdict = taken.selection.verdict
        if before is None or before.verdict is not verdict:
            level = logging.INFO if verdict is Verdict.AGREED else logging.WARNING
            log.log(level, "vote: %s", verdict.value.replace("_", " "), extra={"agree": len(taken.selection.survivors)})
            self._events.publish("ntp", self._utc_ns(), {"verdict": verdict.value})

    def _on_contradiction(self, server: str) -> None:
        """Two majorities that can not both have been right, or an oscillator that breaks its bound."""
        found = self._pipeline.hard.contradictions
        log.warning("the hard interval was contradicted and begins anew", extra={"by": server, "times": found})
        self._events.publish("alarm", self._utc_ns(), {"kind": "contradiction", "server": server, "times": found})

    def _on_discontinuity(self, found: Discontinuity) -> None:
        log.warning("clock discontinuity: %s", found.kind.value, extra={"size_s": found.size_s})
        self._events.publish("alarm", self._utc_ns(), msgspec.to_builtins(found))
        if found.disrupts:
            self._pipeline.disrupt(found.at_raw_ns, found.kind)
            self._condition.on_discontinuity()
            self._pool.restart()
            if self._publisher.resumed:
                # Nothing was measured yet: what the last host left would go on, on a clock that it does not fit.
                self._publisher.publish_unknown()

    def _publish(self) -> None:
        """Bring the snapshot up to date."""
        raw_ns = timebase.raw_ns()
        state = self._pipeline.state
        status = self._condition.at(raw_ns, state)
        bound = self._pipeline.hard.at(raw_ns)
        fused = None
        if status is not Status.UNKNOWN and bound is not None:
            fused = self._pipeline.estimate(raw_ns, raw_ns + s_to_ns(self._config.publish.interval_s))
        if fused is None or bound is None or state is None:
            self._publish_unknown()
            return
        try:
            self._publisher.publish(
                fused,
                HardBound(raw_ns, *bound, growth=self._pipeline.hard.rate_bound),
                status=status,
                fix_raw_ns=self._condition.fix_raw_ns,
                void_raw_ns=self._condition.void_raw_ns,
                epoch=state.epoch,
            )
        except ValueError as error:
            # Servers whose time leaps by years lead to rates that are no clock's: no time then, but still a host.
            if self._status is not Status.UNKNOWN:
                log.error("the estimate can not be published: %s", error)
            self._publish_unknown()
            return
        self._outputs.publish(self._publisher.record)
        self._weights = dict(fused.weights)
        self._follow_status(status)
        fix = self._pipeline.last_fix
        self._events.publish(
            "snapshot",
            self._utc_ns(),
            {
                "raw_ns": self._publisher.current.raw_ns,
                "theta_ns": self._publisher.current.theta_ns,
                "status": str(status),
                "weights": self._weights,
                "floor": {"raw_ns": state.raw_ns, "theta_ns": state.theta_ns, "rate": state.rate},
                "fix": None if fix is None else {"raw_ns": fix.raw_ns, "theta_ns": fix.theta_ns, "server": fix.server},
            },
        )

    def _publish_unknown(self) -> None:
        # What the last host left still stands until this one knows better; an unknown is said once.
        if not self._publisher.resumed and self._publisher.current.status is not Status.UNKNOWN:
            self._publisher.publish_unknown(fix_raw_ns=self._condition.fix_raw_ns)
        self._outputs.publish(self._publisher.record)
        self._follow_status(Status.UNKNOWN)

    def _follow_status(self, status: Status) -> None:
        before, self._status = self._status, status
        if status is not before:
            level = logging.INFO if status is Status.SYNCHRONISED else logging.WARNING
            log.log(level, "%s: %s", status.value, self._sentence())
            self._notify.send(STATUS=f"{status.value}: {self._sentence()}")

    def _follow_rate(self) -> None:
        """Say it once when the oscillator is proved worse than the hard interval assumes."""
        state, bound = self._pipeline.state, self._pipeline.tuning.rate_bound
        if state is None or self._rate_told or state.fixes < SETTLED_FIXES:
            return
        if abs(state.rate) - 3 * state.widen * math.sqrt(state.variance[2]) > bound:
            self._rate_told = True
            log.warning(
                "the oscillator is %.1f ppm off, beyond the bound of %.1f ppm: the hard interval can miss true time. "
                "Raise clock.rate_bound_ppm.",
                state.rate / PPM,
                bound / PPM,
            )
            self._events.publish("alarm", self._utc_ns(), {"kind": "rate_bound", "rate": state.rate, "bound": bound})

    def _follow_silence(self) -> None:
        """While no time is known, say why, and again when the reason changes."""
        why = self._sentence()
        if self._status is Status.UNKNOWN and why != self._complaint and self._pool_was_asked():
            log.warning("%s: %s", Status.UNKNOWN.value, why)
            self._notify.send(STATUS=f"{Status.UNKNOWN.value}: {why}")
            self._complaint = why

    def _pool_was_asked(self) -> bool:
        return all(view.accepted or view.reason for view in self._pool.snapshot())

    def _follow_warm_up(self) -> None:
        """Say each quarter of the warm-up once."""
        warm = report.warm_up(self._pipeline)
        quarter = int(4 * warm["progress"])
        if quarter > self._warmed:
            log.info("warm-up: %d %% done", 25 * quarter, extra={"remaining_s": warm["remaining_s"]})
        self._warmed = quarter

    def _ask_models(self) -> None:
        """Put the questions that are due to the models that are ready, each in a task of its own."""
        ready = [view for view in self._supervisor.views() if view.state is State.READY]
        levels = {view.name: view.capabilities.levels for view in ready if view.capabilities is not None}
        mono_ns, state = timebase.mono_ns(), self._pipeline.state
        if state is not None:
            due = self._pipeline.schedule.due(mono_ns, state.raw_ns)
            self._supervisor.note_use(
                {name: self._weights.get(name, 0.0) for name in levels}, {role.plugin for role in due}
            )
        for request in self._pipeline.due(mono_ns, frozenset(view.name for view in ready), levels):
            task = asyncio.create_task(self._ask(request), name=f"ask {request.plugin}")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, request: Request) -> None:
        deadline_ns = timebase.mono_ns() + s_to_ns(request.deadline_s)
        answer = await self._supervisor.forecast(request.plugin, request, deadline_ns)
        if isinstance(answer, Answer):
            refused = self._pipeline.answer(request, answer.quantiles, answer.mean, answer.infer_ms)
        else:
            refused = self._pipeline.refuse(Refusal(request.plugin, request.roles, answer.code, answer.message))
        if refused is not None:
            log.info("forecast refused", extra={"model": refused.model, "code": refused.code, "why": refused.reason})

    def _on_plugin(self, event: PluginEvent) -> None:
        self._events.publish(
            "plugin", self._utc_ns(), {"name": event.name, "state": event.state.value, "detail": event.detail}
        )

    def _plugins(self) -> tuple[PluginConfig, ...]:
        """The configured plugins, and those that only a role names."""
        named = {plugin.name for plugin in self._config.plugins}
        asked = dict.fromkeys(role.plugin for role in self._pipeline.roles)
        return (*self._config.plugins, *(PluginConfig(name=name) for name in asked if name not in named))

    def _signer(self) -> Signer | None:
        path = host_key.locate(
            self._directory.path,
            self._config.serve.stamp_key_file,
            own_directory=bool(self._config.publish.runtime_dir),
        )
        try:
            return Signer(host_key.load_or_create(path))
        except RuntimeDirError as error:
            # Time is worth more than stamps: the host runs, and says to whoever asks for one why there is none.
            log.warning("stamps can not be signed: %s", error)
            return None

    def _views(self) -> tuple[ServerView, ...]:
        """All sources at this moment: the servers, and a chronyd that is asked."""
        chronyd, servers = self._chronyd, self._pool.snapshot()
        if chronyd is None:
            return servers
        raw_ns, bound = timebase.raw_ns(), self._pipeline.tuning.rate_bound
        states = (one for one in self._pipeline.associations.servers if one.name == LOCAL_CHRONYD)
        return (*servers, *(chronyd.view(state, raw_ns, bound) for state in states))

    def _renew_status(self) -> None:
        try:
            self._look()
        except Exception as error:
            # Whatever it was (no descriptor left, a file of the environment gone): time is worth more than its status.
            fault = repr(error)
            if fault != self._status_fault:
                log.exception("the status could not be renewed")
            self._status_fault = fault
        else:
            self._status_fault = ""

    def _look(self) -> None:
        """Make the status that clients are told."""
        raw_ns, pair = timebase.raw_ns(), timebase.pair()
        views = self._views()
        host = self._meter.section(instance=self._instance, uptime_s=time.time() - self._begun_s, ready_s=self._ready_s)
        self._outlook = self._look_ahead(raw_ns)
        forecasts = report.forecasts_section(self._pipeline)
        self._follow_warm_up()
        self._follow_silence()
        self._follow_rate()
        self._report = {
            "host": host,
            "clock": report.clock_section(
                self._pipeline, self._publisher.record, self._status, raw_ns, pair.realtime_ns, self._sentence()
            ),
            "sources": report.sources_section(views, self._selection),
            "plugins": report.plugins_section(self._supervisor.views(), self._weights),
            "forecasts": forecasts,
        }
        chain = (
            self._sentence(),
            *(f"{one['candidate']} at {one['horizon_s']:g} s: {one['reason']}" for one in forecasts["candidates"]),
        )
        self._explanation = (chain, {"weights": self._weights, "candidates": forecasts["candidates"]})

    def _look_ahead(self, raw_ns: int) -> Outlook | None:
        """How the floor's estimate spreads from here on; a model's gain is not counted on that far ahead."""
        state, intervals = self._pipeline.state, self._pipeline.fusion.intervals
        if state is None:
            return None

        def spread(at_raw_ns: int) -> tuple[float, float]:
            sigma_s = state.sigma_s(at_raw_ns)
            return sigma_s, sigma_s * intervals.multiplier(max(state.ahead_s(at_raw_ns), 0.0), 0.0)

        return Outlook.of(raw_ns, spread)

    def _sentence(self) -> str:
        age_s = (timebase.raw_ns() - self._condition.fix_raw_ns) / NS_PER_S
        return report.sentence(self._status, self._selection, self._views(), age_s)

    def _history(self, question: messages.History) -> tuple[tuple[str, ...], list[list[Any]], bool]:
        if question.series != "fixes":
            raise ProtocolError(Code.BAD_MESSAGE, f"There is no series {question.series[:32]!r}, only fixes.")
        rows = [list(row) for row in tuple(self._fixes) if question.since_utc_ns <= row[0] <= question.until_utc_ns]
        return HISTORY_COLUMNS, rows[-question.limit :], len(rows) > question.limit

    def _shut_down(self, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
        loop.call_soon_threadsafe(self._stop.set)
        return {"stopping": True}

    def _restart_plugin(self, loop: asyncio.AbstractEventLoop, arguments: dict[str, Any]) -> dict[str, Any]:
        """From the thread of the admin socket: the supervisor belongs to the loop, which answers within a turn."""
        name = str(arguments.get("name", ""))

        async def restart() -> None:
            self._supervisor.restart(name)

        try:
            asyncio.run_coroutine_threadsafe(restart(), loop).result(COMMAND_S)
        except PluginError as error:
            raise ProtocolError(Code.BAD_MESSAGE, error.message, mend=error.mend) from error
        return {"name": name, "restarting": True}

    def _utc_ns(self) -> int:
        current = self._publisher.current
        return 0 if current.status is Status.UNKNOWN else current.raw_ns + current.theta_ns
