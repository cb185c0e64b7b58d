"""All plugins of a host: starts them, hears them, asks them, ends them."""

import asyncio
import itertools
import logging
import os
import random
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import Struct

from chronotick.config.schema import PluginConfig
from chronotick.errors import PluginError, ProtocolError
from chronotick.plugins.backoff import BackoffPolicy
from chronotick.plugins.environment import sdk_version
from chronotick.plugins.handshake import name_in
from chronotick.plugins.ledger import refusal
from chronotick.plugins.link import Link, Sent
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.plugin import Plugin
from chronotick.plugins.rest import Rest
from chronotick.plugins.states import State
from chronotick.plugins.surroundings import Surroundings
from chronotick.plugins.turns import Turns
from chronotick.plugins.types import Answer, Ask, PluginEvent, PluginView, Refusal, Timing
from chronotick.wire.codes import Code
from chronotick.wire.keys import ServerKeys
from chronotick.wire.messages import AnyMessage, Capabilities, Error, Message
from chronotick.wire.runtime_dir import RuntimeDir, RuntimeLock
from chronotick.wire.sockets import ipc_endpoint

logger: logging.Logger = logging.getLogger("chronotick.plugins")


class Remote(Struct, frozen=True):
    """A tcp endpoint for plugins that run on other machines, and the CURVE keys that it needs."""

    endpoint: str
    keys: ServerKeys


