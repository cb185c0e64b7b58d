"""Every message of protocol version 1, as a frozen struct tagged by its `type`.

P is a plugin, H the host, C a client. Instants are int64 nanoseconds of the host's CLOCK_MONOTONIC unless the name says
`utc` or `raw`; series are float64, seconds or s/s as the asker chose, oldest first. Unknown fields are ignored.
`wire.validate` holds what a type can not say.
"""

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

Scalar: TypeAlias = str | int | float | bool
Nanoseconds = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
RequestId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Counter = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Small = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(max_length=16_384)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Version = tuple[Small, Small]

PluginState: TypeAlias = Literal["loading", "warming", "ready", "draining", "failed"]
Topic: TypeAlias = Literal["snapshot", "plugin", "ntp", "alarm"]


class Message(Struct, frozen=True, kw_only=True, eq=False, tag_field="type"):
    """Base of all messages. Not comparable: several carry arrays."""


class Error(Message, frozen=True, tag="error"):
    """Either way. The one answer to request `id`, or, without an id, a complaint about the last message.

    Attributes:
        code: one of `wire.codes.Code`; an unknown one counts as `internal`.
        mend: what a person can do about it, one sentence, if anything.
        exc_type, traceback: of the exception behind it; the traceback's last 8 KiB.
    """

    code: Text
    message: Text
    retryable: bool = False
    id: RequestId | None = None
    mend: Text | None = None
    exc_type: Text | None = None
    traceback: Text | None = None


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a loaded model can do. READY is only granted where this confirms the manifest's claims.

    Attributes:
        context_min, context_max: points of one series, inclusive.
        horizon_max: points ahead.
        levels: quantile levels offered, ascending in (0, 1); a request may ask for any subset. `(0.5,)`: a point model.
        covariates: takes covariates and their known future.
        batch_max: series in one request.
        device: as the library calls it, e.g. `cpu`, `cuda:0`.
        dtype: of the weights, e.g. `float32`.
        deterministic: equal requests with an equal seed get equal answers, bit for bit.
        model_id: repository or name of the weights; revision: their commit, or "" for a local folder.
        weights_sha256: of the weights file(s); "" where there are none.
        parameters: number of weights.
        warm_ms: duration of a forecast after warming up.
        rss_bytes: resident memory when ready.
    """

    context_min: Small
    context_max: Small
    horizon_max: Small
    levels: tuple[Share, ...]
    covariates: bool = False
    batch_max: Small = 1
    device: str = "cpu"
    dtype: str = "float64"
    deterministic: bool = True
    model_id: str = ""
    revision: str = ""
    weights_sha256: str = ""
    parameters: Counter = 0
    warm_ms: float = 0.0
    rss_bytes: Counter = 0


class Hello(Message, frozen=True, tag="hello"):
    """P to H, first message of a plugin, and again whenever it meets a new host.

    Attributes:
        instance: random hex id of this process, also the end of its ZeroMQ identity `NAME:INSTANCE`.
        token: secret that the host gave this process.
        protocols: (major, highest minor) pairs it speaks.
        packages: versions of the libraries that matter, by name.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    version: Text
    instance: Annotated[str, Meta(pattern=r"^[0-9a-f]{8,64}$")]
    pid: Counter
    token: Text
    protocols: tuple[Version, ...]
    python: Text = ""
    packages: dict[str, Text] = {}


class Welcome(Message, frozen=True, tag="welcome"):
    """H to P, the answer to hello: load with these.

    Attributes:
        protocol: (major, minor) agreed on.
        host_instance: random 64-bit id of the host's run, as in the snapshot.
        heartbeat_ms: distance of the host's pings.
        params: model parameters; known keys are repo, size, revision, path, device.
        threads: for computing; also in OMP_NUM_THREADS.
        sent_ns: when this was sent.
    """

    protocol: Version
    host_instance: int
    heartbeat_ms: Annotated[int, Meta(ge=1, le=3_600_000)]
    max_message_bytes: Counter
    params: dict[str, Scalar] = {}
    seed: int = 0
    threads: Annotated[int, Meta(ge=1, le=1024)] = 1
    sent_ns: Nanoseconds = 0


class Status(Message, frozen=True, tag="status"):
    """P to H, at each change of state and with each step of loading.

    Attributes:
        progress: 0 to 1, of loading and warming together.
        detail: one line for people.
        error: with `failed`.
        capabilities: with `ready`.
    """

    state: PluginState
    progress: Share = 0.0
    detail: Text = ""
    error: Error | None = None
    capabilities: Capabilities | None = None


class Ping(Message, frozen=True, tag="ping"):
    """Either way. Answered at once, from a thread that never computes."""

    seq: Counter
    sent_ns: Nanoseconds
    host_instance: int = 0


