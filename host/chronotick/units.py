"""Units and instants.

Instants are `int` nanoseconds, named `*_ns` with the clock in the name:

- `raw_ns`: CLOCK_MONOTONIC_RAW, the time base. No daemon steers or steps it.
- `mono_ns`: CLOCK_MONOTONIC, for deadlines and time-outs only.
- `utc_ns`: nanoseconds since 1970-01-01T00:00:00 UTC, leap seconds not counted.
- `theta_ns`: UTC minus the raw clock at the same instant. `utc_ns == raw_ns + theta_ns`.

Differences are `float` seconds, named `*_s`. Rates are dimensionless `float` (s/s) unless the name says
`_ppm` or `_ppb`. `rate > 0` means that theta grows: the raw clock is slow.
"""

from typing import Final

NS_PER_S: Final = 1_000_000_000
PPM: Final = 1e-6
PPB: Final = 1e-9


def s_to_ns(seconds: float) -> int:
    """Nearest whole nanosecond of a difference in seconds."""
    return round(seconds * NS_PER_S)


def ns_to_s(nanoseconds: int) -> float:
    """A difference in nanoseconds as seconds."""
    return nanoseconds / NS_PER_S
