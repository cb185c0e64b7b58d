"""What the client socket answers, without any socket."""

import time
from typing import Any

import pytest

from chronotick.errors import ProtocolError
from chronotick.serve import ClientVerbs, Sources, verbs
from chronotick.serve.verbs import MAX_AHEAD_NS, reading_of
from chronotick.wire.codec import decode, encode
from chronotick.wire.messages import (
    Command,
    Explain,
    ExplainOk,
    ForecastAt,
    History,
    HistoryOk,
    Now,
    Ping,
    Reading,
    StatusOk,
    StatusQuery,
)
from chronotick.wire.snapshot import MAX_NS, MIN_NS, Record, Status

S = 1_000_000_000
CLOCK = {"status": "SYNCHRONISED", "sentence": "All agree.", "epoch": 1, "warm_up": {}}


@pytest.fixture
def answer(record: Record, monkeypatch: pytest.MonkeyPatch) -> ClientVerbs:
    """The verbs of a host that has published `record` and reads its clock 1 s later."""
    monkeypatch.setattr(verbs, "_raw_ns", lambda: record.raw_ns + S)
    return ClientVerbs(
        Sources(
            record=lambda: record,
            status=lambda: {"clock": CLOCK, "servers": [], "plugins": {}},
            history=lambda asked: (("raw_ns", asked.series), [[1, 2.0]], True),
            explain=lambda: (("One.", "Two."), {"weights": {"floor": 1.0}}),
        )
    )


def ask(answer: ClientVerbs, message: Any) -> Any:
    """The answer as it arrives."""
    return decode(encode(answer(message)))


def test_now_is_the_record_at_this_instant(answer: ClientVerbs, record: Record) -> None:
    """All fields of a reading are the record's, evaluated now, with the id of the question."""
    reading = ask(answer, Now(id=77))
    at = record.raw_ns + S
    assert isinstance(reading, Reading)
    assert (reading.id, reading.raw_ns, reading.utc_ns) == (77, at, record.utc_ns(at))
    assert (reading.earliest_ns, reading.latest_ns) == (record.earliest_ns(at), record.latest_ns(at))
    half = record.half_width_95_ns(at)
    assert (reading.low_95_ns, reading.high_95_ns) == (reading.utc_ns - half, reading.utc_ns + half)
    assert reading.sigma_ns == record.sigma_ns(at)
    assert (reading.status, reading.source) == ("SYNCHRONISED", ("floor",))
    assert (reading.age_ns, reading.as_of_utc_ns) == (11 * S, reading.utc_ns - 11 * S)
    assert (reading.epoch, reading.sequence, reading.host_instance) == (1, 5, 9)


def test_a_look_ahead_is_the_line_goes_on(answer: ClientVerbs, record: Record) -> None:
    """forecast_at gives the time at the instant asked for, not before."""
    reading = ask(answer, ForecastAt(id=1, ahead_ns=10 * S))
    assert reading.raw_ns == record.raw_ns + 11 * S
    assert reading.utc_ns == record.utc_ns(record.raw_ns + 11 * S)
    assert reading.status == "SYNCHRONISED"


def test_looking_further_ahead_is_never_more_certain(answer: ClientVerbs) -> None:
    """Spread and width do not shrink with distance, although a slew ends meanwhile."""
    far = [ask(answer, ForecastAt(id=1, ahead_ns=ahead)) for ahead in (0, 1, S // 2, S, 2 * S, 60 * S, 600 * S)]
    for values in (
        [one.sigma_ns for one in far],
        [one.high_95_ns - one.low_95_ns for one in far],
        [one.latest_ns - one.earliest_ns for one in far],
    ):
        assert values == sorted(values)


def test_a_look_beyond_void_is_unknown(answer: ClientVerbs) -> None:
    """What will be void by then is not promised now."""
    assert ask(answer, ForecastAt(id=1, ahead_ns=1998 * S)).status == "SYNCHRONISED"
    assert ask(answer, ForecastAt(id=1, ahead_ns=1999 * S)).status == "UNKNOWN"


def test_a_look_too_far_ahead_is_refused(answer: ClientVerbs) -> None:
    """An hour is the limit, and the error names it."""
    with pytest.raises(ProtocolError, match=str(MAX_AHEAD_NS)) as caught:
        answer(ForecastAt(id=1, ahead_ns=MAX_AHEAD_NS + 1))
    assert caught.value.code == "bad_horizon"


@pytest.mark.parametrize("age_s", [0, 1, 3.9, 4.1, 1999, 2000, 90_000])
def test_a_reading_holds_together_at_every_age(record: Record, age_s: float) -> None:
    """Bounds hold the time and the calibrated interval lies in the hard one; UNKNOWN has no bounds and no time."""
    reading = reading_of(record, record.raw_ns + round(age_s * S), 0, 1)
    assert decode(encode(reading)).utc_ns == reading.utc_ns  # type: ignore[union-attr]
    assert reading.earliest_ns <= reading.low_95_ns <= reading.high_95_ns <= reading.latest_ns
    expected = Status.SYNCHRONISED if age_s < 4 else Status.HOLDOVER if age_s < 2000 else Status.UNKNOWN
    assert reading.status == expected
    if expected is Status.UNKNOWN:
        assert (reading.utc_ns, reading.earliest_ns, reading.latest_ns) == (0, MIN_NS, MAX_NS)
    else:
        assert reading.low_95_ns <= reading.utc_ns <= reading.high_95_ns


def test_status_history_and_explain_come_from_the_host(answer: ClientVerbs) -> None:
    """The other verbs pass on what the host has prepared, and status only the sections asked for."""
    status = ask(answer, StatusQuery(id=1))
    assert isinstance(status, StatusOk)
    assert list(status.sections) == ["clock", "servers", "plugins"]
    assert ask(answer, StatusQuery(id=1, sections=("servers", "none"))).sections == {"servers": []}
    history = ask(answer, History(id=2, series="fixes"))
    assert isinstance(history, HistoryOk)
    assert (history.columns, history.rows, history.truncated) == (("raw_ns", "fixes"), [[1, 2.0]], True)
    explained = ask(answer, Explain(id=3))
    assert isinstance(explained, ExplainOk)
    assert (explained.sentences, explained.facts) == (("One.", "Two."), {"weights": {"floor": 1.0}})


@pytest.mark.parametrize("message", [Command(id=1, verb="shutdown"), Ping(seq=1, sent_ns=1)])
def test_nothing_else_is_answered(answer: ClientVerbs, message: Any) -> None:
    """Commands and the plugins' messages are refused by name on the client socket."""
    with pytest.raises(ProtocolError, match="is not answered on the client socket") as caught:
        answer(message)
    assert caught.value.code == "unknown_type"


def test_the_clock_is_read_when_asked(record: Record) -> None:
    """Without a test's clock, now is now."""
    raw = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    line = record._replace(raw_ns=raw, stale_raw_ns=raw + 60 * S, void_raw_ns=raw + 90 * S)
    answer = ClientVerbs(Sources(lambda: line, dict, lambda _: ((), [], False), lambda: ((), {})))
    reading = answer(Now(id=1))
    assert isinstance(reading, Reading)
    assert raw <= reading.raw_ns <= time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
