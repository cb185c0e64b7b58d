"""What the NTP stage hands on: a fix, one accepted exchange with a surviving server."""

import msgspec

from chronotick.units import ns_to_s


class Fix(msgspec.Struct, frozen=True):
    """One accepted exchange of a server that survived selection.

    Attributes:
        raw_ns: raw clock at the middle of the exchange, (T1 + T4) / 2.
        theta_ns: measured UTC minus raw clock, ((T2 - T1) + (T3 - T4)) / 2 (RFC 5905 section 8).
        delay_s: round-trip delay, (T4 - T1) - (T3 - T2), not negative.
        root_distance_s: this server's root distance at `raw_ns`: (root delay + delay)/2 + root dispersion +
            precisions. The most that this server's own claim allows theta to be wrong.
        server: name of the server, as configured, with the address: stable over the run.
        survivors: names of all servers that survived selection.
        earliest_theta_ns, latest_theta_ns: intersection of the majority's intervals at `raw_ns`: the hard bound
            for true theta as long as the majority is right.
        rest_s: what whole nanoseconds have left out of theta, s: 0 from NTP, which can not tell, but records of better
            clocks have it.
    """

    raw_ns: int
    theta_ns: int
    delay_s: float
    root_distance_s: float
    server: str
    survivors: tuple[str, ...]
    earliest_theta_ns: int
    latest_theta_ns: int
    rest_s: float = 0.0

    @property
    def hard_width_s(self) -> float:
        """Width of the hard bound, seconds."""
        return ns_to_s(self.latest_theta_ns - self.earliest_theta_ns)
