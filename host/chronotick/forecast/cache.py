"""The latest forecast of each model and role, as long as it is about the future."""

from typing import Generic, Protocol, TypeVar


class Dated(Protocol):
    """What the cache must know of an entry; `Forecast` and the fusion's candidates are such."""

    @property
    def model(self) -> str: ...

    @property
    def role(self) -> str: ...

    @property
    def epoch(self) -> int: ...

    @property
    def end_raw_ns(self) -> int: ...


Entry = TypeVar("Entry", bound=Dated)


class ForecastCache(Generic[Entry]):
    """One entry per (model, role). Void: an entry of another epoch, or one whose last point has passed.

    Attributes:
        hits, misses: lookups that found a live entry, and that did not.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self.hits: int = 0
        self.misses: int = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> None:
        """Keep `entry` in place of the one before it."""
        self._entries[entry.model, entry.role] = entry

    def get(self, model: str, role: str, *, epoch: int, raw_ns: int) -> Entry | None:
        """The entry of this model and role that is live at `raw_ns` in `epoch`, or None."""
        entry = self._entries.get((model, role))
        if entry is None or not _live(entry, epoch, raw_ns):
            self.misses += 1
            return None
        self.hits += 1
        return entry

    def live(self, *, epoch: int, raw_ns: int) -> tuple[Entry, ...]:
        """All live entries; the void ones are dropped. Counts a hit for each live one and a miss for each dropped."""
        void = [key for key, entry in self._entries.items() if not _live(entry, epoch, raw_ns)]
        for key in void:
            del self._entries[key]
        self.misses += len(void)
        self.hits += len(self._entries)
        return tuple(self._entries.values())


def _live(entry: Dated, epoch: int, raw_ns: int) -> bool:
    return entry.epoch == epoch and entry.end_raw_ns > raw_ns
