"""The lab as a process of its own, so that nothing its parent does delays its answers.

Standard input carries one JSON line, an `Order`, and then stays open as a lifeline: when the parent ends, however it
ends, the kernel closes it and the lab ends too. Standard output carries one JSON line when all servers answer
(`Ready`), or `Failed`, and one at the end (`Served`).
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from chronotick.errors import LabError
from chronotick.lab.lab import Ready
from chronotick.lab.scenario import Scenario
from chronotick.lab.serve import Served, serve

EXIT_FAILED = 78


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a lab process is to do; the arguments of `serve`."""

    scenario: Scenario
    seconds: float | None = None
    truth_log: str | None = None
    log_interval_s: float = 1.0


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The lab could not start: the sentence of the error, and what mends it."""

    event: str = "failed"
    message: str
    mend: str | None


def _say(line: Ready | Served | Failed, output: BinaryIO) -> None:
    try:
        output.write(msgspec.json.encode(line) + b"\n")
        output.flush()
    except BrokenPipeError:
        # The reader is gone; the lifeline says so too.
        pass


async def _serve(order: Order) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    lifeline = sys.stdin.fileno()

    def heard() -> None:
        if not os.read(lifeline, 4096):
            loop.remove_reader(lifeline)
            stop.set()

    try:
        loop.add_reader(lifeline, heard)
    except PermissionError as error:
        raise LabError("Standard input is a file.", mend="Give a pipe, and keep it open as the lifeline.") from error
    served = await serve(
        order.scenario,
        on_ready=lambda ready: _say(ready, sys.stdout.buffer),
        stop=stop,
        seconds=order.seconds,
        truth_log=Path(order.truth_log) if order.truth_log else None,
        log_interval_s=order.log_interval_s,
    )
    _say(served, sys.stdout.buffer)


def main() -> int:
    """Read the order, serve, and return the exit status: 0, or 78 if the order can not be carried out."""
    # Unbuffered: what follows the first line belongs to the lifeline and must not be swallowed by a buffer.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as order_line:
        line = order_line.readline()
    try:
        order = msgspec.json.decode(line, type=Order)
        asyncio.run(_serve(order))
    except msgspec.DecodeError as error:
        _say(Failed(message=f"The order is wrong: {error}.", mend="Send one JSON line."), sys.stdout.buffer)
        return EXIT_FAILED
    except LabError as error:
        _say(Failed(message=error.message, mend=error.mend), sys.stdout.buffer)
        return EXIT_FAILED
    return 0
