"""The pool on loopback: schedule, names, kisses, and a clean end."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from chronotick.config.schema import NtpConfig
from chronotick.errors import ConfigError
from chronotick.ntp import pool as pool_module
from chronotick.ntp.address import Endpoint, ServerAddress
from chronotick.ntp.associations import Associations
from chronotick.ntp.outcome import Outcome, Refusal
from chronotick.ntp.packet import Packet
from chronotick.ntp.pool import NtpPool
from chronotick.ntp.resolve import Family
from chronotick.ntp.select import Verdict
from chronotick.ntp.view import Phase

LIMIT_S = 20.0


class Running:
    """A pool that runs in a task, and its outcomes as they come."""

    def __init__(self, config: NtpConfig) -> None:
        self.outcomes: list[Outcome] = []
        self.changed = asyncio.Event()
        self.pool = NtpPool(config, rng_seed=1, on_outcome=self._take)

    def _take(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.changed.set()

    def count(self, server: str) -> int:
        return sum(outcome.server == server for outcome in self.outcomes)

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not (self.outcomes and enough()):
                self.changed.clear()
                await self.changed.wait()

    async def __aenter__(self) -> "Running":
        self.task = asyncio.create_task(self.pool.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def names_of(monkeypatch: pytest.MonkeyPatch, table: dict[str, list[tuple[Endpoint, ...]]]) -> list[str]:
    """Let names resolve to the given endpoints, the last answer for ever; returns who was asked for."""
    asked: list[str] = []
    genuine = pool_module.resolve

    async def resolve(server: ServerAddress, family: Family) -> tuple[Endpoint, ...]:
        if server.numeric:
            return await genuine(server, family)
        asked.append(server.host)
        answers = table[server.host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    monkeypatch.setattr(pool_module, "resolve", resolve)
    return asked


def test_servers_are_polled_side_by_side(run: Any, responding: Any, genuine: Any, quick: NtpConfig) -> None:
    """Two honest servers and one that is 5 s off: fixes come from the honest ones, and the views say it all."""

    async def main() -> None:
        def lie(request: Packet) -> list[bytes]:
            reply = genuine(request)
            ahead = msgspec.structs.replace(
                reply, receive=reply.receive + (5 << 32), transmit=reply.transmit + (5 << 32)
            )
            return [ahead.encode()]

        def tell(request: Packet) -> list[bytes]:
            return [genuine(request).encode()]

        async with responding(tell) as one, responding(tell) as two, responding(lie) as liar:
            config = msgspec.structs.replace(quick, servers=(one.text, two.text, liar.text))
            async with Running(config) as running:
                await running.until(lambda: min(len(r.requests) for r in (one, two, liar)) >= 6)
                views = running.pool.snapshot()
        table, fixes, votes = Associations.of(config), [], []
        for outcome in running.outcomes:
            step = table.step(outcome, outcome.raw_ns)
            table = step.associations
            votes.append(step.selection)
            fixes += [step.fix] if step.fix else []
        assert {fix.server for fix in fixes} == {f"{r.text} (127.0.0.1)" for r in (one, two)}
        assert votes[-1].verdict is Verdict.AGREED
        assert votes[-1].falsetickers == (f"{liar.text} (127.0.0.1)",)
        assert [v.name for v in views] == [one.text, two.text, liar.text]
        assert all(v.phase in (Phase.WARM_UP, Phase.POLLING) and v.accepted >= 4 for v in views)
        assert abs(views[0].system_offset_s) < 0.1
        assert views[2].system_offset_s == pytest.approx(5, abs=0.1)
        assert (views[0].stratum, views[0].reference) == (1, "GPS")

    run(main)


def test_silence_and_nonsense_are_statuses(
    run: Any, responding: Any, quick: NtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is silent, a port that is closed, a name without an address: each goes on being tried."""
    names_of(monkeypatch, {"nowhere.invalid": [()]})

    async def main() -> None:
        async with responding(lambda request: []) as closed:
            pass
        async with responding(lambda request: []) as silent:
            servers = (silent.text, closed.text, "nowhere.invalid")
            config = msgspec.structs.replace(quick, timeout_s=0.03, servers=servers)
            async with Running(config) as running:
                await running.until(lambda: all(running.count(name) >= 3 for name in servers))
                views = running.pool.snapshot()
        assert [view.reason for view in views] == [Refusal.TIMEOUT, Refusal.UNREACHABLE, Refusal.NO_ADDRESS]
        assert [view.phase for view in views] == [Phase.BACKOFF, Phase.BACKOFF, Phase.NO_ADDRESS]
        assert all(outcome.sample is None for outcome in running.outcomes)

    run(main)


def test_a_first_reply_that_is_lost_does_not_cost_the_time_out(
    run: Any, responding: Any, genuine: Any, quick: NtpConfig
) -> None:
    """While a server was never heard it is waited for no longer than a reply may take to be used."""
    asked: list[object] = []

    def second(request: Any) -> list[bytes]:
        asked.append(request)
        return [] if len(asked) == 1 else [genuine(request).encode()]

    async def main() -> None:
        async with responding(second) as server:
            config = msgspec.structs.replace(quick, timeout_s=60.0, max_delay_s=0.3, servers=(server.text,))
            async with Running(config) as running:
                await running.until(lambda: running.outcomes[-1].sample is not None)
        assert [outcome.reason for outcome in running.outcomes] == [Refusal.TIMEOUT, None]

    run(main)


