"""The bank: 132 Kalman filters that differ in what they believe about the clock and the network, and a vote.

Model. Theta (UTC minus raw clock) and its rate are a two-state clock with white and random-walk frequency noise
(Zucca and Tavella, "The clock model and its relationship with the Allan and related variances", IEEE UFFC 2005):

    x' = x + f dt + w1,   f' = f + w2,
    Q  = [[s^2 dt + q^2 dt^3/3, q^2 dt^2/2], [q^2 dt^2/2, q^2 dt]],
    z  = x + v,           var v = R = (c sigma0)^2 + (k excess)^2 + (10 ns)^2.

x is in seconds relative to a reference that the caller chooses (`Floor` keeps it in whole nanoseconds); f is s/s,
positive when theta grows, that is when the raw clock is slow. q is the wander, s/s/sqrt(s); s the white frequency
noise, s/sqrt(s), 1e-9 but never more than 30 s times q: a clock that is quiet over hours is quiet over seconds too,
and with s fixed an oven-controlled oscillator would be followed as if it jittered fifty times more than it does.
sigma0 is the measured scale of the noise of fixes (`NoiseScale`, times the server's share, `ServerNoise`), excess what
the round trip took above the server's best, and what that may have queued itself (`DelayFloor`).

Nobody knows q of the oscillator at hand, by which factor c the measured scale misleads, nor how much k of a queue
shows up as error. No single choice serves a LAN and the Internet, a quiet room and a busy laptop: so every
combination of 11 q, 4 c and 3 k runs as its own filter. Member i earns log-weight by how well it foretold each fix,

    log w_i <- 0.995 log w_i + 0.005 log p_i + log t4(e_i; S_i),   e = z - x,  S = P00 + R,

and the estimate is the weighted mixture. t4 is Student's density with 4 degrees of freedom and scale sqrt(S): under
the normal density the few outliers would choose the winner. The forgetting lets the vote follow a changing clock or
network over some hundreds of fixes. The prior p_i is mild, exp(-1/2) for each half decade of q above 1e-11: on a noisy
path a few hundred fixes say little about q, and quiet oscillators are commoner than restless ones. Without it the error
on the simulated Internet path with polls of 64 s is a fifth larger; where fixes are precise it changes nothing. Below
1e-11 are ovens and atoms; they have exp(-5/2) for each half decade, so that only fixes that can tell vote for them.

The state itself is updated with Huber's weight on the fix: where |e| > 2.5 sqrt(S) the fix counts as if R were
|e| / (2.5 sqrt(S)) times what it is. So an outlier moves the estimate by less than 2.5 sqrt(S) P00 / R: little where
the network explains it, almost fully where the clock must have moved, because the fix is far better than the line. To
grow S instead, as is usual, is to doubt the fix for what the clock did: on a recorded oscillator whose rate moves in
bursts the error a minute ahead is a tenth larger. The first five fixes are taken at face value, because the prior has
nothing to compare them with; not so where the bank starts from an offset that is known to some deviation.

Assumptions. Fixes come in about the order of the raw clock (one that is late is compared with where the line was at
its instant); noise is independent between fixes; a constant path asymmetry is
invisible here (the hard interval is for that). The covariance is kept as three numbers per member, so symmetric by
construction, and updated in a form that can not lose positive definiteness: with g = R_eff/S_eff,
P00 <- g P00, P01 <- g P01, and P11 <- max(P11 - P01^2/S, g P01^2/P00), where the second term is what P11 would be at
determinant zero. A member that is no longer finite is dropped for good.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chronotick.clock.tuning import Tuning

Vector = NDArray[np.float64]

# Factors on the measured noise scale, and the shares of a queue that show up as error.
NOISE_FACTORS: Final = (0.15, 0.4, 1.0, 2.0)
DELAY_WEIGHTS: Final = (0.1, 0.3, 1.0)
# Smallest variance of any measurement, s^2: what whole nanoseconds leave of the mean of some.
LEAST_VARIANCE: Final = 1e-20
# Huber's threshold in sigma, and how many updates come before it applies (the fix that starts the bank included).
HUBER_SIGMA: Final = 2.5
UNGUARDED_UPDATES: Final = 5
FORGETTING: Final = 0.995
# Log weight that a filter has less before any fix for each decade of its wander above the commonest, and below it.
RESTLESS_PER_DECADE: Final = 1.0
QUIET_PER_DECADE: Final = 5.0
DEGREES: Final = 4.0
LOG_T: Final = math.lgamma((DEGREES + 1.0) / 2.0) - math.lgamma(DEGREES / 2.0) - 0.5 * math.log(DEGREES * math.pi)


class Bank:
    """The filters' states and their weights. Vectors have shape (members,)."""

    def __init__(
        self,
        tuning: Tuning,
        z_s: float,
        noise_s: float,
        excess_s: float,
        *,
        rate: float = 0.0,
        rate_sigma: float | None = None,
        log_weight: Vector | None = None,
        sigma_s: float | None = None,
    ) -> None:
        """Start all members at the measurement `z_s`, with the rate's prior.

        `rate_sigma` None means `tuning.rate_prior`. `log_weight`, shape (members,), carries over what an earlier
        bank of the same tuning has learned. With `sigma_s` > 0 the offset is no measurement, but is known so well:
        what comes first can be compared with it.
        """
        wander = np.array(tuning.quiet_wander + tuning.wander_grid)
        q, c, k = (
            grid.ravel()
            for grid in np.meshgrid(wander, np.array(NOISE_FACTORS), np.array(DELAY_WEIGHTS), indexing="ij")
        )
        self._q2: Vector = q * q
        # R is this, shape (members, 3), times (sigma0^2, excess^2, least variance).
        self._noise_terms: Vector = np.column_stack((c * c, k * k, np.ones_like(c)))
        # Members that differ in q only share their noise: one number per pair (c, k).
        self._noise_pair = np.tile(np.arange(len(NOISE_FACTORS) * len(DELAY_WEIGHTS)), len(wander))
        self._log_q: Vector = np.log(q)
        self._log_c: Vector = np.log(c)
        self._white_fm2: Vector = np.minimum(tuning.white_fm, tuning.white_span_s * q) ** 2
        members = len(q)
        sigma = tuning.rate_prior if rate_sigma is None else rate_sigma
        self._x: Vector = np.full(members, z_s)
        self._f: Vector = np.full(members, rate)
        self._p00: Vector = self.noise_variances(noise_s, excess_s) if sigma_s is None else np.full(members, sigma_s**2)
        self._p01: Vector = np.zeros(members)
        self._p11: Vector = np.full(members, sigma**2)
        decades: Vector = np.log10(q / tuning.wander_grid[0])
        self._prior: Vector = np.minimum(-RESTLESS_PER_DECADE * decades, QUIET_PER_DECADE * decades)
        self._log_weight: Vector = (self._prior if log_weight is None else log_weight).copy()
        self._weight: Vector = _normalised(self._log_weight)
        self._started_with = members
        self._updates = 1 if sigma_s is None else UNGUARDED_UPDATES

    @property
    def members(self) -> int:
        """Filters still in the race."""
        return len(self._x)

    @property
    def log_weight(self) -> Vector | None:
        """What the vote has learned, for the bank after a step; None when members were lost."""
        return self._log_weight.copy() if self.members == self._started_with else None

    def noise_variances(self, noise_s: float, excess_s: float) -> Vector:
        """R of each member for a fix with this excess delay, s^2."""
        variances: Vector = self._noise_terms @ np.array((noise_s**2, excess_s**2, LEAST_VARIANCE))
        return variances

    def predict(self, dt_s: float) -> None:
        """Time update by `dt_s` >= 0."""
        self._move(dt_s)
        self._p00 += dt_s * (self._white_fm2 + (dt_s * dt_s / 3.0) * self._q2)
        self._p01 += (0.5 * dt_s * dt_s) * self._q2
        self._p11 += dt_s * self._q2

    def update(self, z_s: float, noise_s: float, excess_s: float, lag_s: float = 0.0) -> None:
        """Measurement update, then the vote. Raises FloatingPointError when no member is finite any more.

        `lag_s` >= 0: the measurement is of the offset so long before the bank's instant, x - lag f. What the clock
        wandered within the lag is neglected.
        """
        with np.errstate(all="ignore"):
            if lag_s:
                self._move(-lag_s)
            r = self.noise_variances(noise_s, excess_s)
            e = z_s - self._x
            s = self._p00 + r
            u = e * e / s
            self._log_weight *= FORGETTING
            self._log_weight += (1.0 - FORGETTING) * self._prior
            self._log_weight -= 0.5 * np.log(s) + (0.5 * (DEGREES + 1.0)) * np.log1p(u / DEGREES) - LOG_T
            if self._updates >= UNGUARDED_UPDATES:
                r *= np.maximum(np.sqrt(u) / HUBER_SIGMA, 1.0)
                s = self._p00 + r
            g = r / s
            k1 = self._p01 / s
            self._x += (self._p00 / s) * e
            self._f += k1 * e
            p01 = self._p01 * g
            self._p11 = np.maximum(self._p11 - k1 * self._p01, p01 * self._p01 / self._p00)
            self._p00 *= g
            self._p01 = p01
            if lag_s:
                self._move(lag_s)
        self._updates += 1
        self._drop_lost()
        self._weight = _normalised(self._log_weight)

    def recentre(self, shift_s: float) -> None:
        """Move the reference of all offsets by `shift_s`: x becomes x - shift."""
        self._x -= shift_s

    def mean(self) -> tuple[float, float]:
        """The mixture's offset, s, and rate, s/s."""
        return float(self._weight @ self._x), float(self._weight @ self._f)

    def variance(self) -> tuple[float, float, float, float]:
        """Coefficients (v0, v1, v2, v3) of the variance of the mixture's offset h seconds ahead, in powers of h.

        Within the members: P00 + 2 P01 h + P11 h^2 + s^2 h + q^2 h^3/3; between them: the spread of x + f h.
        """
        w = self._weight
        x, f = self.mean()
        dx, df = self._x - x, self._f - f
        wdx = w * dx
        return (
            float(w @ self._p00 + wdx @ dx),
            float(2.0 * (w @ self._p01 + wdx @ df) + w @ self._white_fm2),
            float(w @ self._p11 + (w * df) @ df),
            float(w @ self._q2) / 3.0,
        )

    def noise_factor(self) -> float:
        """Geometric posterior mean of the factor c on the measured noise scale."""
        return math.exp(float(self._weight @ self._log_c))

    def measurement_variance(self, noise_s: float, excess_s: float) -> float:
        """Geometric posterior mean of R for a fix with this excess delay, s^2."""
        return math.exp(float(self._weight @ np.log(self.noise_variances(noise_s, excess_s))))

    def likely_variance(self, noise_s: float, excess_s: float) -> float:
        """R that the pair of noise scale and delay weight with the most votes gives a fix with this excess, s^2."""
        pair = int(np.bincount(self._noise_pair, self._weight).argmax())
        first = int(np.argmax(self._noise_pair == pair))
        return float(self._noise_terms[first] @ np.array((noise_s**2, excess_s**2, LEAST_VARIANCE)))

    def expected_noise_variance(self, noise_s: float, excess_s: float) -> float:
        """Arithmetic posterior mean of R: what to expect of the next fix, s^2."""
        return float(self._weight @ self.noise_variances(noise_s, excess_s))

    def wander(self) -> float:
        """Geometric posterior mean of the wander q, s/s/sqrt(s)."""
        return math.exp(float(self._weight @ self._log_q))

    def _move(self, dt_s: float) -> None:
        """State and covariance as if seen `dt_s` later, along each member's own line."""
        self._x += dt_s * self._f
        self._p00 += dt_s * (2.0 * self._p01 + dt_s * self._p11)
        self._p01 += dt_s * self._p11

    def _drop_lost(self) -> None:
        with np.errstate(all="ignore"):
            if math.isfinite(self._x @ self._f + self._p00 @ self._p11 + self._log_weight @ self._p01):
                return
            kept = np.isfinite(self._x + self._f + self._p00 + self._p01 + self._p11 + self._log_weight)
        if not kept.any():
            raise FloatingPointError("no filter of the bank is finite")
        vectors = (
            "_q2",
            "_white_fm2",
            "_noise_terms",
            "_noise_pair",
            "_log_q",
            "_log_c",
            "_x",
            "_f",
            "_p00",
            "_p01",
            "_p11",
        )
        for name in (*vectors, "_prior", "_log_weight"):
            setattr(self, name, getattr(self, name)[kept])


def _normalised(log_weight: Vector) -> Vector:
    weight: Vector = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    return weight
