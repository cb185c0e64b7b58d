"""The configuration, as one tree of frozen structs. Each field says its unit and range; unknown keys are refused.

`chronotick.config.load` builds it from defaults, file, environment and command line. Stages take the struct that
concerns them and nothing else.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: frozen, and a key that it does not know is an error."""


class NtpConfig(Section, frozen=True):
    """Where time comes from and how often it is asked for."""

    # "host", "host:port", "[v6]" or "[v6]:port". Several operators, so that one that is wrong is outvoted.
    servers: tuple[str, ...] = (
        "0.pool.ntp.org",
        "1.pool.ntp.org",
        "2.pool.ntp.org",
        "time.cloudflare.com",
        "time.google.com",
        "time.apple.com",
    )
    # A reply that takes longer is given up, s.
    timeout_s: Positive = 2.0
    # Shortest interval of the adaptive poll of each server, s. Public pools ask for 64 s and more.
    min_poll_s: Positive = 64.0
    # Longest interval of the adaptive poll of each server, s.
    max_poll_s: Positive = 1024.0
    # Poll of each server during warm-up, s. One that was never heard is asked again after half of it, three times.
    warm_up_poll_s: Positive = 2.0
    # Exchanges with each server that count as warm-up (iburst-like).
    warm_up_polls: Count = 8
    # Servers with a larger root distance than this are not used, s (RFC 5905 MAXDIST is 1.5 s).
    max_root_distance_s: Positive = 1.5
    # Replies with a larger round trip than this are not used, s.
    max_delay_s: Positive = 1.0
    # Lowest number of servers that must agree. 1 lets a single server be believed.
    min_agreeing: Count = 1
    # Lowest stratum that is used.
    min_stratum: Annotated[int, Meta(ge=1, le=15)] = 1
    # Highest stratum that is used.
    max_stratum: Annotated[int, Meta(ge=1, le=15)] = 15
    # Which addresses of a server's name are used.
    family: Literal["any", "ipv4", "ipv6"] = "any"


class ClockConfig(Section, frozen=True):
    """The estimator's physics."""

    # The oscillator's physics run this many times faster than a real one's. 1 on every real machine; the lab uses more.
    time_compression: Annotated[float, Meta(ge=1, le=1000)] = 1.0
    # The hard interval grows by this rate between fixes, ppm; no oscillator is believed to be worse.
    rate_bound_ppm: Annotated[float, Meta(gt=0, le=1000)] = 50.0
    # After this long without a fix the answer is UNKNOWN, s.
    void_after_s: Positive = 86_400.0
    # No model joins before this much history was measured, s. The floor answers from the second fix on.
    warm_up_s: NotNegative = 180.0
    # Take off what grows with a server's delay, once it surely does: queues that stand on one way only. It can make a
    # clock truer or worse, and no host can tell which without a truth of its own.
    delay_slope: bool = False


class RoleConfig(Section, frozen=True):
    """One question that is put to a model again and again: a grid, a context and a horizon."""

    # What the role is called; unique.
    name: Name
    # The plugin that is asked.
    plugin: Name
    # Whether the question is put at all.
    enabled: bool = True
    # Seconds between two points of the grid.
    step_s: Positive = 64.0
    # Points of history given to the model.
    context: Annotated[int, Meta(ge=8, le=8192)] = 256
    # Points of history below which the model is not asked.
    min_context: Annotated[int, Meta(ge=8, le=8192)] = 32
    # Points asked for.
    horizon: Annotated[int, Meta(ge=1, le=1024)] = 64
    # Seconds between two forecasts.
    interval_s: Positive = 64.0
    # A forecast that takes longer is given up, s.
    deadline_s: Positive = 10.0
    # Give temperature and load to models that take them.
    use_covariates: bool = False


class PluginConfig(Section, frozen=True):
    """One model process."""

    # The plugin's name, as in its plugin.toml; unique.
    name: Name
    # Whether its process is started.
    enabled: bool = True
    # Where the model runs: cpu, cuda, cuda:0, ...
    device: str = "cpu"
    # Threads for inference; more than one gains little and loses much on a busy machine.
    threads: Annotated[int, Meta(ge=1, le=64)] = 1
    # Hub repository, or "" for the plugin's own default weights.
    repo: str = ""
    # Size of the model, where the plugin knows several: tiny, mini, small, base.
    size: str = ""
    # Revision of the weights; "" for the plugin's own.
    revision: str = ""
    # A local folder with weights; wins over repo.
    path: str = ""
    # Seed of models that draw samples.
    seed: int = 0
    # Its process is run by others (systemd, another machine) and connects by itself.
    external: bool = False
    # File with the secret that an external plugin must show in its HELLO.
    token_file: str = ""
    # Not asked, or without any weight, for this long, its process is ended to free its memory, s; 0 for never.
    unload_after_s: NotNegative = 0.0
    # One that was ended for having no weight is started again for another trial after this long, s.
    reload_after_s: Positive = 3600.0
    # Passed to the plugin as they are.
    params: dict[str, str | int | float | bool] = field(default_factory=dict)


