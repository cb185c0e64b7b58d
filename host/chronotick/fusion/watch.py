"""The quick judge: each fix, as it comes, against what was said of its instant (see `fusion.gate`)."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

from chronotick.clock.measurement import Measurement
from chronotick.clock.state import ClockState
from chronotick.fusion.candidate import Candidate, heard_s
from chronotick.fusion.gate import Gate
from chronotick.fusion.ladder import place
from chronotick.fusion.origins import HORIZON_SHARE, MOST_WAITING, Origin
from chronotick.units import NS_PER_S, s_to_ns


class Watch:
    """Holds fixes against the candidates' lines, and tells the gate.

    Args:
        clip_sigma: as of `fusion.fuse.mix`.
    """

    def __init__(self, gate: Gate, clip_sigma: float) -> None:
        self._gate = gate
        self._clip_sigma = clip_sigma
        self._young: list[deque[Origin]] = [deque(maxlen=MOST_WAITING) for _ in gate.horizons]
        self._last_watched_ns: list[int | None] = [None] * len(gate.horizons)

    def add(self, rung: int, origin: Origin) -> None:
        """Something was said about the instant one rung ahead."""
        self._young[rung].append(origin)

    def take(self, fix: Measurement, state: ClockState, live: Sequence[Candidate]) -> None:
        """Hold one fix against what was said of its instant: at the fix before, and a horizon ago at each rung.

        Args:
            state, live: the floor and the candidates at the fix before.
        """
        if fix.raw_ns <= state.raw_ns:
            return
        sigma_s = state.sigma_s(fix.raw_ns)
        said = {one.name: heard_s(one, state, fix.raw_ns, sigma_s, self._clip_sigma) for one in live}
        self._gate.trust.calm()
        horizons = self._gate.horizons
        lower, upper, _ = place(horizons, state.ahead_s(fix.raw_ns))
        for rung in {lower, upper}:
            self._compare(rung, fix, state, sigma_s, said)
        for rung, young in enumerate(self._young):
            horizon_ns = s_to_ns(horizons[rung])
            while young and young[0].target_raw_ns <= fix.raw_ns:
                origin = young.popleft()
                # Only the first fix after the target is near enough to speak for it.
                if fix.raw_ns - origin.target_raw_ns <= horizon_ns // HORIZON_SHARE:
                    # Forecasts that overlap share their error: what is news in this one is the time between them.
                    last_ns = self._last_watched_ns[rung]
                    share = 1.0 if last_ns is None else min((origin.state.raw_ns - last_ns) / horizon_ns, 1.0)
                    self._last_watched_ns[rung] = origin.state.raw_ns
                    self._compare(rung, fix, origin.state, origin.sigma_s, origin.corrections_s, share)

    def forget(self) -> None:
        """A new epoch: nothing that was said before holds any more."""
        for young in self._young:
            young.clear()
        self._last_watched_ns = [None] * len(self._last_watched_ns)

    def _compare(
        self,
        rung: int,
        fix: Measurement,
        state: ClockState,
        sigma_s: float,
        corrections_s: Mapping[str, float],
        share: float = 1.0,
    ) -> None:
        """Which line did a fix lie nearer to, in log likelihood, each with the spread that it has shown?

        `share` of the answer is news, 0..1.
        """
        miss_s = (fix.theta_ns - state.theta_at_ns(fix.raw_ns)) / NS_PER_S
        for name, correction_s in corrections_s.items():
            if not self._gate.may_speak(name, rung):
                continue
            floor_s2, own_s2 = self._gate.shown_s2(name, rung, sigma_s * sigma_s)
            against = cost(miss_s - correction_s, own_s2 + fix.variance) - cost(miss_s, floor_s2 + fix.variance)
            if abs(miss_s - correction_s) <= abs(miss_s):
                # Worse than it used to be, and still no worse than the floor: no reason to shut it.
                against = min(against, 0.0)
            self._gate.watch(rung, name, against, fix.raw_ns, share)


def cost(error_s: float, variance_s2: float) -> float:
    """Negative log likelihood of an error, Student's t with 4 degrees of freedom, up to a constant: bursts happen."""
    variance_s2 = max(variance_s2, 1e-30)
    return 2.5 * math.log1p(error_s * error_s / variance_s2 / 4.0) + 0.5 * math.log(variance_s2)
