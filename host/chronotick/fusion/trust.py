"""What the gate's quick judges leave of a candidate's share, before they have enough to shut it.

Three of them: bad answers in a row, each of which halves it; the sum of what single fixes said against it at a rung
(Page 1954: never below 0, less a slack at each fix); and how unusual its last answer was beside the one before
(`revision.py`), which fades by the slack at each fix. s nats leave exp(-s): a candidate is quieter from the first fix
or answer that speaks against it, and as loud as before when that was chance.

What single fixes said is summed twice. Eight forecasts of an hour ahead overlap and miss together: all that is said
quietens, and only what is news in it shuts.
"""

import math
from collections.abc import Mapping

from chronotick.fusion.rules import GateRules


class Trust:
    """Strikes of each candidate, and nats against it at each rung.

    Args:
        rungs: how many the ladder has.
    """

    def __init__(self, rungs: int, rules: GateRules) -> None:
        self._rungs = rungs
        self._rules = rules
        self._strikes: dict[str, int] = {}
        # What fixes said against a candidate at each rung, nats: the news, which shuts; and all of it, which quietens.
        self._watch: dict[str, list[float]] = {}
        self._said: dict[str, list[float]] = {}
        self._doubt: dict[str, list[float]] = {}

    def strike(self, name: str) -> int:
        """Count a bad answer; returns how many came in a row."""
        self._strikes[name] = self._strikes.get(name, 0) + 1
        return self._strikes[name]

    def pardon(self, name: str) -> None:
        """A good answer ends the row of bad ones."""
        self._strikes.pop(name, None)

    def watch(self, name: str, rung: int, nats: float, share: float = 1.0) -> float:
        """Take what one fix said against a candidate (for it: negative), within the clip. Returns what shuts it.

        Args:
            share: how much of it is news, 0..1: errors a horizon ahead go on for a horizon. Only news can shut it; what
                is said again quietens, as long as it is said.
        """
        rules = self._rules
        added = min(max(nats, -rules.watch_clip), rules.watch_clip) - rules.watch_slack
        said = self._said.setdefault(name, [0.0] * self._rungs)
        said[rung] = min(max(0.0, said[rung] + added), rules.watch_limit)
        sums = self._watch.setdefault(name, [0.0] * self._rungs)
        sums[rung] = max(0.0, sums[rung] + share * added)
        return sums[rung]

    def acquit(self, name: str, rung: int | None = None) -> None:
        """What fixes said is settled, at a rung or at all."""
        for sums in (self._watch, self._said):
            if rung is None:
                sums.pop(name, None)
            elif name in sums:
                sums[name][rung] = 0.0

    def doubt(self, name: str, nats: Mapping[int, float]) -> None:
        """An answer departs from the one before it by so many nats more than usual, by rung."""
        doubts = self._doubt.setdefault(name, [0.0] * self._rungs)
        for rung, more in nats.items():
            doubts[rung] = min(doubts[rung] + max(more - self._rules.doubt_slack, 0.0), self._rules.watch_limit)

    def calm(self) -> None:
        """A fix has come: doubts fade."""
        for doubts in self._doubt.values():
            doubts[:] = (max(nats - self._rules.watch_slack, 0.0) for nats in doubts)

    def forget(self, name: str) -> None:
        """The candidate is no longer remembered."""
        for table in (self._strikes, self._watch, self._said, self._doubt):
            table.pop(name, None)

    def loudness(self, name: str) -> float:
        """What bad answers leave, 0..1."""
        return 0.5 ** self._strikes.get(name, 0)

    def left(self, name: str, rung: int) -> float:
        """What all of them leave at a rung, 0..1."""
        said, doubt = self._said.get(name), self._doubt.get(name)
        return self.loudness(name) * math.exp(-(said[rung] if said else 0.0) - (doubt[rung] if doubt else 0.0))


def quietened(ratio: float, left: float) -> float:
    """The weight whose share beside a weight of 1 is `left` times that of `ratio`.

    With p = ratio / (1 + ratio) that is left p / (1 - left p).
    """
    return ratio * left / (1.0 + ratio * (1.0 - left))
