"""A few exchanges with each of some servers, and what to think of them: `chronotick ntp query`. I/O shell."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from chronotick.clock import timebase
from chronotick.config.schema import NtpConfig
from chronotick.ntp import kernel_stamps
from chronotick.ntp.address import Endpoint, parse_server
from chronotick.ntp.associations import Associations
from chronotick.ntp.exchange import exchange
from chronotick.ntp.outcome import KISSES, Outcome, Refusal, explain
from chronotick.ntp.packet import reference_meaning, reference_text
from chronotick.ntp.resolve import resolve
from chronotick.ntp.select import Selection, Standing, Verdict
from chronotick.ntp.server import Grade, ServerState, best_sample, grade
from chronotick.units import ns_to_s

_LOOKUP_S: Final = 10.0
# A server that does not answer is not asked more often than this.
_MOST_LOST: Final = 2


class QueriedServer(msgspec.Struct, frozen=True, kw_only=True):
    """What one server gave.

    Attributes:
        server: as asked for. address, port: who answered for it.
        accepted: whether at least one exchange was accepted; the values below are None otherwise.
        reason, explanation: why nothing was accepted; None if something was.
        standing: what the selection made of it. grade: quality.
        samples: accepted exchanges. refused: refused replies and lost exchanges by reason.
        offset_s: server minus CLOCK_REALTIME, s, of the sample with the smallest root distance; so is `delay_s`.
        root_distance_s: the most that the server's own claim allows the offset to be wrong, s.
        jitter_s: scatter around the samples' straight line, s; None below three samples.
        stratum, leap, reference_id, reference: as the server says.
    """

    server: str
    address: str
    port: int
    accepted: bool
    reason: Refusal | None
    explanation: str | None
    standing: Standing
    grade: Grade
    samples: int
    refused: tuple[tuple[Refusal, int], ...]
    offset_s: float | None = None
    delay_s: float | None = None
    root_distance_s: float | None = None
    jitter_s: float | None = None
    stratum: int | None = None
    leap: int | None = None
    reference_id: str | None = None
    reference: str | None = None


class QueryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What all servers gave together.

    Attributes:
        servers: one entry per server, in the order asked for.
        selected: the servers that survived selection, in that order.
        verdict: whether they agree.
        offset_s: their combined offset, UTC minus CLOCK_REALTIME, s; None without agreement.
        earliest_offset_s, latest_offset_s: what a majority's claims leave room for, s; None without agreement.
    """

    servers: tuple[QueriedServer, ...]
    selected: tuple[str, ...]
    verdict: Verdict
    offset_s: float | None = None
    earliest_offset_s: float | None = None
    latest_offset_s: float | None = None

    @property
    def any_accepted(self) -> bool:
        """Whether at least one exchange was accepted."""
        return any(server.accepted for server in self.servers)


async def query(servers: Sequence[str], config: NtpConfig, samples: int = 4) -> QueryReport:
    """Ask each of `servers` `samples` times, `config.warm_up_poll_s` apart, all servers side by side.

    Raises:
        ConfigError: an entry of `servers` can not be read.
    """
    config = msgspec.structs.replace(config, servers=tuple(dict.fromkeys(servers)))
    # A server has its few exchanges and no more: who has not answered by the end is not waited for.
    table = _Table(msgspec.structs.replace(Associations.of(config), patience=1))
    with kernel_stamps.keep_enabled():
        async with asyncio.TaskGroup() as tasks:
            for name in config.servers:
                tasks.create_task(_ask(name, config, samples, table))
    now = timebase.pair()
    associations = table.associations
    selection = associations.select(now.raw_ns)
    rows = tuple(_row(state, selection, now.raw_ns, associations.rate_bound) for state in associations.servers)
    report = QueryReport(
        servers=rows,
        selected=tuple(row.server for row in rows if row.standing is Standing.SURVIVOR),
        verdict=selection.verdict,
    )
    if selection.verdict is not Verdict.AGREED:
        return report
    system_theta_ns = now.realtime_ns - now.raw_ns
    return msgspec.structs.replace(
        report,
        offset_s=ns_to_s(selection.theta_ns - system_theta_ns),
        earliest_offset_s=ns_to_s(selection.earliest_theta_ns - system_theta_ns),
        latest_offset_s=ns_to_s(selection.latest_theta_ns - system_theta_ns),
    )


class _Table:
    """The one thing that the tasks share."""

    def __init__(self, associations: Associations) -> None:
        self.associations = associations

    def take(self, outcome: Outcome) -> None:
        self.associations = self.associations.step(outcome, outcome.raw_ns).associations


async def _ask(name: str, config: NtpConfig, samples: int, table: _Table) -> None:
    endpoints = await _addresses(name, config)
    if not endpoints:
        table.take(Outcome(server=name, address="", port=0, raw_ns=timebase.raw_ns(), reason=Refusal.NO_ADDRESS))
        return
    loop = asyncio.get_running_loop()
    endpoint = endpoints[0]
    previous: int | None = None
    lost = 0
    for number in range(samples):
        # While nothing was accepted the next address has its turn: the first may be of a family without a route.
        endpoint = endpoints[min(lost, len(endpoints) - 1)] if previous is None else endpoint
        asked = loop.time()
        outcome = await exchange(name, endpoint, config, previous_transmit=previous)
        table.take(outcome)
        if outcome.sample is not None:
            previous = outcome.sample.transmit
        else:
            lost += 1
        if outcome.reason in KISSES or lost >= _MOST_LOST or number == samples - 1:
            return
        await asyncio.sleep(asked + config.warm_up_poll_s - loop.time())


async def _addresses(name: str, config: NtpConfig) -> tuple[Endpoint, ...]:
    try:
        async with asyncio.timeout(_LOOKUP_S):
            return await resolve(parse_server(name), config.family)
    except TimeoutError:
        return ()


def _row(state: ServerState, selection: Selection, raw_ns: int, rate_bound: float) -> QueriedServer:
    standings = dict(selection.standings)
    best = best_sample(state.samples, raw_ns, rate_bound)
    reason = None if best else state.reason or Refusal.TIMEOUT
    row = QueriedServer(
        server=state.name,
        address=state.address,
        port=state.port,
        accepted=best is not None,
        reason=reason,
        explanation=explain(reason) if reason else None,
        standing=standings[state.identity],
        grade=grade(state, raw_ns, rate_bound),
        samples=state.accepted,
        refused=state.refused,
    )
    if best is None:
        return row
    return msgspec.structs.replace(
        row,
        offset_s=best.system_offset_s,
        delay_s=best.delay_s,
        root_distance_s=best.root_distance_at_s(raw_ns, rate_bound),
        jitter_s=state.line.jitter_s if state.line else None,
        stratum=best.stratum,
        leap=best.leap,
        reference_id=reference_text(best.reference_id, best.stratum),
        reference=reference_meaning(best.reference_id, best.stratum),
    )
