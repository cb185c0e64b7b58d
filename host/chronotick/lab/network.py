"""The path between the client and one server: how long each packet takes, and which packets never arrive."""

import random

import msgspec

from chronotick.lab.scenario import PathConfig


class Passage(msgspec.Struct, frozen=True):
    """What the network does to one exchange: one-way delays, and whether request or reply is lost."""

    out_ns: int
    back_ns: int
    lost: bool


class Path:
    """Draws the passage of each exchange in turn.

    The n-th passage depends on the seed, the server's name and n alone, not on time: the same number of values is
    drawn for each, whatever comes of them.
    """

    def __init__(self, config: PathConfig, seed: int, server: str) -> None:
        self._config = config
        self._rng = random.Random(f"{seed}:{server}")

    def next(self) -> Passage:
        """The passage of the next exchange."""
        config = self._config
        out_ns = self._delay_ns(config.out_ms, config.jitter_out_us)
        back_ns = self._delay_ns(config.back_ms, config.jitter_back_us)
        lost_out, lost_back = (self._rng.random() < config.loss for _ in range(2))
        return Passage(out_ns=out_ns, back_ns=back_ns, lost=lost_out or lost_back)

    def _delay_ns(self, base_ms: float, jitter_us: float) -> int:
        queueing, spike = self._rng.expovariate(1.0), self._rng.expovariate(1.0)
        spiked = self._rng.random() < self._config.spike_probability
        return round(
            base_ms * 1e6 + queueing * jitter_us * 1e3 + (spike * self._config.spike_ms * 1e6 if spiked else 0)
        )
