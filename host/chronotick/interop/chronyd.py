"""A chronyd on this machine as one more source in the vote: the way to what chronyd can and this does not, such as NTS.

I/O: it runs `chronyc -c tracking` and reads clocks; `tracking` judges what comes of it.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final

import msgspec

from chronotick.clock import timebase
from chronotick.config.schema import InteropConfig, NtpConfig
from chronotick.interop.tracking import Around, Tracking, parse_tracking, sample_of
from chronotick.ntp.outcome import Outcome, Refusal, Sample
from chronotick.ntp.server import ServerState
from chronotick.ntp.view import ServerView, view

# Its name among the servers. No server's name has a space in it.
LOCAL_CHRONYD: Final = "local chronyd"
# One line of tracking has some 150 bytes.
_ANSWER_BYTES: Final = 4096
# CLOCK_BOOTTIME and CLOCK_MONOTONIC are steered alike: what parts them by more than this meanwhile is sleep, ns.
_SLEPT_NS: Final = 1_000_000


class ChronydSource:
    """Asks the chronyd of this machine and hands on what it knows as outcomes of the source `LOCAL_CHRONYD`.

    An answer counts once for each of chronyd's own updates: between two of them it only repeats itself, and a
    repetition is not a second measurement. A chronyd that can not be asked, or that is not synchronised, is an outcome
    without a sample each time.
    """

    def __init__(self, config: InteropConfig, ntp: NtpConfig, on_outcome: Callable[[Outcome], None]) -> None:
        """Nothing is asked before `run`.

        Args:
            ntp: the limits that hold for every source, and the time-out.
            on_outcome: called in the event loop.
        """
        self._config = config
        self._ntp = ntp
        self._on_outcome = on_outcome
        self._update: tuple[bytes, int] | None = None
        self._interval_s = 0.0

    async def run(self) -> None:
        """Ask every `interop.chronyd_poll_s` until cancelled."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            outcome = await self.ask()
            if outcome is not None:
                self._on_outcome(outcome)
            due_s = max(due_s + self._config.chronyd_poll_s, loop.time())
            await asyncio.sleep(due_s - loop.time())

    async def ask(self) -> Outcome | None:
        """Ask once. None: chronyd has heard nothing new since the last sample."""
        found = await self._sample()
        outcome = Outcome(server=LOCAL_CHRONYD, address="", port=0, raw_ns=timebase.raw_ns())
        if found is None:
            return None
        if isinstance(found, Sample):
            return msgspec.structs.replace(outcome, sample=found)
        return msgspec.structs.replace(outcome, reason=found, refused=((found, 1),))

    def view(self, state: ServerState, raw_ns: int, rate_bound: float) -> ServerView:
        """The row of this source; it can not speak more often than chronyd hears something new."""
        row = view(state, self._ntp, raw_ns, rate_bound)
        return msgspec.structs.replace(row, poll_s=max(self._config.chronyd_poll_s, self._interval_s))

    async def _sample(self) -> Sample | Refusal | None:
        asleep_ns = timebase.boot_ns() - timebase.mono_ns()
        before = timebase.pair()
        answer = await self._tracking()
        after = timebase.pair()
        if isinstance(answer, Refusal):
            return answer
        if timebase.boot_ns() - timebase.mono_ns() - asleep_ns > _SLEPT_NS:
            return Refusal.SUSPENDED
        update = (answer.reference_id, answer.reference_ns)
        if update == self._update and answer.leap != 3:
            return None
        around = Around(
            before_raw_ns=before.raw_ns,
            before_realtime_ns=before.realtime_ns,
            after_raw_ns=after.raw_ns,
            after_realtime_ns=after.realtime_ns,
            window_ns=max(before.window_ns, after.window_ns),
        )
        found = sample_of(answer, around, self._ntp)
        if isinstance(found, Sample):
            self._update, self._interval_s = update, answer.interval_s
        return found

    async def _tracking(self) -> Tracking | Refusal:
        # -n: no name service while we wait.
        words = [self._config.chronyc, "-c", "-n"]
        if self._config.chronyd_address:
            words += ["-h", self._config.chronyd_address]
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                "tracking",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            )
        except OSError:
            return Refusal.NO_ROUTE
        assert process.stdout is not None
        answer = b""
        try:
            async with asyncio.timeout(self._ntp.timeout_s):
                while piece := await process.stdout.read(_ANSWER_BYTES):
                    answer += piece
                    if len(answer) > _ANSWER_BYTES:
                        return Refusal.OVERSIZE
                status = await process.wait()
        except TimeoutError:
            return Refusal.TIMEOUT
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                # Not wait(): what is left in the pipe has to be read for it to be closed.
                await process.communicate()
        if status != 0:
            return Refusal.UNREACHABLE
        try:
            return parse_tracking(answer.decode("ascii"))
        except ValueError:
            return Refusal.RUNT
