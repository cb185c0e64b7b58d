"""AsyncClock: the same answers, and the event loop goes on meanwhile."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from chronotick import AsyncClock, HostAbsent, Order, OutOfRange, Status, TokenRefused, WaitTimeout, compare

S = 1_000_000_000


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def test_every_verb_answers_as_the_clock_does(host: Any) -> None:
    """now, future, elapsed, convert, waits, stamps and status, in one loop."""
    host.publish(width_ns=1_000_000)
    host.serve()

    async def work() -> None:
        async with AsyncClock(host.directory.path, timeout_s=5) as clock:
            first = await clock.now()
            assert clock.clock.mapped
            second = await clock.now(max_width_ns=10**8)
            assert compare(first, second).order is Order.BEFORE
            assert (await clock.future(1)).utc_ns > second.utc_ns
            assert (await clock.elapsed(first)).most_ns > 0
            assert (await clock.convert(raw_ns=first.raw_ns)).utc_ns == pytest.approx(first.utc_ns, abs=10**6)
            target = (await clock.now()).utc_ns + 20_000_000
            assert (await clock.wait_until(target)).utc_ns >= target
            assert (await clock.wait_past(second)).earliest_ns > second.latest_ns
            token = await clock.stamp("x")
            assert (await clock.verify(token, "x")).instant.status is Status.SYNCHRONISED
            assert (await clock.status("clock"))["clock"]["status"] == "SYNCHRONISED"
            with pytest.raises(TokenRefused):
                await clock.verify(token, "y")
            with pytest.raises(OutOfRange):
                await clock.future(-1)
            with pytest.raises(WaitTimeout):
                await clock.wait_until(target + 100 * S, timeout_s=0.01)

    run(work())


def test_a_wait_can_be_cancelled(host: Any) -> None:
    """Cancelling ends a wait at once; the clock is good for more."""
    host.publish()

    async def work() -> None:
        async with AsyncClock(host.directory.path) as clock:
            now = await clock.now()
            waiting = asyncio.create_task(clock.wait_until(now.utc_ns + 1000 * S))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await clock.now()).utc_ns > now.utc_ns

    run(work())


def test_the_loop_goes_on_while_nobody_answers(tmp_path: Path) -> None:
    """A question to a host that is not there blocks a thread, not the loop."""

    async def work() -> None:
        async with AsyncClock(endpoint=f"ipc://{tmp_path / 'client.sock'}", timeout_s=0.3) as clock:
            asking = asyncio.create_task(clock.now())
            ticks = 0
            while not asking.done():
                await asyncio.sleep(0.01)
                ticks += 1
            with pytest.raises(HostAbsent):
                await asking
            assert ticks > 5

    run(work())


def test_changes_come_as_an_async_iterator(host: Any) -> None:
    """The present condition first, then what changes; closing it ends the subscription."""

    async def work() -> None:
        async with AsyncClock(host.directory.path) as clock:
            changes = clock.watch(0.02)
            assert (await anext(changes)).status is Status.UNKNOWN
            host.publish()
            assert (await anext(changes)).status is Status.SYNCHRONISED
            waiting = asyncio.create_task(anext(changes))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            host.publish(status=Status.HOLDOVER)
            assert (await waiting).status is Status.HOLDOVER
            await changes.aclose()

    run(work())


def test_a_watch_can_be_cancelled(host: Any) -> None:
    """A task that watches ends when it is cancelled, and leaves no socket behind to complain."""
    host.publish()

    async def work() -> None:
        async with AsyncClock(host.directory.path) as clock:
            seen = asyncio.Event()

            async def watch() -> None:
                async for _ in clock.watch(60):
                    seen.set()

            task = asyncio.create_task(watch())
            await seen.wait()
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(work())
