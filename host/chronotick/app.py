"""The host process: the pipeline connected to the network, the models, the snapshot and the sockets.

One event loop does the measuring, the estimating and the publishing. Questions of clients are answered by a thread of
their own from values that are ready, so that nothing in the loop delays an answer; agents mostly do not even ask, they
read the snapshot. Nothing here decides anything about time: that is `core.py` and what it names.
"""

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from pathlib import Path
from typing import Any, Final

import psutil

from chronotick.clock import timebase
from chronotick.clock.discontinuity import Discontinuity, DiscontinuityDetector
from chronotick.config.schema import Config, PluginConfig
from chronotick.core import Core, Question
from chronotick.errors import PluginError, ProtocolError, RuntimeDirError
from chronotick.fusion.types import Status
from chronotick.inputs import Answered, Disrupted, Due, Felt, Heard, Models, Publish, Refused
from chronotick.interop import LOCAL_CHRONYD, ChronydSource, Outputs
from chronotick.ntp.outcome import Outcome
from chronotick.ntp.pool import NtpPool
from chronotick.ntp.view import ServerView
from chronotick.ops import report
from chronotick.ops.descriptors import raise_limit
from chronotick.ops.sdnotify import SdNotify
from chronotick.ops.sensors import Sensors
from chronotick.ops.voice import Voice
from chronotick.plugins.discovery import discover
from chronotick.plugins.states import State
from chronotick.plugins.supervisor import Supervisor
from chronotick.plugins.types import Answer, PluginEvent
from chronotick.publish.events import EventPublisher
from chronotick.publish.publisher import Publisher
from chronotick.serve import AdminVerbs, ClientVerbs, Outlook, Past, Server, Signer, Sources
from chronotick.store import place
from chronotick.store.keeper import Keeper
from chronotick.units import NS_PER_S, s_to_ns
from chronotick.wire import host_key, messages
from chronotick.wire.boot import suspended_ns
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
        self._detector = DiscontinuityDetector()
        self._models = Models()
        self._status_fault = ""
        self._asking: set[asyncio.Task[None]] = set()
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
            own = bool(self._config.publish.runtime_dir)
            folder = place.locate(self._directory.path, self._config.store.state_dir, own_directory=own)
            keeper = Keeper(self._config.store, folder)
            stack.callback(keeper.close)
            self._begin(Publisher(self._directory.snapshot, self._config.publish, self._instance), keeper)
            stack.callback(self._publisher.close)
            self._outputs = Outputs(self._config.interop, self._publisher.record)
            stack.callback(self._outputs.close)
            if self._config.interop.chronyd:
                self._chronyd = ChronydSource(self._config.interop, self._config.ntp, self._on_outcome)
            self._pool = NtpPool(
                self._config.ntp,
                rng_seed=self._instance,
                on_outcome=self._on_outcome,
                rate_bound=self._core.pipeline.tuning.rate_bound,
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

    def _begin(self, publisher: Publisher, keeper: Keeper) -> None:
        """Decide from here on what this publisher publishes, from what `keeper` has kept."""
        self._publisher, self._keeper = publisher, keeper
        self._core = Core(self._config, publisher.issuer)
        self._journal = keeper.begin(self._core)
        self._voice = Voice(self._core, self._notify, self._event, self._sentence)

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
            if self._core.pipeline.covariates.wanted:
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
            self._keeper.tick()
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
            self._journal.feel(Felt(await asyncio.to_thread(sensors.read)))
            await asyncio.sleep(SENSE_S)

    def _on_outcome(self, outcome: Outcome) -> None:
        """An exchange has ended."""
        # A server that asks for fewer polls than configured must not make the silence of all others look like patience.
        longest_s = self._config.ntp.max_poll_s
        polls = [min(view.poll_s, longest_s) for view in self._views() if view.reach]
        taken = self._journal.hear(Heard(timebase.raw_ns(), outcome, max(polls, default=longest_s)))
        self._voice.heard(taken)
        if taken.fix is None or taken.update is None:
            return
        fix, surprise_s = taken.fix, taken.update.innovation_s
        utc_ns = fix.raw_ns + fix.theta_ns
        self._keeper.add((utc_ns, fix.server, fix.theta_ns, fix.delay_s, fix.root_distance_s, surprise_s))
        self._publish()

    def _on_discontinuity(self, found: Discontinuity) -> None:
        self._voice.discontinuity(found)
        if found.disrupts:
            self._journal.disrupt(Disrupted(found.at_raw_ns, found.kind))
            self._publisher.flush()
            self._pool.restart()

    def _publish(self) -> None:
        """Bring the snapshot up to date."""
        issued = self._journal.publish(Publish(timebase.raw_ns(), suspended_ns()))
        self._publisher.flush()
        self._outputs.publish(self._publisher.record)
        self._voice.issued(issued)
        state = self._core.pipeline.state
        if issued.fused is None or state is None:
            return
        fix, current = self._core.pipeline.last_fix, self._publisher.current
        self._event(
            "snapshot",
            {
                "raw_ns": current.raw_ns,
                "theta_ns": current.theta_ns,
                "status": str(issued.status),
                "weights": self._core.weights,
                "floor": {"raw_ns": state.raw_ns, "theta_ns": state.theta_ns, "rate": state.rate},
                "fix": None if fix is None else {"raw_ns": fix.raw_ns, "theta_ns": fix.theta_ns, "server": fix.server},
            },
        )

    def _ask_models(self) -> None:
        """Put the questions that are due to the models that are ready, each in a task of its own."""
        ready = [view for view in self._supervisor.views() if view.state is State.READY]
        models = Models(
            tuple(sorted(view.name for view in ready)),
            tuple((view.name, view.capabilities.levels) for view in ready if view.capabilities is not None),
        )
        if models != self._models:
            self._journal.models(models)
            self._models = models
        mono_ns, state = timebase.mono_ns(), self._core.pipeline.state
        if state is not None:
            due = self._core.pipeline.schedule.due(mono_ns, state.raw_ns)
            self._supervisor.note_use(
                {name: self._core.weights.get(name, 0.0) for name, _ in models.offered}, {role.plugin for role in due}
            )
        for question in self._journal.due(Due(mono_ns)):
            task = asyncio.create_task(self._ask(question), name=f"ask {question.request.plugin}")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, question: Question) -> None:
        request = question.request
        deadline_ns = timebase.mono_ns() + s_to_ns(request.deadline_s)
        answer = await self._supervisor.forecast(request.plugin, request, deadline_ns)
        if isinstance(answer, Answer):
            refused = self._journal.answer(Answered(question.number, answer.quantiles, answer.mean, answer.infer_ms))
        else:
            refused = self._journal.refuse(Refused(question.number, answer.code, answer.message))
        self._voice.refused(refused)

    def _on_plugin(self, event: PluginEvent) -> None:
        self._event("plugin", {"name": event.name, "state": event.state.value, "detail": event.detail})

    def _plugins(self) -> tuple[PluginConfig, ...]:
        """The configured plugins, and those that only a role names."""
        named = {plugin.name for plugin in self._config.plugins}
        asked = dict.fromkeys(role.plugin for role in self._core.pipeline.roles)
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
        raw_ns, bound = timebase.raw_ns(), self._core.pipeline.tuning.rate_bound
        states = (one for one in self._core.pipeline.associations.servers if one.name == LOCAL_CHRONYD)
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
        forecasts = report.forecasts_section(self._core.pipeline)
        self._voice.look(all_asked=all(view.accepted or view.reason for view in self._pool.snapshot()))
        self._report = {
            "host": host,
            "clock": report.clock_section(
                self._core.pipeline,
                self._publisher.record,
                self._core.status,
                raw_ns,
                pair.realtime_ns,
                self._sentence(),
            ),
            "sources": report.sources_section(views, self._core.selection),
            "plugins": report.plugins_section(self._supervisor.views(), self._core.weights),
            "forecasts": forecasts,
        }
        self._explanation = report.explanation(self._sentence(), self._core.weights, forecasts["candidates"])

    def _look_ahead(self, raw_ns: int) -> Outlook | None:
        """How the floor's estimate spreads from here on; a model's gain is not counted on that far ahead."""
        state, intervals = self._core.pipeline.state, self._core.pipeline.fusion.intervals
        if state is None:
            return None

        def spread(at_raw_ns: int) -> tuple[float, float]:
            sigma_s = state.sigma_s(at_raw_ns)
            return sigma_s, sigma_s * intervals.multiplier(max(state.ahead_s(at_raw_ns), 0.0), 0.0)

        return Outlook.of(raw_ns, spread)

    def _sentence(self) -> str:
        age_s = (timebase.raw_ns() - self._core.condition.fix_raw_ns) / NS_PER_S
        return report.sentence(self._core.status, self._core.selection, self._views(), age_s)

    def _history(self, question: messages.History) -> tuple[tuple[str, ...], list[list[Any]], bool]:
        if question.series != "fixes":
            raise ProtocolError(Code.BAD_MESSAGE, f"There is no series {question.series[:32]!r}, only fixes.")
        rows = self._keeper.history(question.since_utc_ns, question.until_utc_ns, question.limit + 1)
        return HISTORY_COLUMNS, [list(row) for row in rows[-question.limit :]], len(rows) > question.limit

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

    def _event(self, topic: messages.Topic, body: dict[str, Any]) -> None:
        current = self._publisher.current
        utc_ns = 0 if current.status is Status.UNKNOWN else current.raw_ns + current.theta_ns
        self._events.publish(topic, utc_ns, body)
