"""Start a lab process and talk to it, from an event loop."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from chronotick.errors import LabError
from chronotick.lab.lab import Ready
from chronotick.lab.process import Failed, Order
from chronotick.lab.scenario import Scenario

READY_S = 20.0
STOP_S = 5.0


@asynccontextmanager
async def spawned(
    scenario: Scenario,
    *,
    seconds: float | None = None,
    truth_log: Path | None = None,
    log_interval_s: float = 1.0,
) -> AsyncIterator[Ready]:
    """A lab in a process of its own for the length of the `async with` block; yields what it says when ready.

    The process ends with the block, and also when this process dies in any way. Arguments as of `serve`.

    Raises:
        LabError: the lab could not start, with its own sentence, or did not within 20 s.
    """
    order = Order(
        scenario=scenario,
        seconds=seconds,
        truth_log=str(truth_log) if truth_log else None,
        log_interval_s=log_interval_s,
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chronotick.lab"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C at the terminal is for the parent: the lab has to answer until its parent lets it go.
        start_new_session=True,
    )
    try:
        yield await _ready(process, order)
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process, order: Order) -> Ready:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_S):
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
    except TimeoutError as error:
        raise LabError(f"The lab was not ready within {READY_S:.0f} s.") from error
    except ConnectionError:
        line = b""
    try:
        return msgspec.json.decode(line, type=Ready)
    except msgspec.DecodeError:
        pass
    try:
        failed = msgspec.json.decode(line, type=Failed)
    except msgspec.DecodeError as error:
        raise LabError(f"The lab process ended without a word, exit status {await process.wait()}.") from error
    raise LabError(failed.message, mend=failed.mend)


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(STOP_S):
            # communicate() also reads what is left, so that the pipe is closed and no transport is left over.
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
