"""What the client socket answers: read-only questions, from values that are ready."""

import time
from collections.abc import Callable
from math import ceil
from typing import Any

import msgspec

from chronotick.clock import timebase
from chronotick.errors import ProtocolError
from chronotick.serve.fresh import as_of_now
from chronotick.serve.outlook import Outlook
from chronotick.serve.past import Past
from chronotick.serve.signer import Signer
from chronotick.units import NS_PER_S
from chronotick.wire import messages
from chronotick.wire.codes import Code
from chronotick.wire.messages import (
    Convert,
    Explain,
    ExplainOk,
    ForecastAt,
    History,
    HistoryOk,
    Message,
    Now,
    Stamp,
    Stamped,
    StatusOk,
    Verified,
    Verify,
)
from chronotick.wire.snapshot import MAX_NS, MIN_NS, Record, Status

MAX_AHEAD_NS = 3600 * NS_PER_S


class Sources(msgspec.Struct, frozen=True):
    """Where the answers come from. Called in the server's thread, so each must return at once and change nothing: give
    it a value that the host has prepared, such as an attribute that holds an immutable object.

    Attributes:
        record: what is published now.
        status: the host's condition, section by section, as plain maps.
        history: columns, rows and whether older rows were left off, for one series between two instants.
        explain: sentences from servers to published time, and the numbers behind them.
        outlook: how the estimate spreads ahead; None where that is not known, and then looks ahead are wide.
        past: what was published before, for stamps of the past.
        signer: signs and verifies stamps; None where this host has no key.
    """

    record: Callable[[], Record]
    status: Callable[[], dict[str, Any]]
    history: Callable[[History], tuple[tuple[str, ...], list[list[Any]], bool]]
    explain: Callable[[], tuple[tuple[str, ...], dict[str, Any]]]
    outlook: Callable[[], Outlook | None] = lambda: None
    past: Past = msgspec.field(default_factory=Past)
    signer: Signer | None = None


class ClientVerbs:
    """Answers `now`, `forecast_at`, `convert`, `stamp`, `verify`, `status_query`, `history` and `explain`."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def __call__(self, message: Message) -> Message:
        """The answer.

        Raises:
            ProtocolError: `unknown_type` for anything else, `bad_horizon` for an instant too far ahead, `out_of_range`
                for a stamp that can not be converted, `no_time`, `bad_stamp` for a token that is not this host's.
        """
        match message:
            case Now(id=number):
                return reading_of(self._sources.record(), _raw_ns(), 0, number)
            case ForecastAt(id=number, ahead_ns=ahead_ns):
                if ahead_ns > MAX_AHEAD_NS:
                    message_text = f"{ahead_ns} ns ahead is more than the {MAX_AHEAD_NS} that can be asked for."
                    raise ProtocolError(Code.BAD_HORIZON, message_text)
                return reading_of(self._sources.record(), _raw_ns(), ahead_ns, number, self._sources.outlook())
            case Convert():
                return self._sources.past.reading_at(message, self._sources.record(), timebase.reading())
            case Stamp(id=number, payload_sha256=digest):
                reading = reading_of(self._sources.record(), _raw_ns(), 0, number)
                return Stamped(id=number, token=self._signer().stamp(reading, digest))
            case Verify(id=number, token=token):
                said = self._signer().verify(token)._asdict() | {"id": number}
                return Verified(**said)
            case messages.StatusQuery(id=number, sections=wanted):
                sections = self._status()
                kept = {name: sections[name] for name in wanted if name in sections} if wanted else sections
                return StatusOk(id=number, sections=kept)
            case History(id=number):
                columns, rows, truncated = self._sources.history(message)
                return HistoryOk(id=number, columns=columns, rows=rows, truncated=truncated)
            case Explain(id=number):
                sentences, facts = self._sources.explain()
                return ExplainOk(id=number, sentences=sentences, facts=facts)
        kind = type(message).__struct_config__.tag
        raise ProtocolError(Code.UNKNOWN_TYPE, f"A message of type {kind!r} is not answered on the client socket.")

    def _status(self) -> dict[str, Any]:
        sections = self._sources.status()
        if "clock" not in sections:
            return sections
        pair = timebase.pair()
        clock = as_of_now(sections["clock"], self._sources.record(), pair.raw_ns, pair.realtime_ns)
        return sections | {"clock": clock}

    def _signer(self) -> Signer:
        if self._sources.signer is None:
            raise ProtocolError(
                Code.BAD_STAMP, "This host has no key for stamps.", mend="See its log, or set serve.stamp_key_file."
            )
        return self._sources.signer


def reading_of(
    record: Record, raw_ns: int, ahead_ns: int, number: int, outlook: Outlook | None = None
) -> messages.Reading:
    """The answer to request `number`: what `record` says at `raw_ns`, or for `ahead_ns` later.

    A look ahead is never more certain than now, although a correction may be done by then. Its status is today's, as
    long as the record is not void by then. How the estimate spreads that far is the outlook's to say: the record's own
    growth is that of the next second. Without one the spread grows as fast as the hard interval.
    """
    then_ns = raw_ns + ahead_ns
    status = record.status_at(raw_ns)
    if status is Status.UNKNOWN or record.status_at(then_ns) is Status.UNKNOWN:
        utc, earliest, latest, low, high, sigma = 0, MIN_NS, MAX_NS, MIN_NS, MAX_NS, MAX_NS
        status = Status.UNKNOWN
    else:
        utc = record.utc_ns(then_ns)
        earliest, latest = min(record.earliest_ns(then_ns), utc), max(record.latest_ns(then_ns), utc)
        sigma, half = record.sigma_ns(then_ns), record.half_width_95_ns(then_ns)
        if ahead_ns:
            sigma, half = max(sigma, record.sigma_ns(raw_ns)), max(half, record.half_width_95_ns(raw_ns))
            grown = ceil(record.bound_growth * ahead_ns)
            spread = outlook.spread_ns(then_ns) if outlook else (sigma + grown, half + grown)
            sigma, half = max(sigma, spread[0]), max(half, spread[1])
        low, high = max(utc - half, earliest), min(utc + half, latest)
    fix = record.fix_raw_ns
    return messages.Reading(
        id=number,
        utc_ns=utc,
        earliest_ns=earliest,
        latest_ns=latest,
        low_95_ns=low,
        high_95_ns=high,
        sigma_ns=sigma,
        status=status.value,
        raw_ns=then_ns,
        as_of_utc_ns=utc + fix - then_ns if fix and utc else 0,
        age_ns=then_ns - fix,
        source=record.source,
        epoch=record.epoch,
        sequence=record.sequence,
        host_instance=record.host_instance,
    )


def _raw_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
