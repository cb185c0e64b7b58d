"""Which status a reading deserves. Pure."""

from chronotick.clock.state import ClockState
from chronotick.fusion.types import Status
from chronotick.units import s_to_ns

# Fixes have stopped when none came for this many polls of the slowest server that is asked.
SILENT_POLLS = 3.0
# After a discontinuity the estimate is DISRUPTED until this many fixes agree on a line.
SETTLED_FIXES = 8


class Condition:
    """Follows fixes and discontinuities, and says what the time is worth.

    Args:
        void_after_s: without a fix for this long nothing is known, s.
        patience_s: never in hold-over before this long without a fix, s: the time-out of an exchange.
    """

    def __init__(self, void_after_s: float, patience_s: float) -> None:
        self._void_after_ns = s_to_ns(void_after_s)
        self._patience_ns = s_to_ns(patience_s)
        self._silent_ns = self._patience_ns
        self._disrupted = False
        self.fix_raw_ns: int = 0

    def on_fix(self, raw_ns: int, poll_s: float) -> None:
        """A fix of `raw_ns` was used; the next one of the slowest server is `poll_s` away."""
        self.fix_raw_ns = max(self.fix_raw_ns, raw_ns)
        self._silent_ns = self._patience_ns + s_to_ns(SILENT_POLLS * poll_s)

    def on_discontinuity(self) -> None:
        """The time base was disturbed; what was known is void."""
        self._disrupted = True

    @property
    def void_raw_ns(self) -> int:
        """Raw clock from which on nothing is known unless a fix comes."""
        return self.fix_raw_ns + self._void_after_ns

    def at(self, raw_ns: int, state: ClockState | None) -> Status:
        """The status at `raw_ns` with the floor's belief `state`."""
        if state is None or state.fixes < 1 or raw_ns >= self.void_raw_ns:
            return Status.UNKNOWN
        if self._disrupted:
            if state.fixes < SETTLED_FIXES:
                return Status.DISRUPTED
            self._disrupted = False
        return Status.HOLDOVER if raw_ns - self.fix_raw_ns > self._silent_ns else Status.SYNCHRONISED
