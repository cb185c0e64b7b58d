"""Scenarios that come with ChronoTick, by name; `configs/lab/` holds the same as files to start from."""

import itertools
from collections.abc import Callable

import msgspec

from chronotick.errors import LabError
from chronotick.lab.scenario import (
    FaultConfig,
    LoadConfig,
    OscillatorConfig,
    OutageConfig,
    PathConfig,
    Scenario,
    ServerConfig,
    SineConfig,
    ThermalConfig,
    WarmUpConfig,
)

DEMO_S = 90.0
DEMO_COMPRESSION = 60.0
DEMO_PERIOD_S = 1620.0
# Where in the cycle the demo's outage begins: there a straight line goes wrong by much the same whatever the wander.
DEMO_PHASE_TURNS = 0.9
FALSE_MS = 40.0


def _server(
    out_ms: float, back_ms: float, jitter_us: float, *, dispersion_ms: float = 0.2, error_ms: float = 0.0, **path: float
) -> ServerConfig:
    return ServerConfig(
        root_dispersion_ms=dispersion_ms,
        clock_error_ms=error_ms,
        path=PathConfig(out_ms=out_ms, back_ms=back_ms, jitter_out_us=jitter_us, jitter_back_us=jitter_us, **path),
    )


def demo(seconds: float = DEMO_S) -> Scenario:
    """What the demo shows: a wandering cycle, good servers and a liar, and an outage in the last quarter.

    The physics run 60 times faster than a real oscillator's: the cycle of 27 minutes takes 27 s, and in the outage
    of 13 s a straight line goes astray by some hundred microseconds, where the network's noise is some ten.

    Args:
        seconds: length of the run, into which the outage is fitted.
    """
    outage_s = min(13.0, seconds / 7)
    start_s = round(seconds * 0.78, 1)
    phase_turns = (DEMO_PHASE_TURNS - start_s * DEMO_COMPRESSION / DEMO_PERIOD_S) % 1
    cycle = SineConfig(
        amplitude_ppm=1.0,
        period_s=DEMO_PERIOD_S,
        phase_turns=round(phase_turns, 4),
        second_harmonic=0.2,
        wander_turns=0.03,
    )
    return Scenario(
        name="demo",
        oscillator=OscillatorConfig(
            time_compression=DEMO_COMPRESSION,
            base_ppm=12,
            sines=(cycle,),
            walk_ppb_per_sqrt_s=1.0,
        ),
        servers=(
            _server(0.3, 0.3, 15),
            _server(0.5, 0.5, 20),
            _server(0.8, 0.78, 25),
            _server(1.2, 1.2, 30, spike_probability=0.02, spike_ms=2),
            _server(2.0, 1.96, 40, spike_probability=0.02, spike_ms=3, loss=0.01),
            _server(0.4, 0.4, 20, error_ms=FALSE_MS),
        ),
        outages=(OutageConfig(start_s=start_s, end_s=round(start_s + outage_s, 1)),),
    )


def lan() -> Scenario:
    """Four servers some hundred microseconds away; a quiet oscillator with a weak half-hour cycle."""
    return Scenario(
        name="lan",
        oscillator=OscillatorConfig(
            sines=(SineConfig(amplitude_ppm=0.3, period_s=1800),),
            walk_ppb_per_sqrt_s=1.0,
            warm_up=WarmUpConfig(amplitude_ppm=0.5, time_constant_s=600),
        ),
        servers=tuple(_server(0.1, 0.1, 20, dispersion_ms=0.1) for _ in range(4)),
    )


def internet() -> Scenario:
    """Five servers 8 to 40 ms away with milliseconds of queueing, spikes and some loss."""
    return Scenario(
        name="internet",
        oscillator=OscillatorConfig(
            sines=(SineConfig(amplitude_ppm=0.05, period_s=3600),),
            walk_ppb_per_sqrt_s=0.3,
        ),
        servers=tuple(
            msgspec.structs.replace(
                _server(out, back, jitter, dispersion_ms=5, loss=0.005, spike_probability=0.01, spike_ms=20),
                stratum=2,
                root_delay_ms=1,
            )
            for out, back, jitter in ((8, 8, 1000), (10, 10, 2000), (15, 14, 2000), (25, 26, 3000), (40, 38, 4000))
        ),
    )


def thermal() -> Scenario:
    """Half a millisecond of path; a strong cycle of twenty minutes, and a rate that walks."""
    return Scenario(
        name="thermal",
        oscillator=OscillatorConfig(
            sines=(SineConfig(amplitude_ppm=1.0, period_s=1200, second_harmonic=0.3, wander_turns=0.02),),
            walk_ppb_per_sqrt_s=3.0,
        ),
        servers=tuple(_server(0.5, 0.5, 100) for _ in range(5)),
    )


def thermal_cycle() -> Scenario:
    """A room whose temperature swings by three degrees every forty minutes, beside weather; a sensor that sees it."""
    return Scenario(
        name="thermal_cycle",
        oscillator=OscillatorConfig(
            walk_ppb_per_sqrt_s=0.1,
            thermal=ThermalConfig(cycle_c=3.0, cycle_s=2400, weather_c=1.0, crystal_s=300, ppm_per_c=0.1),
        ),
        servers=tuple(_server(5, 5, 200, dispersion_ms=1) for _ in range(4)),
    )


