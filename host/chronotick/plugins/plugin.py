"""One plugin's life, driven by the transition table: its environment, its process, its handshake, its deaths.

Everything that happens (a message, a timer, the end of the process, a wish) becomes an event; the table says what
follows. Events that arise while one is being handled wait for their turn. All of it runs on the event loop's thread.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chronotick.config.schema import PluginConfig
from chronotick.errors import ProtocolError
from chronotick.plugins.backoff import Record, Verdict, describe_exit, judge
from chronotick.plugins.dialogue import Dialogue
from chronotick.plugins.environment import check_environment, fingerprint
from chronotick.plugins.handshake import check_hello, model_params
from chronotick.plugins.incarnation import Incarnation
from chronotick.plugins.link import Sent
from chronotick.plugins.manifest import Manifest, claims_unmet
from chronotick.plugins.states import RUNNING, Action, At, Event, State, step
from chronotick.plugins.surroundings import Surroundings
from chronotick.plugins.timers import Timers
from chronotick.plugins.types import Answer, Ask, PluginEvent, PluginView, Refusal
from chronotick.units import NS_PER_S
from chronotick.wire.codes import Code, Reaction, rule_for
from chronotick.wire.limits import MAX_MESSAGE_BYTES
from chronotick.wire.messages import Bye, Error, ForecastOk, Hello, Message, Ping, Pong, Shutdown, Status, Welcome
from chronotick.wire.version import MAJOR

_BAD: Final = frozenset({State.SUSPECT, State.DEAD, State.ENV_BROKEN, State.INCOMPATIBLE, State.QUARANTINED})
# The plugin leaves by itself within this share of the time after which it is killed.
_GRACE_SHARE: Final = 0.8
# How long the last message of a process may take to be read after its end, s.
LAST_MESSAGE_S: Final = 0.25


class Plugin:
    """One configured plugin. Create it within a running event loop, then `start`."""

    def __init__(self, manifest: Manifest, config: PluginConfig, around: Surroundings) -> None:
        self.manifest: Manifest = manifest
        self._config, self._around = config, around
        self.name: str = manifest.name
        self._logger = logging.getLogger(f"chronotick.plugin.{self.name}")
        self._dialogue = Dialogue(self.name, manifest.limits.queue, around, self._logger, self._feed)
        self._at = At(State.STOPPED, time.monotonic_ns())
        self._events: deque[tuple[Event, str, str]] = deque()
        self._handling = False
        self._detail, self._mend, self._progress = "", "", 0.0
        self._timers = Timers()
        self._stopped = asyncio.Event()
        self._stopped.set()
        # What is wanted of it.
        self._wanted = self._restarting = self._resting = False
        self._process = Incarnation(manifest, config, around, self._logger)
        # Its deaths.
        self._record = Record()
        self._ready_since_ns = 0
        self._fate: Event | None = None
        self._judged = False
        self._wait_ns = 0
        self._broken_print: tuple[int, int] | None = None

    @property
    def state(self) -> State:
        """Where it is."""
        return self._at.state

    def start(self) -> None:
        """Run it from now on."""
        self._wanted, self._resting = True, False
        if self.state not in RUNNING and self.state is not State.DEAD:
            self._try_start()

    def restart(self) -> None:
        """End it if it runs, forget its deaths, start it anew. Also the way out of quarantine."""
        self._wanted, self._resting = True, False
        self._record = Record()
        if self.state in RUNNING:
            self._restarting = True
            self._feed(Event.STOP, "was asked to start anew")
        elif self.state is not State.DEAD:
            self._try_start()

    def rest(self, why: str) -> None:
        """End it for a while; `start` takes it back."""
        if self.state is State.READY:
            self._wanted, self._resting = False, True
            self._feed(Event.STOP, why)

    @property
    def resting(self) -> bool:
        """It was let go of, and its process has ended."""
        return self._resting and self.state is State.STOPPED

    def stop(self) -> None:
        """End it; `stopped` waits for the end."""
        self._wanted = self._restarting = self._resting = False
        # In DEAD its end is on its way; what follows is judged then.
        if self.state is not State.DEAD:
            self._feed(Event.STOP, "stopped")

    async def stopped(self) -> None:
        """Wait until it is STOPPED."""
        await self._stopped.wait()

    def close(self) -> None:
        """Let go of everything at once, whatever state it is in."""
        self._wanted = False
        self._do_release()

    async def forecast(self, ask: Ask, deadline_mono_ns: int) -> Answer | Refusal:
        """Ask it; a refusal comes at once where it is not READY."""
        return await self._dialogue.forecast(ask, deadline_mono_ns, self.state, self._detail)

    def beat(self) -> None:
        """One heartbeat."""
        if self.state in RUNNING and (self._process.here or self._config.external):
            self._dialogue.beat()

    def view(self) -> PluginView:
        """How it is now."""
        dialogue, hello = self._dialogue, self._process.hello
        return PluginView(
            name=self.name,
            version=self.manifest.version,
            state=self.state,
            since_mono_ns=self._at.since_mono_ns,
            detail=self._detail,
            mend=self._mend,
            progress=self._progress,
            pid=self._process.pid,
            restarts=max(0, self._process.starts - 1),
            capabilities=dialogue.capabilities,
            python=hello.python if hello is not None else "",
            packages=hello.packages if hello is not None else {},
            p50_ms=dialogue.totals.percentile(50),
            p99_ms=dialogue.totals.percentile(99),
            infer_p50_ms=dialogue.inferences.percentile(50),
            rss_bytes=dialogue.rss_bytes,
            queue=len(dialogue.ledger),
            served=dialogue.served,
            refused=dict(dialogue.refused),
            stray=dialogue.ledger.stray,
        )

    # What is heard from it.

    def hear(self, identity: bytes, message: Message) -> None:
        """Take a message that came under its name."""
        if isinstance(message, Hello):
            self._on_hello(identity, message)
        elif identity == self._dialogue.identity and self.state in RUNNING:
            if isinstance(message, Status):
                self._on_status(message)
            elif isinstance(message, Bye):
                self._feed(Event.LEAVING, message.reason)
            elif isinstance(message, Pong):
                self._check_size(message)
            elif not isinstance(message, ForecastOk | Ping | Error):
                self._complain(identity, ProtocolError(Code.UNKNOWN_TYPE, f"No plugin says {type(message).__name__}."))
            self._dialogue.heard(message)
        # Else it is an earlier incarnation's, or of a process that is being ended.

    def hear_garbage(self, identity: bytes, error: ProtocolError) -> None:
        """Something came under its name that is no message."""
        if self.state not in RUNNING or identity not in (self._dialogue.identity, self._process.identity):
            return
        self._logger.warning("It sent no message: %s", error.message)
        self._complain(identity, error)
        if rule_for(error.code).reaction is Reaction.REFUSE:
            self._feed(Event.MISMATCH, error.message, error.mend or "")
        else:
            self._dialogue.strike(Code.BAD_MESSAGE, error.message)

    def _on_hello(self, identity: bytes, hello: Hello) -> None:
        if self.state not in RUNNING:
            return  # it says hello again, and by then it may be its turn
        ours = identity == self._process.identity
        try:
            if self._process.here and not ours:
                raise ProtocolError(Code.BAD_TOKEN, f"The host did not start this process ({hello.pid}).")
            protocol = check_hello(hello, identity, token=self._process.token)
        except ProtocolError as error:
            self._complain(identity, error)
            # A stranger's wrong token says nothing about the plugin that we know.
            if ours or error.code == Code.VERSION_MISMATCH:
                self._feed(Event.MISMATCH, error.message, error.mend or "")
            elif self._config.external:
                self._detail = error.message
            return
        if self._dialogue.identity not in (b"", identity):
            # Run by others, and replaced. It says hello again; until then the old one's end is put in order.
            self._feed(Event.EXITED, "was replaced by another process")
            return
        self._dialogue.identity, self._process.hello = identity, hello
        self._dialogue.send(self._welcome(protocol))
        if self._config.external and self.state is State.STARTING:
            self._arm_start()
        self._feed(Event.HELLO, "connected")

    def _welcome(self, protocol: tuple[int, int]) -> Welcome:
        return Welcome(
            protocol=protocol,
            host_instance=self._around.host_instance,
            heartbeat_ms=max(1, round(self._around.timing.heartbeat_s * 1000)),
            max_message_bytes=MAX_MESSAGE_BYTES,
            params=model_params(self.manifest, self._config),
            seed=self._config.seed,
            threads=self._config.threads,
            sent_ns=time.monotonic_ns(),
        )

    def _on_status(self, status: Status) -> None:
        if status.state in ("loading", "warming"):
            self._feed(Event.LOADING_, status.detail)
            if self.state is State.LOADING:
                self._detail, self._progress = status.detail, status.progress
        elif status.state == "ready":
            self._on_ready(status)
        elif status.state == "draining":
            self._feed(Event.LEAVING, status.detail or "leaves")
        else:
            self._on_failed(status)

    def _on_ready(self, status: Status) -> None:
        if status.capabilities is None:
            unmet: str | None = "READY came without capabilities."
        else:
            unmet = claims_unmet(self.manifest.claims, status.capabilities)
        if unmet is not None:
            self._complain(self._dialogue.identity, ProtocolError(Code.BAD_MANIFEST, unmet))
            self._feed(Event.MISMATCH, unmet, "Update the plugin, or correct its plugin.toml.")
        elif status.capabilities is not None:
            self._dialogue.capabilities = status.capabilities
            self._dialogue.rss_bytes = self._dialogue.rss_bytes or status.capabilities.rss_bytes
            self._feed(Event.READY_, status.capabilities.model_id)

    def _on_failed(self, status: Status) -> None:
        error = status.error
        sentence = status.detail if error is None else error.message
        mend = (None if error is None else error.mend) or ""
        reaction = rule_for(Code.INTERNAL if error is None else error.code).reaction
        if reaction is Reaction.NEEDS_MENDING:
            self._feed(Event.BROKEN, sentence, mend or self._restart_mend())
        elif reaction is Reaction.REFUSE:
            self._feed(Event.MISMATCH, sentence, mend)
        else:
            # The exit code that follows says whether starting again can help.
            self._feed(Event.LEAVING, sentence, mend)

    def _check_size(self, pong: Pong) -> None:
        limit_mb = self.manifest.limits.memory_mb
        if limit_mb and pong.rss_bytes > limit_mb * 1_000_000:
            self._feed(Event.CONDEMNED, f"uses {pong.rss_bytes // 1_000_000} MB, its limit is {limit_mb} MB")

    def _complain(self, identity: bytes, error: ProtocolError) -> None:
        retryable = rule_for(error.code).retryable
        self._around.send(identity, Error(code=error.code, message=error.message, retryable=retryable, mend=error.mend))

    # The table at work.

    def _feed(self, event: Event, detail: str = "", mend: str = "") -> None:
        self._events.append((event, detail, mend))
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                self._handle(*self._events.popleft())
                if self.state is State.DEAD and not self._process.here and not self._judged:
                    self._judged = True
                    self._judge()
        finally:
            self._handling = False

    def _handle(self, event: Event, detail: str, mend: str) -> None:
        previous = self._at
        outcome = step(previous, event, time.monotonic_ns())
        if not outcome.known:
            return
        self._at = outcome.at
        # Details are joined to longer sentences, which bring their own full stop.
        self._detail, self._mend = detail.rstrip("."), mend
        self._enter(previous.state, event)
        for action in outcome.actions:
            self._actions[action](self)
        if outcome.at is not previous:
            self._tell(previous.state)

    def _enter(self, previous: State, event: Event) -> None:
        if self.state is State.READY and previous is not State.SUSPECT:
            self._ready_since_ns = self._at.since_mono_ns
            self._progress = 1.0
        if self.state is State.DEAD:
            self._fate, self._judged = event, False
        if self.state in (State.READY, State.DEAD):
            self._timers.cancel("start")
            self._around.turns.done(self.name)
        if self.state is State.DEAD:
            self._timers.cancel("exit")
        if self.state is State.STOPPED:
            self._stopped.set()
        else:
            self._stopped.clear()

    def _tell(self, previous: State) -> None:
        sentence = f"{previous} to {self.state}" + (f": {self._detail}" if self._detail else "")
        level = logging.WARNING if self.state in _BAD and self._wanted else logging.INFO
        self._logger.log(level, "%s", f"{sentence}. {self._mend}" if self._mend else sentence)
        self._around.on_event(PluginEvent(self.name, previous, self.state, self._detail, self._at.since_mono_ns))

    def _judge(self) -> None:
        """DEAD, and the process is gone: what now?"""
        code = self._process.exit_code
        said = self._detail or describe_exit(code)
        if self._restarting or (self._config.external and self._wanted and self._fate is not Event.MISMATCH):
            # Whoever runs an external plugin starts it anew; here it only has to be waited for.
            self._wait_ns = 0 if self._restarting else round(self._around.backoff.first_s * NS_PER_S)
            self._restarting = False
            self._feed(Event.AGAIN, said)
        elif not self._wanted:
            self._feed(Event.STOP, said)
        elif self._fate is Event.BROKEN:
            self._broken_print = fingerprint(self.manifest)
            self._feed(Event.BROKEN, said, self._mend)
        elif self._fate is Event.MISMATCH:
            self._feed(Event.FINAL, said, self._mend or self._restart_mend())
        else:
            self._sentence(code, said)

    def _sentence(self, code: int | None, said: str) -> None:
        now_ns, policy = time.monotonic_ns(), self._around.backoff
        ready_ns = now_ns - self._ready_since_ns if self._ready_since_ns else 0
        judged = judge(
            policy, self._record, now_mono_ns=now_ns, ready_ns=ready_ns, exit_code=code, rng=self._around.rng
        )
        self._record = judged.record
        if judged.verdict is Verdict.GIVE_UP:
            self._feed(Event.FINAL, said, self._mend or self._restart_mend())
        elif judged.verdict is Verdict.QUARANTINE:
            count, minutes = len(judged.record.deaths_mono_ns), policy.window_s / 60
            self._feed(
                Event.TOO_OFTEN, f"died {count} times in {minutes:.0f} min, at last: {said}", self._restart_mend()
            )
        else:
            self._wait_ns = judged.wait_ns
            self._feed(Event.AGAIN, f"{said}; starts again in {judged.wait_ns / NS_PER_S:.1f} s", self._mend)

    def _restart_mend(self) -> str:
        return f"When that is mended, run: chronotick plugins restart {self.name}"

    def _try_start(self) -> None:
        if not self._wanted:
            return
        if MAJOR not in self.manifest.protocol:
            spoken = ", ".join(str(major) for major in self.manifest.protocol)
            self._feed(Event.MISMATCH, f"speaks protocol {spoken}, this host {MAJOR}", "Install versions of one age.")
            return
        if self._config.external:
            self._await_external()
            return
        problem = check_environment(self.manifest, self._around.sdk)
        if problem is None:
            self._feed(Event.START)
        else:
            self._broken_print = None
            self._feed(Event.BROKEN, problem.sentence, problem.mend)

    def _await_external(self) -> None:
        path = Path(self._config.token_file)
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            token, reason = "", str(error)
        else:
            reason = f"{path} is empty"
        if not token:
            mend = f"Set `token_file` of the plugin {self.name} to a file with a secret that its process knows, too."
            self._feed(Event.BROKEN, f"runs elsewhere, and has no token to prove itself ({reason})", mend)
            return
        self._feed(Event.START, f"waits for the process that others run to connect to {self._around.endpoint}")
        self._process.token = token

    def _look_again(self) -> None:
        """ENV_BROKEN: try again once the environment was built anew, or, where it was never sound, has become so."""
        if self._broken_print is None or fingerprint(self.manifest) != self._broken_print:
            self._try_start()
        if self.state is State.ENV_BROKEN:
            self._do_watch()

    def _spawn(self) -> None:
        try:
            self._process.spawn(self._on_exit)
        except OSError as error:
            self._feed(Event.EXITED, f"can not be started: {error}")
            return
        self._detail = f"process {self._process.pid} has been started"
        self._arm_start()

    def _arm_start(self) -> None:
        limit_s = self.manifest.limits.start_timeout_s
        self._timers.arm("start", limit_s, lambda: self._feed(Event.CONDEMNED, f"was not READY within {limit_s:g} s"))

    def _on_exit(self, code: int) -> None:
        said = self._process.ended(code)
        if code >= 0 and self.state in RUNNING and self._dialogue.identity:
            # It ended by itself and may have said why: its end is known before its last message is read.
            self._timers.arm("exit", LAST_MESSAGE_S, lambda: self._feed(Event.EXITED, said))
        else:
            # In DEAD the table knows no EXITED: why it had to go has been said, and now it can be judged.
            self._feed(Event.EXITED, said)

    # Actions of the table.

    def _do_spawn(self) -> None:
        self._dialogue.reset()
        self._process.forget()
        self._broken_print = None
        self._ready_since_ns, self._progress = 0, 0.0
        if self._config.external:
            return
        need_bytes = self.manifest.limits.memory_mb * 1_000_000
        if not self._around.turns.ask(self.name, self._spawn, need_bytes=need_bytes):
            self._detail = f"waits until {', '.join(self._around.turns.starting)} has started"

    def _do_refuse(self) -> None:
        self._dialogue.ledger.refuse_all(Code.PLUGIN_DIED, f"{self.name} is gone: {self._detail}.")

    def _do_kill(self) -> None:
        self._process.kill()

    def _do_shut_down(self) -> None:
        if not self._process.here:
            return
        grace_s = self.manifest.limits.shutdown_s
        shutdown = Shutdown(grace_ms=round(grace_s * 1000 * _GRACE_SHARE), reason=self._detail[:200])
        if self._dialogue.send(shutdown) is not Sent.OK:
            self._process.terminate()
        self._timers.arm("kill", grace_s, self._do_kill)

    def _do_release(self) -> None:
        self._timers.cancel_all()
        self._around.turns.done(self.name)
        self._dialogue.ledger.refuse_all(Code.PLUGIN_DIED, f"{self.name} is gone.")
        self._dialogue.reset()
        self._process.close()

    def _do_wait(self) -> None:
        self._timers.arm("wait", self._wait_ns / NS_PER_S, self._try_start)

    def _do_watch(self) -> None:
        self._timers.arm("watch", self._around.timing.watch_s, self._look_again)

    def _do_grace(self) -> None:
        limit_s = self.manifest.limits.hang_s
        self._timers.arm(
            "grace", limit_s, lambda: self._feed(Event.CONDEMNED, f"{self._detail}, and that for {limit_s:g} s")
        )

    def _do_calm(self) -> None:
        self._timers.cancel("grace")

    _actions: Final[dict[Action, Callable[["Plugin"], None]]] = {
        Action.SPAWN: _do_spawn,
        Action.REFUSE: _do_refuse,
        Action.KILL: _do_kill,
        Action.RELEASE: _do_release,
        Action.WAIT: _do_wait,
        Action.WATCH: _do_watch,
        Action.SHUT_DOWN: _do_shut_down,
        Action.GRACE: _do_grace,
        Action.CALM: _do_calm,
    }
