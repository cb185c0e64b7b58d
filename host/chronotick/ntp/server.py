"""What is known of one server. Pure: outcomes fold into the state, everything else is computed from it."""

import math
from enum import StrEnum
from typing import Final

import msgspec

from chronotick.config.schema import NtpConfig
from chronotick.ntp.outcome import DENIALS, Outcome, Refusal, Sample
from chronotick.ntp.poll import PollState, after_accepted, after_lost, first_poll
from chronotick.units import ns_to_s

# What a free-running oscillator is believed to drift at most, s/s, where the caller knows nothing better.
DEFAULT_RATE_BOUND: Final = 5e-5
KEEP: Final = 8
_REACH_BITS: Final = 0xFF
# The running minimum delay rises by this share of the excess at each exchange, so that a longer route is learned.
_LEAK: Final = 1 / 64


class Grade(StrEnum):
    """Quality of a server, best first."""

    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    BAD = "bad"


# A grade needs all three: root distance at most, jitter at most (both s), and at least this share of recent replies.
# A LAN server reaches 5 ms, one in the same country 30 ms, one across an ocean 100 ms; 1.5 s is RFC 5905's MAXDIST.
_GRADES: Final = (
    (Grade.EXCELLENT, 0.005, 0.0005, 7 / 8),
    (Grade.GOOD, 0.030, 0.003, 6 / 8),
    (Grade.FAIR, 0.100, 0.010, 4 / 8),
    (Grade.POOR, 1.5, 0.100, 1 / 8),
)


class Line(msgspec.Struct, frozen=True):
    """A straight line through a server's samples: theta against the raw clock.

    Attributes:
        slope: s/s; the same for all servers that are right, since it is our own oscillator's rate.
        jitter_s: standard deviation of the samples around the line.
    """

    slope: float
    jitter_s: float


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """One configured server and the address that stands for it at present.

    Attributes:
        name: as configured.
        address, port: who is asked; "" and 0 before the name had an address.
        reach: the last eight exchanges, newest in bit 0, 1 for accepted.
        exchanges: how many ended since this address is used, or since the raw clock was interrupted.
        accepted: samples since this address is used.
        refused: refused replies and lost exchanges by reason.
        reason: why the last exchange gave no sample; None when it did.
        samples: up to eight accepted ones, oldest first.
        line: through the samples; None below three of them.
        min_delay_s: running minimum of the delay, s; None before the first sample.
        poll: how often it is asked.
        denied: it told us to go away.
        refuted: a vote's bound contradicted the claim of the newest sample.
    """

    name: str
    address: str = ""
    port: int = 0
    reach: int = 0
    exchanges: int = 0
    accepted: int = 0
    refused: tuple[tuple[Refusal, int], ...] = ()
    reason: Refusal | None = None
    samples: tuple[Sample, ...] = ()
    line: Line | None = None
    min_delay_s: float | None = None
    poll: PollState
    denied: bool = False
    refuted: bool = False

    @property
    def identity(self) -> str:
        """Name and address: what a fix is signed with."""
        return f"{self.name} ({self.address})" if self.address else self.name

    @property
    def last(self) -> Sample | None:
        """The newest accepted sample."""
        return self.samples[-1] if self.samples else None


def new_server(name: str, config: NtpConfig) -> ServerState:
    """A server that was never asked."""
    return ServerState(name=name, poll=first_poll(config))


def after_outcome(state: ServerState, outcome: Outcome, config: NtpConfig) -> ServerState:
    """Fold one exchange into the state. Another address starts afresh, except that backoff goes on."""
    if (outcome.address, outcome.port) != (state.address, state.port) and outcome.address:
        poll = msgspec.structs.replace(first_poll(config), lost=state.poll.lost, local=state.poll.local)
        state = ServerState(name=state.name, address=outcome.address, port=outcome.port, poll=poll)
    refused = dict(state.refused)
    for reason, count in outcome.refused:
        refused[reason] = refused.get(reason, 0) + count
    state = msgspec.structs.replace(
        state,
        exchanges=state.exchanges + 1,
        reach=(state.reach << 1 | (outcome.sample is not None)) & _REACH_BITS,
        refused=tuple(sorted(refused.items())),
        reason=outcome.reason,
    )
    if outcome.sample is None:
        reason = outcome.reason or Refusal.TIMEOUT
        return msgspec.structs.replace(
            state, poll=after_lost(state.poll, reason, config), denied=state.denied or reason in DENIALS
        )
    return _after_sample(state, outcome.sample, config)