def server_load() -> Scenario:
    """A processor that works in spells of a quarter of an hour or so, and a crystal that follows it minutes later."""
    return Scenario(
        name="server_load",
        oscillator=OscillatorConfig(
            walk_ppb_per_sqrt_s=0.1,
            thermal=ThermalConfig(
                weather_c=0.5, load=LoadConfig(busy_s=1200, idle_s=1800, irregularity=0.4), crystal_s=600, ppm_per_c=0.1
            ),
        ),
        servers=tuple(_server(5, 5, 200, dispersion_ms=1) for _ in range(4)),
    )


def asymmetric() -> Scenario:
    """Most paths take 10 ms out and 18 ms back: 4 ms of error that only the hard interval covers."""
    near, far = _server(10, 18, 200, dispersion_ms=0.5), _server(12, 12, 200, dispersion_ms=0.5)
    return Scenario(name="asymmetric", servers=(near, near, near, far, far))


def lossy() -> Scenario:
    """A third of all packets is lost, spikes are frequent, servers vanish and come back, one asks for peace."""
    bad = {"loss": 0.18, "spike_probability": 0.1, "spike_ms": 30.0}
    angry = msgspec.structs.replace(
        _server(6, 6, 500, dispersion_ms=1), faults=(FaultConfig(kind="kiss_rate", start_s=60, end_s=90),)
    )
    return Scenario(
        name="lossy",
        servers=(*(_server(d, d, 500, dispersion_ms=1, **bad) for d in (3.0, 5.0, 8.0, 12.0)), angry),
        outages=(
            OutageConfig(start_s=30, end_s=45, servers=("s1", "s2")),
            OutageConfig(start_s=120, end_s=150),
        ),
    )


def falsetickers() -> Scenario:
    """Two of five lie, one by a constant and one that drifts off: a strict majority is right."""
    drifting = msgspec.structs.replace(_server(0.4, 0.4, 20), clock_drift_ppm=200)
    return Scenario(
        name="falsetickers",
        servers=(*(_server(d, d, 20) for d in (0.3, 0.5, 0.7)), _server(0.3, 0.3, 20, error_ms=5000), drifting),
    )


PRESETS: dict[str, Callable[[], Scenario]] = {
    make.__name__: make
    for make in (demo, lan, internet, thermal, thermal_cycle, server_load, asymmetric, lossy, falsetickers)
}


def preset(name: str) -> Scenario:
    """The scenario of this name.

    Raises:
        LabError: there is none.
    """
    if name not in PRESETS:
        raise LabError(f"There is no scenario named {name!r}.", mend=f"Names: {', '.join(PRESETS)}; or give a file.")
    return PRESETS[name]()


def adapted(
    scenario: Scenario,
    *,
    servers: int | None = None,
    falsetickers: int | None = None,
    port: int | None = None,
    seed: int | None = None,
) -> Scenario:
    """The scenario with what the command line asks for; None leaves as it is.

    Args:
        servers: how many in all; the honest ones are repeated as often as needed, with paths of their own seeds.
        falsetickers: how many of them lie. Those of the scenario come first, further ones lie by 40, 80, ... ms, no
            two alike.
        port: the port of all, each on its own address. 0: any free ones.
        seed: of everything random.

    Raises:
        LabError: more falsetickers than servers, a number out of range, or outages name servers that go.
    """
    honest = [s for s in scenario.servers if not s.falseticker]
    lying = [s for s in scenario.servers if s.falseticker]
    liars = len(lying) if falsetickers is None else falsetickers
    total = (len(scenario.servers) if falsetickers is None else len(honest) + liars) if servers is None else servers
    if not 1 <= total <= 64 or not 0 <= liars <= total:
        raise LabError(
            f"{total} servers with {liars} falsetickers can not be had.",
            mend="Ask for 1 to 64 servers, and for no more falsetickers than that.",
        )
    if (total, liars) != (len(scenario.servers), len(lying)):
        base = honest or lying
        more = (
            msgspec.structs.replace(base[i % len(base)], clock_error_ms=FALSE_MS * (i + 1))
            for i in itertools.count(len(lying))
        )
        chosen = (
            *itertools.islice(itertools.cycle(honest or [ServerConfig()]), total - liars),
            *itertools.islice(itertools.chain(lying, more), liars),
        )
        # Repeated servers get names and addresses of their own.
        chosen = tuple(msgspec.structs.replace(s, name="", address="", port=0) for s in chosen)
        scenario = msgspec.structs.replace(scenario, servers=chosen)
    if port is not None:
        if not 0 <= port <= 65535:
            raise LabError(f"Port {port} can not be had.", mend="Ask for 0 to 65535.")
        on_port = tuple(msgspec.structs.replace(s, port=port) for s in scenario.servers)
        scenario = msgspec.structs.replace(scenario, servers=on_port)
    if seed is not None:
        if seed < 0:
            raise LabError(f"Seed {seed} is negative.", mend="Use 0 or more.")
        scenario = msgspec.structs.replace(scenario, seed=seed)
    return scenario
