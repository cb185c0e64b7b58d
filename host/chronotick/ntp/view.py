"""One server as a user sees it: a flat row for status, metrics and logs. Pure."""

from enum import StrEnum

import msgspec

from chronotick.config.schema import NtpConfig
from chronotick.ntp.outcome import Refusal
from chronotick.ntp.packet import reference_text
from chronotick.ntp.poll import wait_s
from chronotick.ntp.server import Grade, ServerState, grade


class Phase(StrEnum):
    """What is going on with a server."""

    # Its name or its first exchange is under way.
    STARTING = "starting"
    NO_ADDRESS = "no_address"
    WARM_UP = "warm_up"
    POLLING = "polling"
    # Two and more exchanges in a row gave nothing: asked less and less often.
    BACKOFF = "backoff"
    DENIED = "denied"


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """A row. Values that come from a sample are None until there is one.

    Attributes:
        name: as configured. address, port: who is asked; "" and 0 before the name had an address.
        phase: what is going on. grade: quality.
        reach: the last eight exchanges as bits, newest in bit 0.
        accepted: samples so far. refused: refused replies and lost exchanges by reason.
        reason: why the last exchange gave nothing; None when it gave a sample.
        poll_s: present wait between two requests, s, without its random part.
        stratum, leap, reference: as the server says.
        system_offset_s: server minus CLOCK_REALTIME, s. delay_s: round trip, s. min_delay_s: its running minimum, s.
        jitter_s: scatter around the samples' straight line, s; None below three samples.
        root_distance_s: now, s.
        age_s: since the newest sample, s.
    """

    name: str
    address: str
    port: int
    phase: Phase
    grade: Grade
    reach: int
    accepted: int
    refused: tuple[tuple[Refusal, int], ...]
    reason: Refusal | None
    poll_s: float
    stratum: int | None = None
    leap: int | None = None
    reference: str | None = None
    system_offset_s: float | None = None
    delay_s: float | None = None
    min_delay_s: float | None = None
    jitter_s: float | None = None
    root_distance_s: float | None = None
    age_s: float | None = None


def view(state: ServerState, config: NtpConfig, raw_ns: int, rate_bound: float) -> ServerView:
    """The row of one server at `raw_ns`."""
    row = ServerView(
        name=state.name,
        address=state.address,
        port=state.port,
        phase=_phase(state),
        grade=grade(state, raw_ns, rate_bound),
        reach=state.reach,
        accepted=state.accepted,
        refused=state.refused,
        reason=state.reason,
        poll_s=wait_s(state.poll, config, 0.0),
    )
    last = state.last
    if last is None:
        return row
    return msgspec.structs.replace(
        row,
        stratum=last.stratum,
        leap=last.leap,
        reference=reference_text(last.reference_id, last.stratum),
        system_offset_s=last.system_offset_s,
        delay_s=last.delay_s,
        min_delay_s=state.min_delay_s,
        jitter_s=state.line.jitter_s if state.line else None,
        root_distance_s=last.root_distance_at_s(raw_ns, rate_bound),
        age_s=(raw_ns - last.raw_ns) * 1e-9,
    )


def _phase(state: ServerState) -> Phase:
    if state.denied:
        return Phase.DENIED
    if not state.exchanges:
        return Phase.STARTING
    if state.reason is Refusal.NO_ADDRESS:
        return Phase.NO_ADDRESS
    if state.poll.lost > 1:
        return Phase.BACKOFF
    return Phase.WARM_UP if state.poll.warm_up_left else Phase.POLLING
