"""The local candidates' constants, in one place."""

import msgspec


class RaceRules(msgspec.Struct, frozen=True):
    """What shapes of the rate run against each other, for real oscillators.

    Attributes:
        least_period_s, most_period_s, period_ratio: the grid of single cycles, from which each finds its own period.
        days_s: periods of about a day, each with two harmonics, because days are not sines.
        decays_s: time constants of a warm-up; a long one is as good as a steady ageing.
        wanders, day_wanders, decay_wanders: random walk of the line's rate beside a cycle, a day or a decay,
            s/s/sqrt(s).
        amplitude, decay_amplitude: what is thought of them before any fix, s/s.
        walks, phase_walks, period_walks: random walks of both parts of a cycle, s/s, of its phase, rad, and of its
            period, relative, each per square root of a period; one of each together, and a day has the first alone.
        forgetting: of the vote, per fix.
        odds_half_life_s: over which the odds of a shape are averaged.
        unguarded: fixes taken at face value at first.
        young_fixes: the race starts from the floor's line after so many fixes.
        quiet_s, beyond_doubt: before so much history a shape speaks only with so much of the whole vote.
        reach_s: a curve says something so far ahead.
    """

    least_period_s: float = 400.0
    most_period_s: float = 6e4
    period_ratio: float = 1.2
    days_s: tuple[float, ...] = (75_000.0, 86_400.0, 99_000.0)
    decays_s: tuple[float, ...] = tuple(600.0 * 2.0 ** (i / 3) for i in range(16))
    wanders: tuple[float, ...] = (1e-10, 1e-9, 3e-9, 1e-8)
    day_wanders: tuple[float, ...] = (1e-11, 1e-10, 1e-9)
    decay_wanders: tuple[float, ...] = (1e-11, 1e-10, 1e-9)
    amplitude: float = 5e-7
    decay_amplitude: float = 3e-6
    walks: tuple[float, ...] = (3e-9, 1e-8, 1e-7, 1e-6)
    phase_walks: tuple[float, ...] = (0.0, 0.35, 0.4, 0.0)
    period_walks: tuple[float, ...] = (1.5e-3, 1.5e-2, 5e-2, 5e-1)
    forgetting: float = 0.9995
    odds_half_life_s: float = 7200.0
    unguarded: int = 5
    young_fixes: int = 8
    quiet_s: float = 3600.0
    beyond_doubt: float = 0.99
    reach_s: float = 172_800.0

    def compressed(self, k: float) -> "RaceRules":
        """The same physics, `k` times faster (see `clock/tuning.py`)."""

        def shorter(values: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(value / k for value in values)

        def stronger(values: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(value * k**1.5 for value in values)

        return msgspec.structs.replace(
            self,
            least_period_s=self.least_period_s / k,
            most_period_s=self.most_period_s / k,
            days_s=shorter(self.days_s),
            decays_s=shorter(self.decays_s),
            wanders=stronger(self.wanders),
            day_wanders=stronger(self.day_wanders),
            decay_wanders=stronger(self.decay_wanders),
            odds_half_life_s=self.odds_half_life_s / k,
            quiet_s=self.quiet_s / k,
            reach_s=self.reach_s / k,
            amplitude=self.amplitude * k,
            decay_amplitude=self.decay_amplitude * k,
            # Per square root of a period, which is shorter too.
            walks=tuple(v * k for v in self.walks),
        )


class HorizonRules(msgspec.Struct, frozen=True):
    """Constants of the vote by realised errors far ahead.

    Attributes:
        horizons_s: where errors are measured; those below `least_polls` usual distances of fixes are left out.
        origins: forecasts per horizon's length.
        half_lives, half_life_s: errors are forgotten with a half-life of so many horizons plus so much.
        power: a filter's weight is its mean squared error to minus this.
        least_scores: errors seen before a horizon's vote counts.
    """

    horizons_s: tuple[float, ...] = (3600.0, 7200.0, 10_800.0, 21_600.0)
    least_polls: float = 10.0
    origins: int = 32
    half_lives: float = 12.0
    half_life_s: float = 7200.0
    power: float = 16.0
    least_scores: float = 8.0

    def compressed(self, k: float) -> "HorizonRules":
        """The same physics, `k` times faster."""
        return msgspec.structs.replace(
            self, horizons_s=tuple(h / k for h in self.horizons_s), half_life_s=self.half_life_s / k
        )
