"""What the host says of itself while it runs: log lines, alarms and the service manager's status, each once."""

import logging
import math
from collections.abc import Callable
from typing import Any

import msgspec

from chronotick.clock.discontinuity import Discontinuity
from chronotick.core import Core, Issued
from chronotick.forecast.types import Refusal
from chronotick.fusion.hard import HardUpdate
from chronotick.fusion.types import Status
from chronotick.ntp.select import Verdict
from chronotick.ops import report
from chronotick.ops.sdnotify import SdNotify
from chronotick.pipeline import Taken
from chronotick.publish.condition import SETTLED_FIXES
from chronotick.units import PPM
from chronotick.wire.messages import Topic

log: logging.Logger = logging.getLogger("chronotick.host")


class Voice:
    """Follows the core and tells what has changed.

    Args:
        event: publishes an event to whoever listens.
        sentence: what the time is worth and on what it hangs, in one sentence.
    """

    def __init__(
        self, core: Core, notify: SdNotify, event: Callable[[Topic, dict[str, Any]], None], sentence: Callable[[], str]
    ) -> None:
        self._core = core
        self._notify = notify
        self._event = event
        self._sentence = sentence
        self._verdict: Verdict | None = None
        self._status = Status.UNKNOWN
        self._fault = self._complaint = ""
        self._warmed = 0
        self._rate_told = self._steered = False

    def heard(self, taken: Taken) -> None:
        """An exchange was taken in."""
        verdict = taken.selection.verdict
        if verdict is not self._verdict:
            level = logging.INFO if verdict is Verdict.AGREED else logging.WARNING
            log.log(level, "vote: %s", verdict.value.replace("_", " "), extra={"agree": len(taken.selection.survivors)})
            self._event("ntp", {"verdict": verdict.value})
        self._verdict = verdict
        if taken.fix is not None and taken.hard is HardUpdate.CONTRADICTED:
            # Two majorities that can not both have been right, or an oscillator that breaks its bound.
            server, found = taken.fix.server, self._core.pipeline.hard.contradictions
            log.warning("the hard interval was contradicted and begins anew", extra={"by": server, "times": found})
            self._event("alarm", {"kind": "contradiction", "server": server, "times": found})

    def discontinuity(self, found: Discontinuity) -> None:
        """Something happened to the clocks."""
        log.warning("clock discontinuity: %s", found.kind.value, extra={"size_s": found.size_s})
        self._event("alarm", msgspec.to_builtins(found))

    def issued(self, issued: Issued) -> None:
        """Something was published."""
        if issued.fault and not self._fault:
            log.error("the estimate can not be published: %s", issued.fault)
        self._fault = issued.fault
        before, self._status = self._status, issued.status
        if issued.status is not before:
            level = logging.INFO if issued.status is Status.SYNCHRONISED else logging.WARNING
            log.log(level, "%s: %s", issued.status.value, self._sentence())
            self._notify.send(STATUS=f"{issued.status.value}: {self._sentence()}")

    def refused(self, refusal: Refusal | None) -> None:
        """A model's answer was refused, or there was none."""
        if refusal is not None:
            log.info("forecast refused", extra={"model": refusal.model, "code": refusal.code, "why": refusal.reason})

    def look(self, *, all_asked: bool) -> None:
        """Say what has come true since the last look: `all_asked` when every server was asked at least once."""
        self._follow_warm_up()
        self._follow_silence(all_asked)
        self._follow_rate()
        self._follow_steering()

    def _follow_rate(self) -> None:
        """The oscillator is proved worse than the hard interval assumes."""
        state, bound = self._core.pipeline.state, self._core.pipeline.tuning.rate_bound
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
            self._event("alarm", {"kind": "rate_bound", "rate": state.rate, "bound": bound})

    def _follow_steering(self) -> None:
        """The raw clock should be nobody's to discipline, but a hypervisor or a driver may."""
        steered = self._core.pipeline.candidates.steered
        if steered is self._steered:
            return
        self._steered = steered
        if steered:
            log.warning("somebody steers the time base: its rate swings around zero, so no trend of it is extrapolated")
        else:
            log.info("the time base runs free again")
        self._event("alarm", {"kind": "steered", "steered": steered})

    def _follow_silence(self, all_asked: bool) -> None:
        """While no time is known, say why, and again when the reason changes."""
        if self._core.status is not Status.UNKNOWN or not all_asked:
            return
        why = self._sentence()
        if why != self._complaint:
            log.warning("%s: %s", Status.UNKNOWN.value, why)
            self._notify.send(STATUS=f"{Status.UNKNOWN.value}: {why}")
            self._complaint = why

    def _follow_warm_up(self) -> None:
        """Say each quarter of the warm-up once."""
        warm = report.warm_up(self._core.pipeline)
        quarter = int(4 * warm["progress"])
        if quarter > self._warmed:
            log.info("warm-up: %d %% done", 25 * quarter, extra={"remaining_s": warm["remaining_s"]})
        self._warmed = quarter