def test_a_lost_server_is_looked_up_again(
    run: Any, responding: Any, genuine: Any, quick: NtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After four losses the name is resolved anew, and the address that answers is used from then on."""

    async def main() -> None:
        async with (
            responding(lambda request: []) as old,
            responding(lambda request: [genuine(request).encode()], "127.0.0.2") as new,
        ):
            asked = names_of(monkeypatch, {"moved.test": [(old.endpoint,), (old.endpoint, new.endpoint)]})
            config = msgspec.structs.replace(quick, timeout_s=0.2, servers=("moved.test",))
            async with Running(config) as running:
                await running.until(lambda: running.outcomes[-1].sample is not None)
        assert [o.address for o in running.outcomes] == ["127.0.0.1"] * 4 + ["127.0.0.2"]
        assert asked == ["moved.test"] * 2

    run(main)


def test_names_that_share_addresses_get_different_ones(
    run: Any, responding: Any, genuine: Any, quick: NtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two names of one pool are asked at two machines, so that both have a vote."""

    async def main() -> None:
        def tell(request: Packet) -> list[bytes]:
            return [genuine(request).encode()]

        async with responding(tell) as one, responding(tell, "127.0.0.2") as two:
            both = (one.endpoint, two.endpoint)
            names_of(monkeypatch, {"0.pool.test": [both], "1.pool.test": [both]})
            config = msgspec.structs.replace(quick, servers=("0.pool.test", "1.pool.test"))
            async with Running(config) as running:
                await running.until(lambda: len(running.outcomes) >= 2)
                assert {view.address for view in running.pool.snapshot()} == {"127.0.0.1", "127.0.0.2"}

    run(main)


def test_a_server_that_denies_is_dropped_for_another(
    run: Any, responding: Any, genuine: Any, quick: NtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DENY is heard once: that address is never asked again, the name's other one is."""

    async def main() -> None:
        def deny(request: Packet) -> list[bytes]:
            return [genuine(request, stratum=0, leap=3, reference_id=b"DENY").encode()]

        async with (
            responding(deny) as angry,
            responding(lambda request: [genuine(request).encode()], "127.0.0.2") as kind,
        ):
            names_of(monkeypatch, {"pool.test": [(angry.endpoint, kind.endpoint)]})
            config = msgspec.structs.replace(quick, max_poll_s=0.05, servers=("pool.test", angry.text))
            async with Running(config) as running:
                await running.until(lambda: len(kind.requests) >= 5)
                views = running.pool.snapshot()
        assert 1 <= len(angry.requests) <= 2
        assert views[0].address == "127.0.0.2"
        assert views[1].phase is Phase.DENIED

    run(main)


def test_rate_is_heeded(run: Any, responding: Any, genuine: Any, quick: NtpConfig) -> None:
    """After RATE the next request comes no sooner than the shortest regular poll, twice the warm-up's at least."""

    async def main() -> None:
        times = []
        loop = asyncio.get_running_loop()

        def respond(request: Packet) -> list[bytes]:
            times.append(loop.time())
            if len(times) == 1:
                return [genuine(request, stratum=0, leap=3, reference_id=b"RATE").encode()]
            return [genuine(request).encode()]

        async with responding(respond) as server:
            config = msgspec.structs.replace(quick, min_poll_s=0.2, servers=(server.text,))
            async with Running(config) as running:
                await running.until(lambda: len(running.outcomes) >= 3)
                view = running.pool.snapshot()[0]
        assert running.outcomes[0].reason is Refusal.KISS_RATE
        assert view.poll_s == 0.2
        assert all(later - earlier >= 0.19 for earlier, later in itertools.pairwise(times))

    run(main)


def test_a_restart_warms_up_again_without_haste(run: Any, responding: Any, genuine: Any, quick: NtpConfig) -> None:
    """After a discontinuity a server that is not due for an hour is asked again at the warm-up's pace."""

    async def main() -> None:
        async with responding(lambda request: [genuine(request).encode()]) as server:
            config = msgspec.structs.replace(
                quick, min_poll_s=3600, max_poll_s=3600, warm_up_polls=2, servers=(server.text,)
            )
            async with Running(config) as running:
                await running.until(lambda: running.pool.snapshot()[0].phase is Phase.POLLING)
                assert len(running.outcomes) == 2
                running.pool.restart()
                assert running.pool.snapshot()[0].phase is Phase.STARTING
                await running.until(lambda: len(running.outcomes) == 4)

    run(main)


def test_what_the_listener_raises_ends_the_pool(run: Any, responding: Any, genuine: Any, quick: NtpConfig) -> None:
    """An error in the code that takes outcomes is not swallowed."""

    async def main() -> None:
        def take(outcome: Outcome) -> None:
            raise LookupError("no")

        async with responding(lambda request: [genuine(request).encode()]) as server:
            pool = NtpPool(msgspec.structs.replace(quick, servers=(server.text,)), rng_seed=1, on_outcome=take)
            with pytest.raises(ExceptionGroup) as caught:
                await pool.run()
        assert isinstance(caught.value.exceptions[0], LookupError)

    run(main)


def test_a_wrong_entry_is_an_error_at_once(quick: NtpConfig) -> None:
    """A server that can not be read is refused before anything is sent."""
    with pytest.raises(ConfigError, match="not a number from 1 to 65535"):
        NtpPool(msgspec.structs.replace(quick, servers=("a:b",)), rng_seed=1, on_outcome=print)
