"""What the tools are asked: the models behind their input schemas. Anything else is refused, misspelt names too."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Level = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, description="probability, above 0 and below 1")]


class Arguments(BaseModel):
    """A tool's arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class GetStatus(Arguments):
    """Arguments of status."""

    wait_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=600,
            allow_inf_nan=False,
            description="wait at most this long for the host to give a time, with progress; 0 answers at once",
        ),
    ] = 0
