"""How large scores are by the side of the sigma that was said with them, and what of that is carried to another sigma.

Scores are errors in sigma of the floor, so their mean square is how far sigma is wrong: 1 where it is right. That holds
for the sigma it was learned at. When the floor changes its mind about the clock (a wave that it can follow now, a poll
interval, a calm after a load step) sigma moves by up to forty times within minutes, and scores of an hour ahead say so
hours later. So beside the mean squares stands the mean logarithm of sigma, with the same weights, and what sigma has
done by itself since is not done a second time:

- where sigma was too small and has risen, it is widened by what the rise leaves of it;
- where it was too wide and has fallen, it is narrowed by what the fall leaves. That is the size of errors that were
  really seen: they may be as far below sigma as before, or have been no smaller than now. A quantile of either of
  two cases is near that of the likelier for a middle level, and that of the worse for a rare one. So the fall counts
  for a share that grows with the level (`IntervalRules.fallen_shares`), and counts a little at each: in a clock's
  first minutes sigma falls because more is known, and errors do not.
"""

import math

from chronotick.fusion.rules import IntervalRules

# Nor does any number of errors say that sigma is more than ten times too wide.
_LEAST_SQUARE = 0.01


class Scale:
    """The scores' size at one horizon.

    Attributes:
        usual, recent: running means of the squared scores: about 1, where sigma is right.
        usual_sigma, recent_sigma: running means, with the same weights, of the logarithms of sigma, s.
    """

    def __init__(self, rules: IntervalRules) -> None:
        self._rules = rules
        self.usual: float = 1.0
        self.recent: float = 1.0
        self.usual_sigma: float = 0.0
        self.recent_sigma: float = 0.0
        self._known = False

    def widest(self) -> "Scale":
        """One that knows the same, but where scores were small."""
        made = Scale(self._rules)
        made.usual, made.recent, made._known = max(self.usual, 1.0), max(self.recent, 1.0), self._known
        made.usual_sigma, made.recent_sigma = self.usual_sigma, self.recent_sigma
        return made

    def take(self, square: float, log_sigma: float, weight: float, count: int) -> None:
        """Take the `count`-th score, squared, said at a sigma; it moves the means by `weight`, 0..1."""
        rules = self._rules
        if not self._known:
            self.usual_sigma = self.recent_sigma = log_sigma
            self._known = True
        fast = (1.0 - 0.5 ** (1.0 / rules.recent_scores)) * weight
        slow = max(1.0 / rules.memory, 1.0 / count) * weight
        self.recent += fast * (square - self.recent)
        self.recent_sigma += fast * (log_sigma - self.recent_sigma)
        self.usual += slow * (square - self.usual)
        self.usual_sigma += slow * (log_sigma - self.usual_sigma)

    def factors(self, log_sigma: float | None, spans: float) -> tuple[float, ...]:
        """Logarithms of what errors are in sigma at `LEVELS`, where sigma's logarithm is `log_sigma`, or what it was.

        `spans`: independent scores behind the means; where these are small, they are doubted as far as they are few.
        """
        rules, power = self._rules, self._rules.recent_power
        said = 0.5 * ((1.0 - power) * self._log(self.usual, spans) + power * self._log(self.recent, spans))
        moved = 0.0
        if log_sigma is not None and self._known:
            moved = log_sigma - (1.0 - power) * self.usual_sigma - power * self.recent_sigma
        if said >= 0.0:
            return (max(said - max(moved, 0.0), 0.0),) * len(rules.fallen_shares)
        fallen = max(-moved, 0.0)
        return tuple(min(said + share * fallen, 0.0) for share in rules.fallen_shares)

    def _log(self, square: float, spans: float) -> float:
        if square < 1.0:
            doubt = self._rules.prior_scores
            square = max((spans * square + doubt) / (spans + doubt), _LEAST_SQUARE)
        return math.log(square)
