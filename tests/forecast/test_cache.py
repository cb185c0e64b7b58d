"""The latest forecast of each model and role."""

import msgspec

from chronotick.forecast import ForecastCache


class Entry(msgspec.Struct, frozen=True):
    """The least that the cache needs."""

    model: str
    role: str
    epoch: int
    end_raw_ns: int


def test_the_latest_entry_of_each_model_and_role_is_kept() -> None:
    """A new forecast replaces the one before it of the same model and role, and no other."""
    cache: ForecastCache[Entry] = ForecastCache()
    for entry in (Entry("a", "x", 1, 10), Entry("a", "y", 1, 20), Entry("a", "x", 1, 30)):
        cache.put(entry)
    assert len(cache) == 2
    assert cache.get("a", "x", epoch=1, raw_ns=5) == Entry("a", "x", 1, 30)


def test_an_entry_of_another_epoch_or_past_its_end_is_void() -> None:
    """Neither is given out, both count as misses, and a live one counts as a hit."""
    cache: ForecastCache[Entry] = ForecastCache()
    cache.put(Entry("a", "x", 1, 10))
    assert cache.get("a", "x", epoch=2, raw_ns=5) is None
    assert cache.get("a", "x", epoch=1, raw_ns=10) is None
    assert cache.get("b", "x", epoch=1, raw_ns=5) is None
    assert cache.get("a", "x", epoch=1, raw_ns=9) is not None
    assert (cache.hits, cache.misses) == (1, 3)


def test_the_live_ones_are_given_together_and_the_void_dropped() -> None:
    """What has ended takes no more room."""
    cache: ForecastCache[Entry] = ForecastCache()
    cache.put(Entry("a", "x", 1, 10))
    cache.put(Entry("a", "y", 1, 20))
    assert cache.live(epoch=1, raw_ns=15) == (Entry("a", "y", 1, 20),)
    assert len(cache) == 1