class FusionConfig(Section, frozen=True):
    """How much a model may say."""

    # Whether models are listened to; if not, the floor answers alone.
    enabled: bool = True
    # Candidates are kept within this many sigma of the floor; a credited shape within ten, a rule within thirty.
    clip_sigma: Positive = 3.0
    # A candidate joins above this relative gain, and leaves below a quarter of it.
    open_gain: Share = 0.03
    # A candidate joins when its gain has at least this t statistic.
    open_t: NotNegative = 1.5


class CandidatesConfig(Section, frozen=True):
    """What is fitted to the fixes beside the floor, without any model; `fusion` decides how much of it is believed."""

    # Cycles in the clock's rate, from minutes to a day.
    harmonic: bool = True
    # A rate that settles after a start, or ages.
    ageing: bool = True
    # A time base that somebody disciplines is not extrapolated.
    steered: bool = True


class PublishConfig(Section, frozen=True):
    """The snapshot."""

    # Seconds between two snapshots when nothing else happens.
    interval_s: Annotated[float, Meta(ge=0.01, le=60)] = 1.0
    # Corrections are slewed at most at this rate, ppm.
    slew_ppm: Annotated[float, Meta(gt=0, le=100_000)] = 500.0
    # Where the runtime directory is; "" for the usual place.
    runtime_dir: str = ""


class InteropConfig(Section, frozen=True):
    """Other clocks' programs on this machine: what they are told, and what a chronyd is asked. All off by default."""

    # Also write what is known in ClockBound's shared-memory layout 2, to this file; "" for not. Its folder must exist.
    clockbound_path: str = ""
    # How fast others may steer the system clock: the bound that ClockBound's readers see grows by it, ppm.
    system_slew_ppm: Annotated[float, Meta(ge=0, le=100_000)] = 500.0
    # Send samples to the unix socket of a chronyd with `refclock SOCK <path>`; "" for not.
    refclock_socket: str = ""
    # Seconds between two samples to chronyd.
    refclock_interval_s: Annotated[float, Meta(ge=0.1, le=64)] = 1.0
    # Ask the chronyd of this machine what it knows; it votes as one more server. This is the way to NTS.
    chronyd: bool = False
    # Seconds between two questions to chronyd.
    chronyd_poll_s: Annotated[float, Meta(ge=0.1, le=1024)] = 16.0
    # chronyd's command socket or host name, as of `chronyc -h`; "" for chronyc's own.
    chronyd_address: str = ""
    # The program that asks chronyd.
    chronyc: str = "chronyc"

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources beside the NTP servers. No server's name has a space in it."""
        return ("local chronyd",) if self.chronyd else ()


class ServeConfig(Section, frozen=True):
    """Who may ask from outside this machine, and what stamps are signed with."""

    # tcp://ADDRESS:PORT on which other machines may ask for the time; "" for none. Needs the two keys below.
    endpoint: str = ""
    # File with the host's secret CURVE key, of `chronotick keys make-host`.
    secret_key_file: str = ""
    # Directory with the public key, NAME.key, of each client that may ask.
    allowed_keys_dir: str = ""
    # File with the key that stamps are signed with, made if there is none; "" for the usual place.
    stamp_key_file: str = ""


class StoreConfig(Section, frozen=True):
    """What is kept on disk: so that a restart is warm, and every decision can be looked at again."""

    # Where; "" for the usual place: beside a runtime directory that was chosen by hand, else $STATE_DIRECTORY, else
    # $XDG_STATE_HOME/chronotick, else ~/.local/state/chronotick.
    state_dir: str = ""
    # Whether what was learned (the oscillator, the paths, who may speak) is kept over restarts.
    warm_start: bool = True
    # Seconds between two savings of it; it is also saved at the end.
    save_interval_s: Annotated[float, Meta(ge=10, le=86_400)] = 1800.0
    # Largest size of the event log, all segments together, MB; 0 for no log. The oldest segments go first.
    event_log_mb: Annotated[float, Meta(ge=0, le=100_000)] = 64.0
    # Fixes that are kept for `history`; 0 for none. The oldest go first.
    history_fixes: Annotated[int, Meta(ge=0, le=10_000_000)] = 100_000


class LogConfig(Section, frozen=True):
    """What is written to standard error."""

    # Least severe records written.
    level: Literal["debug", "info", "warning", "error"] = "info"
    # Lines for people or one JSON object a line.
    format: Literal["text", "json"] = "text"
    # Also to this file; "" for none.
    file: str = ""
    # The file is rotated once at this size, MB.
    max_mb: Positive = 16.0
    # Also function timing, NTP quality, model input and output, message flow, fusion weights.
    debug_trace: bool = False


class Config(Section, frozen=True):
    """The whole configuration."""

    ntp: NtpConfig = field(default_factory=NtpConfig)
    clock: ClockConfig = field(default_factory=ClockConfig)
    roles: tuple[RoleConfig, ...] = ()
    plugins: tuple[PluginConfig, ...] = ()
    fusion: FusionConfig = field(default_factory=FusionConfig)
    candidates: CandidatesConfig = field(default_factory=CandidatesConfig)
    publish: PublishConfig = field(default_factory=PublishConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    interop: InteropConfig = field(default_factory=InteropConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    log: LogConfig = field(default_factory=LogConfig)