class Supervisor:
    """Keeps every configured plugin in the best state that it can be in, for as long as `run` runs.

    None of its calls waits for a plugin, but `forecast` until its deadline. All from the event loop's thread.
    """

    def __init__(
        self,
        manifests: Sequence[Manifest],
        configs: Sequence[PluginConfig],
        runtime_dir: RuntimeDir,
        lock: RuntimeLock,
        on_event: Callable[[PluginEvent], None] = lambda _: None,
        *,
        host_instance: int | None = None,
        log_level: str = "info",
        environ: Mapping[str, str] = os.environ,
        timing: Timing | None = None,
        backoff: BackoffPolicy | None = None,
        seed: int | None = None,
        width: int | None = None,
        remote: Remote | None = None,
    ) -> None:
        """Nothing starts before `run`.

        Args:
            manifests: what was discovered; configs: what shall run.
            runtime_dir, lock: where the plugins' socket is bound.
            on_event: told of every change of state of a plugin.
            host_instance: as published in the snapshot.
            seed: of the backoff's jitter; None for an unpredictable one.
            width: plugins that may start at the same time; None for one per four cores.
            remote: where plugins on other machines may connect to.
        """
        self._manifests = {manifest.name: manifest for manifest in manifests}
        self._configs = {config.name: config for config in configs}
        self._runtime_dir, self._lock, self._remote = runtime_dir, lock, remote
        self._on_event = on_event
        self._host_instance = secrets.randbits(63) if host_instance is None else host_instance
        self._log_level, self._environ = log_level, environ
        self._timing = timing or Timing()
        self._backoff = backoff or BackoffPolicy()
        self._rng = random.Random(seed)
        self._width = width
        self._plugins: dict[str, Plugin] = {}
        self._rests = {c.name: Rest(c.unload_after_s, c.reload_after_s) for c in configs if not c.external}
        # Plugins that would be asked if they were READY.
        self._wanted: Collection[str] = ()
        self._link: Link | None = None
        self._remote_link: Link | None = None
        # Name to identity of what came through the remote link.
        self._remote_peers: dict[str, bytes] = {}
        self._ids = itertools.count(1)
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self) -> None:
        """Bind, start every enabled plugin, and keep them until `stop`.

        Raises:
            RuntimeDirError: the socket can not be bound.
        """
        self._ended.clear()
        turns = Turns(self._timing.turn_s, width=self._width)
        try:
            self._bind()
            self._plugins = self._make(turns)
            for name, plugin in self._plugins.items():
                if self._configs[name].enabled:
                    plugin.start()
            while not await self._asked_to_stop(self._timing.heartbeat_s):
                for plugin in self._plugins.values():
                    plugin.beat()
                self._let_rest(time.monotonic_ns())
            await self._stop_all()
        finally:
            for plugin in self._plugins.values():
                plugin.close()
            turns.close()
            for link in (self._link, self._remote_link):
                if link is not None:
                    link.close()
            self._ended.set()

    async def stop(self) -> None:
        """End every plugin and `run`; returns when they have ended."""
        self._stopping.set()
        await self._ended.wait()

    async def forecast(self, name: str, ask: Ask, deadline_mono_ns: int) -> Answer | Refusal:
        """Ask one plugin.

        Never raises for anything that the plugin does or fails to do. Where it can not answer, the refusal comes at
        once; where it does not, at the deadline.

        Args:
            deadline_mono_ns: CLOCK_MONOTONIC, ns.
        """
        plugin = self._plugins.get(name)
        if plugin is None:
            return refusal(Code.NOT_READY, f"There is no plugin named {name} here.")
        if (rest := self._rests.get(name)) is not None:
            rest.asked(time.monotonic_ns())
            if plugin.resting:
                plugin.start()
        return await plugin.forecast(ask, deadline_mono_ns)

    def note_use(self, weights: Mapping[str, float], wanted: Collection[str]) -> None:
        """Tell what fusion makes of the models, so that those that cost more than they are worth can be let go of.

        Args:
            weights: {plugin: weight now} of all that are judged; wanted: plugins that a question is due for, whether
                it can be put already or not.
        """
        self._wanted = wanted
        now_ns = time.monotonic_ns()
        for name in wanted:
            if (rest := self._rests.get(name)) is not None:
                rest.asked(now_ns)
        for name, weight in weights.items():
            if (rest := self._rests.get(name)) is not None:
                rest.weighed(weight, now_ns)

    def capabilities(self, name: str) -> Capabilities | None:
        """What a READY plugin's model can do; None for any other."""
        plugin = self._plugins.get(name)
        return plugin.view().capabilities if plugin is not None and plugin.state is State.READY else None

    def views(self) -> tuple[PluginView, ...]:
        """Every configured plugin as it is now, in the order of the configuration."""
        views = []
        for name in self._configs:
            plugin = self._plugins.get(name)
            views.append(self._missing(name) if plugin is None else plugin.view())
        return tuple(views)

    def restart(self, name: str) -> None:
        """Start a plugin anew, also out of quarantine; returns at once.

        Raises:
            PluginError: there is none of that name here.
        """
        plugin = self._plugins.get(name)
        if plugin is None:
            known = ", ".join(self._plugins) or "none"
            raise PluginError(f"No plugin named `{name}` runs here (configured and found: {known}).")
        plugin.restart()

    def _let_rest(self, now_ns: int) -> None:
        for name, rest in self._rests.items():
            plugin = self._plugins.get(name)
            if plugin is None:
                continue
            rest.is_ready(plugin.state is State.READY, now_ns)
            if plugin.resting:
                if rest.back(now_ns, wanted=name in self._wanted):
                    plugin.start()
            elif why := rest.let_go(now_ns):
                plugin.rest(why)

    def _bind(self) -> None:
        self._link = Link(
            ipc_endpoint(self._runtime_dir.plugins),
            on_message=self._on_message,
            on_garbage=self._on_garbage,
            lock=self._lock,
        )
        if self._remote is not None:
            self._remote_link = Link(
                self._remote.endpoint,
                on_message=self._on_remote_message,
                on_garbage=self._on_garbage,
                keys=self._remote.keys,
            )

    def _make(self, turns: Turns) -> dict[str, Plugin]:
        around = Surroundings(
            endpoint=ipc_endpoint(self._runtime_dir.plugins),
            host_instance=self._host_instance,
            sdk=sdk_version(),
            environ=self._environ,
            log_level=self._log_level,
            timing=self._timing,
            backoff=self._backoff,
            turns=turns,
            rng=self._rng,
            send=self._send,
            next_id=lambda: next(self._ids),
            on_event=self._on_event,
        )
        plugins = {}
        for name, config in self._configs.items():
            if name in self._manifests:
                plugins[name] = Plugin(self._manifests[name], config, around)
            else:
                logger.warning("%s", self._missing(name).detail)
        return plugins

    async def _asked_to_stop(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _stop_all(self) -> None:
        for plugin in self._plugins.values():
            plugin.stop()
        # Each is killed at the end of its own time; the margin is for the kernel.
        longest_s = max((plugin.manifest.limits.shutdown_s for plugin in self._plugins.values()), default=0.0)
        try:
            async with asyncio.timeout(longest_s + 2.0):
                for plugin in self._plugins.values():
                    await plugin.stopped()
        except TimeoutError:
            logger.warning("Some plugins did not end in time and are let go by force.")

    def _send(self, identity: bytes, message: Message) -> Sent:
        link = self._remote_link if self._remote_peers.get(name_in(identity)) == identity else self._link
        return Sent.NO_ROUTE if link is None else link.send(identity, message)

    def _on_message(self, identity: bytes, message: AnyMessage) -> None:
        plugin = self._plugins.get(name_in(identity))
        if plugin is not None:
            plugin.hear(identity, message)
        elif not isinstance(message, Error):
            name = name_in(identity) or repr(identity)
            logger.warning("Something that calls itself %s connected; it is not configured here.", name)
            self._send(identity, Error(code=Code.BAD_MANIFEST, message=f"This host has no plugin named {name}."))

    def _on_remote_message(self, identity: bytes, message: AnyMessage) -> None:
        name = name_in(identity)
        config = self._configs.get(name)
        if config is not None and config.external:
            self._remote_peers[name] = identity
            self._on_message(identity, message)
        else:
            logger.warning(
                "A message from another machine for the plugin %s, which is not external, was dropped.", name
            )

    def _on_garbage(self, identity: bytes, error: ProtocolError) -> None:
        plugin = self._plugins.get(name_in(identity))
        if plugin is not None:
            plugin.hear_garbage(identity, error)
        else:
            logger.warning("What %r sent is no message: %s", identity, error.message)

    def _missing(self, name: str) -> PluginView:
        known = ", ".join(sorted(self._manifests)) or "none"
        state, mend = State.ENV_BROKEN, "Correct the name, or name its folder in CHRONOTICK_PLUGIN_PATH."
        detail = f"The configuration names the plugin `{name}`, which is not installed (found: {known})."
        if name in self._manifests:
            state, detail, mend = State.STOPPED, "not started yet", ""
        return PluginView(
            name=name,
            version="",
            state=state,
            since_mono_ns=0,
            detail=detail,
            mend=mend,
            progress=0.0,
            pid=None,
            restarts=0,
            capabilities=None,
            python="",
            packages={},
            p50_ms=None,
            p99_ms=None,
            infer_p50_ms=None,
            rss_bytes=0,
            queue=0,
            served=0,
            refused={},
            stray=0,
        )
