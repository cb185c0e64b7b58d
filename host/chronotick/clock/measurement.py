"""What the floor made of a fix: one measurement of theta, with the variance that the floor gives it."""

import msgspec


class Measurement(msgspec.Struct, frozen=True):
    """One measurement that the bank took, or one that waits for its turn.

    Attributes:
        raw_ns: raw clock of the measurement; the mean when several fixes were averaged, which may lie a little before
            that of the measurement before it.
        theta_ns: measured UTC minus raw clock.
        variance: posterior-mean measurement variance (geometric mean over the bank), s^2.
        server: name of the server.
        delay_s: round-trip delay, s, of which what exceeds the server's least is taken for queueing.
        likely_variance: the variance that the bank's favourite noise model alone gives it, s^2; 0 until the bank has
            taken it. What runs on one noise model needs this: a mean of models is none.
        rest_s: what rounding `theta_ns` to whole nanoseconds has left out, s: a mean of several fixes knows less than
            a nanosecond.
    """

    raw_ns: int
    theta_ns: int
    variance: float
    server: str
    delay_s: float
    likely_variance: float = 0.0
    rest_s: float = 0.0
