"""What the tools answer: the models behind their output schemas.

Times stand as whole nanoseconds in strings, because a JSON number loses them, and as RFC 3339. The four tools of the
earlier ChronoTick also give float seconds under the names that their users know; these are good to about 0.2 us.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Nanoseconds = Annotated[str, Field(pattern=r"^-?[0-9]+$", description="whole nanoseconds")]
UtcNs = Annotated[str, Field(pattern=r"^-?[0-9]+$", description="UTC, whole nanoseconds since 1970-01-01")]
Rfc3339 = Annotated[str, Field(description="UTC as RFC 3339 with nine digits")]
Seconds = Annotated[float, Field(description="seconds")]
UnixSeconds = Annotated[float, Field(description="seconds since 1970-01-01; the `_ns` field is exact")]
ClockStatus = Literal["SYNCHRONISED", "HOLDOVER", "DISRUPTED", "UNKNOWN"]


class Answer(BaseModel):
    """A tool's answer. A field whose default is None is left out where there is nothing to say."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        body: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in body.items()
            if value is not None or fields[name].is_required()
        }  # fmt: skip


class Interval(Answer):
    """Where true UTC lies with a probability."""

    level: float
    low_ns: UtcNs
    high_ns: UtcNs
    low: Rfc3339
    high: Rfc3339


class EventInstant(Answer):
    """When something was, and the intervals that hold it. Hand it on whole, so that it can be compared."""

    utc: Annotated[str, Field(description="best estimate of UTC, RFC 3339 with nine digits")]
    utc_ns: UtcNs
    earliest_ns: Annotated[str, Field(description="true UTC is not before this while the majority of servers is right")]
    latest_ns: Annotated[str, Field(description="true UTC is not after this while the majority of servers is right")]
    earliest: Rfc3339
    latest: Rfc3339
    hard_width_ns: Nanoseconds
    sigma_ns: Annotated[str, Field(description="standard deviation, whole nanoseconds")]
    half_width_95_ns: Annotated[str, Field(description="half width of the calibrated 95 % interval, ns")]
    age_ns: Annotated[str, Field(description="from the last measurement behind it to the instant, ns")]
    status: ClockStatus
    epoch: Annotated[int, Field(description="times of one epoch never run backwards")]
    host_instance: Annotated[str, Field(description="which run of the host answered")]


class TimeReading(EventInstant):
    """The time, and the intervals that hold it."""

    interval: Annotated[Interval, Field(description="calibrated interval, much narrower than the hard one")]
    as_of: Annotated[str, Field(description="when a server was last measured, RFC 3339")]
    source: Annotated[list[str], Field(description="what the answer was made from: floor, and models that have weight")]
    raw_ns: Annotated[str | None, Field(description="CLOCK_MONOTONIC_RAW of this machine at the same instant, ns")] = (
        None
    )


class Waited(Answer):
    """The end of a wait."""

    now: TimeReading
    target_ns: UtcNs
    waited_seconds: Annotated[float, Field(ge=0)]
    late_ns: Annotated[str, Field(description="how far the wait overshot, by the estimate or bound that ended it, ns")]


class ComparisonResult(Answer):
    """Which of two events came first."""

    order: Annotated[
        Literal["BEFORE", "AFTER", "AMBIGUOUS"],
        Field(description="BEFORE: a was certainly before b. AFTER: certainly after. AMBIGUOUS: nobody can tell"),
    ]
    probability: Annotated[float, Field(ge=0, le=1, description="that a was before b")]
    gap_ns: Annotated[str, Field(description="best estimate of b minus that of a, ns")]
    verdict: Annotated[str, Field(description="the order in a sentence")]
    verified: Annotated[bool, Field(description="whether both times were tokens that this host has made")]


class StampedInstant(EventInstant):
    """A signed stamp, and when it was made."""

    token: Annotated[str, Field(description="opaque: hand it on unchanged")]
    payload_sha256: Annotated[str, Field(description="of what was stamped, hex")]
    host: Annotated[str, Field(description="name of the host's key, hex")]


