"""From a log back to every snapshot, to the bit; and from an exported state on, as if nothing had happened."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from chronotick.backtest.figures import summary
from chronotick.backtest.read import read_trace
from chronotick.backtest.score import score
from chronotick.config.schema import Config
from chronotick.errors import StoreError
from chronotick.store import reader, state
from chronotick.store.place import LOG_FOLDER
from chronotick.store.replay import Replay, core_at
from chronotick.store.segments import files

S = 1_000_000_000


def ended(logged: Any, host: Any) -> None:
    host.journal.close()
    logged.close()


@pytest.mark.parametrize("begin_s", [8, 1500])
def test_a_restored_core_goes_on_as_if_it_had_never_stopped(host: Any, begin_s: int) -> None:
    """With forecasts alive, evidence half collected and a suspension behind it, all that follows is equal."""
    never = host()
    never.run(300.0)
    never.sleep()
    never.run(begin_s)
    exported = state.export(never.core)
    again = host(ready=lambda one: state.restore(one.core, exported, one.prints))
    assert state.export(again.core) == exported
    again.raw_ns, again.turn = never.raw_ns, never.turn
    again.rng.bit_generator.state = never.rng.bit_generator.state
    never.told.clear()
    for one in (never, again):
        one.run(400.0)
    assert never.told == again.told
    assert len(set(never.told)) == 100
    assert state.export(never.core) == state.export(again.core)
    assert (never.core.pipeline.fusion.counts.made > 3) == (begin_s > 1000)


def test_every_snapshot_comes_again_over_rotations_and_restarts(host: Any, logged: Any) -> None:
    """Small segments, a suspension, answers and refusals, and a second run of the host in the same log."""
    first = host(log=logged.log(segment_s=300.0))
    first.run(1500.0)
    first.sleep()
    first.run(300.0)
    ended(logged, first)
    second = host(log=logged.log(segment_s=300.0), instance=8, raw_ns=first.raw_ns, last=first.core.issuer.record)
    second.run(600.0)
    ended(logged, second)
    assert len(files(logged.folder)) > 3
    replay = Replay(logged.folder)
    moments = [(one.same, one.utc_ns, one.logged) for one in replay.moments()]
    assert [same for same, _, _ in moments] == [True] * len(first.told + second.told)
    assert replay.skipped == []
    assert replay.bytes_done == replay.bytes_total
    utc = [utc for _, utc, _ in moments]
    assert utc == sorted(utc)
    assert moments[-1][2].theta_ns == second.core.issuer.record.theta_ns


def test_a_replay_can_begin_at_any_segment(host: Any, logged: Any) -> None:
    """The newest segment alone gives the newest snapshots."""
    one = host(log=logged.log(segment_s=300.0))
    one.run(1500.0)
    ended(logged, one)
    newest = files(logged.folder)[-1]
    told = [(moment.same, moment.logged.digest) for moment in Replay(newest).moments()]
    assert told
    assert all(same for same, _ in told)
    late = Replay(logged.folder, since_utc_ns=next(Replay(newest).moments()).utc_ns + S)
    assert late.bytes_total == newest.stat().st_size


def test_a_segment_that_a_running_host_removes_meanwhile_is_said(host: Any, logged: Any) -> None:
    """The log is bounded: what was found at first may be gone when its turn comes, and the rest is replayed."""
    one = host(log=logged.log(segment_s=100.0))
    one.run(250.0)
    ended(logged, one)
    first, *rest = files(logged.folder)
    replay = Replay(logged.folder)
    first.unlink()
    same = [moment.same for moment in replay.moments()]
    assert rest
    assert all(same)
    assert [(name, "can not be read" in why) for name, why in replay.skipped] == [(first.name, True)]


def test_what_was_altered_is_found(host: Any, logged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that decides otherwise than the host did gives other snapshots, and they are counted."""
    one = host(log=logged.log())
    one.run(400.0)
    ended(logged, one)
    monkeypatch.setattr("chronotick.clock.bank.FORGETTING", 0.9)
    same = [moment.same for moment in Replay(logged.folder).moments()]
    assert same.count(False) > len(same) / 2


@pytest.mark.parametrize("cut", [1, 7, 5000])
def test_a_torn_tail_is_skipped(host: Any, logged: Any, cut: int) -> None:
    """What a crash left half-written is not read; all before it is."""
    one = host(log=logged.log())
    one.run(900.0)
    ended(logged, one)
    (path,) = files(logged.folder)
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    replay = Replay(logged.folder)
    same = [moment.same for moment in replay.moments()]
    assert 0 < len(same) < len(one.told)
    assert all(same)
    assert replay.torn_bytes > 0


def test_a_flipped_bit_ends_the_segment_but_not_the_replay(host: Any, logged: Any) -> None:
    """A damaged frame is never believed; the next segment begins with its own state."""
    one = host(log=logged.log(segment_s=300.0))
    one.run(1500.0)
    ended(logged, one)
    middle = files(logged.folder)[1]
    data = bytearray(middle.read_bytes())
    data[-2000] ^= 1
    middle.write_bytes(bytes(data))
    replay = Replay(logged.folder)
    same = [moment.same for moment in replay.moments()]
    assert len(same) < len(one.told)
    assert all(same)
    assert replay.torn_bytes >= 2000


