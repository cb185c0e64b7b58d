"""What a lab is made of: an oscillator, servers, the paths to them, and what goes wrong when.

Two time scales meet here. The oscillator's section is written in the units of a real oscillator, and its physics run
`time_compression` times faster than they say: durations shrink by k, rates grow by k, offsets stay (the convention of
`chronotick.clock.tuning`). Everything else, paths, faults and outages, is in seconds of the lab's own run.
"""

import hashlib
import ipaddress
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from chronotick.errors import LabError

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]

FaultKind = Literal[
    "silence",  # no reply
    "duplicate",  # the reply comes twice
    "bad_origin",  # origin is not the request's transmit timestamp
    "zero_origin",
    "zero_t2",
    "zero_t3",
    "t3_before_t2",  # sent a second before it was received
    "future_reference",  # the clock was last set an hour after the reply
    "kiss_deny",  # stratum 0 with the reference id DENY, RSTR or RATE
    "kiss_rstr",
    "kiss_rate",
    "stratum_0",  # stratum 0 with a reference id that is no kiss code
    "stratum_16",  # not synchronised
    "leap_3",  # not synchronised
    "mode_3",  # a request instead of a reply
    "version_0",
    "version_7",
    "huge_root_distance",  # root delay 40 s and root dispersion 20 s
    "runt",  # 40 bytes
    "oversize",  # 4096 bytes
    "garbage_extension",  # 28 bytes after the header that are neither extension field nor MAC
    "foreign_port",  # from another port of the same address
    "foreign_address",  # from the same port of another address
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


class Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of a scenario: frozen, and a key that it does not know is an error."""


class SineConfig(Part, frozen=True):
    """A cycle of the rate, such as a room's temperature makes.

    Rate = amplitude (sin p + second_harmonic sin 2p) with p = 2 pi (phase_turns + time / period) + wander.
    """

    amplitude_ppm: NotNegative
    period_s: Positive
    phase_turns: float = 0.0
    # Amplitude of the second harmonic, relative to the first.
    second_harmonic: Share = 0.0
    # Random walk of the phase, turns per square root of a period: 0.05 lets cycles differ by some 5 % in length.
    wander_turns: Annotated[float, Meta(ge=0, le=0.5)] = 0.0


class WarmUpConfig(Part, frozen=True):
    """A rate that dies away after power-on: amplitude exp(-time / time constant)."""

    amplitude_ppm: float
    time_constant_s: Positive


class LoadConfig(Part, frozen=True):
    """A processor that is busy and idle in turn, for irregular times."""

    # Mean length of a busy and of an idle spell.
    busy_s: Positive
    idle_s: Positive
    # Standard deviation of a spell's length, as a share of the mean. Spells are never shorter than a tenth of it.
    irregularity: Share = 0.3
    # Load in an idle spell; in a busy one it is drawn between `busy_least` and 1.
    idle: Share = 0.05
    busy_least: Share = 0.5


class ThermalConfig(Part, frozen=True):
    """What heats the crystal: the room, and the processor beside it, each with its lag.

    The sensor shows the processor: room + heat_c x load, late by `processor_s`. The crystal feels
    room + crystal_share x heat_c x load, late by `crystal_s` more, and its rate follows its temperature.
    """

    # The room: mean, a cycle with wandering weather, both in degrees Celsius; weather has a memory of a quarter cycle.
    room_c: Annotated[float, Meta(ge=-40, le=85)] = 22.0
    cycle_c: NotNegative = 0.0
    cycle_s: Positive = 86_400.0
    weather_c: NotNegative = 0.0
    load: LoadConfig | None = None
    # What full load adds to the processor's temperature, and its time constant.
    heat_c: NotNegative = 30.0
    processor_s: Positive = 20.0
    # How much of that the crystal feels, and its time constant.
    crystal_share: Share = 0.3
    crystal_s: Positive = 300.0
    # Rate per degree from 22 degrees C on, and its bend.
    ppm_per_c: Annotated[float, Meta(ge=-10, le=10)] = 0.05
    ppm_per_c2: Annotated[float, Meta(ge=-1, le=1)] = 0.0


class StepConfig(Part, frozen=True):
    """A sudden change of the oscillator against true time, `at_s` after the start."""

    at_s: NotNegative
    # Added to theta at once.
    offset_ms: float = 0.0
    # Added to the rate from then on.
    rate_ppm: float = 0.0


class OscillatorConfig(Part, frozen=True):
    """How true time runs away from the raw clock. Real-world units; see the module's docstring for the compression."""

    time_compression: Annotated[float, Meta(ge=1, le=1000)] = 1.0
    # Positive: the raw clock is slow.
    base_ppm: Annotated[float, Meta(ge=-1000, le=1000)] = 12.0
    sines: tuple[SineConfig, ...] = ()
    # Random-walk FM: standard deviation of the rate's change, ppb per square root of a second.
    walk_ppb_per_sqrt_s: Annotated[float, Meta(ge=0, le=10_000)] = 0.0
    warm_up: WarmUpConfig | None = None
    thermal: ThermalConfig | None = None
    steps: tuple[StepConfig, ...] = ()


class PathConfig(Part, frozen=True):
    """The network between client and one server. Delays are drawn anew for each exchange and each way."""

    # One-way delays without queueing, to the server and back. Their difference halved is an error nobody can see.
    out_ms: Annotated[float, Meta(ge=0, le=2000)] = 0.5
    back_ms: Annotated[float, Meta(ge=0, le=2000)] = 0.5
    # Mean of the exponentially distributed queueing delay each way.
    jitter_out_us: Annotated[float, Meta(ge=0, le=1e6)] = 20.0
    jitter_back_us: Annotated[float, Meta(ge=0, le=1e6)] = 20.0
    # Now and then one way takes longer by an exponentially distributed delay with this mean.
    spike_probability: Share = 0.0
    spike_ms: Annotated[float, Meta(ge=0, le=2000)] = 5.0
    # Probability that the request is lost, and that its reply is lost.
    loss: Share = 0.0


class FaultConfig(Part, frozen=True):
    """Something a server does wrong, from `start_s` to `end_s` (null: for ever) after the lab's start."""

    kind: FaultKind
    start_s: NotNegative = 0.0
    end_s: NotNegative | None = None

    def active(self, t_s: float) -> bool:
        """Whether the fault shows `t_s` seconds after the lab's start."""
        return self.start_s <= t_s and (self.end_s is None or t_s < self.end_s)


class ServerConfig(Part, frozen=True):
    """One NTP server. Its clock shows true time plus `clock_error_ms` plus `clock_drift_ppm` since the lab's start."""

    # "" for s1, s2, ...
    name: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{0,32}$")] = ""
    # A loopback address, "" for 127.0.0.11, 127.0.0.12, ...
    address: str = ""
    # 0 for any free port.
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    stratum: Annotated[int, Meta(ge=1, le=15)] = 1
    # What the server claims about itself. It is honest while its clock error stays below the root dispersion.
    root_delay_ms: Annotated[float, Meta(ge=0, le=60_000)] = 0.0
    root_dispersion_ms: Annotated[float, Meta(ge=0, le=60_000)] = 0.2
    clock_error_ms: Annotated[float, Meta(ge=-1e9, le=1e9)] = 0.0
    clock_drift_ppm: Annotated[float, Meta(ge=-100_000, le=100_000)] = 0.0
    path: PathConfig = PathConfig()
    faults: tuple[FaultConfig, ...] = ()

    def clock_error_ns(self, t_s: float) -> int:
        """What this server's clock shows beyond true time, `t_s` seconds after the lab's start."""
        return round(self.clock_error_ms * 1e6 + self.clock_drift_ppm * 1e3 * t_s)

    @property
    def falseticker(self) -> bool:
        """Whether its clock lies, now or later. A server that drifts leaves its claim sooner or later."""
        return self.clock_drift_ppm != 0 or abs(self.clock_error_ms) > self.root_dispersion_ms


class OutageConfig(Part, frozen=True):
    """Requests to the named servers (none named: to any) are swallowed from `start_s` until `end_s`."""

    start_s: NotNegative
    end_s: NotNegative
    servers: tuple[str, ...] = ()

    def active(self, server: str, t_s: float) -> bool:
        """Whether requests to `server` are swallowed `t_s` seconds after the lab's start."""
        return self.start_s <= t_s < self.end_s and (not self.servers or server in self.servers)


class Scenario(Part, frozen=True, kw_only=True):
    """A whole lab. With the same scenario, the same seed and the same start, true time is the same function."""

    name: str = "lab"
    seed: Annotated[int, Meta(ge=0)] = 1
    # True UTC at the lab's start, ns since 1970; null for what the system clock shows then.
    start_utc_ns: Annotated[int, Meta(ge=0)] | None = None
    oscillator: OscillatorConfig = OscillatorConfig()
    servers: Annotated[tuple[ServerConfig, ...], Meta(min_length=1, max_length=64)]
    outages: tuple[OutageConfig, ...] = ()

    @property
    def hash(self) -> str:
        """Sixteen hex digits that stand for the whole content."""
        # Decoded once, so that 8 and 8.0 in a field of floats are the same content.
        same = msgspec.json.decode(msgspec.json.encode(self), type=Scenario)
        return hashlib.sha256(msgspec.json.encode(same, order="deterministic")).hexdigest()[:16]


def resolve(scenario: Scenario, system_utc_ns: int) -> Scenario:
    """Fill in what a scenario may leave open: names, addresses and the start. Resolving twice changes nothing.

    Raises:
        LabError: a name or an address and port occur twice, an address is not a loopback address, an outage names a
            server that is not there, or a window of time ends before it starts.
    """
    servers = tuple(
        msgspec.structs.replace(s, name=s.name or f"s{i}", address=s.address or f"127.0.0.{10 + i}")
        for i, s in enumerate(scenario.servers, 1)
    )
    names = [s.name for s in servers]
    for name in names:
        if names.count(name) > 1:
            raise LabError(f"Two servers are named {name!r}.", mend="Give each server its own name.")
    places = [(s.address, s.port) for s in servers if s.port]
    for address, port in places:
        if places.count((address, port)) > 1:
            raise LabError(f"Two servers share {address} port {port}.", mend="Give each its own address or port.")
    for server in servers:
        _check_address(server)
    for outage in scenario.outages:
        for name in outage.servers:
            if name not in names:
                raise LabError(f"An outage names server {name!r}, which is not there.", mend=f"Servers: {names}.")
    for start_s, end_s in [(o.start_s, o.end_s) for o in scenario.outages] + [
        (f.start_s, f.end_s) for s in servers for f in s.faults if f.end_s is not None
    ]:
        if end_s is not None and end_s <= start_s:
            raise LabError(f"An outage or fault ends at {end_s} s, not after its start at {start_s} s.")
    start_utc_ns = system_utc_ns if scenario.start_utc_ns is None else scenario.start_utc_ns
    return msgspec.structs.replace(scenario, servers=servers, start_utc_ns=start_utc_ns)


def _check_address(server: ServerConfig) -> None:
    try:
        address = ipaddress.ip_address(server.address)
    except ValueError as error:
        raise LabError(f"Server {server.name!r}: {server.address!r} is not an IP address.") from error
    if not address.is_loopback:
        # These servers lie about time on purpose: no other machine may ever hear them.
        raise LabError(f"Server {server.name!r}: {server.address} is not a loopback address.", mend="Use 127.x.y.z.")
    if address.version == 6 and any(f.kind == "foreign_address" for f in server.faults):
        raise LabError(f"Server {server.name!r}: foreign_address needs an IPv4 address.", mend="Use 127.x.y.z.")
