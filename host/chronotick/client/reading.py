"""What a clock answers: an instant on the published line."""

from functools import lru_cache
from typing import NoReturn

from chronotick.errors import OutOfRange
from chronotick.wire.levels import width_at
from chronotick.wire.snapshot import MAX_NS, MIN_NS, Record, Status


class Reading(tuple[int, int, Record]):
    """The time at one instant, and the intervals that hold it. Immutable, hashable.

    Made of `(utc_ns, raw_ns, line)`; everything else is computed when it is asked for, which makes a reading cheap
    enough for `Clock.now()`. It is no sequence to its users, and has no order: two readings are two intervals, so
    compare their bounds.

    A reading whose status is UNKNOWN has `utc_ns == 0` and unbounded intervals.
    """

    __slots__ = ()

    @property
    def utc_ns(self) -> int:
        """Best estimate of UTC: ns since 1970-01-01T00:00:00, leap seconds not counted."""
        return self[0]

    @property
    def raw_ns(self) -> int:
        """This machine's CLOCK_MONOTONIC_RAW at the same instant, ns."""
        return self[1]

    @property
    def earliest_ns(self) -> int:
        """Lower end of the hard interval: true UTC is not before it while the majority of the servers is right."""
        utc, raw, line = self
        bound = line.earliest_ns(raw)
        return bound if bound < utc else utc

    @property
    def latest_ns(self) -> int:
        """Upper end of the hard interval."""
        utc, raw, line = self
        bound = line.latest_ns(raw)
        return bound if bound > utc else utc

    @property
    def sigma_ns(self) -> int:
        """Standard deviation of `utc_ns`, as calibrated, ns."""
        return min(self[2].sigma_ns(self[1]) + self._held_back_ns(), MAX_NS)

    @property
    def half_width_95_ns(self) -> int:
        """Half width of the calibrated 95 % interval, ns; never more than the hard interval leaves."""
        half = self[2].half_width_95_ns(self[1]) + self._held_back_ns()
        return min(half, max(self.latest_ns - self[0], self[0] - self.earliest_ns))

    @property
    def half_widths_ns(self) -> tuple[int, ...]:
        """Half widths of the calibrated intervals at 50, 90, 95, 99 and 99.9 %, ns; before clipping to the hard one."""
        held_back = self._held_back_ns()
        return tuple(min(one + held_back, MAX_NS) for one in self[2].half_widths_ns(self[1]))

    def interval(self, level: float = 0.95) -> tuple[int, int]:
        """The calibrated interval `(low_ns, high_ns)` that holds true UTC with probability `level`, in (0, 1).

        Calibrated at 50, 90, 95, 99 and 99.9 %, between these interpolated, clipped to the hard interval.

        Raises:
            OutOfRange: a level outside (0, 1).
        """
        z = quantile(level)
        if self.status is Status.UNKNOWN:
            return MIN_NS, MAX_NS
        half = round(width_at(self.half_widths_ns, z))
        return max(self[0] - half, self.earliest_ns), min(self[0] + half, self.latest_ns)

    @property
    def status(self) -> Status:
        """What the reading is worth: UNKNOWN, SYNCHRONISED, HOLDOVER or DISRUPTED."""
        return self[2].status

    @property
    def age_ns(self) -> int:
        """Time since the last measurement behind the reading, ns; since boot where there is none."""
        return self[1] - self[2].fix_raw_ns

    @property
    def as_of_ns(self) -> int:
        """UTC at that last measurement, ns; 0 where the status is UNKNOWN."""
        return self[0] - self.age_ns if self.status is not Status.UNKNOWN else 0

    @property
    def source(self) -> tuple[str, ...]:
        """Names of the candidates that had weight, e.g. `("floor", "chronos")`."""
        return self[2].source

    @property
    def epoch(self) -> int:
        """Grows at each declared discontinuity. Times of one epoch never run backwards."""
        return self[2].epoch

    @property
    def host_instance(self) -> int:
        """Random id of the run of the host that answered."""
        return self[2].host_instance

    def as_dict(self) -> dict[str, object]:
        """All values by name, for JSON. Beware: a nanosecond count does not fit a JavaScript number."""
        return {name: getattr(self, name) for name in _NAMES} | {
            "status": str(self.status),
            "source": list(self.source),
            "half_widths_ns": list(self.half_widths_ns),
        }

    def _held_back_ns(self) -> int:
        # A reading that was held at what had been said before is later than its line by this much.
        return self[0] - self[2].utc_ns(self[1]) if self.status is not Status.UNKNOWN else 0

    def __repr__(self) -> str:
        return f"Reading({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"

    def __lt__(self, other: object) -> NoReturn:
        raise unordered("Readings")

    def __le__(self, other: object) -> NoReturn:
        raise unordered("Readings")

    def __gt__(self, other: object) -> NoReturn:
        raise unordered("Readings")

    def __ge__(self, other: object) -> NoReturn:
        raise unordered("Readings")


def unordered(what: str) -> TypeError:
    """The error of whoever asks `<` which of two intervals is first."""
    return TypeError(f"{what} are intervals and have no order: use compare, or compare earliest_ns and latest_ns.")


_NAMES = (
    "utc_ns",
    "earliest_ns",
    "latest_ns",
    "sigma_ns",
    "half_width_95_ns",
    "half_widths_ns",
    "status",
    "as_of_ns",
    "age_ns",
    "source",
    "epoch",
    "raw_ns",
    "host_instance",
)


@lru_cache(maxsize=64)
def quantile(level: float) -> float:
    """Standard deviations of a normal distribution on each side of its mean that hold this share of it.

    Raises:
        OutOfRange: a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise OutOfRange(f"An interval's level is between 0 and 1, not {level}.")
    # Imported late: statistics takes as long to import as all the rest of the client.
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + level / 2)
