"""Outlook: how the estimate spreads, between and beyond the instants at which it was worked out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.serve.outlook import AHEAD_S, Outlook
from chronotick.serve.verbs import MAX_AHEAD_NS, reading_of
from chronotick.wire.snapshot import Record

S = 1_000_000_000


def test_it_is_interpolated_and_held_at_its_ends() -> None:
    """A spread that grows linearly is met exactly at any distance within; outside the ends hold."""
    made = Outlook.of(1000, lambda raw: (1e-6 * (raw - 1000) / S, 2e-6 * (raw - 1000) / S))
    assert made.spread_ns(1000 + 100 * S) == (100_000, 200_000)
    assert made.spread_ns(1000 + 3600 * S) == (3_600_000, 7_200_000)
    assert made.spread_ns(0) == (0, 0)
    assert made.spread_ns(10**15) == made.spread_ns(1000 + round(AHEAD_S[-1] * S))


@given(st.lists(st.floats(0, 1), min_size=len(AHEAD_S), max_size=len(AHEAD_S)))
def test_it_never_gets_more_certain(values: list[float]) -> None:
    """Whatever the estimator says at each distance, the outlook does not fall."""
    left = iter(values)
    made = Outlook.of(0, lambda raw: (value := next(left), value))
    spreads = [made.spread_ns(seconds * S)[0] for seconds in range(0, 4000, 37)]
    assert all(late >= early for early, late in pairwise(spreads))


def test_a_look_ahead_has_the_outlooks_spread(record: Record) -> None:
    """The host answers with the outlook where it is wider than now, and with the hard growth where there is none."""
    raw = record.raw_ns + 2 * S
    outlook = Outlook.of(raw, lambda at: (1e-2, 2e-2))
    lent = record._replace(void_raw_ns=2**62)
    told = reading_of(lent, raw, MAX_AHEAD_NS, 1, outlook)
    assert told.sigma_ns == 10_000_000
    assert told.high_95_ns - told.utc_ns == 20_000_000
    alone = reading_of(lent, raw, MAX_AHEAD_NS, 1)
    assert alone.sigma_ns == pytest.approx(3600 * 5e-5 * S, rel=0.01)
    narrow = reading_of(lent, raw, S, 1, Outlook.of(raw, lambda at: (0.0, 0.0)))
    assert narrow.sigma_ns >= lent.sigma_ns(raw)
