"""A chronyd as a source: its answer read strictly, the sample it makes, and a real one behind a host."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.client import Status
from chronotick.config.load import load
from chronotick.config.schema import InteropConfig, NtpConfig
from chronotick.errors import ConfigError
from chronotick.interop import LOCAL_CHRONYD, ChronydSource
from chronotick.interop.tracking import Around, Tracking, parse_tracking, sample_of
from chronotick.lab.lab import Ready
from chronotick.ntp.associations import Associations
from chronotick.ntp.outcome import Outcome, Refusal, Sample

from ..system.conftest import Host, until
from .conftest import Chronyd, S, behind_s

LINE = (
    "C0000201,192.0.2.1,2,1700000000.123456789,0.000012345,-0.000001000,0.000002000,"
    "-12.345,0.010,0.500,0.020000000,0.001000000,64.5,Normal"
)
UTC = 1_700_000_010 * S
AROUND = Around(1000 * S, UTC, 1000 * S + 4_000_000, UTC + 4_000_000, 0)
CONFIG = NtpConfig()


def tracking(**changes: Any) -> Tracking:
    return msgspec.structs.replace(parse_tracking(LINE), **changes)


def made(one: Tracking, around: Around = AROUND, **limits: Any) -> Sample:
    found = sample_of(one, around, msgspec.structs.replace(CONFIG, **limits))
    assert isinstance(found, Sample), found
    return found


def test_an_answer_is_read_field_by_field() -> None:
    """Each of the fourteen fields of chronyc's line, to the nanosecond."""
    assert parse_tracking(LINE) == Tracking(
        reference_id=bytes([192, 0, 2, 1]),
        reference="192.0.2.1",
        stratum=2,
        reference_ns=1_700_000_000_123_456_789,
        correction_s=12.345e-6,
        last_offset_s=-1e-6,
        rms_offset_s=2e-6,
        frequency_ppm=-12.345,
        residual_ppm=0.01,
        skew_ppm=0.5,
        root_delay_s=0.02,
        root_dispersion_s=0.001,
        interval_s=64.5,
        leap=0,
    )


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "c0000201"), (0, "C00002"), (2, "17"), (2, "-1"), (2, "²"), (3, "-1.0"), (3, "now"), (4, "nan"), (4, "inf"),
        (4, "1e3"), (4, ""), (9, "-0.5"), (10, "-0.000000001"), (11, "-1.0"), (12, "-1.0"), (13, "normal"), (13, ""),
    ],
)  # fmt: skip
def test_a_field_that_is_no_chronyds_is_refused(at: int, text: str) -> None:
    """A number that is none, a negative spread, an unknown leap status: no sample is made of it."""
    fields = LINE.split(",")
    fields[at] = text
    with pytest.raises(ValueError):
        parse_tracking(",".join(fields))


@given(st.text(max_size=300) | st.builds(lambda a, b: LINE[:a] + b + LINE[a:], st.integers(0, 200), st.text()))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever chronyc prints is read or refused with a ValueError."""
    try:
        parse_tracking(text)
    except ValueError:
        return


def test_a_positive_correction_is_a_clock_that_is_behind() -> None:
    """theta is the system clock's, plus the correction; the system offset is the correction."""
    sample = made(tracking(correction_s=0.25))
    assert sample.theta_ns == UTC - 1000 * S + S // 4
    assert sample.raw_ns == 1000 * S + 2_000_000
    assert sample.system_offset_s == 0.25


def test_the_root_distance_is_chronyds_own_and_ages() -> None:
    """Half the root delay, the dispersion, skew times age, and what the question leaves open: all of it, in seconds."""
    one = tracking(correction_s=0.0, reference_ns=UTC - 100 * S, frequency_ppm=0.0, residual_ppm=0.0, skew_ppm=2.0)
    assert made(one).root_distance_s == pytest.approx(0.010 + 0.001 + 2e-6 * 100, abs=1e-8)
    steered = msgspec.structs.replace(AROUND, after_realtime_ns=AROUND.after_realtime_ns + 2_000_000, window_ns=4000)
    assert made(one, steered).root_distance_s == pytest.approx(0.0112 + 1.002e-3, abs=1e-6)
    assert made(one).root_distance_at_s(AROUND.after_raw_ns + 100 * S, 5e-5) > 0.016
    # A chronyd that claims no skew is believed no more than RFC 5905 allows.
    assert made(msgspec.structs.replace(one, skew_ppm=0.0)).precision_s >= 1e-4


@pytest.mark.parametrize(
    ("changes", "limits", "reason"),
    [
        ({"leap": 3}, {}, Refusal.UNSYNCHRONISED),
        ({"reference_ns": 0}, {}, Refusal.UNSYNCHRONISED),
        ({"reference_id": bytes(4)}, {}, Refusal.UNSYNCHRONISED),
        ({"reference_id": bytes([127, 127, 1, 1])}, {}, Refusal.UNSYNCHRONISED),
        ({"stratum": 0}, {}, Refusal.BAD_STRATUM),
        ({"stratum": 16}, {}, Refusal.BAD_STRATUM),
        ({"stratum": 5}, {"max_stratum": 4}, Refusal.STRATUM_LIMIT),
        ({"root_delay_s": 1.1}, {}, Refusal.LONG_DELAY),
        ({"root_dispersion_s": 2.0}, {}, Refusal.ROOT_DISTANCE),
    ],
)
def test_what_chronyd_does_not_know_is_no_sample(
    changes: dict[str, Any], limits: dict[str, Any], reason: Refusal
) -> None:
    """An unsynchronised chronyd, one that serves its own clock, and one beyond the limits of all servers."""
    assert sample_of(tracking(**changes), AROUND, msgspec.structs.replace(CONFIG, **limits)) is reason