def _after_sample(state: ServerState, sample: Sample, config: NtpConfig) -> ServerState:
    samples = (*state.samples, sample)[-KEEP:]
    least = state.min_delay_s
    line = fit_line(samples)
    noise_s = network_noise_s(samples)
    wander_s = math.sqrt(max(line.jitter_s**2 - noise_s**2, 0.0)) if line and noise_s is not None else None
    return msgspec.structs.replace(
        state,
        accepted=state.accepted + 1,
        samples=samples,
        refuted=False,
        line=line,
        min_delay_s=sample.delay_s if least is None else min(sample.delay_s, least + _LEAK * (sample.delay_s - least)),
        poll=after_accepted(state.poll, noise_s, wander_s, config),
    )


def forget_samples(state: ServerState, config: NtpConfig) -> ServerState:
    """The state after a discontinuity of the raw clock: old samples say nothing about it now, and warm-up begins anew.

    It counts as unheard until its next exchange ends. What it demands (RATE, DENY) and the backoff stay.
    """
    poll = msgspec.structs.replace(state.poll, score=0, warm_up_left=0 if state.poll.floor_s else config.warm_up_polls)
    return msgspec.structs.replace(state, samples=(), line=None, reach=0, exchanges=0, poll=poll, refuted=False)


def fit_line(samples: tuple[Sample, ...]) -> Line | None:
    """Least squares; None for fewer than three samples, or all at one instant.

    The raw clock is steered by nobody, so its rate must come off before what is left can be called jitter.
    """
    n = len(samples)
    if n < 3:
        return None
    t = [ns_to_s(s.raw_ns - samples[0].raw_ns) for s in samples]
    y = [ns_to_s(s.theta_ns - samples[0].theta_ns) for s in samples]
    mean_t, mean_y = sum(t) / n, sum(y) / n
    spread = sum((a - mean_t) ** 2 for a in t)
    if spread == 0:
        return None
    slope = sum((a - mean_t) * (b - mean_y) for a, b in zip(t, y, strict=True)) / spread
    rest = sum((b - mean_y - slope * (a - mean_t)) ** 2 for a, b in zip(t, y, strict=True))
    return Line(slope=slope, jitter_s=math.sqrt(rest / (n - 2)))


def network_noise_s(samples: tuple[Sample, ...]) -> float | None:
    """What the path adds to one theta, s: half the scatter of the delay, at least the precision. None below three.

    Two independent one-way delays of variance v give a delay of variance 2v and a theta of variance v/2.
    """
    if len(samples) < 3:
        return None
    delays = [s.delay_s for s in samples]
    mean = sum(delays) / len(delays)
    variance = sum((d - mean) ** 2 for d in delays) / (len(delays) - 1)
    return max(math.sqrt(variance) / 2, samples[-1].precision_s)


def best_sample(samples: tuple[Sample, ...], raw_ns: int, rate_bound: float) -> Sample | None:
    """The sample with the smallest root distance at `raw_ns`: RFC 5905's clock filter (section 10)."""
    return min(samples, key=lambda s: (s.root_distance_at_s(raw_ns, rate_bound), -s.raw_ns), default=None)


def grade(state: ServerState, raw_ns: int, rate_bound: float) -> Grade:
    """Quality at `raw_ns`. With fewer than three samples the jitter is not known and nothing beats FAIR."""
    last = state.last
    if last is None or not state.reach:
        return Grade.BAD
    distance_s = last.root_distance_at_s(raw_ns, rate_bound)
    jitter_s = state.line.jitter_s if state.line else 0.010
    share = state.reach.bit_count() / min(max(state.exchanges, 1), KEEP)
    for name, most_distance_s, most_jitter_s, least_share in _GRADES:
        if distance_s <= most_distance_s and jitter_s <= most_jitter_s and share >= least_share:
            return name
    return Grade.BAD
