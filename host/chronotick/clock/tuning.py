"""The physical constants of oscillators that the decision code works with, in one place.

All of them can be compressed in time: `Tuning.compressed(60)` describes clocks whose physics run sixty times faster
than a real one's (the lab's demo does that, so that a minute shows what takes an hour). With t' = t/k and unchanged
offsets, a rate scales with k, a rate's random walk (s/s/sqrt(s)) with k^1.5, white FM (s/sqrt(s)) with k^0.5 and
a duration with 1/k.
"""

import msgspec

from chronotick.config.schema import ClockConfig
from chronotick.units import PPM


class Tuning(msgspec.Struct, frozen=True):
    """Constants of the estimator; the defaults are those of real oscillators.

    Attributes:
        wander_grid: process noise of filters, s/s/sqrt(s), ascending.
        quiet_wander: below that, for the floor's bank only: what ovens and atomic clocks have.
        white_fm: white frequency noise, s/sqrt(s), the most that is taken for granted.
        white_span_s: a filter of the bank has no more white frequency noise than this times its wander, s.
        rate_prior: standard deviation of the rate before the first fix, s/s.
        rate_bound: the hard interval grows by this rate, s/s; no oscillator is believed to be worse.
        target_lag_s: a forecast's target is smoothed over fixes up to this long after it, s.
        half_life_s: shortest half-life of the gate's evidence, s.
        long_context_s: a hold-over forecast counts as evidence only from this much context on, s.
        warm_up_s: no model joins before this much history, s.
        thin_s: fixes closer than this are averaged before the bank, s.
        compression: how many times faster than a real clock's its physics are.
    """

    wander_grid: tuple[float, ...] = tuple(10.0 ** (e / 2) for e in range(-22, -13))
    quiet_wander: tuple[float, ...] = tuple(10.0 ** (e / 2) for e in (-24, -23))
    white_fm: float = 1e-9
    white_span_s: float = 30.0
    rate_prior: float = 1e-4
    rate_bound: float = 5e-5
    target_lag_s: float = 600.0
    half_life_s: float = 7200.0
    long_context_s: float = 108_000.0
    warm_up_s: float = 180.0
    thin_s: float = 8.0
    compression: float = 1.0

    @classmethod
    def of(cls, config: ClockConfig) -> "Tuning":
        """The constants of this machine's oscillator: the defaults, its rate bound, and compression in a lab."""
        real = cls(rate_bound=config.rate_bound_ppm * PPM, warm_up_s=config.warm_up_s)
        return real.compressed(config.time_compression)

    def compressed(self, k: float) -> "Tuning":
        """The same physics, `k` times faster (k >= 1)."""
        return Tuning(
            wander_grid=tuple(q * k**1.5 for q in self.wander_grid),
            quiet_wander=tuple(q * k**1.5 for q in self.quiet_wander),
            white_fm=self.white_fm * k**0.5,
            white_span_s=self.white_span_s / k,
            rate_prior=self.rate_prior * k,
            rate_bound=self.rate_bound * k,
            target_lag_s=self.target_lag_s / k,
            half_life_s=self.half_life_s / k,
            long_context_s=self.long_context_s / k,
            warm_up_s=self.warm_up_s / k,
            thin_s=self.thin_s / k,
            compression=self.compression * k,
        )