def test_it_votes_like_a_server() -> None:
    """Two servers that are 40 ms off and the chronyd that disagrees: it is heard, and outvoted."""
    table = Associations.of(NtpConfig(servers=("a", "b")), others=InteropConfig(chronyd=True).sources)
    right = made(tracking(correction_s=0.0))
    wrong = msgspec.structs.replace(right, theta_ns=right.theta_ns + 40_000_000)
    for name, address, sample in (("a", "192.0.2.1", wrong), ("b", "192.0.2.2", wrong), (LOCAL_CHRONYD, "", right)):
        step = table.step(Outcome(server=name, address=address, port=0, raw_ns=1001 * S, sample=sample), 1001 * S)
        table = step.associations
    assert step.fix is None
    assert dict(step.selection.standings)[LOCAL_CHRONYD] == "falseticker"


def chronyc(folder: Path, script: str) -> InteropConfig:
    """A configuration whose chronyc is this shell script."""
    program = folder / "chronyc"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return InteropConfig(chronyd=True, chronyc=str(program))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 1", Refusal.UNREACHABLE),
        ("echo 506 Cannot talk to daemon", Refusal.RUNT),
        ("printf '\\377\\376\\n'", Refusal.RUNT),
        ("head -c 1000000 /dev/zero", Refusal.OVERSIZE),
        ("exec sleep 60", Refusal.TIMEOUT),
    ],
)
def test_a_chronyc_that_fails_is_an_outcome(tmp_path: Path, script: str, reason: Refusal) -> None:
    """No daemon, nonsense, a flood, a program that hangs: each is a reason, within the time-out, and leaves nothing."""
    source = ChronydSource(chronyc(tmp_path, script), NtpConfig(timeout_s=1.0), lambda _: None)
    outcome = asyncio.run(source.ask())
    assert outcome is not None
    assert (outcome.server, outcome.sample) == (LOCAL_CHRONYD, None)
    assert outcome.reason is reason


def test_a_missing_chronyc_is_an_outcome() -> None:
    """Without the program nothing leaves this machine, and the host goes on."""
    source = ChronydSource(InteropConfig(chronyc="/none/chronyc"), NtpConfig(), lambda _: None)
    outcome = asyncio.run(source.ask())
    assert outcome is not None
    assert outcome.reason is Refusal.NO_ROUTE


def test_a_repetition_is_no_second_measurement(tmp_path: Path) -> None:
    """Between two updates of chronyd's the second question gives nothing; after the next update, a sample."""
    line = tmp_path / "line"
    source = ChronydSource(chronyc(tmp_path, f"cat {line}"), CONFIG, lambda _: None)

    now_s = int(time.time())

    async def three() -> list[Outcome | None]:
        line.write_text(LINE.replace("1700000000", str(now_s - 70)) + "\n")
        found = [await source.ask(), await source.ask()]
        line.write_text(LINE.replace("1700000000", str(now_s - 6)) + "\n")
        return [*found, await source.ask()]

    first, second, third = asyncio.run(three())
    assert first is not None
    assert second is None
    assert third is not None
    assert first.sample is not None
    assert third.sample is not None
    assert third.sample.transmit - first.sample.transmit == 64 * S


def test_a_chronyd_is_not_asked_for_what_it_was_told(tmp_path: Path) -> None:
    """Both ways at once would let the host vote for itself; chronyd alone, without servers, is enough."""
    file = tmp_path / "host.yaml"
    file.write_text("ntp:\n  servers: []\ninterop:\n  chronyd: true\n")
    assert load(file, (), {}).config.interop.sources == (LOCAL_CHRONYD,)
    with pytest.raises(ConfigError, match="vote for itself"):
        load(file, ("interop.refclock_socket=/run/x.sock",), {})


@pytest.mark.network
def test_a_host_on_a_real_chronyd_holds_true_time(
    start_host: Callable[..., Host], start_chronyd: Callable[..., Chronyd], ahead_lab: Ready
) -> None:
    """No server but chronyd -x, which follows a lab far ahead of the system clock: truth is in every hard interval."""
    truth = ahead_lab.truth()
    places = (place.rpartition(":") for place in ahead_lab.servers)
    chronyd = start_chronyd(
        *(f"server {host} port {port} iburst minpoll -2 maxpoll -2 maxdelay 1" for host, _, port in places)
    )
    interop = InteropConfig(chronyd=True, chronyd_poll_s=0.2, chronyd_address=str(chronyd.socket))
    host = start_host((), interop, min_agreeing=1)
    with host.clock() as clock:
        until(lambda: host.status(clock) is Status.SYNCHRONISED, "synchronised")
        until(lambda: host.sections()["clock"].get("fixes", 0) >= 10, "ten updates of chronyd's")
        readings = [clock.now() for _ in range(200)]
    assert behind_s(truth) > 1
    assert all(r.earliest_ns <= truth.utc_ns(r.raw_ns) <= r.latest_ns for r in readings)
    assert max(abs(r.utc_ns - truth.utc_ns(r.raw_ns)) for r in readings) < 5_000_000
    (row,) = host.sections()["sources"]["servers"]
    assert (row["name"], row["standing"], row["stratum"]) == (LOCAL_CHRONYD, "survivor", 2)
    assert row["system_offset_s"] == pytest.approx(behind_s(truth), abs=0.01)
