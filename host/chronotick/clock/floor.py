"""The floor: fixes in, belief about the local oscillator out. Deterministic, no I/O, reads no clock."""

import math
import statistics
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from chronotick.clock.bank import Bank, Vector
from chronotick.clock.discontinuity import Kind
from chronotick.clock.excess import DelayFloor
from chronotick.clock.measurement import Measurement
from chronotick.clock.noise import MAD_TO_SIGMA, NoiseScale
from chronotick.clock.server_noise import ServerNoise
from chronotick.clock.small_sample import widen
from chronotick.clock.state import ClockState
from chronotick.clock.suspicion import REPEATS, Jury, Ruling
from chronotick.clock.thinning import Thinner
from chronotick.clock.tuning import Tuning
from chronotick.ntp.fix import Fix
from chronotick.units import ns_to_s, s_to_ns

# Before any residual exists the noise of a fix is taken to be this share of its round trip: queueing on LAN and
# Internet paths was seen to make 5 to 10 % of it.
NOISE_OF_DELAY: Final = 0.125
# The first fixes are neither thinned nor suspected: the line they would be compared with is not yet there.
YOUNG_FIXES: Final = 8
# All fixes of an epoch are read again when there are so many, with what has been learned of their noise by then.
READ_AGAIN_AT: Final = frozenset({8, 16, 32})
# The first of them are read again at once where the scale of their noise proves to be so many times what they were read
# with. A scale that was too large has made the bank slow to learn, and no more.
TOO_SURE: Final = 2.0
# One of the first is left out when it is so many spreads of theirs, and prior rates, from their median.
FAR_SPREADS: Final = 5.0
FAR_RATES: Final = 3.0
# A fix may be this much older than the newest: exchanges run in parallel, and the slow ones end late.
LATE_S: Final = 10.0
# The reference moves along when the offset from it exceeds this, s, so that float64 resolves below a femtosecond.
RECENTRE_S: Final = 1.0
# After a discontinuity of the same oscillator its rate is believed to this share of `Tuning.rate_prior`.
KEPT_RATE_SHARE: Final = 0.1
# Standard deviation that says that nothing is known, s.
UNKNOWN_S: Final = 1e6


class Verdict(StrEnum):
    """What became of a fix.

    USED: it went into the bank. HELD: averaged with the next ones of its server. SUSPECT: far off, kept out until it
    repeats. STEPPED: it and the suspects before it started the bank anew. REFUSED: too late, or not finite.
    """

    USED = "used"
    HELD = "held"
    SUSPECT = "suspect"
    STEPPED = "stepped"
    REFUSED = "refused"


class FloorUpdate(msgspec.Struct, frozen=True):
    """What one fix did.

    Attributes:
        state: the belief after it; that before any fix has been accepted is None.
        verdict: what became of the fix.
        measurements: what entered the bank, oldest first: usually this fix, with its variance; none when it was
            held or refused; after a step all that repeated it, which are the first of the new epoch.
        innovation_s: fix minus what was expected, s; 0 for the first fix of an epoch and for refused ones.
        sigma_s: standard deviation that was expected of the innovation, s; 0 where there was no expectation.
    """

    state: ClockState | None
    verdict: Verdict
    measurements: tuple[Measurement, ...] = ()
    innovation_s: float = 0.0
    sigma_s: float = 0.0


