"""How much of a target's variance is to be counted beside the variance of the forecast.

Scores hold a forecast against a target that has noise of its own. What is taken off as the target's is taken off the
interval, so both must be known: the target's own noise and the forecast's. Either is what the floor says of it, times
a factor that no two networks share: kappa for targets, u for forecasts. A score is |y - f| / sqrt(sigma^2 + s v) with

    s = kappa / u,      since then it is too large or too small by u alone, whatever share of it is noise.

kappa v is seen without any forecast: of two targets for one instant, each of every other fix, the difference is noise
alone (`fusion.target.disagreement`). u is what is left of the errors, E[(y - f)^2] = u sigma^2 + kappa v. Where targets
are much noisier than forecasts that is a small difference of large numbers, so it is believed as far as it is known
(credibility, Bühlmann 1967): its variance is that of a mean square of so many independent errors, and before it, u is
taken to be `kappa / noise_share` to within `noise_doubt` of itself. Floor and target are made of the same fixes and
are mostly wrong together, which is why that is a good guess.
"""

from typing import Final

from chronotick.fusion.rules import IntervalRules

# No single square is more than that many times what was expected: one outlier is not a law.
_MOST_SQUARE: Final = 25.0
# Whatever is learned, the share stays within these.
_LEAST_SHARE: Final = 0.3
_MOST_SHARE: Final = 3.0
# Weight of the first guess in all means, in scores: they overlap, so it is more than it looks.
_PRIOR_SCORES: Final = 50.0
# A forecast is not taken for better than this share of its target's factor.
_LEAST_RATIO: Final = 0.02
# Where targets, or forecasts, are so small a part of the errors, nothing is to be learned.
_NOTHING: Final = 1e-6


class TargetNoise:
    """What is known about it at one horizon.

    Attributes:
        share: s above.
    """

    def __init__(self, rules: IntervalRules) -> None:
        self._rules = rules
        self.share: float = rules.noise_share
        self._count = 0
        # Running means over scores, each divided by sigma^2 + v: of sigma^2, of kappa v, of squared errors.
        self._forecast = 0.5
        self._noise = 0.5 * rules.noise_share
        self._error = self._forecast + self._noise

    def copy(self) -> "TargetNoise":
        """One that knows the same."""
        made = TargetNoise(self._rules)
        made.share, made._count = self.share, self._count
        made._forecast, made._noise, made._error = self._forecast, self._noise, self._error
        return made

    def add(self, error_s: float, square_s2: float, variance_s2: float, disagreement: float, witnesses: float) -> None:
        """Take one score.

        Args:
            square_s2: the floor's sigma^2, s^2; `variance_s2` > 0: the target's variance.
            disagreement: squared difference of two halves of the fixes over its variance: about 1 where v is right.
            witnesses: number of independent errors behind the means.
        """
        rules, total = self._rules, square_s2 + variance_s2
        part = square_s2 / total
        gain = max(1.0 / rules.memory, 1.0 / (self._count + _PRIOR_SCORES))
        self._count += 1
        self._forecast += gain * (part - self._forecast)
        self._noise += gain * (min(disagreement, _MOST_SQUARE) * (1.0 - part) - self._noise)
        self._error += gain * (min(error_s * error_s / total, _MOST_SQUARE) - self._error)
        of_targets = 1.0 - self._forecast
        if min(self._noise, self._forecast, of_targets) <= _NOTHING:
            return
        kappa = self._noise / of_targets
        guess = kappa / rules.noise_share
        seen = (self._error - self._noise) / self._forecast
        # A mean square of n independent normal errors has the relative variance 2/n.
        doubt = 2.0 / max(witnesses, 1.0) * (self._error / self._forecast) ** 2
        known = 1.0 / (1.0 + doubt / (rules.noise_doubt * guess) ** 2)
        of_forecast = max(guess + known * (seen - guess), _LEAST_RATIO * kappa)
        self.share = min(max(kappa / of_forecast, _LEAST_SHARE), _MOST_SHARE)
