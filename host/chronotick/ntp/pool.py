"""All configured servers, polled side by side. I/O: it owns the schedule and the names, and decides nothing else."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from chronotick.clock import timebase
from chronotick.config.schema import NtpConfig
from chronotick.ntp import kernel_stamps
from chronotick.ntp.address import Endpoint, ServerAddress, parse_server
from chronotick.ntp.exchange import exchange
from chronotick.ntp.outcome import DENIALS, Outcome, Refusal
from chronotick.ntp.poll import patience_s, wait_s
from chronotick.ntp.resolve import resolve
from chronotick.ntp.server import DEFAULT_RATE_BOUND, ServerState, after_outcome, forget_samples, new_server
from chronotick.ntp.view import ServerView, view

# Exchanges lost in a row before the name is looked up again: the machine behind it may have moved.
_LOST_BEFORE_LOOKUP: Final = 4
# These are answers: no need to wait for more of them before another address of the name is tried.
_TRY_ANOTHER: Final = frozenset({Refusal.UNREACHABLE, Refusal.NO_ROUTE})


class NtpPool:
    """One poller per configured server; every exchange that ends is handed to `on_outcome`.

    The pool folds the outcomes into server states of its own, by the same pure function as `Associations`: from them it
    knows when to ask again. A name that has no address, a server that is silent or says no: each is a status.
    """

    def __init__(
        self,
        config: NtpConfig,
        *,
        rng_seed: int,
        on_outcome: Callable[[Outcome], None],
        rate_bound: float = DEFAULT_RATE_BOUND,
    ) -> None:
        """Nothing is sent before `run`.

        Args:
            config: the NTP section.
            rng_seed: seeds the spread of the polls; not the nonces, which no seed may foretell.
            on_outcome: called in the event loop; what it raises ends `run`.
            rate_bound: drift that the views' root distances grow by, s/s.

        Raises:
            ConfigError: an entry of `config.servers` can not be read.
        """
        servers = [parse_server(text) for text in dict.fromkeys(config.servers)]
        self._config = config
        self._rng_seed = rng_seed
        self._on_outcome = on_outcome
        self._rate_bound = rate_bound
        self._servers = servers
        self._states: dict[str, ServerState] = {s.text: new_server(s.text, config) for s in servers}
        self._endpoints: dict[str, Endpoint] = {}
        self._denied: set[Endpoint] = set()
        self._restarted = asyncio.Event()

    async def run(self) -> None:
        """Poll until cancelled."""
        with kernel_stamps.keep_enabled():
            async with asyncio.TaskGroup() as pollers:
                for server in self._servers:
                    pollers.create_task(self._poll(server), name=f"ntp {server.text}")

    def restart(self) -> None:
        """Begin the warm-up anew after a discontinuity of the raw clock. No server is asked sooner than it allows."""
        for name, state in self._states.items():
            self._states[name] = forget_samples(state, self._config)
        restarted, self._restarted = self._restarted, asyncio.Event()
        restarted.set()

    def snapshot(self) -> tuple[ServerView, ...]:
        """The servers at this moment, in the order of the configuration."""
        now = timebase.raw_ns()
        return tuple(view(self._states[s.text], self._config, now, self._rate_bound) for s in self._servers)

    async def _poll(self, server: ServerAddress) -> None:
        rng = random.Random(f"{self._rng_seed} {server.text}")
        loop = asyncio.get_running_loop()
        while True:
            endpoint = await self._endpoint(server)
            asked = loop.time()
            if endpoint is not None or not self._states[server.text].denied:
                await self._ask(server, endpoint)
            await self._pause(server, asked, rng.random())

    async def _ask(self, server: ServerAddress, endpoint: Endpoint | None) -> None:
        before = self._states[server.text]
        if endpoint is None:
            outcome = Outcome(
                server=server.text, address="", port=0, raw_ns=timebase.raw_ns(), reason=Refusal.NO_ADDRESS
            )
        else:
            same = (before.address, before.port) == (endpoint.address, endpoint.port)
            previous = before.last.transmit if same and before.last else None
            outcome = await exchange(
                server.text,
                endpoint,
                self._config,
                previous_transmit=previous,
                patience_s=patience_s(before.poll, self._config),
            )
            if outcome.reason in DENIALS:
                self._denied.add(endpoint)
        self._states[server.text] = after_outcome(self._states[server.text], outcome, self._config)
        self._on_outcome(outcome)

    async def _endpoint(self, server: ServerAddress) -> Endpoint | None:
        """Whom to ask: the address in use, or another one of the name's if that one is lost, denied or unreachable."""
        state, current = self._states[server.text], self._endpoints.get(server.text)
        if (
            current is not None
            and not state.denied
            and state.poll.lost < _LOST_BEFORE_LOOKUP
            and state.reason not in _TRY_ANOTHER
        ):
            return current
        found = [e for e in await resolve(server, self._config.family) if e not in self._denied]
        if not found and current not in self._denied:
            return current
        # An address that another name has taken would get no vote of its own.
        taken = {endpoint for name, endpoint in self._endpoints.items() if name != server.text}
        chosen = min(found, key=lambda e: (e in taken, e == current), default=None)
        if chosen is None:
            self._endpoints.pop(server.text, None)
        else:
            self._endpoints[server.text] = chosen
        return chosen

    async def _pause(self, server: ServerAddress, asked: float, draw: float) -> None:
        while True:
            state, restarted = self._states[server.text], self._restarted
            wait = self._config.max_poll_s if state.denied else wait_s(state.poll, self._config, draw)
            try:
                async with asyncio.timeout_at(asked + wait):
                    await restarted.wait()
            except TimeoutError:
                return
