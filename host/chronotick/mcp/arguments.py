"""What the tools are asked: the models behind their input schemas. Anything else is refused, misspelt names too."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Characters of a payload to stamp.
MAX_PAYLOAD = 262_144
_NS = r"^-?[0-9]{1,19}$"

Level = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, description="probability, above 0 and below 1")]


class Arguments(BaseModel):
    """A tool's arguments."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class NoArguments(Arguments):
    """There is nothing to choose."""


class GetTime(Arguments):
    """Arguments of get_time."""

    include_stats: Annotated[bool, Field(description="add the host's status as detailed_stats")] = False


class GetFutureTime(Arguments):
    """Arguments of get_time_with_future_uncertainty."""

    future_seconds: Annotated[
        float, Field(ge=0, le=3600, allow_inf_nan=False, description="how far ahead, 0 to 3600 seconds")
    ]


class GetTimeWithInterval(Arguments):
    """Arguments of get_time_with_confidence_interval."""

    confidence_level: Level = 0.9
    include_stats: Annotated[bool, Field(description="add the host's status as detailed_stats")] = False


class Now(Arguments):
    """Arguments of now."""

    level: Level = 0.95
    max_width_ms: Annotated[
        float | None,
        Field(gt=0, allow_inf_nan=False, description="refuse to answer with a hard interval wider than this, ms"),
    ] = None


class EventTime(BaseModel):
    """When an event was: the object that now, stamp, verify, convert_past or wait_until has given, handed on whole."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True)

    utc_ns: Annotated[str, Field(pattern=_NS)]
    earliest_ns: Annotated[str, Field(pattern=_NS)]
    latest_ns: Annotated[str, Field(pattern=_NS)]
    half_width_95_ns: Annotated[str, Field(pattern=_NS)]
    raw_ns: Annotated[str | None, Field(pattern=_NS)] = None
    host_instance: Annotated[str | None, Field(pattern=_NS)] = None
    epoch: int = 0


Event = Annotated[
    EventTime | str,
    Field(description="a whole object as a tool gave it, or a token of stamp made by this host (then it is verified)"),
]


class Compare(Arguments):
    """Arguments of compare."""

    a: Event
    b: Event


class WaitUntil(Arguments):
    """Arguments of wait_until."""

    target: Annotated[
        str | None,
        Field(max_length=64, description="the instant: RFC 3339 with a zone, or UTC nanoseconds in a string"),
    ] = None
    past: Annotated[
        Event | None,
        Field(description="instead of a target: wait until this event is past beyond doubt, on any correct clock"),
    ] = None
    certain: Annotated[
        bool, Field(description="wait until the target is reached beyond doubt, not only by the best estimate")
    ] = False
    timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, allow_inf_nan=False, description="longest wait; a target beyond it is refused")
    ] = 600

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.target is None) == (self.past is None):
            raise ValueError("give either target or past")
        return self


class Stamp(Arguments):
    """Arguments of stamp."""

    payload: Annotated[
        str,
        Field(
            max_length=MAX_PAYLOAD,
            description="the text that existed now; for something large, its sha256. Only a hash goes to the host",
        ),
    ]


class Verify(Arguments):
    """Arguments of verify."""

    token: Annotated[str, Field(max_length=1024, description="a token of stamp, unchanged")]
    payload: Annotated[
        str | None, Field(max_length=MAX_PAYLOAD, description="refuse a token of anything but this text")
    ] = None


class ConvertPast(Arguments):
    """Arguments of convert_past."""

    raw_ns: Annotated[
        str | None, Field(pattern=_NS, description="a past reading of CLOCK_MONOTONIC_RAW on this machine, ns")
    ] = None
    system_time: Annotated[
        str | None,
        Field(max_length=64, description="a past reading of this machine's system clock: RFC 3339, or ns in a string"),
    ] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.raw_ns is None) == (self.system_time is None):
            raise ValueError("give either raw_ns or system_time")
        return self


class GetStatus(Arguments):
    """Arguments of status."""

    wait_for: Annotated[
        Literal["time", "warm_up"],
        Field(description="what wait_seconds waits for: a first time, or all the history that models need"),
    ] = "time"

    wait_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=600,
            allow_inf_nan=False,
            description="wait at most this long, with progress; 0 answers at once",
        ),
    ] = 0
