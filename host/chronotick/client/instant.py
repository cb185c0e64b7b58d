"""An instant and the intervals that hold it: past, future, or told by another machine."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

from chronotick.client.reading import Reading, quantile, unordered
from chronotick.errors import ClockUnknown, OutOfRange
from chronotick.wire.levels import LEVELS, never_crossing, normal_widths, width_at
from chronotick.wire.snapshot import Status

_NS_NAMES = ("utc_ns", "earliest_ns", "latest_ns", "sigma_ns", "half_width_95_ns", "age_ns")


class Bounded(Protocol):
    """What can be compared and waited for: a `Reading`, an `Instant`, or anything else with these three."""

    @property
    def utc_ns(self) -> int:
        """Best estimate, ns since 1970."""

    @property
    def earliest_ns(self) -> int:
        """Lower end of the hard interval, ns since 1970."""

    @property
    def latest_ns(self) -> int:
        """Upper end of the hard interval, ns since 1970."""

    @property
    def half_width_95_ns(self) -> int:
        """Half width of the calibrated 95 % interval, ns."""


class Instant(NamedTuple):
    """When something was, is, or will be. Unlike a `Reading` it is tied to no machine, so it can be sent to others.

    Attributes:
        utc_ns: best estimate of UTC, ns since 1970, within `earliest_ns` to `latest_ns`, the hard interval.
        sigma_ns, half_width_95_ns: standard deviation, and half width of the calibrated 95 % interval, ns.
        age_ns: from the last measurement behind it to the instant, ns.
        status: what the clock was worth.
        source: candidates that had weight. epoch, host_instance: as of a reading.
        half_widths_ns: half widths of the calibrated intervals at `wire.levels.LEVELS`, ns; empty where only that of
            95 % is known, and then the others are taken to be as of a normal distribution.
    """

    utc_ns: int
    earliest_ns: int
    latest_ns: int
    sigma_ns: int
    half_width_95_ns: int
    age_ns: int
    status: Status
    source: tuple[str, ...] = ()
    epoch: int = 0
    host_instance: int = 0
    half_widths_ns: tuple[int, ...] = ()

    def interval(self, level: float = 0.95) -> tuple[int, int]:
        """The calibrated interval of this level in (0, 1), as `Reading.interval`.

        Raises:
            OutOfRange: a level outside (0, 1).
        """
        half = round(width_at(self.half_widths_ns or normal_widths(self.half_width_95_ns), quantile(level)))
        return max(self.utc_ns - half, self.earliest_ns), min(self.utc_ns + half, self.latest_ns)

    def moved(self, by_ns: int) -> "Instant":
        """The instant so much later, known as well."""
        return self._replace(
            utc_ns=self.utc_ns + by_ns, earliest_ns=self.earliest_ns + by_ns, latest_ns=self.latest_ns + by_ns
        )

    def travelled(self, travel_ns: int) -> "Instant":
        """The same as heard of from afar: somewhere on the way there and back the host looked at its clock. Half of it
        is added to the time, all of it to the hard interval, and half of it to the calibrated ones."""
        half = (travel_ns + 1) // 2
        return self._replace(
            utc_ns=self.utc_ns + travel_ns // 2,
            latest_ns=self.latest_ns + travel_ns,
            sigma_ns=self.sigma_ns + half,
            half_width_95_ns=self.half_width_95_ns + half,
            half_widths_ns=tuple(one + half for one in self.half_widths_ns),
        )

    def no_narrower_than(self, now: Reading) -> "Instant":
        """The same with intervals at least as wide, on each side, as those of a reading."""
        early, late = now.utc_ns - now.earliest_ns, now.latest_ns - now.utc_ns
        return self._replace(
            earliest_ns=min(self.earliest_ns, self.utc_ns - early),
            latest_ns=max(self.latest_ns, self.utc_ns + late),
            sigma_ns=max(self.sigma_ns, now.sigma_ns),
            half_width_95_ns=max(self.half_width_95_ns, now.half_width_95_ns),
            half_widths_ns=tuple(max(pair) for pair in zip(self.half_widths_ns, now.half_widths_ns, strict=False)),
        )

    def as_dict(self) -> dict[str, object]:
        """All values by name, for JSON: nanosecond counts as text, because JSON numbers lose them."""
        return (
            self._asdict()
            | {name: str(getattr(self, name)) for name in (*_NS_NAMES, "status", "host_instance")}
            | {"source": list(self.source), "half_widths_ns": [str(one) for one in self.half_widths_ns]}
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Instant":
        """What `as_dict` of an instant or a reading gave, on whatever machine. Unknown names are ignored.

        Raises:
            OutOfRange: a value is missing or makes no sense, e.g. an estimate outside its own bounds.
        """
        try:
            made = cls(
                **{name: int(values[name]) for name in _NS_NAMES},
                status=Status(str(values["status"])),
                source=tuple(str(name) for name in values.get("source", ())),
                epoch=int(values.get("epoch", 0)),
                host_instance=int(values.get("host_instance", 0)),
                half_widths_ns=_widths(values.get("half_widths_ns", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OutOfRange(f"This is no instant ({error!r}).") from error
        ordered = made.earliest_ns <= made.utc_ns <= made.latest_ns or made.status is Status.UNKNOWN
        if not ordered or min(made.sigma_ns, made.half_width_95_ns) < 0:
            raise OutOfRange("This is no instant: its estimate lies outside its own bounds.")
        return made

    def __lt__(self, other: object) -> NoReturn:
        raise unordered("Instants")

    def __le__(self, other: object) -> NoReturn:
        raise unordered("Instants")

    def __gt__(self, other: object) -> NoReturn:
        raise unordered("Instants")

    def __ge__(self, other: object) -> NoReturn:
        raise unordered("Instants")


def instant_of(reading: Reading) -> Instant:
    """A reading without its machine."""
    return Instant(
        utc_ns=reading.utc_ns,
        earliest_ns=reading.earliest_ns,
        latest_ns=reading.latest_ns,
        sigma_ns=reading.sigma_ns,
        half_width_95_ns=reading.half_width_95_ns,
        age_ns=reading.age_ns,
        status=reading.status,
        source=reading.source,
        epoch=reading.epoch,
        host_instance=reading.host_instance,
        half_widths_ns=reading.half_widths_ns,
    )


def told(answer: Mapping[str, Any]) -> Instant:
    """The instant that a host's answer of type `reading` stands for.

    Raises:
        ClockUnknown: the host does not know.
        KeyError, TypeError, ValueError: the answer is not a reading.
    """
    status = Status(answer["status"])
    if status is Status.UNKNOWN:
        raise ClockUnknown("The host can not stand for a time at that instant.", mend="See: chronotick status.")
    utc = answer["utc_ns"]
    return Instant(
        utc_ns=utc,
        earliest_ns=answer["earliest_ns"],
        latest_ns=answer["latest_ns"],
        sigma_ns=answer["sigma_ns"],
        half_width_95_ns=max(utc - answer["low_95_ns"], answer["high_95_ns"] - utc),
        age_ns=answer["age_ns"],
        status=status,
        source=tuple(answer["source"]),
        epoch=answer["epoch"],
        host_instance=answer["host_instance"],
        half_widths_ns=_widths(answer.get("half_widths_ns", ())),
    )


def _widths(values: Sequence[object]) -> tuple[int, ...]:
    """Half widths as they were told: one for each level, ascending; or none.

    Raises:
        ValueError, TypeError: anything else.
    """
    widths = tuple(int(str(one)) for one in values)
    if widths and (len(widths) != len(LEVELS) or widths[0] < 0 or widths != never_crossing(widths)):
        raise ValueError(f"{widths} are no half widths at {LEVELS}")
    return widths
