"""The next start: what goes on, what is kept as a guess, and what is never taken over."""

from typing import Any

import msgspec
import pytest

from chronotick.config.schema import Config, NtpConfig
from chronotick.errors import StoreError
from chronotick.fusion.types import Status
from chronotick.store import warm
from chronotick.store.warm import Now

from .conftest import START_RAW_NS, true_theta_ns

S = 1_000_000_000
BOOT = 99


def now_of(host: Any, *, boot: int = BOOT, suspended_ns: int = 0, later_s: float = 0.0) -> Now:
    raw_ns = host.raw_ns + round(later_s * S)
    return Now(boot, raw_ns, raw_ns + true_theta_ns(raw_ns), suspended_ns)


@pytest.fixture(scope="module")
def last(host: Any) -> Any:
    """A run that has ended, with a model that has earned a say."""
    one = host(instance=1)
    one.run(2700.0)
    return one


@pytest.fixture(scope="module")
def saved(last: Any) -> warm.Saved:
    return warm.load(warm.save(last.core, last.prints, now_of(last)))


def started(host: Any, saved: warm.Saved, now: Now, **options: Any) -> tuple[Any, str]:
    """A host that starts with what was saved; what was said."""
    said: list[str] = []
    one = host(
        instance=2, raw_ns=now.raw_ns, ready=lambda made: said.append(warm.begin(made.core, saved, now)), **options
    )
    return one, said[0]


def theta_error_s(one: Any) -> float:
    record = one.core.issuer.record
    return abs(record.utc_ns(one.raw_ns) - one.raw_ns - true_theta_ns(one.raw_ns)) / S


def test_within_a_boot_time_is_there_before_the_first_exchange(host: Any, last: Any, saved: warm.Saved) -> None:
    """A minute later the first publication is the old line, a minute on: in hold-over or not, never UNKNOWN."""
    again, said = started(host, saved, now_of(last, later_s=60.0))
    assert said == "going on from the last run's state of 60 s ago"
    again.raw_ns += 1
    again.publish()
    assert again.core.status is Status.SYNCHRONISED
    assert theta_error_s(again) < 1e-4
    before, after = last.core.pipeline, again.core.pipeline
    assert after.state == before.state
    assert after.fusion.explain() == before.fusion.explain()
    assert after.hard.at(again.raw_ns) == before.hard.at(again.raw_ns)


def test_after_a_long_break_it_is_hold_over_and_beyond_the_last_fix_nothing(
    host: Any, last: Any, saved: warm.Saved
) -> None:
    """An hour later the estimate is old and said to be; a day and more later no time is taken over."""
    again, _ = started(host, saved, now_of(last, later_s=3600.0))
    again.raw_ns += 1
    again.publish()
    assert again.core.status is Status.HOLDOVER
    late, said = started(host, saved, now_of(last, later_s=90_000.0))
    assert said.startswith("keeping what the last run learned")
    late.raw_ns += 1
    late.publish()
    assert late.core.status is Status.UNKNOWN


def test_a_machine_that_slept_meanwhile_has_no_time_but_its_rate(host: Any, last: Any, saved: warm.Saved) -> None:
    """The raw clock stood still: the line is void, the oscillator is the same."""
    again, said = started(host, saved, now_of(last, later_s=60.0, suspended_ns=7 * S))
    assert said.endswith("the machine slept for 7 s since")
    again.raw_ns += 1
    again.publish()
    assert again.core.status is Status.UNKNOWN
    again.run(20.0)
    assert again.core.status is Status.DISRUPTED
    assert again.core.pipeline.state.rate == pytest.approx(last.core.pipeline.state.rate, abs=2e-6)


@pytest.mark.parametrize("off_s", [30.0, 86_400.0, -5.0])
def test_after_a_reboot_the_oscillator_is_known_and_no_time(
    host: Any, last: Any, saved: warm.Saved, off_s: float
) -> None:
    """Another raw clock, which begins at 0: no offset, but the rate, the noise, and who had a say, also when the
    system clock says that the machine came up before it went down."""
    raw_ns = 40 * S
    now = Now(BOOT + 1, raw_ns, saved.at.realtime_ns + round(off_s * S), 0)
    again, said = started(host, saved, now)
    assert (
        said == "keeping what the last run learned of oscillator and paths, but no time: the machine was started anew"
    )
    again.raw_ns += 1
    again.publish()
    assert again.core.status is Status.UNKNOWN
    before, after = last.core.pipeline, again.core.pipeline
    assert after.hard.at(raw_ns) is None
    assert after.state.fixes == 0
    assert after.state.rate == pytest.approx(before.state.rate, abs=2e-6)
    assert (after.state.noise_s, after.state.wander) == (before.state.noise_s, before.state.wander)
    gained = {(one.candidate, one.horizon_s): (one.gain, one.n_eff) for one in before.fusion.explain()}
    assert {(one.candidate, one.horizon_s): (one.gain, one.n_eff) for one in after.fusion.explain()} == gained
    assert any(n_eff > 0 for _, n_eff in gained.values())


def test_a_reboot_is_warmer_than_no_memory(host: Any, last: Any, saved: warm.Saved) -> None:
    """After the first three fixes the rate is known better than to a host that starts cold."""
    now = Now(BOOT + 1, START_RAW_NS, saved.at.realtime_ns + 60 * S, 0)
    errors = {}
    for name, ready in (("cold", lambda _: None), ("warm", lambda made: warm.begin(made.core, saved, now))):
        one = host(instance=3, raw_ns=START_RAW_NS, ready=ready)
        one.run(20.0)
        assert one.core.status is Status.SYNCHRONISED
        errors[name] = one.core.pipeline.state.variance[2]
    assert errors["warm"] < 0.2 * errors["cold"]


def test_other_servers_are_another_time(host: Any, last: Any, saved: warm.Saved, config: Config) -> None:
    """None in common: nothing is believed. One in common: the oscillator is, the time is not."""
    for servers, words in ((("127.0.0.1:9",), "starting cold"), (("192.0.2.1", "192.0.2.77"), "from other servers")):
        other = msgspec.structs.replace(config, ntp=NtpConfig(servers=servers))
        again, said = started(host, saved, now_of(last, later_s=1.0), config=other)
        assert words in said
        again.raw_ns += 1
        again.publish()
        assert again.core.status is Status.UNKNOWN
        assert (again.core.pipeline.state is None) == (words == "starting cold")


def test_another_clock_configuration_starts_cold(host: Any, last: Any, saved: warm.Saved, config: Config) -> None:
    """A lab's compressed physics and a real machine's have nothing to tell each other."""
    lab = msgspec.structs.replace(config, clock=msgspec.structs.replace(config.clock, time_compression=60.0))
    said: list[str] = []

    def begin(made: Any) -> None:
        try:
            said.append(warm.begin(made.core, saved, now_of(last, later_s=1.0)))
        except StoreError as error:
            said.append(error.message)

    again = host(instance=2, raw_ns=last.raw_ns + S, ready=begin, config=lab)
    assert "tuning x1" in said[0]
    assert again.core.pipeline.state is None


@pytest.mark.parametrize("content", [b"", b"\x93\x01\x02\x03", b"garbage", msgspec.msgpack.encode([7, [1, 1, 1, 1]])])
def test_a_damaged_state_is_refused(content: bytes) -> None:
    """With one kind of error."""
    with pytest.raises(StoreError, match="saved state"):
        warm.load(content)