class Pong(Message, frozen=True, tag="pong"):
    """The answer to ping: its `seq` and `sent_ns`, and how the answerer is.

    Attributes:
        busy_id: request being computed, and `busy_ms` since when.
        served: requests answered with a forecast.
    """

    seq: Counter
    sent_ns: Nanoseconds
    state: PluginState | None = None
    busy_id: RequestId | None = None
    busy_ms: float = 0.0
    rss_bytes: Counter = 0
    served: Counter = 0


class Series(Struct, frozen=True, kw_only=True, eq=False):
    """A batch of k windows of n points on one grid.

    Attributes:
        t0_ns: instant of the first point (raw clock); step_ns: of the grid.
        values: float64, shape (k, n), oldest first; NaN is a gap.
        mask: bool, shape (k, n); False is a gap, whatever the value.
    """

    t0_ns: Nanoseconds
    step_ns: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    values: NDArray[np.float64]
    mask: NDArray[np.bool_] | None = None


class ForecastRequest(Message, frozen=True, tag="forecast"):
    """H to P: what comes after these windows?

    Attributes:
        deadline_ns: refused when it arrives later; given up when not answered by then.
        covariates: float64, shape (k, c, n): past of c covariates on the series' grid, in own units; NaN is a gap.
        future: float64, shape (k, c, horizon): their known future.
        horizon: points asked for.
        levels: quantile levels asked for, ascending in (0, 1).
    """

    id: RequestId
    deadline_ns: Nanoseconds
    series: Series
    horizon: Small
    levels: tuple[float, ...]
    covariates: NDArray[np.float64] | None = None
    future: NDArray[np.float64] | None = None


class ForecastOk(Message, frozen=True, tag="forecast_ok"):
    """P to H, the one good answer to a forecast request.

    Attributes:
        quantiles: float64, shape (k, levels, horizon), finite, not decreasing along levels.
        mean: float64, shape (k, horizon), where the model has one.
        queue_ms, infer_ms: time in the queue and in the model.
    """

    id: RequestId
    quantiles: NDArray[np.float64]
    mean: NDArray[np.float64] | None = None
    model_id: Text = ""
    revision: Text = ""
    queue_ms: float = 0.0
    infer_ms: float = 0.0


class Cancel(Message, frozen=True, tag="cancel"):
    """H to P: nobody waits for `id` any more. It is still answered once, mostly with `cancelled`."""

    id: RequestId


class Shutdown(Message, frozen=True, tag="shutdown"):
    """H to P: finish what is queued within `grace_ms`, say bye, exit 0."""

    grace_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 2000
    reason: Text = ""


class Bye(Message, frozen=True, tag="bye"):
    """P to H, the last message of a process, with the exit code that follows."""

    reason: Text = ""
    exit_code: Annotated[int, Meta(ge=0, le=255)] = 0


class Now(Message, frozen=True, tag="now"):
    """C to H: what time is it? Answered with a reading."""

    id: RequestId


class ForecastAt(Message, frozen=True, tag="forecast_at"):
    """C to H: what will be known `ahead_ns` from now? Answered with a reading for that instant."""

    id: RequestId
    ahead_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Reading(Message, frozen=True, tag="reading"):
    """H to C: UTC at one instant, and the intervals that hold it.

    Attributes:
        utc_ns: the best estimate, within earliest_ns to latest_ns, the hard interval.
        low_95_ns, high_95_ns: the calibrated 95 % interval; sigma_ns: one standard deviation.
        status: UNKNOWN, SYNCHRONISED, HOLDOVER or DISRUPTED. With UNKNOWN the instants say nothing.
        raw_ns: the host's raw clock at the instant answered for.
        as_of_utc_ns: when the last measurement behind it was made; 0 for none. age_ns: since then.
        source: candidates with weight.
        epoch: grows at each declared discontinuity; sequence: of the publication used.
    """

    id: RequestId
    utc_ns: Nanoseconds
    earliest_ns: Nanoseconds
    latest_ns: Nanoseconds
    low_95_ns: Nanoseconds
    high_95_ns: Nanoseconds
    sigma_ns: Nanoseconds
    status: Literal["UNKNOWN", "SYNCHRONISED", "HOLDOVER", "DISRUPTED"]
    raw_ns: Nanoseconds
    as_of_utc_ns: Nanoseconds
    age_ns: Nanoseconds
    source: tuple[str, ...]
    epoch: Counter
    sequence: Counter
    host_instance: int


