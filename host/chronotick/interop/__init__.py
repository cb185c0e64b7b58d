"""Other clocks' programs on this machine: ClockBound's readers and chronyd are told the time, and a chronyd is asked.

All of it is off unless configured (section `interop`), and none of it steers the system clock: a chronyd that is told
the time may.
"""

from chronotick.interop.chronyd import LOCAL_CHRONYD, ChronydSource
from chronotick.interop.outputs import Outputs

__all__ = ["LOCAL_CHRONYD", "ChronydSource", "Outputs"]
