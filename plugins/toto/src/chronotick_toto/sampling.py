"""How many samples a forecast is worth. Pure."""

from typing import Final

# Samples that the library draws side by side.
SAMPLES_PER_BATCH: Final = 32
# With this many, the share of values below the 0.1 quantile is 0.10 +- 0.02 (a binomial's deviation)...
SAMPLES_MAX: Final = 256
# ... and with this many 0.10 +- 0.04. Fewer are not worth an answer.
SAMPLES_MIN: Final = 64
# The next round of samples may take this much longer than the slowest so far.
MARGIN: Final = 1.25


def wants_more(made: int, wanted: int, slowest_ns: int, left_ns: int) -> bool:
    """Whether to draw another round of `SAMPLES_PER_BATCH`.

    Args:
        made: samples so far.
        wanted: a fixed number; 0 for up to SAMPLES_MAX, and down to SAMPLES_MIN, as the deadline allows.
        slowest_ns: what the slowest round took, left_ns: time to the deadline.
    """
    if wanted:
        return made < wanted
    if made < SAMPLES_MIN:
        return True
    return made < SAMPLES_MAX and slowest_ns * MARGIN < left_ns


def round_seed(seed: int, number: int) -> int:
    """Seed of one round: the same round draws the same samples whatever comes before or after it."""
    return (seed * SAMPLES_MAX + number) % 2**63