class Floor:
    """Keeps the bank, what surrounds it, and the reference that the bank's offsets are relative to."""

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning
        self._delays = DelayFloor()
        self._noise = NoiseScale()
        self._servers = ServerNoise()
        self._thinner = Thinner(tuning.thin_s)
        self._jury = Jury(tuning.thin_s)
        self._bank: Bank | None = None
        self._prior = _Prior(rate=0.0, sigma=tuning.rate_prior)
        self._reference_ns = 0
        self._opened_raw_ns: int | None = None
        # All of this epoch, until they have been read again for the last time; moved by nothing.
        self._read: list[Measurement] = []
        self._levels_ns: Mapping[str, int] = {}
        # Scale with which these were read while it was hardly known, s; 0 for a guess, infinite when it is known.
        self._read_s = 0.0
        self._fixes = 0
        self._epoch = 0
        self._restarts = 0
        # The belief without what a suspicion adds to its spread: suspects are judged by this one.
        self._belief: ClockState | None = None
        self.state: ClockState | None = None

    def update(self, fix: Fix, levels_ns: Mapping[str, int] = MappingProxyType({})) -> FloorUpdate:
        """Take one fix. Fixes come in about the order of their raw clock (see `LATE_S`).

        `levels_ns`: what the fixes of each server are moved by at present, this one's included (`Alignment`).
        """
        if not self._acceptable(fix):
            return FloorUpdate(state=self.state, verdict=Verdict.REFUSED)
        self._levels_ns = levels_ns
        excess_s = self._delays.excess_s(fix.server, fix.delay_s)
        guess_s = NOISE_OF_DELAY * (fix.delay_s - excess_s)
        bank, belief = self._bank, self._belief
        if bank is None or belief is None:
            return self._first(fix, guess_s)
        measurement = Measurement(
            raw_ns=fix.raw_ns,
            theta_ns=fix.theta_ns,
            variance=0.0,
            server=fix.server,
            delay_s=fix.delay_s,
            rest_s=fix.rest_s,
        )
        expected = bank.expected_noise_variance(*self._noise_of(measurement, self._noise.sigma_s(guess_s)))
        measurement = msgspec.structs.replace(measurement, variance=expected)
        young = self._fixes < YOUNG_FIXES
        passed = self._thinner.offer(measurement, thin=not young)
        if passed is None:
            return FloorUpdate(state=self.state, verdict=Verdict.HELD)
        innovation_s = ns_to_s(passed.theta_ns - belief.theta_at_ns(passed.raw_ns))
        sigma_s = math.sqrt(belief.sigma_s(passed.raw_ns) ** 2 + passed.variance)
        ruling = Ruling.CLEAR if young else self._jury.rule(passed, innovation_s, sigma_s, self._excess_s(passed))
        used: tuple[Measurement, ...] = ()
        match ruling:
            case Ruling.HOLD:
                verdict = Verdict.SUSPECT
                self.state = _doubted(belief, self._jury.level_s())
            case Ruling.STEP:
                verdict, used = Verdict.STEPPED, self._step(self._jury.take(REPEATS), guess_s)
            case Ruling.SCATTER:
                verdict, used = Verdict.USED, self._absorb(self._jury.take(), guess_s)
            case Ruling.CLEAR:
                verdict, used = Verdict.USED, self._absorb((passed,), guess_s)
        return FloorUpdate(
            state=self.state, verdict=verdict, measurements=used, innovation_s=innovation_s, sigma_s=sigma_s
        )

    def restart(self, raw_ns: int, reason: Kind) -> ClockState | None:
        """Begin a new epoch at `raw_ns` because of a declared discontinuity; fixes from before it are refused.

        After `Kind.SUSPEND` the oscillator and the paths are the same: its rate stays as a prior with a tenth of the
        usual spread, and what the bank has learned of clock and network stays. After `Kind.TIME_BASE` all may have
        changed and nothing is kept. The state returned says that nothing is known (0 fixes) until the next fix; None
        when there never was one.
        """
        same = reason is not Kind.TIME_BASE
        self._inherit(same)
        self._noise.interrupt()
        if not same:
            self._delays = DelayFloor()
            self._noise = NoiseScale()
            self._servers = ServerNoise()
        self._bank = None
        self._opened_raw_ns = raw_ns
        self._epoch += 1
        self._fixes = 0
        before = self._belief
        self._belief = None
        if before is not None:
            self.state = msgspec.structs.replace(
                before,
                raw_ns=raw_ns,
                theta_ns=before.theta_at_ns(raw_ns),
                rate=self._prior.rate,
                variance=(UNKNOWN_S**2, 0.0, self._prior.sigma**2, 0.0),
                widen=1.0,
                fixes=0,
                epoch=self._epoch,
            )
        return self.state

    def _acceptable(self, fix: Fix) -> bool:
        if not (math.isfinite(fix.delay_s) and fix.delay_s >= 0.0 and math.isfinite(fix.root_distance_s)):
            return False
        if self._opened_raw_ns is not None and fix.raw_ns < self._opened_raw_ns:
            return False
        return self._belief is None or self._belief.ahead_s(fix.raw_ns) >= -LATE_S

    def _first(self, fix: Fix, guess_s: float) -> FloorUpdate:
        """The first fix of an epoch: known to its root distance, at a rate known to its prior."""
        one = Measurement(
            raw_ns=fix.raw_ns, theta_ns=fix.theta_ns, variance=0.0, server=fix.server, delay_s=fix.delay_s
        )
        noise_s = self._noise.sigma_s(guess_s)
        bank = self._begin(one, noise_s)
        one = self._weighed(bank, one, noise_s)
        self._thinner.offer(one, thin=False)
        state = self._summary(bank, fix.raw_ns, noise_s)
        v0, v1, v2, v3 = state.variance
        self._belief = self.state = msgspec.structs.replace(
            state, variance=(max(v0, fix.root_distance_s**2), v1, v2, v3), widen=1.0
        )
        return FloorUpdate(state=self.state, verdict=Verdict.USED, measurements=(one,))

    def _begin(self, one: Measurement, noise_s: float) -> Bank:
        """A new bank that stands on one measurement, which is also the reference."""
        self._reference_ns = one.theta_ns
        self._bank = self._new_bank(0.0, *self._noise_of(one, noise_s))
        # After a step the network is the one that is known.
        self._read = [] if self._noise.known else [self._moved(one, -1)]
        self._read_s = 0.0
        self._noise.add(one.raw_ns, one.theta_ns)
        self._fixes = 1
        return self._bank

    def _step(self, row: tuple[Measurement, ...], guess_s: float) -> tuple[Measurement, ...]:
        """Suspects have agreed: a new epoch that begins with them."""
        self._inherit(True)
        self._noise.interrupt()
        self._epoch += 1
        self._restarts += 1
        first = row[0]
        noise_s = self._noise.sigma_s(guess_s)
        bank = self._begin(first, noise_s)
        self._belief = self._summary(bank, first.raw_ns, noise_s)
        return (self._weighed(bank, first, noise_s), *self._absorb(row[1:], guess_s))

    def _inherit(self, same_oscillator: bool) -> None:
        """Fix what the next bank starts from, and forget what waits to be used."""
        wide = self._tuning.rate_prior
        if same_oscillator and self._bank is not None and self._fixes >= YOUNG_FIXES:
            self._prior = _Prior(
                rate=self._bank.mean()[1], sigma=KEPT_RATE_SHARE * wide, log_weight=self._bank.log_weight
            )
        elif not same_oscillator:
            self._prior = _Prior(rate=0.0, sigma=wide)
        self._thinner.clear()
        self._jury.clear()

    def _absorb(self, measurements: tuple[Measurement, ...], guess_s: float) -> tuple[Measurement, ...]:
        """Through the bank, one after the other; returns them with the variance that the bank gives them."""
        taken: list[Measurement] = []
        for one in measurements:
            bank, belief = self._bank, self._belief
            assert bank is not None
            assert belief is not None
            self._noise.add(one.raw_ns, one.theta_ns, one.rest_s)
            noise_s = self._noise.sigma_s(guess_s)
            raw_ns = max(belief.raw_ns, one.raw_ns)
            if self._fixes >= YOUNG_FIXES:
                self._servers.add(one.server, ns_to_s(one.theta_ns - belief.theta_at_ns(one.raw_ns)))
            if self._read:
                self._read.append(self._moved(one, -1))
            self._fixes += 1
            try:
                too_sure = self._noise.known and noise_s > self._read_s * TOO_SURE
                if self._read and (too_sure or self._fixes in READ_AGAIN_AT):
                    bank = self._bank = self._read_again(noise_s)
                else:
                    self._feed(bank, one, belief.raw_ns, noise_s)
            except FloatingPointError:
                self._prior = _Prior(rate=0.0, sigma=self._tuning.rate_prior)
                self._epoch += 1
                bank = self._begin(one, noise_s)
            if self._fixes >= YOUNG_FIXES and self._noise.known:
                self._read_s = math.inf
            if self._fixes >= max(READ_AGAIN_AT):
                self._read = []
            self._belief = self.state = self._summary(bank, raw_ns, noise_s)
            taken.append(self._weighed(bank, one, noise_s))
        return tuple(taken)

    def _noise_of(self, one: Measurement, noise_s: float) -> tuple[float, float]:
        """Its server's scale of noise, s, and how long it may have queued, s, as far as is known now."""
        its_s = noise_s * self._servers.factor(one.server)
        return its_s, self._excess_s(one) + its_s * self._delays.doubt(one.server)

    def _excess_s(self, one: Measurement) -> float:
        return max(one.delay_s - self._delays.least_s(one.server), 0.0)

    def _moved(self, one: Measurement, sign: int) -> Measurement:
        """Onto its server's present level (1), or back from it (-1)."""
        shift_ns = sign * self._levels_ns.get(one.server, 0)
        return msgspec.structs.replace(one, theta_ns=one.theta_ns + shift_ns) if shift_ns else one

    def _weighed(self, bank: Bank, one: Measurement, noise_s: float) -> Measurement:
        """With the variances that the bank gives it."""
        noise = self._noise_of(one, noise_s)
        return msgspec.structs.replace(
            one, variance=bank.measurement_variance(*noise), likely_variance=bank.likely_variance(*noise)
        )

    def _feed(self, bank: Bank, one: Measurement, at_raw_ns: int, noise_s: float) -> None:
        """Take the bank, which stands at `at_raw_ns`, through one measurement; it never goes back in time."""
        ahead_s = ns_to_s(one.raw_ns - at_raw_ns)
        bank.predict(max(ahead_s, 0.0))
        z_s = ns_to_s(one.theta_ns - self._reference_ns) + one.rest_s
        bank.update(z_s, *self._noise_of(one, noise_s), max(-ahead_s, 0.0))

    def _read_again(self, noise_s: float) -> Bank:
        """A new bank that has taken all measurements of the epoch with what is known of their noise by now.

        When they came, the scale of their noise was a guess or one of three residuals, which a good server among worse
        ones makes a hundred times too small; the least delays were those of a few round trips; all servers counted as
        alike and stood on their own levels; and the vote had gone by all that, which takes hundreds of fixes to forget.

        The first fix may be the worst, and a bank that has nothing to compare it with takes it at face value. So it
        starts from the median of the first ones, as far as their spread and an unknown rate allow, and one of them
        that lies farther off than these can explain is left out.
        """
        self._read_s = noise_s
        read = sorted((self._moved(one, 1) for one in self._read), key=lambda one: one.raw_ns)
        start_ns = read[0].raw_ns
        ages_s = [ns_to_s(one.raw_ns - start_ns) for one in read[:YOUNG_FIXES]]
        levels_s = [
            ns_to_s(one.theta_ns - self._reference_ns) - self._prior.rate * age_s
            for one, age_s in zip(read, ages_s, strict=False)
        ]
        level_s, age_s = statistics.median(levels_s), statistics.median(ages_s)
        spread_s = max(MAD_TO_SIGMA * statistics.median(abs(one - level_s) for one in levels_s), noise_s)
        sigma_s = math.hypot(spread_s, self._prior.sigma * max(ages_s))
        bank = self._new_bank(level_s, noise_s, 0.0, sigma_s=sigma_s)
        at_raw_ns = start_ns
        for i, one in enumerate(read):
            if i < len(levels_s):
                rate_s = self._prior.sigma * abs(ages_s[i] - age_s)
                if abs(levels_s[i] - level_s) > FAR_SPREADS * spread_s + FAR_RATES * rate_s:
                    continue
            self._feed(bank, one, at_raw_ns, noise_s)
            at_raw_ns = max(at_raw_ns, one.raw_ns)
        bank.predict(ns_to_s(read[-1].raw_ns - at_raw_ns))
        return bank

    def _new_bank(self, z_s: float, noise_s: float, excess_s: float, *, sigma_s: float | None = None) -> Bank:
        return Bank(
            self._tuning,
            z_s,
            noise_s,
            excess_s,
            rate=self._prior.rate,
            rate_sigma=self._prior.sigma,
            log_weight=self._prior.log_weight,
            sigma_s=sigma_s,
        )

    def _summary(self, bank: Bank, raw_ns: int, noise_s: float) -> ClockState:
        """The mixture as a line in whole nanoseconds; moves the reference along when the offset has grown."""
        x, rate = bank.mean()
        variance = bank.variance()
        theta_ns = self._reference_ns + s_to_ns(x)
        rest_s = x - ns_to_s(theta_ns - self._reference_ns)
        if abs(x) > RECENTRE_S:
            bank.recentre(ns_to_s(theta_ns - self._reference_ns))
            self._reference_ns = theta_ns
        return ClockState(
            raw_ns=raw_ns,
            theta_ns=theta_ns,
            rate=rate,
            variance=variance,
            widen=widen(self._fixes),
            fixes=self._fixes,
            noise_s=bank.noise_factor() * noise_s,
            wander=bank.wander(),
            restarts=self._restarts,
            epoch=self._epoch,
            rest_s=rest_s,
        )


class _Prior(msgspec.Struct, frozen=True, eq=False):
    """What a new bank starts from: rate and its standard deviation, s/s, and the vote of the bank before it."""

    rate: float
    sigma: float
    log_weight: Vector | None = None


def _doubted(belief: ClockState, level_s: float) -> ClockState:
    """The same line, wide enough to hold the level that suspects claim."""
    v0, v1, v2, v3 = belief.variance
    return msgspec.structs.replace(belief, variance=(v0 + level_s**2, v1, v2, v3))
