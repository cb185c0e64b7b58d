"""ChronoTick's own NTP exchange against the lab: it measures the truth, and refuses each fault by name."""

import asyncio
import statistics

import msgspec
import pytest

from chronotick.config.schema import NtpConfig
from chronotick.lab.lab import running
from chronotick.lab.scenario import FAULT_KINDS, FaultKind, PathConfig, Scenario, ServerConfig
from chronotick.lab.spawn import spawned
from chronotick.ntp.address import Endpoint
from chronotick.ntp.exchange import exchange
from chronotick.ntp.kernel_stamps import keep_enabled
from chronotick.ntp.outcome import Refusal

STILL = PathConfig(out_ms=0.2, back_ms=0.2, jitter_out_us=0, jitter_back_us=0)
PATIENT = NtpConfig(timeout_s=2.0)
HASTY = NtpConfig(timeout_s=0.15)

REFUSED: dict[FaultKind, Refusal | None] = {
    "silence": Refusal.TIMEOUT,
    "duplicate": None,
    "bad_origin": Refusal.WRONG_ORIGIN,
    "zero_origin": Refusal.ZERO_ORIGIN,
    "zero_t2": Refusal.ZERO_RECEIVE,
    "zero_t3": Refusal.ZERO_TRANSMIT,
    "t3_before_t2": Refusal.TRANSMIT_BEFORE_RECEIVE,
    "future_reference": Refusal.REFERENCE_AFTER_TRANSMIT,
    "kiss_deny": Refusal.KISS_DENY,
    "kiss_rstr": Refusal.KISS_RSTR,
    "kiss_rate": Refusal.KISS_RATE,
    "stratum_0": Refusal.BAD_STRATUM,
    "stratum_16": Refusal.BAD_STRATUM,
    "leap_3": Refusal.UNSYNCHRONISED,
    "mode_3": Refusal.BAD_MODE,
    "version_0": Refusal.BAD_VERSION,
    "version_7": Refusal.BAD_VERSION,
    "huge_root_distance": Refusal.ROOT_DISTANCE,
    "runt": Refusal.RUNT,
    "oversize": Refusal.OVERSIZE,
    "garbage_extension": Refusal.GARBAGE_EXTENSION,
    # The kernel drops these before the exchange sees them.
    "foreign_port": Refusal.TIMEOUT,
    "foreign_address": Refusal.TIMEOUT,
}


def endpoint(place: str) -> Endpoint:
    host, _, port = place.rpartition(":")
    return Endpoint(address=host, port=int(port))


def test_every_kind_of_fault_is_met() -> None:
    """The table above has a row for each."""
    assert set(REFUSED) == set(FAULT_KINDS)


def test_the_exchange_refuses_each_fault_by_its_name() -> None:
    """Each fault ends in the refusal that names it; a duplicate does no harm to the exchange it doubles."""

    async def main() -> dict[FaultKind, Refusal | None]:
        met = {}
        with running(Scenario(servers=(ServerConfig(path=STILL),))) as lab:
            (server,) = lab.servers.values()
            for kind in FAULT_KINDS:
                server.switches = frozenset({kind})
                answered = kind in ("duplicate", "kiss_deny", "kiss_rstr", "kiss_rate")
                outcome = await exchange("s1", endpoint(server.place), PATIENT if answered else HASTY)
                met[kind] = outcome.reason
        return met

    assert asyncio.run(main()) == REFUSED


def test_the_exchange_measures_the_truth() -> None:
    """Median error against the lab's truth below 50 us, and every error within the server's own root distance."""
    servers = tuple(
        ServerConfig(path=msgspec.structs.replace(STILL, out_ms=one_way, back_ms=one_way))
        for one_way in (0.2, 1.0, 3.0)
    )
    errors: list[float] = []

    async def main() -> None:
        async with spawned(Scenario(servers=servers)) as ready:
            truth = ready.truth()
            with keep_enabled():
                for _ in range(25):
                    for place in ready.servers:
                        sample = (await exchange(place, endpoint(place), PATIENT)).sample
                        assert sample is not None
                        error_s = (sample.theta_ns - truth.theta_ns(sample.raw_ns)) * 1e-9
                        assert abs(error_s) <= sample.root_distance_s
                        errors.append(error_s)

    asyncio.run(main())
    assert statistics.median(errors) == pytest.approx(0, abs=50e-6)
    assert statistics.median(map(abs, errors)) < 50e-6