class CorrectedTime(Answer):
    """The system clock, corrected once: corrected = system + offset + drift * (system - prediction_time)."""

    corrected_time: UnixSeconds
    corrected_time_ns: UtcNs
    corrected_time_rfc3339: Rfc3339
    system_time: UnixSeconds
    system_time_ns: Annotated[str, Field(description="CLOCK_REALTIME at the same instant, ns: not to be trusted")]
    offset_correction: Annotated[float, Field(description="UTC minus system clock at prediction_time, seconds")]
    offset_correction_ns: Nanoseconds
    drift_rate: Annotated[float, Field(description="change of the offset since prediction_time, s/s")]
    offset_uncertainty: Annotated[float, Field(ge=0, description="half width at prediction_time, seconds")]
    drift_uncertainty: Annotated[float, Field(ge=0, description="growth of the half width, s/s")]
    time_uncertainty: Annotated[
        float, Field(ge=0, description="half width of the interval that holds true time with probability `confidence`")
    ]
    confidence: Annotated[float, Field(ge=0, le=1, description="the probability that `time_uncertainty` stands for")]
    source: Annotated[str, Field(description="what the correction was made from, joined by +")]
    prediction_time: Annotated[float, Field(description="system time for which the correction was made, Unix seconds")]
    prediction_time_ns: Annotated[str, Field(description="the same in whole nanoseconds")]
    valid_until: Annotated[
        float | None, Field(description="system time after which this correction stands for nothing, Unix seconds")
    ]
    daemon_status: Annotated[str, Field(description="ready, holdover or disrupted")]
    earliest_ns: Annotated[str, Field(description="hard bound: true UTC is not before this")]
    latest_ns: Annotated[str, Field(description="hard bound: true UTC is not after this")]
    call_latency_ms: Annotated[float, Field(ge=0, description="inside this tool, ms")]
    detailed_stats: Annotated[dict[str, Any] | None, Field(description="the host's status, when asked for")] = None


class FutureTime(CorrectedTime):
    """The time, and what it will be worth later."""

    future_timestamp: Annotated[float, Field(description="corrected time that far ahead, Unix seconds")]
    future_timestamp_ns: UtcNs
    future_timestamp_rfc3339: Rfc3339
    future_seconds: Seconds
    future_uncertainty: Annotated[float, Field(ge=0, description="half width by then, seconds")]
    uncertainty_increase: Annotated[float, Field(ge=0, description="future_uncertainty - time_uncertainty, seconds")]


class ConfidenceInterval(Answer):
    """Bounds of the corrected time, and of the correction."""

    lower_bound: UnixSeconds
    upper_bound: UnixSeconds
    lower_bound_ns: UtcNs
    upper_bound_ns: UtcNs
    range: Annotated[float, Field(ge=0, description="upper_bound - lower_bound, seconds")]
    offset_lower: Annotated[float, Field(description="lower_bound - system_time, seconds")]
    offset_upper: Annotated[float, Field(description="upper_bound - system_time, seconds")]


class TimeWithInterval(CorrectedTime):
    """The time with a calibrated interval at a chosen level."""

    confidence_level: float
    confidence_interval: ConfidenceInterval
    quantiles_available: Annotated[bool, Field(description="whether a model's quantiles had weight in the interval")]
    note: str


class AdapterStats(Answer):
    """This adapter's own condition."""

    version: str
    sdk_version: str
    protocol_versions: list[str]
    pid: int
    uptime_seconds: float
    calls: int
    failures: int
    average_call_ms: float


class DaemonStatus(Answer):
    """The host's condition under the names of the earlier ChronoTick."""

    status: Annotated[str, Field(description="ready, warming_up, holdover or disrupted")]
    status_sentence: str
    warmup_progress: Annotated[
        float, Field(ge=0, le=1, description="of the history that models need; a time is given from the second fix on")
    ]
    warmup_remaining_seconds: Annotated[float, Field(ge=0)]
    total_corrections: Annotated[int, Field(description="measurements that the clock was corrected by")]
    success_rate: Annotated[float | None, Field(description="share of exchanges that gave a sample; null before any")]
    average_latency_ms: Annotated[float, Field(description="mean duration of this adapter's tool calls, ms")]
    memory_usage_mb: Annotated[float, Field(description="of the host process, MB")]
    cpu_affinity: Annotated[list[int] | None, Field(description="CPUs that the host may use; null where not readable")]
    uptime_seconds: float
    last_error: Annotated[str | None, Field(description="what hinders the host at present")]
    mcp_server: AdapterStats


class HostStatus(Answer):
    """The host's whole condition."""

    status: ClockStatus
    sentence: str
    ready: Annotated[bool, Field(description="whether the tools give a time now")]
    sections: Annotated[dict[str, Any], Field(description="host, clock, sources, plugins, forecasts")]