class Convert(Message, frozen=True, tag="convert"):
    """C to H, on the host's own machine: when was this? Answered with a reading for that instant.

    Attributes:
        raw_ns: a past reading of CLOCK_MONOTONIC_RAW; or else
        realtime_ns: a past reading of CLOCK_REALTIME.
    """

    id: RequestId
    raw_ns: Nanoseconds | None = None
    realtime_ns: Nanoseconds | None = None


class Stamp(Message, frozen=True, tag="stamp"):
    """C to H: sign what time it is now, together with this hash of a payload."""

    id: RequestId
    payload_sha256: Sha256


class Stamped(Message, frozen=True, tag="stamped"):
    """H to C: the token. What it holds is the host's affair (`wire.token`); whoever carries it just keeps it."""

    id: RequestId
    token: Text


class Verify(Message, frozen=True, tag="verify"):
    """C to H: did you make this token?"""

    id: RequestId
    token: Text


class Verified(Message, frozen=True, tag="verified"):
    """H to C: yes. Otherwise the answer is the error `bad_stamp`. Fields as in `reading`, at the instant of the stamp.

    Attributes:
        payload_sha256: of what was stamped, hex.
        host: 32 hex digits that name the host's key.
    """

    id: RequestId
    payload_sha256: Sha256
    host: Text
    utc_ns: Nanoseconds
    earliest_ns: Nanoseconds
    latest_ns: Nanoseconds
    sigma_ns: Nanoseconds
    half_width_95_ns: Nanoseconds
    age_ns: Nanoseconds
    status: Literal["UNKNOWN", "SYNCHRONISED", "HOLDOVER", "DISRUPTED"]
    epoch: Counter
    sequence: Counter
    host_instance: int


class StatusQuery(Message, frozen=True, tag="status_query"):
    """C to H: how is the host? `sections` names the parts wanted; none for all."""

    id: RequestId
    sections: tuple[str, ...] = ()


class StatusOk(Message, frozen=True, tag="status_ok"):
    """H to C: the host's condition, by section, as plain maps."""

    id: RequestId
    sections: dict[str, Any]


class History(Message, frozen=True, tag="history"):
    """C to H: stored rows of one series (`fixes`, `forecasts`, ...) between two instants, newest last."""

    id: RequestId
    series: Text
    since_utc_ns: Nanoseconds = 0
    until_utc_ns: Nanoseconds = 2**63 - 1
    limit: Annotated[int, Meta(ge=1, le=100_000)] = 1000


class HistoryOk(Message, frozen=True, tag="history_ok"):
    """H to C: the rows, each as long as `columns`. `truncated`: older rows were left off."""

    id: RequestId
    columns: tuple[str, ...]
    rows: list[list[Any]]
    truncated: bool = False


class Explain(Message, frozen=True, tag="explain"):
    """C to H: why is the answer what it is?"""

    id: RequestId


class ExplainOk(Message, frozen=True, tag="explain_ok"):
    """H to C: the chain from servers to published time, as sentences, and the numbers behind them."""

    id: RequestId
    sentences: tuple[str, ...]
    facts: dict[str, Any] = {}


class Command(Message, frozen=True, tag="command"):
    """C to H, on the admin socket only: change something, e.g. `reload`, `restart_plugin`, `stop`."""

    id: RequestId
    verb: Text
    arguments: dict[str, Any] = {}


class CommandOk(Message, frozen=True, tag="command_ok"):
    """H to C: the command was carried out; `result` is for people and scripts."""

    id: RequestId
    result: dict[str, Any] = {}


class Event(Message, frozen=True, tag="event"):
    """H to all who subscribed to its topic. On the socket the topic is the frame before the magic."""

    topic: Topic
    sequence: Counter
    utc_ns: Nanoseconds
    body: dict[str, Any] = {}


FromPlugin: TypeAlias = Hello | Status | Ping | Pong | ForecastOk | Error | Bye
ToPlugin: TypeAlias = Welcome | Ping | Pong | ForecastRequest | Cancel | Shutdown | Error
FromClient: TypeAlias = Now | ForecastAt | Convert | Stamp | Verify | StatusQuery | History | Explain | Command | Error
ToClient: TypeAlias = Reading | Stamped | Verified | StatusOk | HistoryOk | ExplainOk | CommandOk | Error | Event
AnyMessage: TypeAlias = (
    Hello
    | Welcome
    | Status
    | Ping
    | Pong
    | ForecastRequest
    | ForecastOk
    | Cancel
    | Shutdown
    | Bye
    | Error
    | Now
    | ForecastAt
    | Convert
    | Stamp
    | Stamped
    | Verify
    | Verified
    | Reading
    | StatusQuery
    | StatusOk
    | History
    | HistoryOk
    | Explain
    | ExplainOk
    | Command
    | CommandOk
    | Event
)