def test_a_state_of_another_version_is_said_and_the_rest_replayed(
    host: Any, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the constants under the state have changed, the segment is skipped with the reason."""
    one = host(log=logged.log())
    one.run(100.0)
    ended(logged, one)
    monkeypatch.setattr("chronotick.store.replay.config_of", lambda _: Config())
    replay = Replay(logged.folder)
    assert list(replay.moments()) == []
    ((name, why),) = replay.skipped
    assert "another version" in why
    assert name == files(logged.folder)[0].name


def without_models(config: Config) -> Config:
    fusion = msgspec.structs.replace(config.fusion, enabled=False)
    return msgspec.structs.replace(config, fusion=fusion)


def wider(config: Config) -> Config:
    return msgspec.structs.replace(config, clock=msgspec.structs.replace(config.clock, rate_bound_ppm=200.0))


def test_a_what_if_meets_the_same_inputs_under_another_configuration(host: Any, logged: Any) -> None:
    """Without models the answer is the floor's; with another rate bound the interval is wider; the log stays equal."""
    one = host(log=logged.log())
    one.run(3600.0)
    ended(logged, one)
    moments = [
        (moment.same, moment.replayed, moment.core.weights, other.issuer.record, other.weights)
        for moment in Replay(logged.folder, change=without_models).moments()
        if (other := moment.other) is not None
    ]
    assert all(same for same, *_ in moments)
    assert "oracle" in moments[-1][2]
    assert {tuple(weights) for *_, weights in moments[10:]} == {("floor",)}
    assert any(replayed.theta_ns != record.theta_ns for _, replayed, _, record, _ in moments)
    last = None
    for moment in Replay(logged.folder, change=wider).moments():
        last = moment
    assert last is not None
    assert last.other is not None
    assert last.same
    assert last.other.issuer.record.bound_growth > 3.9 * last.core.issuer.record.bound_growth
    # Equal questions got the log's answers: the same model has about the same weight.
    assert last.other.weights["oracle"] == pytest.approx(last.core.weights["oracle"], abs=0.2)


def test_the_core_of_an_instant(host: Any, logged: Any) -> None:
    """`core_at` stands where the host stood, and says so when the log does not reach there."""
    one = host(log=logged.log(segment_s=300.0))
    one.run(700.0)
    at_ns = one.raw_ns + one.core.issuer.record.theta_ns + S // 1000
    then = one.core.issuer.slot
    one.run(700.0)
    ended(logged, one)
    moment = core_at(logged.folder, at_ns)
    assert moment.core.issuer.slot == then
    with pytest.raises(StoreError, match="begins after"):
        core_at(logged.folder, 0)


def test_the_reader_gives_exchanges_and_fixes(host: Any, logged: Any) -> None:
    """Without any replay: what was heard, and what the vote made of it, through a suspension."""
    one = host(log=logged.log(segment_s=300.0))
    one.run(500.0)
    one.sleep()
    one.run(500.0)
    ended(logged, one)
    heard = list(reader.outcomes(logged.folder))
    assert [raw for raw, _ in heard] == sorted(raw for raw, _ in heard)
    assert sum(outcome.sample is None for _, outcome in heard) > 0
    fixes = list(reader.fixes(logged.folder))
    assert fixes[-1] == one.core.pipeline.last_fix
    assert len(heard) / 2 < len(fixes) < len(heard)


def test_a_log_can_be_backtested(host: Any, logged: Any) -> None:
    """Its fixes are a trace, relative to the first, and each is the truth of what was said of it before."""
    one = host(log=logged.log())
    one.run(2000.0)
    ended(logged, one)
    trace, fixes = read_trace(logged.folder), list(reader.fixes(logged.folder))
    assert (len(trace.fixes), trace.independent) == (len(fixes), False)
    assert trace.fixes[0].raw_ns == trace.fixes[0].theta_ns == 0
    assert trace.fixes[-1].theta_ns == fixes[-1].theta_ns - fixes[0].theta_ns
    found = summary(score(trace, Config(), [60.0]))["60s"]
    assert found["chronotick"]["mae_us"] < found["hold_last"]["mae_us"]


def test_a_state_directory_stands_for_its_log(tmp_path: Path) -> None:
    """What `store.state_dir` names is what people have at hand."""
    inside = tmp_path / LOG_FOLDER
    inside.mkdir()
    (inside / "events-00000001.ctklog").touch()
    assert files(tmp_path) == files(inside) == [inside / "events-00000001.ctklog"]


def test_a_place_without_a_log_is_said(tmp_path: Path) -> None:
    """No segment, and a file that is none."""
    with pytest.raises(StoreError, match="no event log"):
        Replay(tmp_path)
    (tmp_path / "events-00000001.ctklog").write_bytes(b"something else")
    with pytest.raises(StoreError, match="is no event log"):
        Replay(tmp_path / "events-00000001.ctklog")
